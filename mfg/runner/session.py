"""One unit from the first lock to the stored record."""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from openhtf.core import test_record as htf_record

from mfg.certificates import Certificate
from mfg.clock import BenchClock
from mfg.errors import StationError
from mfg.fixtures.front_end import FrontEnd
from mfg.limits import LimitSet
from mfg.plans.ct6 import ct6_plan
from mfg.plans.plan import Plan
from mfg.readings.notes import CSV_HEAD
from mfg.records.chain import RecordChain
from mfg.records.from_openhtf import PhaseReader, own_view
from mfg.records.index import RecordIndex
from mfg.records.journal import ACT, ERASE, IDENTIFIED, KEPT, PHASE, SNAPSHOT_FILE, Journal
from mfg.records.labels import UNIT_FILES, parse_unit_label
from mfg.records.record import PhaseEntry
from mfg.records.run_context import RunContext, build_record
from mfg.records.run_folder import PRIVATE, PUBLIC, RunFolder, StoredFile, new_run_id
from mfg.runner.binding import RunCalls, new_traveller, plug_binder
from mfg.runner.execute import Execution, check_plan, execute
from mfg.runner.fitness import changed_meanwhile, require_clock, require_fit_bench
from mfg.runner.guard import judge, promise_facts
from mfg.runner.jig import count_jig_cycle
from mfg.runner.locks import RunLocks
from mfg.runner.log import RunLog
from mfg.runner.promise import expectation_of
from mfg.runner.request import RunRequest
from mfg.runner.result import STORING_WALL_S, WATCHED_WALL_S, Display, RunResult
from mfg.runner.run_facts import (
    WINDOWS_FILE,
    facts_of_begin,
    facts_of_calibration,
    facts_of_unit,
    facts_of_unit_after,
    known_at_begin,
    known_of_unit,
)
from mfg.runner.storing import put_on_record
from mfg.station import SlotContext, Station, WifiCredentials

_LOG = logging.getLogger("mfg.runner")


class UnitRun:
    """Runs one unit in one slot. Make one per run."""

    def __init__(
        self,
        station: Station,
        clock: BenchClock,
        limits: LimitSet,
        credentials: WifiCredentials,
        request: RunRequest,
        front_end: FrontEnd,
        display: Display,
        backend: str,
    ) -> None:
        self._station = station
        self._clock = clock
        self._limits = limits
        self._request = request
        self._display = display
        self._backend = backend
        self._context = SlotContext(station, station.slot(request.slot), clock)
        self._started = datetime.datetime.now(datetime.UTC)
        self._started_wall_s = time.monotonic()
        self._run_id = new_run_id(self._started)
        self._files: list[StoredFile] = []
        self._folder: RunFolder | None = None
        self._claimed_mac = ""
        self._certificates: Mapping[str, Certificate] = {}
        self._reader = PhaseReader(clock.factor, {})
        self._running = ""
        self._test_record: htf_record.TestRecord | None = None
        self._noting = threading.Lock()  # a phase's thread notes what ended before it acts
        self._journal: Journal | None = None
        self._facts: dict[str, Any] = {}
        self._troubles: list[str] = []
        self._acts: list[str] = []
        self._locks = RunLocks(station.records_folder)
        self._chain = RecordChain(station.records_folder, station.key_folder)
        self._log = RunLog(secrets=(credentials.passphrase,))
        self._front_end = front_end
        self._sheet = new_traveller(
            station,
            limits,
            credentials,
            request,
            RunCalls(
                keep=self._keep,
                claim_mac=self._claim_mac,
                claim_serial=self._claim_serial,
                about_to=self._about_to,
                count_jig_cycle=partial(count_jig_cycle, station.records_folder),
                report_progress=display.progress,
            ),
        )

    def run(self, stop: threading.Event) -> RunResult:
        """Run the unit to its verdict and store everything.

        Raises:
            UsageError: The slot is in use; nothing was touched.
            StationError: The record could not be stored; the unit is not judged. Where its journal is still
                open, the run is to be closed by `recover_run`.
        """
        with self._locks, self._log:
            self._locks.claim_slot(self._request.slot)
            self._locks.claim_run(self._run_id)
            self._chain.require_ready()
            require_clock(self._station.records_folder, self._started)
            if self._request.mode.compares:
                fit = require_fit_bench(self._station, self._limits, self._request, self._started.date())
                self._certificates = fit.certificates
                self._sheet.certificate = fit.reference
                self._sheet.waivers += fit.waivers
            plan = self._plan()
            check_plan(plan)
            self._facts = facts_of_begin(
                self._station,
                self._limits,
                self._request,
                plan,
                self._started,
                self._backend,
            )
            self._reader = PhaseReader(self._clock.factor, plan.cases)
            self._journal = Journal.begin(self._station.records_folder, self._run_id, self._facts)
            self._display.run_began(self._run_id)
            try:
                start_s, start_wall_s = self._clock.now_s(), time.monotonic()
                execution = execute(plan, stop, self._changed(plan), self._alive)
                bench_s, wall_s = self._clock.now_s() - start_s, time.monotonic() - start_wall_s
                self._display.working(STORING_WALL_S)
                return self._store(plan, execution, bench_s, wall_s)
            finally:
                self._journal.release()

    def _alive(self) -> None:
        self._display.working(WATCHED_WALL_S)

    def _meanwhile(self) -> list[str]:
        passed_s = time.monotonic() - self._started_wall_s
        return changed_meanwhile(self._station, self._started, datetime.datetime.now(datetime.UTC), passed_s)

    def _require_journal(self) -> Journal:
        if self._journal is None:
            raise StationError("The run has no journal.", "Call the engineer; the unit is not judged.")
        return self._journal

    def _about_to(self, act: str) -> None:
        self._note_ended()
        self._require_journal().note(ACT, act=act)
        self._acts.append(act)

    def _plan(self) -> Plan:
        points = [point.name for point in self._station.load_points]
        bind = plug_binder(self._context, self._sheet, self._front_end)
        conductor = self._station.conductor
        return ct6_plan(
            self._limits, self._request.mode, bind, points, conductor.one_at_a_time, conductor.soak_s
        )

    def _claim_mac(self, mac: str) -> None:
        with RecordIndex(self._station.records_folder) as index:
            index.claim_mac(mac, self._sheet.serial_number, self._station.emulated, self._run_id)
        self._claimed_mac = mac

    def _claim_serial(self, serial_number: str) -> bool:
        if not self._locks.claim_serial(serial_number):
            return False
        # What is kept from here on lies in the unit's folder, where a recovery must find it.
        unit = facts_of_unit(self._sheet, self._request, self._claimed_mac)
        self._require_journal().note(IDENTIFIED, unit=unit)
        with RecordIndex(self._station.records_folder) as index:
            last = index.latest_record(serial_number)
        # What this station was killed over is nobody's calibration: there is nothing to ask about.
        if last is not None and ERASE in last.record.get("interruption", {}).get("acts", []):
            self._sheet.erase_calibrated = True
        return True

    def _run_folder(self) -> RunFolder:
        if self._folder is None:
            serial = self._sheet.serial_number or None
            self._folder = RunFolder.create(self._station.records_folder, serial, self._run_id)
        return self._folder

    def _keep(self, name: str, data: bytes) -> bytes:
        """Store a file of the unit; names as ct6-interface 5.3 has them, owner-only for configurations."""
        folder = self._run_folder()
        file = name
        if name in UNIT_FILES:
            file = UNIT_FILES[name](parse_unit_label(self._sheet.file_label), self._started)
        private = file.endswith(".cfg") or file == SNAPSHOT_FILE
        stored = folder.write(file, data, name, PRIVATE if private else PUBLIC)
        self._files.append(stored)
        self._require_journal().note(KEPT, name=stored.name, file=stored.file, sha256=stored.sha256)
        return folder.file(file).read_bytes()

    def _changed(self, plan: Plan) -> Callable[[htf_record.TestRecord, str], None]:
        """Write into the journal and tell the display what ended since the last look, and what began."""

        def changed(record: htf_record.TestRecord, running: str) -> None:
            self._test_record = record
            self._note_ended()
            if running and self._running != running:
                self._running = running
                self._display.phase_started(plan.cases.get(running, 0), running)

        return changed

    def _note_ended(self) -> None:
        """Write every phase that has ended since the last look into the journal."""
        record = self._test_record
        if record is None:
            return
        with self._noting:
            for entry in self._reader.ended(record, self._sheet.evaluations):
                self._note_phase(entry)
                self._display.phase_ended(
                    entry["case"] or 0, entry["name"], entry["outcome"], entry["seconds"]
                )

    def _note_phase(self, entry: PhaseEntry) -> None:
        """Write a phase that has ended into the journal; a disk that refuses it is a trouble of the run."""
        unit = facts_of_unit(self._sheet, self._request, self._claimed_mac)
        try:
            self._require_journal().note(PHASE, phase=entry, unit=unit)
        except StationError as error:
            if str(error) not in self._troubles:
                self._troubles.append(str(error))

    def _store(self, plan: Plan, execution: Execution, bench_s: float, wall_s: float) -> RunResult:
        if execution.test_record is None:
            raise StationError(
                f"The test framework gave no record. {' '.join(execution.troubles)}",
                "The unit is not judged. Measure that the bench is off, then call the engineer.",
            )
        folder = self._run_folder()
        log = self._log.text(execution.test_record, self._sheet.console_lines)
        folder.write("log.txt", log.encode(), mode=PRIVATE)
        if self._sheet.window_rows:
            self._keep(WINDOWS_FILE, "\n".join([CSV_HEAD, *self._sheet.window_rows, ""]).encode())
        context = self._run_context(plan, bench_s, wall_s)
        outcome = execution.test_record.outcome
        framework_outcome = outcome.name if outcome is not None else ""
        expected = expectation_of(plan, self._sheet.left_out)
        troubles = (*execution.troubles, *self._troubles, *self._meanwhile())
        phases = self._reader.phases(execution.test_record, self._sheet.evaluations)
        verdict = judge(
            phases,
            expected,
            framework_outcome,
            self._sheet.serial_number,
            execution.aborted,
            troubles,
        )
        final = replace(
            context,
            outcome=verdict.outcome,
            outcome_reasons=verdict.reasons,
            next_action=verdict.next_action,
            unit_after=facts_of_unit_after(self._sheet, self._request.mode, self._acts, verdict.outcome),
            promise=promise_facts(expected, framework_outcome, execution.aborted, troubles),
        )
        record = build_record(phases, final, own_view(execution.test_record))
        self._display.working(STORING_WALL_S)
        stored = put_on_record(self._chain, folder, record, self._require_journal())
        return RunResult(stored, folder.path, bench_s)

    def _run_context(self, plan: Plan, bench_s: float, wall_s: float) -> RunContext:
        sheet, station = self._sheet, self._station
        with RecordIndex(station.records_folder) as index:
            earlier = index.runs(sheet.serial_number) if sheet.serial_number else []
        return RunContext(
            run_id=self._run_id,
            **known_at_begin(self._facts),
            **known_of_unit(facts_of_unit(sheet, self._request, self._claimed_mac)),
            ended_utc=datetime.datetime.now(datetime.UTC),
            bench_seconds=bench_s,
            wall_seconds=wall_s,
            retest=bool(earlier),
            old_gains=sheet.old_gains,
            attachments=self._files,
            log_file="log.txt",
            calibration=facts_of_calibration(
                sheet,
                station,
                self._certificates,
                self._request.past_due_by,
            ),
        )
