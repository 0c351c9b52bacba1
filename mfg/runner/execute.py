"""Run one OpenHTF test in a thread that can be watched and aborted."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import openhtf as htf
from openhtf.core import test_record as htf_record
from openhtf.util import console_output

from mfg.errors import DutError, StationError
from mfg.plans.plan import Plan

console_output.CLI_QUIET = True

POLL_WALL_S = 0.05
ABORT_WALL_S = 60.0  # teardown phases have timeouts of their own well below this


@dataclass(frozen=True)
class Execution:
    """What OpenHTF made of a plan.

    Attributes:
        test_record: None when the framework crashed before it made one.
        aborted: Whether an abort was asked for.
        crash: What the executing thread died of, empty otherwise.
    """

    test_record: htf_record.TestRecord | None
    aborted: bool
    crash: str


def check_plan(plan: Plan) -> None:
    """Refuse a plan that OpenHTF would report as PASS without running it.

    A measurement whose validator cannot be copied or printed kills OpenHTF's executor thread, and a test
    whose executor died without a failed phase is a PASS to it.

    Raises:
        StationError: Names the phase and the measurement.
    """
    sequence = htf.PhaseSequence(tuple(plan.nodes))
    names = [phase.name for phase in sequence.all_phases()]
    if sorted(names) != sorted(plan.cases):
        raise StationError(f"The plan's phases {sorted(names)} are not its cases {sorted(plan.cases)}.")
    for phase in sequence.all_phases():
        for measured in phase.measurements:
            try:
                copy.deepcopy(measured)
                texts = [str(validator) for validator in measured.validators]
            except Exception as error:
                raise StationError(f"{phase.name}.{measured.name} cannot be judged: {error}") from error
            if not texts:
                raise StationError(f"{phase.name}.{measured.name} has no limit.")


def execute(
    plan: Plan, stop: threading.Event, on_change: Callable[[htf_record.TestRecord, str], None]
) -> Execution:
    """Execute a plan to its end, or to the end of its teardown once `stop` is set.

    Args:
        plan: A checked plan; its first phase sets the DUT id.
        stop: Aborts the test: phases end, teardown phases run, the record says ABORTED.
        on_change: Called from this thread with the record so far and the name of the running phase.

    Returns:
        Always; a test that cannot be ended within `ABORT_WALL_S` after the abort is reported as a crash.
    """
    records: list[htf_record.TestRecord] = []
    crashes: list[str] = []
    test = htf.Test(*plan.nodes)
    test.configure(name=plan.product, failure_exceptions=[DutError])
    test.add_output_callbacks(records.append)

    def run() -> None:
        try:
            test.execute()
        except BaseException as error:
            crashes.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=run, name="htf-test", daemon=True)
    thread.start()
    aborted_at = 0.0
    while thread.is_alive():
        thread.join(POLL_WALL_S)
        _report(test, on_change)
        if stop.is_set() and not aborted_at:
            aborted_at = time.monotonic()
            threading.Thread(target=test.abort_from_sig_int, name="htf-abort", daemon=True).start()
        if aborted_at and time.monotonic() - aborted_at > ABORT_WALL_S:
            crashes.append("the test did not end after it was aborted")
            break
    record = records[0] if records else None
    if record is not None:
        on_change(record, "")
    return Execution(record, bool(aborted_at), "; ".join(crashes))


def _report(test: htf.Test, on_change: Callable[[htf_record.TestRecord, str], None]) -> None:
    state = test.state
    if state is None:
        return
    running = state.running_phase_state
    on_change(state.test_record, running.name if running is not None else "")
