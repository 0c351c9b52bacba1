"""One run of a whole plan with one or several faults injected, and how it ended."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acts import Act, act_for
from bench_station import CHANNELS, LABELS, BenchStation
from verdicts import AFTER, BEFORE, Ended

from mfg.emulator.control import ControlClient
from mfg.emulator.fault_catalogue import HAND, INSTRUMENTS, PLANT, UNIT, Fault

RUN_WALL_S = 240.0  # a run that needs more hangs
TRUE_WITHIN_PCT = 0.2  # of the plant's truth: the reference's own error is 0.02 %
EXIT_OUTCOMES = {0: "PASS", 1: "FAIL", 3: "ERROR", 4: "ABORTED", 5: "NOT CALIBRATED"}
PHASE_LINE = re.compile(r"^(\S) +\d+  ([a-z_ ]+?) +[\d.]+ s$")
PASSED = "✔"
DEAF_PHASES = ("prepare_load",)  # they ask the unit nothing: what happens to it shows in the next one
CODE = re.compile(r"Traceback|object at 0x|<class ")
BOX = "│╭╮╰╯─"
SENTENCE_LIMIT = 400
# What is left on where the contact itself is the fault.
WELDED = {
    "load_stuck_on": "load",
    "identification_stuck_on": "identification",
    "supply_stuck_on": "supply",
}


@dataclass(frozen=True)
class Injection:
    """Faults to be run together.

    Attributes:
        faults: One, or a pair.
        seed: Of the bench: its mains, its unit, its operator.
        factor: Of the bench clock, at most; each fault may ask for less.
    """

    faults: tuple[Fault, ...]
    seed: int
    factor: float

    @property
    def mode(self) -> str:
        """How the unit is run: a pair needs the longer one."""
        return "full" if any(fault.mode == "full" for fault in self.faults) else "no-cal"

    @property
    def says(self) -> str:
        """What the station's reasons must hold; of a pair either fault may be what it speaks of."""
        return self.faults[0].says if len(self.faults) == 1 else ""


def run_injection(injection: Injection, folder: Path, cases: Mapping[str, int]) -> Ended:
    """Run a unit with faults.

    Args:
        injection: What to inject; at most one fault is done by hand.
        folder: A folder of its own, which exists.
        cases: Number of each phase of the plan of its mode.

    Raises:
        NotAllowedError: This machine does not let anybody do that.
    """
    started_s = time.monotonic()
    hands = [act_for(fault, cases) for fault in injection.faults if fault.part == HAND]
    act = hands[0] if hands else Act()
    station = _station(injection, folder, act)
    needs_bench = act.bench_up or any(fault.harmless for fault in injection.faults)
    with ExitStack() as stack:
        bench = stack.enter_context(station.bench()) if needs_bench else None
        act.prepare(station)
        stack.callback(act.release, station)
        watched = _watch(station, injection, act)
        ended = _ended(station, watched, act, injection.says)
        live = _live(station, injection)
        if bench is not None and any(fault.harmless for fault in injection.faults):
            ended = replace(ended, wrong=_untrue(station, bench))
    return replace(ended, live=live, wall_s=time.monotonic() - started_s)


def _station(injection: Injection, folder: Path, act: Act) -> BenchStation:
    def carried_by(part: str) -> list[str]:
        return [fault.name for fault in injection.faults if fault.part == part]

    return BenchStation(
        folder,
        factor=min([injection.factor, *(fault.factor for fault in injection.faults)]),
        seed=injection.seed,
        faults=carried_by(UNIT),
        plant_faults=carried_by(PLANT),
        instrument_faults=carried_by(INSTRUMENTS),
        **act.plant,
    )


@dataclass(frozen=True)
class _Watched:
    """What was seen of a run from outside.

    Attributes:
        exit_code: None when the run had to be stopped.
        undone: The run ended before the hand could do anything.
    """

    exit_code: int | None
    lines: tuple[str, ...]
    phases: tuple[str, ...]
    struck: str
    undone: bool


def _watch(station: BenchStation, injection: Injection, act: Act) -> _Watched:
    """Run the command, do what is to be done by hand as phases end, and stop it when it hangs."""
    mode = () if injection.mode == "full" else ("--no-cal",)
    options = act.options(station)
    command = [
        *options.pop("prefix", ()),
        *station.command_line("run", *LABELS, *mode, *act.arguments(station)),
    ]
    lines: list[str] = []
    phases: list[str] = []
    struck = ""
    started = {**station.options(options.pop("env", None)), **options}
    acting: Future[None] | None = None  # beside the reading: a line must not wait until the hand is done
    with ThreadPoolExecutor(1) as hand, _stopped_in_time(command, started) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            phase = PHASE_LINE.match(lines[-1])
            if phase is None:
                continue
            phases.append(phase[2].replace(" ", "_"))
            if acting is not None and acting.done() and not struck and phases[-1] not in DEAF_PHASES:
                struck = phases[-1]
            if phases[-1] in act.after and phase[1] == PASSED:
                acting = hand.submit(act.after[phases[-1]], station)
    if acting is not None:
        acting.result()  # raises what the hand could not do
    hung = process.returncode is None or process.returncode < 0
    exit_code = None if hung else process.returncode
    return _Watched(exit_code, tuple(lines), tuple(phases), struck, bool(act.after) and acting is None)


@contextmanager
def _stopped_in_time(command: Sequence[str], options: Mapping[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """Start a process whose output is read in the block; it is killed when its time is up."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    ) as process:
        timer = threading.Timer(RUN_WALL_S, process.kill)
        timer.start()
        try:
            yield process
            process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                process.kill()


def _ended(station: BenchStation, watched: _Watched, act: Act, says: str) -> Ended:
    records = sorted(station.folder.glob("records/*/*/record.json"), key=lambda path: path.stat().st_mtime)
    if not records or watched.exit_code is None:
        outcome = "" if watched.exit_code is None else EXIT_OUTCOMES.get(watched.exit_code, "")
        place = AFTER if watched.phases else BEFORE
        unsaid = _unsaid(" ".join(watched.lines), says)
        said = _last_sentence(watched.lines)
        return Ended(outcome, place, said, struck=watched.struck, undone=watched.undone, unsaid=unsaid)
    record = json.loads(records[-1].read_text())
    reasons = record["outcome_reasons"]
    careless = act.forbidden and act.forbidden in (records[-1].parent / "report.html").read_text()
    return Ended(
        record["outcome"],
        _first_bad(record),
        (reasons[0] if reasons else "")[:SENTENCE_LIMIT],
        bench_s=record["bench_seconds"],
        wrong=f"the report holds {act.forbidden}" if careless else "",
        unsaid=_unsaid(" ".join(reasons), says),
        struck=watched.struck,
        undone=watched.undone,
    )


def _unsaid(reasons: str, says: str) -> str:
    """Return what is wrong with what the station said, "" when nothing."""
    if CODE.search(reasons):
        return "the station shows code instead of a sentence"
    return "" if re.search(says, reasons) else f"the station does not say {says!r}"


def _live(station: BenchStation, injection: Injection) -> tuple[str, ...]:
    """Return what the plant's log has on, other than by a contact that is welded."""
    welded = {WELDED[fault.name] for fault in injection.faults if fault.name in WELDED}
    return tuple(channel for channel in CHANNELS if station.is_on(channel) and channel not in welded)


def _first_bad(record: Mapping[str, Any]) -> str:
    if not record["phases"]:
        return BEFORE
    bad = [phase["name"] for phase in record["phases"] if phase["outcome"] not in ("PASS", "SKIP")]
    return bad[0] if bad else AFTER


def _last_sentence(lines: Sequence[str]) -> str:
    """Return the end of what the command printed, without the frame around it."""
    said = [line.strip(BOX + " ") for line in lines if line.strip(BOX + " ")]
    return " ".join(said[-3:])[:SENTENCE_LIMIT]


def _untrue(station: BenchStation, bench: ControlClient) -> str:
    """Return what a calibrated unit reads wrong by the plant's truth, "" when nothing."""
    for port, reading in station.settled_readings(bench).items():
        for quantity in ("voltage_v", "current_a"):
            error_pct = (reading["registers"][quantity] / reading["truth"][quantity] - 1) * 100
            if abs(error_pct) > TRUE_WITHIN_PCT:
                return f"port {port} reads its {quantity} {error_pct:+.2f} % wrong"
    return ""
