"""One unit from the first lock to the stored record."""

from __future__ import annotations

import datetime
import logging
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import openhtf as htf
from openhtf.core import test_record as htf_record

from mfg.certificates import REFERENCE_METER, Certificate, load_certificates
from mfg.clock import BenchClock
from mfg.data_files import data_file, data_folder
from mfg.errors import MfgError, StationError
from mfg.fixtures import plugs
from mfg.fixtures.image_manifest import ROLE_ERASE, ROLE_MICROPYTHON, ImageEntry, read_manifest
from mfg.fixtures.operator import FrontEnd, OperatorPlug
from mfg.fixtures.scpi import Identity
from mfg.fixtures.traveller import Traveller
from mfg.limits import LimitSet
from mfg.phases.identify_ports import PGA
from mfg.plans.ct6 import ct6_plan
from mfg.plans.plan import Mode, Plan
from mfg.readings.notes import CSV_HEAD
from mfg.readings.preflight import past_due, too_uncertain
from mfg.readings.standard import REFERENCE_ROLE
from mfg.records.from_openhtf import RunContext, record_from_openhtf
from mfg.records.index import RecordIndex
from mfg.records.labels import factory_file_name, machine_config_name, parse_unit_label
from mfg.records.record import ERROR, FirmwareFacts, InstrumentFacts, Record, load_record, write_record
from mfg.records.run_folder import PRIVATE, PUBLIC, RECORD_FILE, RunFolder, StoredFile, new_run_id
from mfg.reporting.certificate import write_certificate
from mfg.reporting.render import write_report
from mfg.runner.execute import Execution, check_plan, execute
from mfg.runner.guard import Expectation, Verdict, judge
from mfg.runner.jig import count_jig_cycle
from mfg.runner.locks import RunLocks
from mfg.runner.log import RunLog
from mfg.station import SlotContext, Station, WifiCredentials
from mfg.version import __version__

OWN_FIRMWARE = "firmware/ct6"  # what the record calls the firmware that the station brings

_LOG = logging.getLogger("mfg.runner")


class Display(Protocol):
    """What the runner tells the person at the station while a unit runs."""

    def phase_started(self, case: int, name: str) -> None:
        """A phase began."""

    def phase_ended(self, case: int, name: str, outcome: str, seconds: float) -> None:
        """A phase ended."""

    def progress(self, what: str, done: int, total: int) -> None:
        """Something lengthy advanced."""


WINDOWS_FILE = "windows.csv"


@dataclass(frozen=True)
class RunRequest:
    """What one run is asked to do.

    Attributes:
        scanned: Assembly and serial number bar codes when they are known already.
        last_scanned: The pair that `r` repeats.
        firmware: Folder of another firmware than the station's own.
        past_due_by: Who lets an instrument past its due date be used; goes into the record.
        uncertainty_waived_by: Who lets limits be judged with too large an uncertainty; likewise.
    """

    mode: Mode = field(default_factory=Mode)
    slot: int = 1
    scanned: tuple[str, str] | None = None
    last_scanned: tuple[str, str] | None = None
    erase_calibrated: bool = False
    operator: str = ""
    firmware: Path | None = None
    past_due_by: str = ""
    uncertainty_waived_by: str = ""


@dataclass(frozen=True)
class RunResult:
    """A finished run: the verdict, and where its evidence lies."""

    verdict: Verdict
    record: Record
    folder: Path
    bench_s: float


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
        self._run_id = new_run_id(self._started)
        self._files: list[StoredFile] = []
        self._folder: RunFolder | None = None
        self._claimed_mac = ""
        self._certificates: dict[str, Certificate] = {}
        self._seen: dict[str, str] = {}
        self._locks = RunLocks(station.records_folder)
        self._log = RunLog(secrets=(credentials.passphrase,))
        self._front_end = front_end
        self._sheet = self._traveller(credentials)

    def run(self, stop: threading.Event) -> RunResult:
        """Run the unit to its verdict and store everything.

        Raises:
            UsageError: The slot is in use; nothing was touched.
            StationError: The record could not be stored; the unit is not judged.
        """
        with self._locks, self._log:
            self._locks.claim_slot(self._request.slot)
            if self._request.mode.calibrate:
                self._require_fit_bench()
            plan = self._plan()
            check_plan(plan)
            start_s, start_wall_s = self._clock.now_s(), time.monotonic()
            execution = execute(plan, stop, self._changed(plan))
            bench_s, wall_s = self._clock.now_s() - start_s, time.monotonic() - start_wall_s
            return self._store(plan, execution, bench_s, wall_s)

    def _require_fit_bench(self) -> None:
        """Refuse a calibration that proves nothing, before anything is switched on."""
        station, request, sheet = self._station, self._request, self._sheet
        if station.certificates is None:
            raise StationError(
                f"{station.path}: names no certificates; a calibration without any proves nothing.",
                "Name the file with the instruments' certificates under 'certificates'.",
            )
        self._certificates = load_certificates(station.certificates)
        sheet.certificate = self._certificates[REFERENCE_METER]
        due = past_due(self._certificates, self._started.date())
        if due and not request.past_due_by:
            raise StationError(
                f"Past due: {'; '.join(due)}.",
                "Have it calibrated; or a named person lets it pass with --past-due-by NAME.",
            )
        sheet.waivers += [f"Past due, let pass by {request.past_due_by}: {text}." for text in due]
        coarse = too_uncertain(station, self._limits, sheet.certificate)
        if coarse and not request.uncertainty_waived_by:
            raise StationError(
                f"This bench is too uncertain for its limits: {'; '.join(coarse)}.",
                "Use a better reference or range; or a named person lets it pass with "
                "--uncertainty-waived-by NAME.",
            )
        name = request.uncertainty_waived_by
        sheet.waivers += [f"Too uncertain, let pass by {name}: {text}." for text in coarse]

    def _plan(self) -> Plan:
        common: dict[str, Any] = {"context": self._context, "traveller": self._sheet}
        bound: dict[type[Any], type[Any]] = {
            cls: plugs.for_slot(cls, **common)
            for cls in (
                plugs.TravellerPlug,
                plugs.DrivePlug,
                plugs.UnitPortPlug,
                plugs.UnitApiPlug,
                plugs.PowerSwitchPlug,
                plugs.ReferenceMeterPlug,
                plugs.AmbientPlug,
                plugs.CameraPlug,
            )
        }
        bound[OperatorPlug] = plugs.for_slot(
            OperatorPlug,
            **common,
            front_end=self._front_end,
            slot_number=self._request.slot,
            clock=self._clock,
        )

        def bind(phase: htf.PhaseDescriptor) -> htf.PhaseDescriptor:
            wanted = {plug.name: bound[_placed(plug.cls)] for plug in phase.plugs}
            return phase.with_plugs(**wanted)

        points = [point.name for point in self._station.load_points]
        return ct6_plan(self._limits, self._request.mode, bind, points)

    def _traveller(self, credentials: WifiCredentials) -> Traveller:
        manifest = read_manifest(data_file("firmware", "images", "manifest.toml"))
        request, station = self._request, self._station
        return Traveller(
            limits=self._limits,
            credentials=credentials,
            erase_image=_image(manifest.by_name(station.erase_image), ROLE_ERASE),
            micropython_image=_image(manifest.by_name(station.micropython_image), ROLE_MICROPYTHON),
            images_folder=station.images_folder,
            firmware_source=request.firmware or data_folder("firmware") / "ct6",
            ports=request.mode.ports,
            scanned=request.scanned,
            last_scanned=request.last_scanned,
            erase_calibrated=request.erase_calibrated,
            keep=self._keep,
            claim_mac=self._claim_mac,
            claim_serial=self._locks.claim_serial,
            report_progress=self._display.progress,
        )

    def _claim_mac(self, mac: str) -> None:
        with RecordIndex(self._station.records_folder) as index:
            index.claim_mac(mac, self._sheet.serial_number, self._station.emulated, self._run_id)
        self._claimed_mac = mac

    def _run_folder(self) -> RunFolder:
        if self._folder is None:
            serial = self._sheet.serial_number or None
            self._folder = RunFolder.create(self._station.records_folder, serial, self._run_id)
        return self._folder

    def _keep(self, name: str, data: bytes) -> bytes:
        """Store a file of the unit; names as ct6-interface 5.3 has them, owner-only for configurations."""
        folder = self._run_folder()
        file = name
        if name in ("factory.cfg", "this.machine.cfg"):
            label = parse_unit_label(self._sheet.file_label)
            namer = factory_file_name if name == "factory.cfg" else machine_config_name
            file = namer(label, self._started)
        stored = folder.write(file, data, name, PRIVATE if file.endswith(".cfg") else PUBLIC)
        self._files.append(stored)
        return folder.file(file).read_bytes()

    def _changed(self, plan: Plan) -> Callable[[htf_record.TestRecord, str], None]:
        """Tell the display what began and what ended since the last look."""

        def changed(record: htf_record.TestRecord, running: str) -> None:
            for phase in list(record.phases):
                key = f"{phase.name}/{phase.start_time_millis}"
                if phase.outcome is not None and self._seen.get(key) != phase.outcome.name:
                    self._seen[key] = phase.outcome.name
                    end_ms = phase.end_time_millis or phase.start_time_millis
                    seconds = (end_ms - phase.start_time_millis) / 1000 * self._clock.factor
                    case = plan.cases.get(phase.name, 0)
                    self._display.phase_ended(case, phase.name, phase.outcome.name, seconds)
            if running and self._seen.get("running") != running:
                self._seen["running"] = running
                self._display.phase_started(plan.cases.get(running, 0), running)

        return changed

    def _store(self, plan: Plan, execution: Execution, bench_s: float, wall_s: float) -> RunResult:
        if execution.test_record is None:
            raise StationError(
                f"The test framework gave no record. {execution.crash}",
                "The unit is not judged. Measure that the bench is off, then call the engineer.",
            )
        folder = self._run_folder()
        log = self._log.text(execution.test_record, self._sheet.console_lines)
        folder.write("log.txt", log.encode(), mode=PRIVATE)
        if self._sheet.window_rows:
            self._keep(WINDOWS_FILE, "\n".join([CSV_HEAD, *self._sheet.window_rows, ""]).encode())
        context = self._run_context(plan, bench_s, wall_s)
        draft = record_from_openhtf(execution.test_record, context)
        outcome = execution.test_record.outcome
        verdict = judge(
            draft["phases"],
            Expectation.of(plan, self._sheet.left_out),
            outcome.name if outcome is not None else "",
            self._sheet.serial_number,
            execution.aborted,
            execution.crash,
            execution.teardown_failures,
        )
        final = replace(
            context,
            outcome=verdict.outcome,
            outcome_reasons=verdict.reasons,
            next_action=verdict.next_action,
        )
        record = record_from_openhtf(execution.test_record, final)
        write_record(folder, record)
        stored = load_record(folder.path)
        if stored["outcome"] != verdict.outcome or stored["phases"] != record["phases"]:
            raise StationError(f"{folder.path} does not hold what was written.", "Check the disk.")
        try:
            write_report(stored, folder.path)
            write_certificate(stored, folder.path)
            with RecordIndex(self._station.records_folder) as index:
                index.add(stored, folder.path)
        except MfgError as error:
            self._withdraw(folder, execution.test_record, final, error)
            raise
        return RunResult(verdict, stored, folder.path, bench_s)

    def _withdraw(
        self, folder: RunFolder, test_record: htf_record.TestRecord, context: RunContext, error: MfgError
    ) -> None:
        """Take back the verdict of a run that could not be stored whole.

        The record goes first: without one the folder counts as a run that did not end, so that no PASS is
        left behind even where the disk takes nothing more.
        """
        folder.file(RECORD_FILE).unlink(missing_ok=True)
        reasons = (f"The run could not be stored whole: {error}", *context.outcome_reasons)
        withdrawn = replace(
            context, outcome=ERROR, outcome_reasons=reasons, next_action="Mend the station, then test again."
        )
        write_record(folder, record_from_openhtf(test_record, withdrawn))

    def _run_context(self, plan: Plan, bench_s: float, wall_s: float) -> RunContext:
        sheet, station, limits = self._sheet, self._station, self._limits
        with RecordIndex(station.records_folder) as index:
            earlier = index.runs(sheet.serial_number) if sheet.serial_number else []
        return RunContext(
            run_id=self._run_id,
            mode=self._request.mode.name,
            backend=self._backend,
            emulated=station.emulated,
            station={
                "id": station.id,
                "file_sha256": station.sha256,
                "software": __version__,
                "git": _git_describe(),
                "adaptor": station.adaptor,
            },
            limits={"file": limits.path.name, "revision": limits.revision, "sha256": limits.sha256},
            started_utc=self._started,
            ended_utc=datetime.datetime.now(datetime.UTC),
            bench_seconds=bench_s,
            wall_seconds=wall_s,
            serial_number=sheet.serial_number,
            assembly=sheet.assembly,
            mac=self._claimed_mac,
            product=plan.product,
            slot=self._request.slot,
            operator=self._request.operator,
            firmware=_firmware(sheet, self._request),
            instruments=[_instrument(role, known) for role, known in sheet.instruments.items()],
            retest=bool(earlier),
            clock_factor=self._clock.factor,
            cases=plan.cases,
            old_gains=sheet.old_gains,
            attachments=self._files,
            log_file="log.txt",
            evaluations=sheet.evaluations,
            calibration=self._calibration_facts(),
        )

    def _calibration_facts(self) -> dict[str, Any] | None:
        """Say what the calibration rests on, None where nothing was compared with the reference."""
        sheet, station = self._sheet, self._station
        identity, paper = sheet.instruments.get(REFERENCE_ROLE), sheet.certificate
        if not sheet.dwells or identity is None or paper is None:
            return None
        return {
            "reference": {
                "maker": identity.maker,
                "model": identity.model,
                "serial_number": identity.serial,
                "certificate": paper.number,
                "issued": paper.issued.isoformat(),
                "due": paper.due.isoformat(),
                "overridden_by": self._request.past_due_by,
            },
            "instruments": [
                {"role": role, "certificate": known.number, "due": known.due.isoformat()}
                for role, known in self._certificates.items()
            ],
            "load_points": _verified_points(sheet, station.conductor.turns),
            "registers": sheet.registers,
            "windows_file": WINDOWS_FILE,
            "not_done": sheet.not_done,
            "conditions": {
                "ambient_degc": sheet.ambient_degc,
                "soak_s": sheet.soak_s,
                "adaptor": station.adaptor,
                "adaptor_serial": station.adaptor_serial,
                "line_frequency_hz": station.line_frequency_hz,
                "pga": PGA,
                "jig_cycles": count_jig_cycle(station.records_folder),
            },
            "waivers": sheet.waivers,
        }


def _verified_points(sheet: Traveller, turns: int) -> list[dict[str, Any]]:
    """Return the load points at which the adjusted unit was verified; the current is that at a port."""
    return [
        {
            "name": dwell["point"],
            "current_a": dwell["current_a"] * turns,
            "range_a": dwell["range_a"],
            "windows": dwell["windows"],
        }
        for dwell in sheet.dwells
        if dwell["name"] == f"verify {dwell['point']}"
    ]


def _placed(cls: Any) -> type[Any]:
    """Return the plug class that a placeholder stands for."""
    placed: type[Any] = getattr(cls, "base_class", cls)
    return placed


def _image(entry: ImageEntry, role: str) -> ImageEntry:
    if entry.role != role:
        problem = f"The image {entry.name} is for {entry.role}, not for {role}."
        raise StationError(problem, "Correct 'images'.")
    return entry


def _firmware(sheet: Traveller, request: RunRequest) -> FirmwareFacts:
    return {
        "version": sheet.firmware_version,
        "micropython": sheet.micropython_version,
        "source": str(request.firmware) if request.firmware else OWN_FIRMWARE,
    }


def _instrument(role: str, identity: Identity) -> InstrumentFacts:
    return {
        "role": role,
        "maker": identity.maker,
        "model": identity.model,
        "serial_number": identity.serial,
        "firmware": identity.firmware,
    }


def _git_describe() -> str:
    """Return what git says of the checkout that this package runs from, "" when it runs from none."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--tags"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        _LOG.warning("git describe failed: %s", error)
        return ""
    return done.stdout.strip()
