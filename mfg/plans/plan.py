"""What a plan is: bound phases in order, their case numbers, and what calibration it ends with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import openhtf as htf

from mfg.errors import UsageError
from mfg.limits import LimitSet
from mfg.limits.loader import POINTS
from mfg.limits.measurements import bind_limits
from mfg.plans.mode import Mode
from mfg.readings.port_by_port import MOST_BACK

BindPlugs = Callable[[htf.PhaseDescriptor], htf.PhaseDescriptor]


@dataclass
class PlanBuilder:
    """Binds phases to their limits, their slot and their case number, in the order they are named."""

    limits: LimitSet
    mode: Mode
    bind_plugs: BindPlugs
    points: Sequence[str] = POINTS
    one_ct: bool = False  # at a time on the conductor
    soak_s: float = 0.0  # how long a unit runs before its dwell
    cases: dict[str, int] = field(default_factory=dict)
    teardowns: list[str] = field(default_factory=list)
    evaluated: dict[str, list[str]] = field(default_factory=dict)
    optional: dict[str, list[str]] = field(default_factory=dict)

    def case(self, number: int, phase: htf.PhaseDescriptor) -> htf.PhaseDescriptor:
        """Bind a phase under a case number."""
        if phase.name in self.cases:
            raise UsageError(f"The plan names the phase {phase.name} twice.")
        self.cases[phase.name] = number
        limits = self.limits.of_phase(phase.name, self.mode.ports, self.points)
        self.evaluated[phase.name] = [limit.name for limit in limits if limit.rule]
        self.optional[phase.name] = [limit.name for limit in limits if limit.optional]
        # Plugs first: OpenHTF formats the texts of the measurements it finds, and a percent sign ends that.
        return bind_limits(self.bind_plugs(phase), self.limits, self.mode.ports, self.points)

    def case_by_ports(self, number: int, phase: htf.PhaseDescriptor) -> htf.PhaseDescriptor:
        """Bind a phase that takes the ports: all at once, or one after the other where the bench has no jig.

        Its own timeout is for all at once. One after the other it is that for each time a port may be taken,
        with the operator's time to move the CT.
        """
        if self.one_ct:
            each_s = (phase.options.timeout_s or 0.0) + self.limits.deadline_s("operator_s")
            phase = htf.PhaseOptions(timeout_s=each_s * (len(self.mode.ports) + MOST_BACK))(phase)
        return self.case(number, phase)

    def case_after_soak(self, number: int, phase: htf.PhaseDescriptor) -> htf.PhaseDescriptor:
        """Bind a phase that first waits until the unit has run for the soak time, beside its own timeout."""
        timeout_s = (phase.options.timeout_s or 0.0) + self.soak_s
        return self.case(number, htf.PhaseOptions(timeout_s=timeout_s)(phase))

    def teardown(self, number: int, phase: htf.PhaseDescriptor) -> htf.PhaseDescriptor:
        """Bind a phase that makes the bench safe; its failure is the fixture's, never the unit's."""
        self.teardowns.append(phase.name)
        return self.case(number, phase)


@dataclass(frozen=True)
class Plan:
    """A product's plan for one slot and one run.

    Attributes:
        evaluated: Names of the measurements that need an uncertainty, by phase.
        optional: Names of the measurements that a unit may do without, by phase.
    """

    product: str
    nodes: Sequence[Any]
    cases: dict[str, int]
    teardowns: tuple[str, ...]
    calibration: str
    evaluated: Mapping[str, Sequence[str]] = field(default_factory=dict)
    optional: Mapping[str, Sequence[str]] = field(default_factory=dict)
