"""From a dwell to values with their uncertainty and the verdict of their rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mfg.calibration.decision import Decision, Rule, Spread, Tolerance, Verdict, decide
from mfg.calibration.gains import error_pct
from mfg.calibration.pairing import mean
from mfg.calibration.phase_angles import angle_deg, angle_difference_deg
from mfg.calibration.uncertainty import (
    COVERAGE_PCT,
    BenchLimits,
    Budget,
    Uncertainty,
    current_budget,
    phase_budget,
    power_budget,
    resolution_pct,
    type_a,
    type_a_pct,
    typed_lines,
    voltage_budget,
    zero_budget,
    zero_power_budget,
)
from mfg.limits import Limit
from mfg.readings.paired import Dwell, Means
from mfg.readings.standard import ReferenceStandard
from mfg.station import Conductor

POWER_STEP_W = 0.00032 * 256  # the low word is valid in its high byte only


@dataclass(frozen=True)
class Evaluated:
    """A measured value with its uncertainty.

    Attributes:
        never_negative: Whether the quantity cannot be below 0: a lower limit of 0 then rejects nothing.
    """

    value: float
    uncertainty: Uncertainty
    never_negative: bool = False

    def judged(self, limit: Limit, waived: bool = False) -> Decision:
        """Judge the value by a limit's own rule.

        Args:
            limit: With its rule.
            waived: Whether somebody lets the limit be judged with a smaller ratio than it requires. Where
                nobody does, a value that would pass with one is not proved good.
        """
        kind = limit.rule or "simple"
        rule = Rule(kind, limit.risk, limit.required_tur)  # type: ignore[arg-type]
        tolerance = Tolerance(None if self.never_negative else limit.low, limit.high)
        spread = Spread(self.uncertainty.standard, self.uncertainty.expanded, self.uncertainty.dof)
        decision = decide(self.value, tolerance, spread, rule)
        if decision.verdict is Verdict.PASS and not (decision.tur_met or waived):
            return replace(decision, verdict=Verdict.INDETERMINATE)
        return decision

    def entry(self, limit: Limit, waived: bool = False) -> Mapping[str, Any]:
        """Return the uncertainty and the decision as a record stores them; arguments as for `judged`."""
        decision = self.judged(limit, waived)
        found = self.uncertainty
        return {
            "expanded": found.expanded,
            "k": found.k,
            "dof": found.dof if math.isfinite(found.dof) else None,
            "coverage_pct": COVERAGE_PCT,
            "rule": "risk" if limit.rule == "stated_risk" else limit.rule or "simple",
            "risk_pct": limit.risk * 100 if limit.rule == "stated_risk" else None,
            "accept_low": _finite(decision.acceptance.low),
            "accept_high": _finite(decision.acceptance.high),
            "tur": decision.tur,
            "required_tur": limit.required_tur or None,
            "conformity_probability": decision.conformity_probability,
            "verdict": str(decision.verdict),
            "budget": [
                {
                    "name": line.contribution.name,
                    "kind": line.contribution.evaluation,
                    "distribution": line.contribution.distribution,
                    "standard": line.component,
                    "dof": line.contribution.dof if math.isfinite(line.contribution.dof) else None,
                }
                for line in found.lines
            ],
        }


@dataclass(frozen=True)
class Evaluator:
    """Evaluates the errors of a unit against the standard at one load point.

    Attributes:
        standard: The reference meter.
        bench: What the bench adds.
        conductor: Turns, direction and angle of the load.
        range_a: Current range of the reference at this point.
    """

    standard: ReferenceStandard
    bench: BenchLimits
    conductor: Conductor
    range_a: float

    def voltage(self, dwell: Dwell, port: int) -> Evaluated:
        """Evaluate the voltage's error of a port, in percent."""
        means = dwell.means(port)
        reference = self.standard.voltage_point(means.reference_v, dwell.reference_frequency_hz)
        budget = voltage_budget(
            reference,
            type_a_pct("repeatability", dwell.voltage_ratios(port), "paired windows"),
            resolution_pct(dwell.voltage_step_v, means.voltage_v),
            self.bench,
        )
        if dwell.typed is not None:
            step_v = dwell.typed.pair.voltage_step_v
            budget = budget.with_lines(typed_lines(step_v, means.reference_v, dwell.voltage_wander_pct(port)))
        return _evaluated(error_pct(means.voltage_v, self.reference_v(means)), budget)

    def current(self, dwell: Dwell, port: int) -> Evaluated:
        """Evaluate the current's error of a port, in percent."""
        means = dwell.means(port)
        reference = self.standard.current_point(means.reference_a, self.range_a, dwell.reference_frequency_hz)
        budget = current_budget(
            reference,
            type_a_pct("repeatability", dwell.current_ratios(port), "paired windows"),
            resolution_pct(dwell.current_step_a, means.current_a),
            self.bench,
        )
        if dwell.typed is not None:
            step_a = dwell.typed.pair.current_step_a
            budget = budget.with_lines(typed_lines(step_a, means.reference_a, dwell.current_wander_pct(port)))
        return _evaluated(error_pct(means.current_a, self.reference_a(means)), budget)

    def power(self, dwell: Dwell, port: int) -> Evaluated:
        """Evaluate the active power's error of a port, in percent; the CT's direction is taken out."""
        means = dwell.means(port)
        reference = self.standard.power_point(
            means.reference_v,
            means.reference_a,
            self.range_a,
            self.conductor.load_angle_deg,
            dwell.reference_frequency_hz,
        )
        ratios = [abs(ratio) for ratio in dwell.power_ratios(port)]
        budget = power_budget(
            reference,
            type_a_pct("repeatability", ratios, "paired windows"),
            resolution_pct(POWER_STEP_W, means.active_w),
            self.bench,
        )
        expected_w = self.conductor.turns * self.standard.corrected("power", means.reference_w)
        return _evaluated(error_pct(means.active_w * self.conductor.sign, expected_w), budget)

    def phase(self, dwell: Dwell, port: int) -> Evaluated:
        """Evaluate the phase angle's error of a port, in degrees, against the load's known angle."""
        angles = [
            angle_difference_deg(
                angle_deg(window.active_w, window.reactive_var, self.conductor.sign),
                self.conductor.load_angle_deg,
            )
            for window in dwell.windows[port]
        ]
        budget = phase_budget(type_a("repeatability", angles, "windows"), self.bench)
        return _evaluated(math.fsum(angles) / len(angles), budget)

    def reference_v(self, means: Means) -> float:
        """Return the reference's voltage, corrected."""
        return self.standard.corrected("voltage", means.reference_v)

    def reference_a(self, means: Means) -> float:
        """Return the current through the CTs by the reference, corrected, times the turns."""
        return self.conductor.turns * self.standard.corrected("current", means.reference_a)


def no_load_current(currents_a: Sequence[float], step_a: float, bench: BenchLimits) -> Evaluated:
    """Evaluate the current that a port reads with the load off, in A, from two readings or more."""
    budget = zero_budget(type_a("repeatability", currents_a, "windows"), step_a, bench)
    return Evaluated(mean(currents_a), budget.evaluate(), never_negative=True)


def no_load_power(powers_w: Sequence[float], mains_v: float, bench: BenchLimits) -> Evaluated:
    """Evaluate the active power that a port reads with the load off, in W, from two readings or more."""
    budget = zero_power_budget(type_a("repeatability", powers_w, "windows"), POWER_STEP_W, mains_v, bench)
    return _evaluated(mean(powers_w), budget)


def _finite(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None


def _evaluated(value: float, budget: Budget) -> Evaluated:
    return Evaluated(value, budget.evaluate())
