"""Uncertainty budgets: named contributions in, a standard and an expanded uncertainty out.

A contribution is evaluated from readings (type A, with its degrees of freedom) or from what is known
about the bench (type B). The model is a sum: gain errors are relative and small, so every sensitivity is
1 unless a contribution says otherwise. GTC combines them: law of propagation, effective degrees of
freedom by Welch and Satterthwaite, coverage factor by Student's t.

Source: JCGM 100:2008 (GUM), 4, 5 and annex G; budget lines of the metrology notes of the project, 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import GTC

from mfg.calibration.accuracy import AccuracyLimit
from mfg.calibration.pairing import mean

COVERAGE_PCT = 95.45  # k = 2 for a normal distribution
_GTC: Any = GTC  # ships no types

Evaluation = Literal["A", "B"]
Distribution = Literal["normal", "rectangular", "triangular", "arcsine"]
_DIVISORS: dict[Distribution, float] = {
    "rectangular": math.sqrt(3),
    "triangular": math.sqrt(6),
    "arcsine": math.sqrt(2),
}


@dataclass(frozen=True)
class Contribution:
    """One line of a budget.

    Attributes:
        name: What contributes.
        standard: Standard uncertainty, in the unit of the quantity over that of the sensitivity, >= 0.
        evaluation: "A" from readings, "B" from anything else.
        distribution: Of the quantity behind it.
        limit: What the standard uncertainty was made from: a half-width, an expanded uncertainty, or the
            scatter of single readings.
        dof: Degrees of freedom, infinite where a limit is known.
        sensitivity: What one unit of it changes the result by.
        source: Where the number comes from.
        group: Contributions of one group come from one instrument. They are taken as independent and as
            fully correlated, and the larger result counts. Empty: independent of all others.
    """

    name: str
    standard: float
    evaluation: Evaluation = "B"
    distribution: Distribution = "normal"
    limit: float = 0.0
    dof: float = math.inf
    sensitivity: float = 1.0
    source: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        """Refuse a line that means nothing, with a ValueError."""
        finite = math.isfinite(self.standard) and math.isfinite(self.sensitivity)
        if not (finite and self.standard >= 0 and self.dof >= 1):
            raise ValueError(f"{self.name}: {self.standard=}, {self.sensitivity=}, {self.dof=}")

    @property
    def component(self) -> float:
        """Standard uncertainty of the result from this line alone, in the unit of the result."""
        return abs(self.sensitivity) * self.standard


@dataclass(frozen=True)
class BudgetLine:
    """One line as the report shows it.

    Attributes:
        contribution: The line.
        component: Its standard uncertainty, in the unit of the result.
        share_pct: Its share of the sum of squares, in percent.
    """

    contribution: Contribution
    component: float
    share_pct: float


@dataclass(frozen=True)
class Uncertainty:
    """What a budget comes to.

    Attributes:
        quantity: What was measured.
        unit: Unit of the uncertainties: "%" of the value, "deg", "A" or "" for a ratio.
        standard: Combined standard uncertainty.
        dof: Effective degrees of freedom.
        k: Coverage factor for 95.45 %.
        expanded: k times `standard`.
        lines: The budget, largest component first.
        correlated: Whether the contributions of a group were taken as fully correlated.
    """

    quantity: str
    unit: str
    standard: float
    dof: float
    k: float
    expanded: float
    lines: tuple[BudgetLine, ...]
    correlated: bool = False


@dataclass(frozen=True)
class Budget:
    """The contributions to one result."""

    quantity: str
    unit: str
    contributions: tuple[Contribution, ...]

    def with_lines(self, lines: Sequence[Contribution]) -> Budget:
        """Return the budget with some more contributions."""
        return replace(self, contributions=(*self.contributions, *lines))

    def evaluate(self) -> Uncertainty:
        """Combine the contributions.

        Returns:
            The uncertainty; with groups the larger of independent and fully correlated.

        Raises:
            ValueError: No contribution is larger than 0: a result without uncertainty is a budget that
                was forgotten.
        """
        if not any(line.component > 0 for line in self.contributions):
            raise ValueError(f"{self.quantity}: the budget has no contribution")
        apart = self._combined(self.contributions, correlated=False)
        merged = _merged(self.contributions)
        if len(merged) == len(self.contributions):
            return apart
        together = self._combined(merged, correlated=True)
        return max(apart, together, key=lambda result: result.expanded)

    def _combined(self, contributions: Sequence[Contribution], *, correlated: bool) -> Uncertainty:
        # Relative to the largest, so that the fourth powers of Welch and Satterthwaite do not underflow.
        largest = max(line.component for line in contributions)
        total: Any = 0.0
        for line in contributions:
            total = total + _GTC.ureal(0.0, line.component / largest, line.dof, label=line.name)
        standard, dof = largest * float(_GTC.uncertainty(total)), float(_GTC.dof(total))
        coverage = float(_GTC.rp.k_factor(dof, COVERAGE_PCT))
        ordered = sorted(self.contributions, key=lambda line: -line.component)
        shares = [(line.component / largest) ** 2 for line in ordered]
        whole = math.fsum(shares)
        return Uncertainty(
            self.quantity,
            self.unit,
            standard,
            dof,
            coverage,
            coverage * standard,
            tuple(
                BudgetLine(line, line.component, 100.0 * share / whole)
                for line, share in zip(ordered, shares, strict=True)
            ),
            correlated,
        )


def _merged(contributions: Sequence[Contribution]) -> tuple[Contribution, ...]:
    """Add up the members of each group, as full correlation of one sign does."""
    groups: dict[str, Contribution] = {}
    alone: list[Contribution] = []
    for line in contributions:
        if not line.group:
            alone.append(line)
        elif line.group not in groups:
            groups[line.group] = replace(line, standard=line.component, sensitivity=1.0)
        else:
            held = groups[line.group]
            groups[line.group] = replace(
                held, standard=held.standard + line.component, dof=min(held.dof, line.dof)
            )
    return (*alone, *groups.values())


# ---- single lines ---------------------------------------------------------------------------------


def type_a(name: str, readings: Sequence[float], source: str = "") -> Contribution:
    """Evaluate the mean of some readings: standard deviation over the root of their number.

    Args:
        name: What was read.
        readings: At least two finite readings, in the unit of the result.
        source: Which readings.

    Raises:
        ValueError: Fewer than two readings, or one that is not finite.
    """
    if len(readings) < 2:
        raise ValueError(f"{name}: {len(readings)} readings have no scatter")
    middle = mean(readings)
    scatter = math.sqrt(math.fsum((reading - middle) ** 2 for reading in readings) / (len(readings) - 1))
    standard = scatter / math.sqrt(len(readings))
    return Contribution(name, standard, "A", limit=scatter, dof=float(len(readings) - 1), source=source)


def type_a_pct(name: str, ratios: Sequence[float], source: str = "") -> Contribution:
    """Evaluate the mean of paired ratios of DUT to reference, in percent of it.

    Raises:
        ValueError: As `type_a`, or the mean ratio is not positive.
    """
    middle = mean(ratios)
    if middle <= 0:
        raise ValueError(f"{name}: ratios with a mean of {middle} have no relative scatter")
    return type_a(name, [100.0 * ratio / middle for ratio in ratios], source)


def within(
    name: str, half_width: float, distribution: Distribution = "rectangular", source: str = ""
) -> Contribution:
    """Evaluate a quantity that is known to lie within plus and minus `half_width`, >= 0.

    Raises:
        ValueError: The half-width is negative or no number, or the distribution has no half-width.
    """
    if distribution not in _DIVISORS:
        raise ValueError(f"{name}: a {distribution} distribution has no half-width")
    standard = half_width / _DIVISORS[distribution]
    return Contribution(name, standard, "B", distribution, half_width, source=source)


def certified(
    name: str, expanded: float, k: float = 2.0, dof: float = math.inf, source: str = ""
) -> Contribution:
    """Evaluate an expanded uncertainty from a certificate.

    Args:
        name: What was certified.
        expanded: Expanded uncertainty, >= 0.
        k: Its coverage factor, > 0.
        dof: Its effective degrees of freedom, >= 1.
        source: Number of the certificate.

    Raises:
        ValueError: An argument is outside its range.
    """
    if not (math.isfinite(k) and k > 0):
        raise ValueError(f"{name}: {k=}")
    return Contribution(name, expanded / k, "B", "normal", expanded, dof, source=source)


# ---- the bench ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Certificate:
    """What the calibration certificate of a reference says about one quantity at one point.

    Attributes:
        number: Number of the certificate.
        correction_pct: What is added to a reading, in percent of it.
        expanded_pct: Expanded uncertainty, in percent of the reading.
        k: Its coverage factor.
        dof: Its effective degrees of freedom.
    """

    number: str
    correction_pct: float
    expanded_pct: float
    k: float = 2.0
    dof: float = math.inf

    def corrected(self, reading: float) -> float:
        """Return a reading with the correction applied; anything not finite is a ValueError."""
        corrected = reading * (1 + self.correction_pct / 100)
        if not math.isfinite(corrected):
            raise ValueError(f"{reading=}, {self.correction_pct=}")
        return corrected


@dataclass(frozen=True)
class ReferencePoint:
    """The reference at one reading.

    Attributes:
        reading: What it shows, in V, A or W, not 0.
        limit: From its accuracy table, in the same unit.
        certificate: Of this quantity; None where the maker's specification is all there is.
    """

    reading: float
    limit: AccuracyLimit
    certificate: Certificate | None = None


@dataclass(frozen=True)
class BenchLimits:
    """Half-widths of what the bench adds, apart from the instruments. Defaults: metrology notes 4.1.

    Attributes:
        turns_position_pct: Position of the bundle in the CT, gap of a split core.
        crosstalk_pct: Neighbouring CTs and the return conductor.
        adaptor_state_pct: Regulation of the AC adaptor with the unit's own current.
        current_temperature_pct: Burden and voltage reference of the chip over the soak's 5 K.
        voltage_temperature_pct: The same for the voltage input.
        load_angle_deg: How well the angle of the load is known.
        pick_up_a: What a CT picks up with the load off, in A.
    """

    turns_position_pct: float = 0.2
    crosstalk_pct: float = 0.05
    adaptor_state_pct: float = 0.2
    current_temperature_pct: float = 0.05
    voltage_temperature_pct: float = 0.008
    load_angle_deg: float = 0.05
    pick_up_a: float = 0.0005


POSITION = "position of the turns"
CROSSTALK = "crosstalk"
ADAPTOR = "state of the adaptor"
_BENCH = "station file, or the estimate of metrology 4.1"
_REFERENCE = "reference meter"


def reference_lines(point: ReferencePoint) -> tuple[Contribution, ...]:
    """Return the reference's lines, in percent of its reading.

    Specification and additions are rectangular; the certificate's uncertainty is normal. All are of one
    group where two quantities of one meter meet in one budget.

    Raises:
        ValueError: The reading is 0 or no number.
    """
    if not math.isfinite(point.reading) or point.reading == 0:
        raise ValueError(f"{point.reading=}")
    share = 100.0 / abs(point.reading)
    limit = point.limit
    lines = [
        within("reference, specification", limit.base * share, source=limit.source),
        within("reference, self-heating", limit.self_heating * share, source=limit.source),
        within("reference, ambient temperature", limit.ambient * share, source=limit.source),
        within("reference, power factor", limit.power_factor * share, source=limit.source),
        within("reference, settings", limit.setting * share, source=limit.source),
        within("reference, resolution", limit.resolution * share, source="half a step"),
    ]
    kept = [line for line in lines if line.standard > 0]
    if (paper := point.certificate) is not None:
        name = "reference, certificate"
        kept.append(certified(name, paper.expanded_pct, paper.k, paper.dof, paper.number))
    return tuple(kept)


def typed_lines(step: float, reading: float, wander_pct: float) -> tuple[Contribution, Contribution]:
    """Return what a reading by a person adds, in percent of the reading.

    Args:
        step: One step of the last digit that was typed, in the unit of the reading.
        reading: What was typed, > 0.
        wander_pct: By how much the quantity was away from its mean at most, from question to answer: the
            reading was taken at an unknown time of it, and is compared with the mean.
    """
    return (
        within("reference, digits that were read", 50.0 * step / reading, source="half a step"),
        within("reference, time of the reading", wander_pct, source="the unit's windows meanwhile"),
    )


def resolution_pct(step: float, reading: float) -> Contribution:
    """Return the line of a display step at a reading, in percent of the reading, which must not be 0."""
    if not math.isfinite(reading) or reading == 0:
        raise ValueError(f"{reading=}")
    return within("resolution of the unit", 50.0 * step / abs(reading), source="half a step")


def gain_step_pct(counts: int) -> Contribution:
    """Return the line of rounding a gain register, in percent; `counts` must be positive."""
    if counts <= 0:
        raise ValueError(f"{counts=}")
    return within("step of the gain register", 50.0 / counts, source="half a count")


# ---- budgets --------------------------------------------------------------------------------------


def current_budget(
    reference: ReferencePoint,
    repeatability: Contribution,
    resolution: Contribution,
    bench: BenchLimits,
    gain_step: Contribution | None = None,
) -> Budget:
    """Build the budget of a current's error, in percent of the current.

    Args:
        reference: The reference's current.
        repeatability: From `type_a_pct` of the paired ratios.
        resolution: From `resolution_pct` at the DUT's reading.
        bench: What the bench adds.
        gain_step: From `gain_step_pct` where the gain was written from these windows; None when verified.
    """
    return Budget(
        "current",
        "%",
        (
            *reference_lines(reference),
            within(POSITION, bench.turns_position_pct, source=_BENCH),
            within(CROSSTALK, bench.crosstalk_pct, source=_BENCH),
            within("temperature of the unit", bench.current_temperature_pct, source=_BENCH),
            *_own(repeatability, resolution, gain_step),
        ),
    )


def voltage_budget(
    reference: ReferencePoint,
    repeatability: Contribution,
    resolution: Contribution,
    bench: BenchLimits,
    gain_step: Contribution | None = None,
) -> Budget:
    """Build the budget of a voltage's error, in percent of the voltage; arguments as `current_budget`."""
    return Budget(
        "voltage",
        "%",
        (
            *reference_lines(reference),
            within(ADAPTOR, bench.adaptor_state_pct, source=_BENCH),
            within("temperature of the unit", bench.voltage_temperature_pct, source=_BENCH),
            *_own(repeatability, resolution, gain_step),
        ),
    )


def power_budget(
    reference: ReferencePoint,
    repeatability: Contribution,
    resolution: Contribution,
    bench: BenchLimits,
) -> Budget:
    """Build the budget of an active power's error against the reference's power, in percent of the power.

    The reference's limit holds the influence of the power factor. Arguments as `current_budget`.
    """
    return Budget(
        "active power",
        "%",
        (
            *reference_lines(reference),
            within(POSITION, bench.turns_position_pct, source=_BENCH),
            within(CROSSTALK, bench.crosstalk_pct, source=_BENCH),
            within(ADAPTOR, bench.adaptor_state_pct, source=_BENCH),
            within("temperature of the unit, current", bench.current_temperature_pct, source=_BENCH),
            within("temperature of the unit, voltage", bench.voltage_temperature_pct, source=_BENCH),
            repeatability,
            resolution,
        ),
    )


def derived_power_budget(voltage: Budget, current: Budget, phase: Budget, angle_deg: float) -> Budget:
    """Build the budget of a power made of voltage, current and angle, in percent of the power.

    The reference's voltage and current come from one meter: their lines are one group.

    Args:
        voltage: In percent, from `voltage_budget`.
        current: In percent, from `current_budget`.
        phase: In degrees, from `phase_budget`.
        angle_deg: Angle of the load, in degrees, between -90 and 90.

    Raises:
        ValueError: The load takes no active power.

    Source:
        Metrology notes 4.1: u_P^2 = u_V^2 + u_I^2 + (tan(phi) u_phi)^2, plus the correlation.
    """
    if not abs(angle_deg) < 90.0:
        raise ValueError(f"{angle_deg=}")
    slope = 100.0 * math.radians(1.0) * math.tan(math.radians(angle_deg))
    lines: list[Contribution] = []
    for budget in (voltage, current):
        for line in budget.contributions:
            group = _REFERENCE if line.name.startswith("reference") else ""
            lines.append(replace(line, name=f"{budget.quantity}: {line.name}", group=group))
    for line in phase.contributions:
        lines.append(
            replace(line, name=f"{phase.quantity}: {line.name}", sensitivity=slope * line.sensitivity)
        )
    return Budget("active power", "%", tuple(lines))


def phase_budget(
    repeatability: Contribution,
    bench: BenchLimits,
    step_deg: float = 0.0,
    reference_angle_deg: float | None = None,
) -> Budget:
    """Build the budget of a phase angle, in degrees.

    Args:
        repeatability: From `type_a` of the angles of the windows, in degrees.
        bench: What the bench adds; its load angle is the reference where the load is resistive.
        step_deg: What one count of the phase register turns, where it was written from these windows.
        reference_angle_deg: Half-width of the reference meter's angle where that meter, not the load, is
            the reference; from `AccuracyTable.angle_limit_deg`.
    """
    if reference_angle_deg is None:
        known = within("angle of the load", bench.load_angle_deg, source=_BENCH)
    else:
        known = within("reference, angle", reference_angle_deg, source="power at PF 0")
    lines = [known, repeatability]
    if step_deg:
        lines.append(within("step of the phase register", step_deg / 2, source="half a count"))
    return Budget("phase", "deg", tuple(lines))


def power_factor_budget(angle_deg: float, phase: Uncertainty, step: float) -> Budget:
    """Build the budget of a power factor, as a ratio.

    At an angle of 0 the slope of the cosine is 0; what is left is its curvature, so that line is
    rectangular within 1 - cos(U of the angle).

    Args:
        angle_deg: Angle of the load, in degrees.
        phase: Uncertainty of the angle, in degrees.
        step: Step of the power factor's register, > 0; 0.001 for this chip.

    Raises:
        ValueError: The angle is not finite.
    """
    if not math.isfinite(angle_deg):
        raise ValueError(f"{angle_deg=}")
    slope = math.sin(math.radians(angle_deg)) * math.radians(1.0)
    curvature = 1 - math.cos(math.radians(phase.expanded))
    return Budget(
        "power factor",
        "",
        (
            Contribution("phase angle", phase.standard, dof=phase.dof, sensitivity=slope),
            within("curvature of the cosine", curvature, source="angle near 0"),
            within("resolution of the unit", step / 2, source="half a step"),
        ),
    )


def zero_budget(repeatability: Contribution, step_a: float, bench: BenchLimits) -> Budget:
    """Build the budget of a zero reading of the current, in A.

    Args:
        repeatability: From `type_a` of the zero readings, in A.
        step_a: Display step of the reading, in A: 0.001, or 1/256 of it with low words.
        bench: What the bench adds.
    """
    return Budget(
        "zero current",
        "A",
        (
            within("pick-up", bench.pick_up_a, source=_BENCH),
            repeatability,
            within("resolution of the unit", step_a / 2, source="half a step"),
        ),
    )


def zero_power_budget(
    repeatability: Contribution, step_w: float, voltage_v: float, bench: BenchLimits
) -> Budget:
    """Build the budget of an active power that is read without a load, in W.

    Args:
        repeatability: From `type_a` of the readings, in W.
        step_w: Display step of the reading, in W.
        voltage_v: Of the mains, in V: what a CT picks up may be in phase with it.
        bench: What the bench adds.
    """
    return Budget(
        "zero power",
        "W",
        (
            within("pick-up", bench.pick_up_a * voltage_v, source=_BENCH),
            repeatability,
            within("resolution of the unit", step_w / 2, source="half a step"),
        ),
    )


def _own(
    repeatability: Contribution, resolution: Contribution, gain_step: Contribution | None
) -> tuple[Contribution, ...]:
    lines = (repeatability, resolution)
    return lines if gain_step is None else (*lines, gain_step)
