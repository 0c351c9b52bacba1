"""The uncertainty of a measured value as a record holds it, and the check that it does not contradict itself.

What a decision rule came to is computed elsewhere and stored; here it is computed again from the stored
figures, so that a record never claims a verdict that its own numbers do not bear out.

Source: JCGM 100:2008, 5 and G.4; JCGM 106:2012, 7 and 8; metrology notes 4.1 and 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypedDict

from mfg.records.checks import (
    has_keys,
    is_number,
    is_positive,
    is_seconds,
    is_text,
    list_of,
    one_of,
    optional,
    wrong,
)
from mfg.records.outcomes import FAIL, INDETERMINATE, PASS, VERDICTS

SIMPLE = "simple"  # the value alone decides
GUARDED = "guarded"  # the acceptance limits are the limits less U
RISK = "risk"  # the probability to be outside stays below a stated risk
RULES = (SIMPLE, GUARDED, RISK)

_LIMIT_SHARE = 1e-6  # figures that must be equal may differ by this share
_PROBABILITY_STEP = 1e-4
_TUR_SHARE = 1e-3
_BUDGET_SHARE = 0.01  # the lines of a budget may be rounded to three digits
_LARGEST = 1e100  # no quantity is larger, and squares and quotients of such figures are still finite
_STEPS = 400
_NORMAL_FROM_DOF = 1e5
_FAR, _FAR_FROM_DOF = 12.0, 30.0


class BudgetEntry(TypedDict):
    """One contribution to an uncertainty."""

    name: str
    kind: str  # A from readings, B from anything else
    distribution: str
    standard: float  # standard uncertainty of the value from it alone, in the unit of the value
    dof: float | None  # None: infinite


class UncertaintyEntry(TypedDict):
    """The expanded uncertainty of a value, its budget, and what the decision rule made of both.

    `accept_low` and `accept_high` are where the value passes. One that is None has no limit there, or a
    limit that the quantity cannot pass by its nature, like 0 for a current.
    """

    expanded: float  # U, in the unit of the value
    k: float
    dof: float | None  # effective degrees of freedom, None: infinite
    coverage_pct: float
    rule: str  # one of `RULES`
    risk_pct: float | None  # of the rule "risk"
    accept_low: float | None
    accept_high: float | None
    tur: float | None
    required_tur: float | None
    conformity_probability: float
    verdict: str  # PASS, INDETERMINATE or FAIL
    budget: list[BudgetEntry]


def _dof(value: Any, where: str) -> None:
    is_number(value, where)
    if value < 1:
        raise wrong(where, value, "1 or more, or null for infinite")


def _probability(value: Any, where: str) -> None:
    is_number(value, where)
    if not 0 <= value <= 1:
        raise wrong(where, value, "0 to 1")


def _percent(value: Any, where: str) -> None:
    is_number(value, where)
    if not 0 < value < 100:
        raise wrong(where, value, "above 0 and below 100")


def _figure(value: Any, where: str) -> None:
    is_number(value, where)
    if abs(value) > _LARGEST:
        raise wrong(where, value, f"at most {_LARGEST:g}")


def _size(value: Any, where: str) -> None:
    _figure(value, where)
    if value < 1 / _LARGEST:
        raise wrong(where, value, f"{1 / _LARGEST:g} or more")


def _contribution(value: Any, where: str) -> None:
    _figure(value, where)
    if value < 0:
        raise wrong(where, value, "0 or more")


_SHAPE = has_keys(
    {
        "expanded": _size,
        "k": _size,
        "dof": optional(_dof),
        "coverage_pct": _percent,
        "rule": one_of(RULES),
        "risk_pct": optional(_percent),
        "accept_low": optional(_figure),
        "accept_high": optional(_figure),
        "tur": optional(is_positive),
        "required_tur": optional(is_seconds),
        "conformity_probability": _probability,
        "verdict": one_of(VERDICTS),
        "budget": list_of(
            has_keys(
                {
                    "name": is_text,
                    "kind": one_of(("A", "B")),
                    "distribution": is_text,
                    "standard": _contribution,
                    "dof": optional(_dof),
                }
            )
        ),
    }
)


def check_uncertainty(entry: Mapping[str, Any], where: str) -> None:
    """Check the uncertainty of a measurement, and its outcome against it.

    Args:
        entry: The measurement, its own keys checked.
        where: Where it stands in the record.

    Raises:
        StationError: A key is missing or wrong, or a figure contradicts the others; the message names it.
    """
    held = entry.get("uncertainty")
    if held is None:
        if "uncertainty" in entry:
            raise wrong(f"{where}.uncertainty", None, "an object, or left out")
        if entry["outcome"] == INDETERMINATE:
            raise wrong(f"{where}.uncertainty", None, "there: without it no value is indeterminate")
        return
    place = f"{where}.uncertainty"
    _SHAPE(held, place)
    value = entry["value"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(f"{where}.value", value, "a finite number, since it has an uncertainty")
    for key in ("value", "low", "high"):
        optional(_figure)(entry[key], f"{where}.{key}")
    judged = _Judged(float(value), entry["low"], entry["high"], held)
    judged.check_ends(place)
    judged.check_figures(place)
    allowed = judged.verdicts()
    if held["verdict"] not in allowed:
        raise wrong(f"{place}.verdict", held["verdict"], f"{' or '.join(allowed)} by its own figures")
    if entry["outcome"] not in VERDICTS[VERDICTS.index(held["verdict"]) :]:
        raise wrong(f"{where}.outcome", entry["outcome"], f"no better than its verdict {held['verdict']}")


class _Judged:
    """A value with its limits and the figures of its uncertainty."""

    def __init__(self, value: float, low: float | None, high: float | None, held: Mapping[str, Any]) -> None:
        self.value = value
        self.held = held
        self.ends = ((held["accept_low"], low, 1), (held["accept_high"], high, -1))
        self.low = -math.inf if held["accept_low"] is None or low is None else float(low)
        self.high = math.inf if held["accept_high"] is None or high is None else float(high)
        self.size = max(held["expanded"], *(abs(end) for end in (low, high) if end is not None), 0.0)

    def check_ends(self, where: str) -> None:
        """Check the acceptance limits against limits, rule and U."""
        held = self.held
        if (held["risk_pct"] is not None) != (held["rule"] == RISK):
            raise wrong(
                f"{where}.risk_pct", held["risk_pct"], "there for the rule 'risk' and null for others"
            )
        if held["accept_low"] is None and held["accept_high"] is None:
            raise wrong(f"{where}.accept_high", None, "a number where accept_low is null: nothing is judged")
        width = held["expanded"] if held["rule"] == GUARDED else 0.0
        for (accept, limit, inward), name in zip(self.ends, ("accept_low", "accept_high"), strict=True):
            if accept is None:
                continue
            if limit is None:
                raise wrong(f"{where}.{name}", accept, "null where the measurement has no limit")
            if held["rule"] == RISK:
                self._check_risk_end(f"{where}.{name}", accept)
            elif abs(accept - (limit + inward * width)) > _LIMIT_SHARE * self.size:
                raise wrong(
                    f"{where}.{name}", accept, f"{limit + inward * width:.9g} by the rule {held['rule']}"
                )

    def _check_risk_end(self, where: str, accept: float) -> None:
        accept_low, accept_high = self.held["accept_low"], self.held["accept_high"]
        if accept_low is not None and accept_high is not None and accept_low > accept_high:
            return  # no value passes
        least = 1 - self.held["risk_pct"] / 100 - _PROBABILITY_STEP
        if not self.low <= accept <= self.high or self.probability(accept) < least:
            raise wrong(where, accept, f"a value with a probability of conformity of {least:.4f} at least")

    def check_figures(self, where: str) -> None:
        """Check probability, TUR and budget against U, k and the limits."""
        held = self.held
        expected = self.probability(self.value)
        if abs(held["conformity_probability"] - expected) > _PROBABILITY_STEP:
            name = f"{where}.conformity_probability"
            raise wrong(name, held["conformity_probability"], f"{expected:.6f} by U, k and the limits")
        span = self.high - self.low
        if held["tur"] is not None and math.isfinite(span):
            ratio = span / 2 / held["expanded"]
            if abs(held["tur"] - ratio) > _TUR_SHARE * ratio:
                raise wrong(f"{where}.tur", held["tur"], f"{ratio:.6g} by U and the limits")
        # Independent lines add up by their squares, fully correlated ones by their amounts.
        lines = [line["standard"] for line in held["budget"]]
        least, most = math.hypot(*lines), math.fsum(lines)
        if not least * (1 - _BUDGET_SHARE) <= self.standard <= most * (1 + _BUDGET_SHARE):
            raise wrong(
                f"{where}.budget", f"{least:.4g} in all", f"lines that make U/k = {self.standard:.4g}"
            )

    @property
    def standard(self) -> float:
        """Combined standard uncertainty."""
        return float(self.held["expanded"] / self.held["k"])

    def probability(self, value: float) -> float:
        """Return the probability that the true value is inside the limits when `value` was measured."""
        dof = self.held["dof"]
        above = cumulative((self.high - value) / self.standard, dof)
        return above - cumulative((self.low - value) / self.standard, dof)

    def _is_coarse(self) -> bool:
        """Return whether the ratio is smaller than the limit requires."""
        tur, required = self.held["tur"], self.held["required_tur"]
        return tur is not None and required is not None and tur < required

    def verdicts(self) -> tuple[str, ...]:
        """Return the verdicts that the figures allow.

        Two for a value beyond its limit by less than U, and for one that passes with a smaller ratio than is
        required: somebody may have let that pass.
        """
        held, value = self.held, self.value
        low_end = -math.inf if held["accept_low"] is None else held["accept_low"]
        high_end = math.inf if held["accept_high"] is None else held["accept_high"]
        if low_end <= value <= high_end:
            return (PASS, INDETERMINATE) if self._is_coarse() else (PASS,)
        if held["rule"] == SIMPLE:
            return (FAIL,)
        beyond = max(self.low - value, value - self.high)
        if beyond <= 0:
            return (INDETERMINATE,)
        if held["rule"] == GUARDED and beyond > held["expanded"] + _LIMIT_SHARE * self.size:
            return (FAIL,)
        return (INDETERMINATE, FAIL)


def cumulative(deviation: float, dof: float | None) -> float:
    """Return the distribution function of Student's t.

    Args:
        deviation: Where, in standard uncertainties; may be infinite.
        dof: Degrees of freedom, 1 or more; None for the normal distribution.

    Returns:
        0 to 1, right to 2e-5 and better.
    """
    if dof is None or dof > _NORMAL_FROM_DOF:
        return 0.5 * math.erfc(-deviation / math.sqrt(2))
    far = min(abs(deviation), _FAR) if dof >= _FAR_FROM_DOF else abs(deviation)
    # With t = sqrt(dof) tan(x) the density becomes a power of the cosine: Simpson's rule over the angle.
    step = math.atan(far / math.sqrt(dof)) / _STEPS
    weights = (1 if index in (0, _STEPS) else 4 if index % 2 else 2 for index in range(_STEPS + 1))
    total = math.fsum(w * max(0.0, math.cos(index * step)) ** (dof - 1) for index, w in enumerate(weights))
    scale = math.exp(math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2)) / math.sqrt(math.pi)
    return 0.5 + math.copysign(scale * total * step / 3, deviation)
