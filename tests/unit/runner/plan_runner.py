"""Runs a tiny plan the way the session does: OpenHTF, our record, our verdict."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import openhtf as htf
from openhtf.core import test_record as htf_record

from mfg.errors import MfgError
from mfg.plans.plan import Plan
from mfg.records.from_openhtf import PhaseReader
from mfg.records.record import PhaseEntry
from mfg.runner.execute import Execution, execute
from mfg.runner.guard import Verdict, judge
from mfg.runner.promise import expectation_of

SHA = "0" * 64
SERIAL = "SN00001823"


@dataclass(frozen=True)
class Ran:
    """What came of a plan."""

    verdict: Verdict
    phases: list[PhaseEntry]
    execution: Execution

    @property
    def framework_outcome(self) -> str:
        """OpenHTF's own outcome."""
        record = self.execution.test_record
        assert record is not None
        assert record.outcome is not None
        return str(record.outcome.name)

    def names(self) -> list[str]:
        """Return the phases in the order of execution."""
        return [phase["name"] for phase in self.phases]


def measured(name: str = "level_v") -> htf.Measurement:
    """Give a measurement that 1.0 passes and 9.0 fails."""
    return htf.Measurement(name).in_range(0.0, 2.0).doc("a test's own limit")


def phase(
    name: str,
    body: Callable[[Any], Any] | None = None,
    measurements: Sequence[htf.Measurement] = (),
    timeout_s: float | None = 20,
    **options: Any,
) -> htf.PhaseDescriptor:
    """Make a phase of a function that takes the test; without one it sets its measurements to 1.0."""

    @htf.PhaseOptions(name=name, timeout_s=timeout_s, **options)
    def run(test: htf.TestApi) -> Any:
        if body is not None:
            return body(test)
        for measurement in measurements:
            test.measurements[measurement.name] = 1.0
        return None

    return htf.measures(*measurements)(run) if measurements else run


def plan_of(nodes: Sequence[Any], teardowns: Sequence[str] = (), calibration: str = "all") -> Plan:
    """Make a plan; every phase gets a case number."""
    names = [node.name for node in htf.PhaseSequence(tuple(nodes)).all_phases()]
    cases = {name: 1000 * number for number, name in enumerate(names, start=1)}
    return Plan("tiny", list(nodes), cases, tuple(teardowns), calibration)


def run_plan(
    plan: Plan,
    stop: threading.Event | None = None,
    serial: str = SERIAL,
    on_change: Callable[[htf_record.TestRecord, str], None] = lambda _record, _running: None,
) -> Ran:
    """Execute a plan and judge its record; `check_plan` is left out, so that the guard stands alone."""
    execution = execute(plan, stop or threading.Event(), on_change)
    assert execution.test_record is not None, execution.troubles
    phases = PhaseReader(1.0, plan.cases).phases(execution.test_record, {})
    outcome = execution.test_record.outcome
    verdict = judge(
        phases,
        expectation_of(plan),
        outcome.name if outcome is not None else "",
        serial,
        execution.aborted,
        execution.troubles,
    )
    return Ran(verdict, phases, execution)


def wait_for_openhtf() -> None:
    """Wait for the threads that a test left behind, so that their end is not another test's."""
    for thread in threading.enumerate():
        if thread.name.startswith(("htf-", "TestExecutor", "<PhaseExecutor", "<PlugTearDown")):
            thread.join(20)


def raising(error: MfgError | Exception) -> Callable[[Any], None]:
    """Give a phase body that raises."""

    def body(_test: Any) -> None:
        raise error

    return body


def setting(**values: Any) -> Callable[[Any], None]:
    """Give a phase body that sets measurements."""

    def body(test: Any) -> None:
        for name, value in values.items():
            test.measurements[name] = value

    return body
