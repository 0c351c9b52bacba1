"""Close a run that was killed: what its journal tells becomes its record, INTERRUPTED.

A run that was on record by then stays as it is, and is only finished.
"""

from __future__ import annotations

import datetime
import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfg.clock import BenchClock
from mfg.errors import MfgError, StationError, UsageError
from mfg.fixtures.dut_apps import parse_snapshot
from mfg.fixtures.traveller import Interrupted, Traveller
from mfg.fixtures.unit_config import finite_number
from mfg.limits import LimitSet
from mfg.phases.archive_interrupted import FOUND
from mfg.phases.archive_over_usb import archive_over_usb
from mfg.phases.archive_running_unit import archive_running_unit
from mfg.plans.ct6 import recovery_plan
from mfg.records.chain import RecordChain
from mfg.records.factory_file import (
    ARCHIVE,
    CALIBRATION_KEYS,
    CALIBRATION_NAME,
    FACTORY_NAME,
    MACHINE_NAME,
    REGISTER_KEYS,
)
from mfg.records.from_openhtf import PhaseReader
from mfg.records.index import RecordIndex
from mfg.records.journal import (
    COPY,
    ERASE,
    SNAPSHOT_FILE,
    STORE,
    Journal,
    Story,
    application_to_settle,
    read_journal,
)
from mfg.records.labels import parse_serial_code
from mfg.records.record import INTERRUPTED, PASS, PhaseEntry, Record
from mfg.records.run_context import RunContext, build_record, clean_text
from mfg.records.run_folder import PRIVATE, RunFolder, StoredFile
from mfg.records.unit_after import UnitAfter
from mfg.runner.binding import RunCalls, new_traveller, plug_binder
from mfg.runner.execute import check_plan, execute
from mfg.runner.guard import OFF_AT_THE_MAINS
from mfg.runner.interrupted_unit import facts_of_interrupted_unit
from mfg.runner.locks import RunLocks
from mfg.runner.log import RunLog
from mfg.runner.request import RunRequest
from mfg.runner.result import STORING_WALL_S, WATCHED_WALL_S, Display
from mfg.runner.run_facts import known_at_begin, known_of_unit
from mfg.runner.storing import finish, put_on_record
from mfg.station import SlotContext, Station, WifiCredentials
from mfg.untrusted import parse_json
from mfg.version import __version__

AGAIN = "Start the unit again: its test begins from the beginning."
# From then on it is known what a running unit had.
ARCHIVED = (archive_running_unit.name, archive_over_usb.name)
CALIBRATION_FILES = (FACTORY_NAME, CALIBRATION_NAME)
UNIT_FILES = (*CALIBRATION_FILES, MACHINE_NAME)
# Of a unit without a factory file; with one, what lies below it in the configuration is not in force.
SETTINGS = (*REGISTER_KEYS, *CALIBRATION_KEYS, "LINE_FREQ_HZ")
_UNKNOWN_SHA256 = "0" * 64


@dataclass
class _Archived:
    """What was found on the unit after the run was killed."""

    phases: list[PhaseEntry] = field(default_factory=list)
    files: list[StoredFile] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    log: str = ""


def recover_run(
    station: Station,
    clock: BenchClock,
    limits: LimitSet,
    journal_path: Path,
    cause: str,
    unsafe: Sequence[str],
    display: Display,
    stop: threading.Event,
) -> Path:
    """Archive what the unit holds, and store the record of the killed run.

    Args:
        station: As it is now.
        clock: The bench clock.
        limits: As they are now.
        journal_path: Of a run whose process is dead.
        cause: Why it is, in a sentence.
        unsafe: Why the bench is not proved to be off; then nothing is switched on.
        display: Hears of it.
        stop: Leaves the unit alone from then on; the record is stored all the same.

    Returns:
        The run folder.

    Raises:
        UsageError: The run's own process is alive.
        StationError: The record could not be stored, or the clock is behind the last run on record; the
            journal stays for the next attempt.
    """
    story = read_journal(journal_path)
    story.acts, story.last_event = [clean_text(act) for act in story.acts], clean_text(story.last_event)
    chain = RecordChain(station.records_folder, station.key_folder)
    with RunLocks(station.records_folder) as locks, RunLog(secrets=()) as log:
        if not locks.claim_run(story.run_id):
            raise UsageError(f"The run {story.run_id} is under way.", "Wait for its end.")
        finished = finish(chain, journal_path)
        if finished is not None:
            return finished
        chain.require_ready()  # a line behind the clock of the last one would be a finding for ever
        folder = RunFolder.reopen(station.records_folder, _serial(story), story.run_id)
        archived = _Archived()
        if not unsafe and not stop.is_set():
            archived = _archive(station, clock, limits, story, folder, display, stop, log)
        log_text = archived.log or f"The run was closed without a look at the unit.\n{cause}\n"
        folder.write("log.txt", log_text.encode(), mode=PRIVATE)
        display.working(STORING_WALL_S)
        left = _unit_after(folder, story, archived)
        record = _record(station, story, archived, cause, unsafe, left)
        journal = Journal.reopen(journal_path)
        try:
            put_on_record(chain, folder, record, journal)
        finally:
            journal.release()
    return folder.path


def _record(
    station: Station, story: Story, archived: _Archived, cause: str, unsafe: Sequence[str], left: UnitAfter
) -> Record:
    """Build the record; facts of the journal that no record can hold are left out, and it says so."""
    phases = [*story.phases, *archived.phases]
    try:
        return build_record(phases, _context(station, story, archived, cause, unsafe, left))
    except (StationError, AttributeError, KeyError, TypeError, ValueError):
        story.wrong.append("The journal holds facts that cannot be believed; they were left out.")
        story.facts, story.unit = {}, {"serial_number": _serial(story) or ""}
        return build_record(phases, _context(station, story, archived, cause, unsafe, left))


def _serial(story: Story) -> str | None:
    """Return the unit's serial number where the journal holds one."""
    try:
        return parse_serial_code(str(story.unit.get("serial_number", ""))) or None
    except UsageError:
        return None


def _archive(
    station: Station,
    clock: BenchClock,
    limits: LimitSet,
    story: Story,
    folder: RunFolder,
    display: Display,
    stop: threading.Event,
    log: RunLog,
) -> _Archived:
    """Look at the unit that is in the slot of the killed run."""
    archived = _Archived()
    number = story.facts.get("slot")
    slots = [slot for slot in station.slots if slot.number == number]
    if not slots:
        archived.troubles.append(f"The station has no slot {number} any more: the unit was not looked at.")
        return archived

    def keep(name: str, data: bytes) -> bytes:
        archived.files.append(folder.write(name, data, name, PRIVATE))
        return folder.file(name).read_bytes()

    sheet = _traveller(station, limits, story, folder, keep, display)
    plan = recovery_plan(limits, plug_binder(SlotContext(station, slots[0], clock), sheet, None))
    check_plan(plan)
    execution = execute(plan, stop, lambda _record, _running: None, lambda: display.working(WATCHED_WALL_S))
    archived.troubles += execution.troubles
    test_record = execution.test_record
    if test_record is None:
        return archived
    archived.phases = PhaseReader(clock.factor, plan.cases).phases(test_record, {})
    begun_s = _end_s(story)
    for phase in archived.phases:
        phase["start_s"] = round(begun_s + phase["start_s"], 3)
        if phase["error"]:
            archived.troubles.append(f"{phase['name']}: {phase['error']['message']}")
    archived.log = log.text(test_record, sheet.console_lines)
    return archived


def kept_files(
    folder: RunFolder, story: Story, wanted: Sequence[str] = CALIBRATION_FILES, prefix: str = ""
) -> dict[str, bytes] | None:
    """Return those of a unit's files that the killed run had kept, None where one is not as it kept it.

    Args:
        folder: Of the run.
        story: What its journal tells.
        wanted: Names of the files on the unit.
        prefix: With which the run folder has them.
    """
    kept = {entry["name"] for entry in story.files}
    names = [name for name in wanted if prefix + name in kept]
    found = {name: _kept_content(folder, story, prefix + name) for name in names}
    whole = {name: content for name, content in found.items() if content is not None}
    return whole if whole.keys() == found.keys() else None


def _archived_settings(folder: RunFolder, story: Story) -> dict[str, int]:
    """Return what the unit was calibrated with, by key, as its archived configuration says."""
    configuration = _kept_json(folder, story, ARCHIVE + MACHINE_NAME) or {}
    held = {key: finite_number(configuration.get(key)) for key in SETTINGS}
    return {key: int(number) for key, number in held.items() if number is not None}


def _traveller(
    station: Station, limits: LimitSet, story: Story, folder: RunFolder, keep: Any, display: Display
) -> Traveller:
    def refuse(*_arguments: object) -> Any:
        raise StationError("A recovery neither claims nor changes anything.")

    sheet = new_traveller(
        station,
        limits,
        WifiCredentials("", ""),
        RunRequest(),
        RunCalls(keep, refuse, refuse, refuse, refuse, display.progress),
    )
    sheet.mac, sheet.serial_number = str(story.unit.get("mac", "")), _serial(story) or ""
    application, kept = application_to_settle(story.acts)
    sheet.storing_interrupted = STORE in story.acts and not kept
    archived = any(phase["name"] in ARCHIVED and phase["outcome"] == PASS for phase in story.phases)
    sheet.writing_interrupted = bool(story.acts) and ERASE not in story.acts
    if not sheet.writing_interrupted:  # it starts again from the beginning, or is as it came
        return sheet
    if archived:
        sheet.old_files = kept_files(folder, story, prefix=ARCHIVE)
        sheet.old_settings = _archived_settings(folder, story)
    if kept and STORE in story.acts:
        sheet.proved_files = kept_files(folder, story)
        if sheet.proved_files is None:
            sheet.old_files = None  # the old calibration does not go with the new application
    if application or COPY in story.acts:
        listed = _kept_json(folder, story, SNAPSHOT_FILE)
        sheet.interrupted = Interrupted(
            _serial(story) or "",
            application,
            kept,
            {} if kept else _kept_json(folder, story, ARCHIVE + MACHINE_NAME) or {},
            COPY in story.acts,
            parse_snapshot(listed) if listed is not None else None,
        )
    return sheet


def _kept_json(folder: RunFolder, story: Story, name: str) -> Any:
    """Return what a file that the killed run had kept holds, None where there is none as it kept it."""
    content = _kept_content(folder, story, name)
    return parse_json(content) if content is not None else None


def _kept_content(folder: RunFolder, story: Story, name: str) -> bytes | None:
    for entry in story.files:
        if entry["name"] == name:
            try:
                content = folder.file(entry["file"]).read_bytes()
            except (OSError, MfgError):
                return None  # the record of the killed run names what is missing
            return content if hashlib.sha256(content).hexdigest() == entry["sha256"] else None
    return None


def _unit_after(folder: RunFolder, story: Story, archived: _Archived) -> UnitAfter:
    """Say how the unit was left, by the journal and by what was found on the unit."""
    held = {file.name.removeprefix(FOUND): folder.file(file.file).read_bytes() for file in archived.files}
    return facts_of_interrupted_unit(
        story, archived.phases, kept_files(folder, story, UNIT_FILES, ARCHIVE) or {}, held
    )


def _context(
    station: Station,
    story: Story,
    archived: _Archived,
    cause: str,
    unsafe: Sequence[str],
    unit_after: UnitAfter,
) -> RunContext:
    journal = list(story.wrong)
    now = datetime.datetime.now(datetime.UTC)
    try:
        begin = known_at_begin(story.facts)
    except (KeyError, TypeError, ValueError):
        journal.append("The journal does not tell how the run began.")
        begin = _unknown_begin(station, now)
    files = _files(station, story, journal) + archived.files
    reasons = [cause, f"The last that its journal tells: {story.last_event}."]
    if story.acts:
        reasons.append(f"Begun on the unit: {'; '.join(dict.fromkeys(story.acts))}.")
    reasons += [*unsafe, *archived.troubles]
    wall_s = max(0.0, (now - begin["started_utc"]).total_seconds())
    with RecordIndex(station.records_folder) as index:
        serial = _serial(story)
        earlier = [row for row in index.runs(serial) if row.run_id != story.run_id] if serial else []
    return RunContext(
        run_id=story.run_id,
        **begin,
        **known_of_unit(story.unit | {"serial_number": _serial(story) or ""}),
        ended_utc=max(now, begin["started_utc"]),
        bench_seconds=_end_s(story),
        wall_seconds=wall_s,
        outcome=INTERRUPTED,
        outcome_reasons=reasons + journal,
        next_action=OFF_AT_THE_MAINS if unsafe else AGAIN,
        retest=bool(earlier),
        attachments=files,
        log_file="log.txt",
        interruption={
            "cause": cause,
            "last_event": story.last_event,
            "acts": story.acts,
            "journal": journal,
        },
        unit_after=unit_after,
    )


def _unknown_begin(station: Station, now: datetime.datetime) -> dict[str, Any]:
    return {
        "mode": "unknown",
        "backend": "",
        "emulated": station.emulated,
        "station": {"id": station.id, "file_sha256": station.sha256, "software": __version__, "git": ""},
        "limits": {"file": "unknown", "revision": "unknown", "sha256": _UNKNOWN_SHA256},
        "started_utc": now,
    }


def _files(station: Station, story: Story, journal: list[str]) -> list[StoredFile]:
    """List the files that the killed run had kept; one that is not as the journal has it is named."""
    folder = RunFolder.reopen(station.records_folder, _serial(story), story.run_id)
    kept = []
    for entry in story.files:
        try:
            data = folder.file(entry["file"]).read_bytes()
        except (OSError, MfgError):
            journal.append(f"The file {entry['file'][:120]!r} is missing.")
            continue
        digest = hashlib.sha256(data).hexdigest()
        if digest != entry["sha256"]:
            journal.append(f"The file {entry['file']} is not as it was written.")
        kept.append(StoredFile(entry["name"], entry["file"], digest))
    return kept


def _end_s(story: Story) -> float:
    """Return the bench time, since the start of the run, at which its last phase had ended."""
    ends: list[float] = [phase["start_s"] + phase["seconds"] for phase in story.phases]
    return max(ends, default=0.0)
