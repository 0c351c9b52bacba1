"""Run one OpenHTF test in a thread that can be watched and aborted."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import openhtf as htf
from openhtf.core import test_record as htf_record
from openhtf.util import configuration, console_output

from mfg.errors import DutError, StationError
from mfg.plans.plan import Plan

console_output.CLI_QUIET = True

POLL_WALL_S = 0.05
TIMEOUT_STEP_WALL_S = 3.0  # OpenHTF looks at a phase's timeout this seldom
PLUG_TEARDOWN_WALL_S = 20.0  # each plug's; without a limit a hanging one keeps the test for ever
# What OpenHTF writes into its log and leaves out of its verdict: where it says so, and how that line begins.
_EXECUTOR_LOG = ("openhtf.core.test_executor", ("Error in TestExecutor", "Error during test teardown"))
_PLUGS_LOG = ("openhtf.plugs", ("Exception calling tearDown", "Killed tearDown"))
_LOG = logging.getLogger("mfg.runner")


@dataclass(frozen=True)
class Execution:
    """What OpenHTF made of a plan.

    Attributes:
        test_record: None when the framework crashed before it made one.
        aborted: Whether an abort was asked for.
        troubles: Why the run cannot be trusted, for reasons that no phase holds: a crash, a plug that could
            not be torn down.
    """

    test_record: htf_record.TestRecord | None
    aborted: bool
    troubles: tuple[str, ...] = ()


def check_plan(plan: Plan) -> None:
    """Refuse a plan that OpenHTF would report as PASS without running it.

    A measurement whose validator cannot be copied or printed kills OpenHTF's executor thread, and a test
    whose executor died without a failed phase is a PASS to it. So is a test without phases, and one
    whose phases were all left out by a condition.

    Raises:
        StationError: Names the phase and the measurement.
    """
    phases = list(htf.PhaseSequence(tuple(plan.nodes)).all_phases())
    names = [phase.name for phase in phases]
    if not names or sorted(names) != sorted(plan.cases):
        raise StationError(f"The plan's phases {sorted(names)} are not its cases {sorted(plan.cases)}.")
    for phase in phases:
        if type(phase.options.timeout_s) not in (int, float):
            raise StationError(f"{phase.name} has no timeout in seconds.")
        if phase.options.run_if is not None:
            raise StationError(f"{phase.name} runs under a condition; a plan says what runs.")
        for measured in phase.measurements:
            try:
                copy.deepcopy(measured)
                texts = [str(validator) for validator in measured.validators]
            except Exception as error:
                raise StationError(f"{phase.name}.{measured.name} cannot be judged: {error}") from error
            if not texts:
                raise StationError(f"{phase.name}.{measured.name} has no limit.")


def execute(
    plan: Plan,
    stop: threading.Event,
    on_change: Callable[[htf_record.TestRecord, str], None],
    alive: Callable[[], None] = lambda: None,
) -> Execution:
    """Execute a plan to its end, or to the end of its teardown once `stop` is set.

    Args:
        plan: A checked plan; its first phase sets the DUT id.
        stop: Aborts the test: phases end, teardown phases run, the record says ABORTED.
        on_change: Called from this thread with the record so far and the name of the running phase.
        alive: Called from this thread several times a second for as long as the test is watched.

    Returns:
        Always; a test whose teardown takes longer after an abort than its timeouts allow is a crash. So is
        an `on_change` that raises: it is not called again, and the test goes on to its teardown.
    """
    records: list[htf_record.TestRecord] = []
    crashes: list[str] = []
    configuration.CONF.load_from_dict({"plug_teardown_timeout_s": PLUG_TEARDOWN_WALL_S})
    test = htf.Test(*plan.nodes)
    test.configure(name=plan.product, failure_exceptions=[DutError])
    test.add_output_callbacks(records.append)

    def run() -> None:
        try:
            test.execute()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must reach the verdict
            _LOG.exception("OpenHTF raised")
            crashes.append(f"The test framework crashed: {type(error).__name__}: {error}")

    watcher = _Watcher(on_change, crashes)
    thread = threading.Thread(target=run, name="htf-test", daemon=True)
    thread.start()
    aborted_at = 0.0
    while thread.is_alive():
        thread.join(POLL_WALL_S)
        alive()
        state = test.state
        if state is None:
            continue  # before its state exists a test does not hear an abort
        running = state.running_phase_state
        watcher.look(state.test_record, running.name if running is not None else "")
        if stop.is_set() and not aborted_at:
            aborted_at = time.monotonic()
            threading.Thread(target=test.abort_from_sig_int, name="htf-abort", daemon=True).start()
        if aborted_at and time.monotonic() - aborted_at > abort_limit_s(plan):
            crashes.append("The test did not end after it was aborted.")
            break
    record = records[0] if records else None
    if record is None:
        return Execution(None, bool(aborted_at), tuple(crashes))
    watcher.look(record, "")
    return Execution(record, bool(aborted_at), (*crashes, *_unsaid(record), *_logged(record, _PLUGS_LOG)))


def abort_limit_s(plan: Plan) -> float:
    """Return the wall time, in s, that a plan may need from an abort to the end of its teardown."""
    phases = list(htf.PhaseSequence(tuple(plan.nodes)).all_phases())
    teardowns = [phase for phase in phases if phase.name in plan.teardowns]
    timeouts_s = [(phase.options.timeout_s or 0.0) + TIMEOUT_STEP_WALL_S for phase in teardowns]
    plugs = {plug.cls for phase in phases for plug in phase.plugs}
    return float(sum(timeouts_s) + PLUG_TEARDOWN_WALL_S * (len(plugs) + 1))


class _Watcher:
    """Calls `on_change` until it raises once; a display that broke must not leave the bench on."""

    def __init__(self, on_change: Callable[[htf_record.TestRecord, str], None], crashes: list[str]) -> None:
        self._on_change = on_change
        self._crashes = crashes
        self._broken = False

    def look(self, record: htf_record.TestRecord, running: str) -> None:
        """Show what there is."""
        if self._broken:
            return
        try:
            self._on_change(record, running)
        except Exception as error:  # noqa: BLE001 - whatever it is, the bench must be made safe
            _LOG.exception("the display raised")
            self._broken = True
            self._crashes.append(f"The display broke: {type(error).__name__}: {error}.")


def _unsaid(record: htf_record.TestRecord) -> Iterator[str]:
    """Tell what ended a test without a phase that says so."""
    for line in _logged(record, _EXECUTOR_LOG):
        yield f"The test framework crashed: {line}"
    if not record.phases and record.outcome is htf_record.Outcome.ERROR:
        for detail in record.outcome_details:  # a plug that could not be made ends a test before its phases
            yield f"The test could not start: {detail.description}"


def _logged(record: htf_record.TestRecord, source: tuple[str, Sequence[str]]) -> Iterator[str]:
    """Find the lines of OpenHTF's log that begin in one of some ways; first and last line of each."""
    logger, beginnings = source
    for entry in record.log_records:
        if entry.logger_name == logger and entry.message.startswith(tuple(beginnings)):
            lines = entry.message.strip().splitlines()
            yield lines[0] if len(lines) == 1 else f"{lines[0].strip()} {lines[-1].strip()}"
