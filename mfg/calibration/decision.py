"""Decision rules: what a measured value, its tolerance and its uncertainty say about the unit.

Three rules. `simple`: the value alone decides. `guarded`: what is nearer to the tolerance limit than the
expanded uncertainty is neither conformity nor its opposite. `stated_risk`: the unit passes only where the
probability that its true value is outside stays below a stated risk, and fails only where the
probability that it is inside does.

Source: JCGM 106:2012, 7 to 9; ILAC-G8:09/2019, 4; ISO 14253-1. Metrology notes of the project, 4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Literal

from scipy.special import stdtr

RuleKind = Literal["simple", "guarded", "stated_risk"]
_NORMAL = NormalDist()
_BISECTIONS = 100
_COVERAGE_K = 2.0
_MANAGED_TUR = 4.6
_STEPS = 2000  # of the integral over the process; the result is exact to 1e-4 of its size
_SPAN_SIGMAS = 8.0


class Verdict(StrEnum):
    """What a rule says; INDETERMINATE rejects in words of its own."""

    PASS = "PASS"
    FAIL = "FAIL"
    INDETERMINATE = "INDETERMINATE"


@dataclass(frozen=True)
class Rule:
    """How a limit is judged.

    Attributes:
        kind: "simple", "guarded" (w = U) or "stated_risk".
        risk: Largest probability of a wrong verdict for one value, 0 to 0.5; for "stated_risk" only.
        required_tur: Smallest test uncertainty ratio with which the limit may be judged, 0 for any.
    """

    kind: RuleKind
    risk: float = 0.0
    required_tur: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a rule that means nothing, with a ValueError."""
        if self.kind == "stated_risk":
            if not 0.0 < self.risk <= 0.5:
                raise ValueError(f"a stated risk must be above 0 and at most 0.5, not {self.risk}")
        elif self.kind not in ("simple", "guarded") or self.risk != 0.0:
            raise ValueError(f"no rule {self.kind!r} with risk {self.risk}")
        if not (math.isfinite(self.required_tur) and self.required_tur >= 0):
            raise ValueError(f"{self.required_tur=}")


@dataclass(frozen=True)
class Tolerance:
    """What the true value must be: between two limits, or on one side of one.

    Attributes:
        low: Lower limit, None where the quantity has no limit below or cannot go below it by its nature.
        high: Upper limit, None where there is none.
        nominal: Where a good unit is, for the TUR of a tolerance with one limit.
    """

    low: float | None
    high: float | None
    nominal: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a tolerance without a limit, with one that is no number, or without room."""
        given = [limit for limit in (self.low, self.high) if limit is not None]
        if not given or not all(math.isfinite(number) for number in (*given, self.nominal)):
            raise ValueError(f"{self} needs one or two finite limits")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"{self}: low must be below high")

    @property
    def low_end(self) -> float:
        """Lower limit, or minus infinity."""
        return -math.inf if self.low is None else self.low

    @property
    def high_end(self) -> float:
        """Upper limit, or infinity."""
        return math.inf if self.high is None else self.high

    def contains(self, value: float) -> bool:
        """Return whether a value lies within the limits; never for NaN or infinity."""
        return math.isfinite(value) and self.low_end <= value <= self.high_end

    @property
    def half_width(self) -> float:
        """Half the tolerance; with one limit its distance from the nominal value."""
        if self.low is not None and self.high is not None:
            return (self.high - self.low) / 2
        return abs((self.low if self.low is not None else self.high_end) - self.nominal)


@dataclass(frozen=True)
class Acceptance:
    """Where a measured value passes; `empty` where the uncertainty leaves no room to pass."""

    low: float
    high: float

    @property
    def empty(self) -> bool:
        """Whether no value passes."""
        return self.low > self.high

    def contains(self, value: float) -> bool:
        """Return whether a value passes."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Decision:
    """A verdict and what it rests on.

    Attributes:
        verdict: PASS, FAIL or INDETERMINATE.
        acceptance: Where the value would have passed.
        guard_band: Distance from tolerance limit to acceptance limit, in the unit of the value.
        conformity_probability: Probability that the true value is inside the tolerance, 0 to 1.
        tur: Test uncertainty ratio.
        tur_met: Whether `tur` reaches what the rule requires.
    """

    verdict: Verdict
    acceptance: Acceptance
    guard_band: float
    conformity_probability: float
    tur: float
    tur_met: bool


@dataclass(frozen=True)
class Spread:
    """The uncertainty of a measured value: standard, expanded, effective degrees of freedom."""

    standard: float
    expanded: float
    dof: float = math.inf

    def __post_init__(self) -> None:
        """Refuse what is no uncertainty, with a ValueError."""
        finite = math.isfinite(self.standard) and math.isfinite(self.expanded)
        if not (finite and 0 < self.standard <= self.expanded and self.dof >= 1):
            raise ValueError(f"{self} is no uncertainty")


def decide(value: float, tolerance: Tolerance, spread: Spread, rule: Rule) -> Decision:
    """Judge a measured value.

    Args:
        value: The measured value; NaN and infinity fail.
        tolerance: What the true value must be, in the same unit.
        spread: The uncertainty of the value, in the same unit.
        rule: How it is judged.

    Returns:
        The verdict with the figures it rests on.
    """
    acceptance = acceptance_limits(tolerance, spread, rule)
    probability = conformity_probability(value, tolerance, spread)
    ratio = uncertainty_ratio(tolerance, spread)
    return Decision(
        _verdict(value, tolerance, spread, rule, acceptance),
        acceptance,
        _guard_band(tolerance, acceptance),
        probability,
        ratio,
        ratio >= rule.required_tur,
    )


def acceptance_limits(tolerance: Tolerance, spread: Spread, rule: Rule) -> Acceptance:
    """Return where a measured value passes: the tolerance less a guard band at each of its limits."""
    if rule.kind == "stated_risk":
        return _risk_limits(tolerance, spread, rule.risk)
    width = spread.expanded if rule.kind == "guarded" else 0.0
    return Acceptance(tolerance.low_end + width, tolerance.high_end - width)


def conformity_probability(value: float, tolerance: Tolerance, spread: Spread) -> float:
    """Return the probability that the true value lies within the tolerance, 0 for a value that is no number.

    Source: JCGM 106:2012, 7: p = F((TU - y)/u) - F((TL - y)/u), F of Student's t where dof is finite.
    """
    if not math.isfinite(value):
        return 0.0
    above = _cumulative((tolerance.high_end - value) / spread.standard, spread.dof)
    below = _cumulative((tolerance.low_end - value) / spread.standard, spread.dof)
    return above - below


def uncertainty_ratio(tolerance: Tolerance, spread: Spread) -> float:
    """Return half the tolerance over the expanded uncertainty; accuracies do not enter it."""
    return tolerance.half_width / spread.expanded


def managed_guard_band(tolerance: Tolerance, spread: Spread) -> float:
    """Return the guard band that keeps the share of false acceptances at 2 % whatever the process.

    Source: ANSI/NCSL Z540.3, method 6: w = U (1.04 - exp(0.38 ln TUR - 0.54)); none is needed from a TUR
    of 4.6.
    """
    ratio = uncertainty_ratio(tolerance, spread)
    if ratio >= _MANAGED_TUR:
        return 0.0
    return spread.expanded * (1.04 - math.exp(0.38 * math.log(ratio) - 0.54))


@dataclass(frozen=True)
class GlobalRisk:
    """Shares of all units, 0 to 1: bad ones that pass and good ones that are rejected."""

    false_accept: float
    false_reject: float


def global_risk(ratio: float, guard_ratio: float, in_tolerance: float = 0.95) -> GlobalRisk:
    """Return what a rule does to a centred normal process.

    Args:
        ratio: Test uncertainty ratio, > 0.
        guard_ratio: Guard band over expanded uncertainty, >= 0; 1 for w = U.
        in_tolerance: Share of the units whose true value is inside the tolerance, between 0 and 1.

    Raises:
        ValueError: An argument is outside its range.

    Source:
        JCGM 106:2012, 9.5, with a tolerance of -1 to 1, U = 1/ratio and k = 2.
    """
    if not (0 < ratio < math.inf and 0 <= guard_ratio < math.inf and 0 < in_tolerance < 1):
        raise ValueError(f"{ratio=}, {guard_ratio=}, {in_tolerance=}")
    sigma = 1 / _NORMAL.inv_cdf((1 + in_tolerance) / 2)
    standard = 1 / ratio / _COVERAGE_K
    limit = 1 - guard_ratio / ratio
    span = max(1.0, _SPAN_SIGMAS * sigma)
    outside = _integral(1.0, span, sigma, standard, limit)
    inside = _integral(0.0, 1.0, sigma, standard, limit)
    return GlobalRisk(2 * outside, in_tolerance - 2 * inside)


def _integral(start: float, end: float, sigma: float, standard: float, limit: float) -> float:
    """Integrate density of the process times probability to be accepted, by the midpoint rule."""
    step = (end - start) / _STEPS
    total = 0.0
    for index in range(_STEPS):
        true = start + (index + 0.5) * step
        accepted = _NORMAL.cdf((limit - true) / standard) - _NORMAL.cdf((-limit - true) / standard)
        total += _NORMAL.pdf(true / sigma) / sigma * max(0.0, accepted) * step
    return total


def _verdict(
    value: float, tolerance: Tolerance, spread: Spread, rule: Rule, acceptance: Acceptance
) -> Verdict:
    if acceptance.contains(value) and math.isfinite(value):
        return Verdict.PASS
    if _fails(value, tolerance, spread, rule):
        return Verdict.FAIL
    return Verdict.INDETERMINATE


def _fails(value: float, tolerance: Tolerance, spread: Spread, rule: Rule) -> bool:
    if rule.kind == "simple" or not math.isfinite(value):
        return True
    if rule.kind == "guarded":
        beyond = max(tolerance.low_end - value, value - tolerance.high_end)
        return beyond > spread.expanded
    inside = conformity_probability(value, tolerance, spread)
    return not tolerance.contains(value) and inside <= rule.risk


def _guard_band(tolerance: Tolerance, acceptance: Acceptance) -> float:
    if tolerance.high is not None:
        return tolerance.high - acceptance.high
    return acceptance.low - tolerance.low_end


def _risk_limits(tolerance: Tolerance, spread: Spread, risk: float) -> Acceptance:
    """Return where the probability to be outside equals the risk; it falls steadily toward the middle."""
    if tolerance.low is None or tolerance.high is None:
        width = -_quantile(risk, spread.dof) * spread.standard
        return Acceptance(tolerance.low_end + width, tolerance.high_end - width)
    middle = (tolerance.low + tolerance.high) / 2
    if conformity_probability(middle, tolerance, spread) < 1 - risk:
        return Acceptance(tolerance.high, tolerance.low)
    inner, outer = middle, tolerance.high
    for _halving in range(_BISECTIONS):
        tried = (inner + outer) / 2
        if conformity_probability(tried, tolerance, spread) >= 1 - risk:
            inner = tried
        else:
            outer = tried
    return Acceptance(tolerance.low + tolerance.high - inner, inner)


def _quantile(share: float, dof: float) -> float:
    """Invert `_cumulative` by halving; the answer lies where Student's t leaves a share."""
    if math.isinf(dof):
        return _NORMAL.inv_cdf(share)
    low, high = -1.0, 0.0
    while _cumulative(low, dof) > share:
        low *= 2
    for _halving in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _cumulative(middle, dof) < share else (low, middle)
    return high


def _cumulative(deviation: float, dof: float) -> float:
    return _NORMAL.cdf(deviation) if math.isinf(dof) else float(stdtr(dof, deviation))
