"""The journal of a run that is under way: what a killed run leaves behind.

`records/.journal/<run id>.jsonl` holds one JSON object per line, each on the disk before the run goes on: how
the run began, every phase that ended with what it measured, every irreversible act before it is done. When
the record of the run is stored, the journal moves into the run folder. A journal that is still here, and
whose run holds no lock, belongs to a run that was killed: see `mfg/runner/recovery.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from mfg.errors import StationError
from mfg.records.record import PhaseEntry, is_phase_entry
from mfg.records.run_folder import PRIVATE, is_run_id, sync_folder

JOURNAL_FOLDER = ".journal"
JOURNAL_FILE = "journal.jsonl"  # its name in the run folder
LINE_LIMIT_BYTES = 8 * 1024 * 1024
FILE_LIMIT_BYTES = 64 * 1024 * 1024

BEGIN, IDENTIFIED, ACT, PHASE, KEPT, STORED = "begin", "identified", "act", "phase", "kept", "stored"
EVENTS = (BEGIN, IDENTIFIED, ACT, PHASE, KEPT, STORED)
ERASE = "erase the flash"  # after this act nothing of an earlier calibration is on the unit
STORE = "store the calibration on the unit"
COPY = "keep copies of a returned unit's files on it"
WRITE_WIFI, RESET_WIFI = "write the WiFi configuration", "reset the WiFi configuration"
SNAPSHOT_FILE = "snapshot_before.json"  # in the run folder: what such a unit held, by sha256
KEEP_APPLICATION = "keep the new application"
_EXCHANGE = re.compile(r"load an application into (/app[12]) beside (/app[12])")
_TORN = "was cut short"
_TORN_END = b" #cut short\n"  # behind such a line, once more was written after it
_DISK_ACTION = "Free space on the disk and check its rights, then start the unit again."


def exchange_act(new: str, old: str) -> str:
    """Return the act with which an exchange of the application begins, by their folders."""
    return f"load an application into {new} beside {old}"


def application_to_settle(acts: Sequence[str]) -> tuple[str, bool]:
    """Return the application that a killed run's unit must run alone.

    Returns:
        Its folder, "" where none was exchanged; and whether it is the new one. The new one stays once it was
        proved, and with it the calibration that was made with it.
    """
    for act in acts:
        if match := _EXCHANGE.fullmatch(act):
            kept = KEEP_APPLICATION in acts
            return match[1 if kept else 2], kept
    return "", False


class Journal:
    """The open journal of one run; may be written from several threads."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle
        self._broken = ""
        self._lock = threading.Lock()

    @classmethod
    def begin(cls, root: Path, run_id: str, facts: Mapping[str, Any]) -> Journal:
        """Create the journal of a run and write how it began.

        Args:
            root: The records folder; created when it is missing.
            run_id: From `new_run_id`.
            facts: What is known before the first phase; plain JSON.

        Raises:
            StationError: The disk refuses; the run must not start.
        """
        folder = root / JOURNAL_FOLDER
        path = folder / f"{run_id}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
            handle = os.open(path, flags, PRIVATE)
        except OSError as error:
            raise _refused(path, error) from error
        journal = cls(path, handle)
        try:
            journal.note(BEGIN, run_id=run_id, facts=dict(facts))
            sync_folder(folder)
        except BaseException:
            journal.release()
            with contextlib.suppress(OSError):
                path.unlink()  # nothing had begun: there is nothing to close
            raise
        return journal

    @classmethod
    def reopen(cls, path: Path) -> Journal:
        """Open the journal of a killed run to write its end; a line that was cut short is marked first.

        Raises:
            StationError: The disk refuses.
        """
        try:
            torn = not _ends_with_a_line(path)
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise _refused(path, error) from error
        try:
            if torn:
                os.write(handle, _TORN_END)
        except OSError as error:
            os.close(handle)
            raise _refused(path, error) from error
        return cls(path, handle)

    def note(self, event: str, **facts: Any) -> None:
        """Write one line and wait until the disk has it.

        Raises:
            StationError: The disk refuses, now or at an earlier line. What the line was to precede must not
                be done.
        """
        line = json.dumps({"event": event, **facts}, ensure_ascii=False, separators=(",", ":"))
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            if self._broken:
                raise StationError(self._broken, _DISK_ACTION)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(self._handle, rest) :]
                os.fsync(self._handle)
            except OSError as error:
                refused = _refused(self.path, error)
                self._broken = str(refused.args[0])  # a torn line must stay the last one
                raise refused from error

    def release(self) -> None:
        """Close the file and leave it where it is."""
        with self._lock:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1
                self._broken = f"The journal {self.path} is closed."

    def move_to(self, folder: Path) -> None:
        """Close the journal and move it into the run folder: the run is on record.

        Raises:
            StationError: The disk refuses; the journal is where it was.
        """
        self.release()
        move_journal(self.path, folder)


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def move_journal(path: Path, folder: Path) -> None:
    """Move a closed journal into its run folder.

    Raises:
        StationError: The disk refuses; the journal is where it was.
    """
    try:
        path.replace(folder / JOURNAL_FILE)
    except OSError as error:
        raise _refused(path, error) from error
    sync_folder(folder)
    sync_folder(path.parent)


@dataclass
class Story:
    """What a journal tells.

    Attributes:
        facts: Of the beginning.
        unit: What was found out about the unit; later lines win.
        phases: That had ended, in order.
        acts: Irreversible ones that had been begun, in order.
        files: Names and digests of what was kept of the unit.
        last_event: In words.
        wrong: Sentences about lines that could not be read; what stands after the first of them is not used.
        damaged: Whether more may have happened than was read. A last line that was cut short is no damage:
            nothing was done after it.
    """

    run_id: str
    facts: dict[str, Any] = field(default_factory=dict)
    unit: dict[str, Any] = field(default_factory=dict)
    phases: list[PhaseEntry] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)
    last_event: str = "nothing was written"
    wrong: list[str] = field(default_factory=list)
    damaged: bool = False


def open_journals(root: Path) -> list[Path]:
    """List the journals that no finished run has taken along, oldest first.

    Raises:
        StationError: The folder cannot be read.
    """
    folder = root / JOURNAL_FOLDER
    try:
        found = [path for path in folder.iterdir() if path.suffix == ".jsonl" and is_run_id(path.stem)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StationError(
            f"{folder} cannot be read: {error.strerror or error}.", "Check the disk and its rights."
        ) from error
    return sorted(found)


def read_journal(path: Path) -> Story:
    """Read a journal as far as it is whole.

    The last line of a killed run may be torn; anything else that cannot be read is damage. Either is said in
    `wrong`, and nothing after it is used.

    Raises:
        StationError: The file cannot be read at all.
    """
    story = Story(path.stem)
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT_BYTES + 1)
    except OSError as error:
        raise StationError(
            f"The journal {path} cannot be read: {error.strerror or error}.", "Check the disk and its rights."
        ) from error
    if len(data) > FILE_LIMIT_BYTES:
        data = data[:FILE_LIMIT_BYTES]
        story.wrong.append(f"The journal is longer than {FILE_LIMIT_BYTES} bytes.")
        story.damaged = True
    for number, line in enumerate(_lines(data), start=1):
        problem = _take(story, line)
        if problem:
            story.wrong.append(f"Line {number} of the journal {problem}.")
            story.damaged = story.damaged or problem != _TORN
            break
    return story


def _lines(data: bytes) -> Iterator[bytes]:
    """Give each line with its end, so that a torn one can be told."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _take(story: Story, line: bytes) -> str:
    """Take one line into the story; return what is wrong with it, "" when nothing is."""
    if not line.endswith(b"\n") or line.endswith(_TORN_END):
        return _TORN
    if len(line) > LINE_LIMIT_BYTES:
        return f"has more than {LINE_LIMIT_BYTES} bytes"
    try:
        held = json.loads(line)
    except (ValueError, RecursionError):
        return "is no JSON"
    if not isinstance(held, dict) or held.get("event") not in EVENTS:
        return "is no event of a journal"
    return _TAKERS[held["event"]](story, held)


def _take_begin(story: Story, held: dict[str, Any]) -> str:
    if held.get("run_id") != story.run_id or not isinstance(held.get("facts"), dict):
        return "does not begin this run"
    story.facts = held["facts"]
    story.last_event = "the run began"
    return ""


def _take_identified(story: Story, held: dict[str, Any]) -> str:
    unit = held.get("unit")
    if not isinstance(unit, dict):
        return "holds no facts of a unit"
    story.unit |= unit
    story.last_event = "the unit was identified"
    return ""


def _take_act(story: Story, held: dict[str, Any]) -> str:
    act = held.get("act")
    if not isinstance(act, str):
        return "names no act"
    story.acts.append(act)
    story.last_event = f"about to {act}"
    return ""


def _take_phase(story: Story, held: dict[str, Any]) -> str:
    phase, unit = held.get("phase"), held.get("unit", {})
    with contextlib.suppress(StationError):
        is_phase_entry(phase, "phase")
        if isinstance(unit, dict):
            story.phases.append(cast(PhaseEntry, phase))
            story.unit |= unit
            story.last_event = f"{story.phases[-1]['name']} had ended"
            return ""
    return "holds no phase"


def _take_kept(story: Story, held: dict[str, Any]) -> str:
    entry = {name: held.get(name) for name in ("name", "file", "sha256")}
    if not all(isinstance(value, str) for value in entry.values()):
        return "names no file"
    story.files.append(cast(dict[str, str], entry))
    story.last_event = f"{entry['name']} had been kept"
    return ""


def _take_stored(story: Story, held: dict[str, Any]) -> str:
    story.last_event = f"the record was being stored as {str(held.get('outcome'))[:40]}"
    return ""


_TAKERS = {
    BEGIN: _take_begin,
    IDENTIFIED: _take_identified,
    ACT: _take_act,
    PHASE: _take_phase,
    KEPT: _take_kept,
    STORED: _take_stored,
}


def _refused(path: Path, error: OSError) -> StationError:
    return StationError(f"The journal {path} was not written: {error.strerror or error}.", _DISK_ACTION)
