"""What a plan promises: everything that the record of its run must hold for a PASS."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import openhtf as htf

from mfg.plans.plan import Plan
from mfg.runner.guard import Expectation


def expectation_of(plan: Plan, left_out: Collection[tuple[str, str]] = ()) -> Expectation:
    """Return what the record of a plan must hold.

    Args:
        plan: The plan as it was run.
        left_out: Phase and name of what the unit does not offer; only what the limits file calls
            optional may be left out.
    """
    phases = htf.PhaseSequence(tuple(plan.nodes)).all_phases()
    allowed = {(phase, name) for phase, name in left_out if name in plan.optional.get(phase, ())}
    declared = {
        phase.name: _kept(phase.name, [measured.name for measured in phase.measurements], allowed)
        for phase in phases
    }
    evaluated = {phase: _kept(phase, names, allowed) for phase, names in plan.evaluated.items()}
    guarded: dict[str, Sequence[str]] = dict.fromkeys(plan.teardowns, ())
    for group in htf.PhaseSequence(tuple(plan.nodes)).filter_by_type(htf.PhaseGroup):
        before = [phase.name for part in (group.setup, group.main) if part for phase in part.all_phases()]
        for phase in group.teardown.all_phases() if group.teardown else ():
            if phase.name in plan.teardowns:
                guarded[phase.name] = before
    return Expectation(declared, guarded, plan.calibration, evaluated)


def _kept(phase: str, names: Iterable[str], left_out: Collection[tuple[str, str]]) -> list[str]:
    return [name for name in names if (phase, name) not in left_out] if left_out else list(names)
