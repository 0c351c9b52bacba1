"""What must be known before a calibration may start: certificates in date, uncertainties small enough."""

from __future__ import annotations

import calendar
import datetime
import math

from mfg.calibration.accuracy import accuracy_of
from mfg.calibration.decision import Spread, Tolerance, uncertainty_ratio
from mfg.calibration.uncertainty import (
    Budget,
    Contribution,
    current_budget,
    phase_budget,
    power_budget,
    resolution_pct,
    voltage_budget,
    within,
)
from mfg.certificates import HAND_HELD_METER, REFERENCES, Certificate
from mfg.limits import Limit, LimitSet
from mfg.readings.evaluation import POWER_STEP_W
from mfg.readings.standard import ReferenceStandard, bench_limits
from mfg.station import LoadPoint, Station

EXPECTED_SCATTER_PCT = 0.0025  # of a port's mean ratio: the dwell ends at 25 ppm
EXPECTED_SCATTER_DOF = 7.0  # eight windows
EXPECTED_AMBIENT_DEGC = 23.0
EXPECTED_WANDER_PCT = 0.1  # of the mains while a person reads a meter, about 5 s (metrology 3.3)
CURRENT_STEP_A, VOLTAGE_STEP_V = 0.001, 0.01  # of the original interface, the coarser one


def past_due(certificates: dict[str, Certificate], today: datetime.date) -> list[str]:
    """Name the instruments whose certificate, or whose maker's specification after it, no longer counts.

    Raises:
        StationError: No accuracy table covers a reference meter.
    """
    problems = []
    for role, paper in certificates.items():
        what = f"the {role.replace('_', ' ')} (certificate {paper.number})"
        if paper.is_due(today):
            problems.append(f"{what} was due on {paper.due.isoformat()}")
        elif role in REFERENCES:
            months = int(accuracy_of(paper.model).interval_months)
            until = _months_later(paper.issued, months)
            if today > until:
                problems.append(
                    f"{what} is specified for {months} months after its calibration, until "
                    f"{until.isoformat()}"
                )
    return problems


def _months_later(day: datetime.date, months: int) -> datetime.date:
    years, month = divmod(day.month - 1 + months, 12)
    last = calendar.monthrange(day.year + years, month + 1)[1]
    return datetime.date(day.year + years, month + 1, min(day.day, last))


def too_uncertain(station: Station, limits: LimitSet, certificate: Certificate) -> list[str]:
    """Name the limits that this bench cannot judge with the test uncertainty ratio they require.

    The uncertainty is what the budget comes to at the nominal readings of each load point.

    Raises:
        StationError: No accuracy table covers the reference meter, or its range does not cover a point.
    """
    settings = station.reference_meter
    standard = ReferenceStandard(
        accuracy_of(certificate.model),
        certificate,
        settings.voltage_range_v,
        settings.update_s,
        EXPECTED_AMBIENT_DEGC,
    )
    problems = []
    for point in station.load_points:
        for quantity, budget in _budgets(station, standard, point).items():
            limit = _limit(limits, f"port1_{point.name}_{quantity}")
            if limit is None or not limit.required_tur:
                continue
            ratio = _ratio(limit, budget)
            if ratio < limit.required_tur:
                problems.append(
                    f"{quantity} at the point {point.name}: test uncertainty ratio {ratio:.2f}, "
                    f"required {limit.required_tur:g}"
                )
    return problems


def _budgets(station: Station, standard: ReferenceStandard, point: LoadPoint) -> dict[str, Budget]:
    bench, hz = bench_limits(station), float(station.line_frequency_hz)
    port_a = point.current_a * station.conductor.turns
    volts = station.nominal_voltage_v
    voltage, current = (
        standard.voltage_point(volts, hz),
        standard.current_point(point.current_a, point.range_a, hz),
    )
    scatter = Contribution(
        "repeatability", EXPECTED_SCATTER_PCT, "A", dof=EXPECTED_SCATTER_DOF, source="expected"
    )
    budgets = {
        "voltage_error_pct": voltage_budget(voltage, scatter, resolution_pct(VOLTAGE_STEP_V, volts), bench),
        "current_error_pct": current_budget(current, scatter, resolution_pct(CURRENT_STEP_A, port_a), bench),
    }
    if station.reference_meter.certificate == HAND_HELD_METER:  # it gives neither power nor angle
        typed = [within("reference, time of the reading", EXPECTED_WANDER_PCT / 2, source="expected")]
        return {name: budget.with_lines(typed) for name, budget in budgets.items()}
    angle_deg = station.conductor.load_angle_deg
    power = standard.power_point(volts, point.current_a, point.range_a, angle_deg, hz)
    return budgets | {
        "power_error_pct": power_budget(power, scatter, resolution_pct(POWER_STEP_W, volts * port_a), bench),
        "phase_error_deg": phase_budget(scatter, bench),
    }


def _limit(limits: LimitSet, name: str) -> Limit | None:
    return next((limit for limit in limits.of_phase("verify_points") if limit.name == name), None)


def _ratio(limit: Limit, budget: Budget) -> float:
    found = budget.evaluate()
    dof = found.dof if math.isfinite(found.dof) else math.inf
    return uncertainty_ratio(Tolerance(limit.low, limit.high), Spread(found.standard, found.expanded, dof))
