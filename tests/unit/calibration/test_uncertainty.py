"""Uncertainty budgets: the figures of the metrology notes 4.1, and the rules behind them."""

import dataclasses
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.calibration.accuracy import AccuracyLimit, Conditions, accuracy_of
from mfg.calibration.uncertainty import (
    BenchLimits,
    Budget,
    Certificate,
    Contribution,
    ReferencePoint,
    certified,
    current_budget,
    derived_power_budget,
    gain_step_pct,
    phase_budget,
    power_budget,
    power_factor_budget,
    reference_lines,
    resolution_pct,
    type_a,
    type_a_pct,
    typed_lines,
    voltage_budget,
    within,
    zero_budget,
    zero_power_budget,
)

BENCH = BenchLimits()
TABLE = accuracy_of("WT310E")
MAINS = Conditions(50.0)
CURRENT = ReferencePoint(9.0, TABLE.current_limit(9.0, 10.0, MAINS))
VOLTAGE = ReferencePoint(240.0, TABLE.voltage_limit(240.0, 300.0, MAINS))
ALMOST_NOTHING = Contribution("windows", 0.0014, "A", dof=15.0)


def gain_current() -> Budget:
    return current_budget(
        CURRENT, ALMOST_NOTHING, resolution_pct(0.001 / 256, 54.0), BENCH, gain_step_pct(42720)
    )


def gain_voltage() -> Budget:
    return voltage_budget(
        VOLTAGE, ALMOST_NOTHING, resolution_pct(0.01 / 256, 240.0), BENCH, gain_step_pct(55600)
    )


def test_the_current_budget_of_the_notes_comes_out():
    result = gain_current().evaluate()
    assert result.standard == pytest.approx(0.152, abs=0.001)
    assert result.expanded == pytest.approx(0.30, abs=0.005)
    assert result.k == pytest.approx(2.0, abs=1e-3)
    assert result.dof > 1e6
    assert [line.contribution.name for line in result.lines[:2]] == [
        "position of the turns",
        "reference, specification",
    ]


def test_the_voltage_budget_of_the_notes_comes_out():
    """The notes add 0.05 % for the air; here the air is within the specification."""
    warm = ReferencePoint(240.0, dataclasses.replace(VOLTAGE.limit, ambient=0.12))
    budget = voltage_budget(warm, ALMOST_NOTHING, resolution_pct(0.01, 240.0), BENCH)
    assert budget.evaluate().standard == pytest.approx(0.152, abs=0.001)
    assert gain_voltage().evaluate().expanded < budget.evaluate().expanded


def test_the_zero_budget_of_the_notes_comes_out():
    repeatability = Contribution("zero readings", 0.00002, "A", dof=7.0)
    result = zero_budget(repeatability, 0.001, BENCH).evaluate()
    assert result.standard * 1000 == pytest.approx(0.41, abs=0.005)
    assert result.expanded * 1000 == pytest.approx(0.8, abs=0.02)
    assert result.unit == "A"


def test_a_power_without_a_load_is_uncertain_by_what_a_ct_picks_up_of_the_mains():
    result = zero_power_budget(
        Contribution("zero readings", 0.0, "A", dof=2.0), 0.08, 230.0, BENCH
    ).evaluate()
    assert result.standard == pytest.approx(math.hypot(0.0005 * 230.0, 0.04) / math.sqrt(3))
    assert result.unit == "W"


def test_the_shares_of_a_budget_are_all_of_it_and_fall():
    result = gain_current().evaluate()
    shares = [line.share_pct for line in result.lines]
    assert sum(shares) == pytest.approx(100.0)
    assert shares == sorted(shares, reverse=True)


def test_a_certificate_is_a_line_and_a_correction():
    paper = Certificate("EMU-0001", correction_pct=-0.02, expanded_pct=0.03)
    assert paper.corrected(9.0) == pytest.approx(8.9982)
    lines = reference_lines(dataclasses.replace(CURRENT, certificate=paper))
    assert lines[-1].standard == pytest.approx(0.015)
    assert lines[-1].source == "EMU-0001"
    with pytest.raises(ValueError, match="reading=nan"):
        paper.corrected(math.nan)


def test_only_the_additions_that_apply_are_lines():
    names = [line.name for line in reference_lines(CURRENT)]
    assert names == ["reference, specification", "reference, self-heating"]
    limit = AccuracyLimit(0.01, 0.0, 0.002, 0.003, 0.004, "a manual")
    names = [line.name for line in reference_lines(ReferencePoint(-2.0, limit))]
    assert names == [
        "reference, specification",
        "reference, ambient temperature",
        "reference, power factor",
        "reference, settings",
    ]


def test_a_typed_reading_adds_its_last_digit_and_the_time_that_it_took():
    digits, time = typed_lines(
        0.01, 9.0, 0.1
    )  # 9.00 A, typed while the load was up to 0.1 % away from its mean
    assert digits.standard == pytest.approx(0.005 / 9.0 * 100 / math.sqrt(3))
    assert time.standard == pytest.approx(0.1 / math.sqrt(3))
    plain, typed = gain_current(), gain_current().with_lines([digits, time])
    assert typed.contributions == (*plain.contributions, digits, time)
    assert typed.evaluate().standard == pytest.approx(
        math.hypot(plain.evaluate().standard, digits.standard, time.standard)
    )


def test_few_windows_make_a_larger_factor():
    lines = (Contribution("windows", 0.1, "A", dof=3.0), within("limit", 0.01))
    result = Budget("current", "%", lines).evaluate()
    assert result.dof == pytest.approx(3.0, rel=0.01)
    assert result.k == pytest.approx(3.31, abs=0.02)


def test_degrees_of_freedom_follow_welch_and_satterthwaite():
    lines = (Contribution("a", 0.3, "A", dof=4.0), Contribution("b", 0.4, "A", dof=9.0), within("c", 0.5))
    result = Budget("x", "", lines).evaluate()
    square = 0.09 + 0.16 + 0.25 / 3
    assert result.standard == pytest.approx(math.sqrt(square))
    assert result.dof == pytest.approx(square**2 / (0.09**2 / 4 + 0.16**2 / 9))


@given(
    st.lists(
        st.tuples(st.floats(1e-6, 1.0), st.integers(1, 60), st.floats(-3.0, 3.0)), min_size=1, max_size=8
    )
)
def test_a_budget_is_never_smaller_than_its_largest_line(rows):
    lines = tuple(
        Contribution(f"line {index}", standard, "A", dof=float(dof), sensitivity=sensitivity)
        for index, (standard, dof, sensitivity) in enumerate(rows)
    )
    budget = Budget("x", "", lines)
    if not any(line.component for line in lines):
        with pytest.raises(ValueError, match="no contribution"):
            budget.evaluate()
        return
    result = budget.evaluate()
    assert result.standard == pytest.approx(math.hypot(*(line.component for line in lines)), rel=1e-9)
    assert result.standard >= max(line.component for line in lines) * (1 - 1e-12)
    assert result.k >= 1.999
    assert result.expanded >= result.standard


def test_a_budget_without_a_contribution_is_a_budget_that_was_forgotten():
    for lines in ((), (within("nothing", 0.0),)):
        with pytest.raises(ValueError, match="no contribution"):
            Budget("current", "%", lines).evaluate()


def test_readings_are_evaluated_as_their_mean():
    readings = [10.0, 10.2, 9.9, 10.1]
    line = type_a("windows", readings, "four windows")
    assert line.standard == pytest.approx(statistics.stdev(readings) / 2)
    assert line.dof == 3
    assert line.evaluation == "A"
    assert type_a_pct("windows", readings).standard == pytest.approx(line.standard / 10.05 * 100)


@pytest.mark.parametrize("readings", [[], [1.0], [1.0, math.nan], [math.inf, 1.0]])
def test_too_few_readings_have_no_scatter(readings):
    with pytest.raises(ValueError, match=r"scatter|cannot average"):
        type_a("windows", readings)


def test_ratios_are_positive_on_the_mean():
    with pytest.raises(ValueError, match="no relative scatter"):
        type_a_pct("windows", [-1.0, 1.0])


def test_half_widths_have_the_divisors_of_their_distributions():
    assert within("a", 3.0).standard == pytest.approx(3.0 / math.sqrt(3))
    assert within("a", 3.0, "triangular").standard == pytest.approx(3.0 / math.sqrt(6))
    assert within("a", 3.0, "arcsine").standard == pytest.approx(3.0 / math.sqrt(2))
    with pytest.raises(ValueError, match="no half-width"):
        within("a", 3.0, "normal")
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="standard"):
            within("a", bad)


def test_an_expanded_uncertainty_is_divided_by_its_factor():
    assert certified("paper", 0.3, 2.0, 50.0).standard == 0.15
    for factor in (0.0, -2.0, math.nan):
        with pytest.raises(ValueError, match="k="):
            certified("paper", 0.3, factor)


def test_degrees_of_freedom_below_one_are_refused():
    with pytest.raises(ValueError, match="dof"):
        certified("paper", 0.3, 2.0, 0.5)


@pytest.mark.parametrize("reading", [0.0, math.nan, math.inf])
def test_nothing_is_relative_to_no_reading(reading):
    with pytest.raises(ValueError, match="reading="):
        resolution_pct(0.001, reading)
    with pytest.raises(ValueError, match="reading="):
        reference_lines(ReferencePoint(reading, CURRENT.limit))


def test_a_gain_step_is_half_a_count():
    assert gain_step_pct(42720).limit == pytest.approx(0.00117, abs=1e-5)
    with pytest.raises(ValueError, match="counts"):
        gain_step_pct(0)


def test_a_power_read_by_the_reference_has_its_budget():
    limit = TABLE.power_limit(240.0, 9.0, 0.0, (300.0, 10.0), MAINS)
    result = power_budget(
        ReferencePoint(2160.0, limit), ALMOST_NOTHING, resolution_pct(0.08, 12960.0), BENCH
    ).evaluate()
    assert result.quantity == "active power"
    assert result.standard == pytest.approx(0.195, abs=0.001)


def test_a_power_of_voltage_and_current_takes_the_reference_as_correlated():
    """Metrology 4.1: r = 0 and 1, the larger is reported."""
    phase = phase_budget(Contribution("angles", 0.001, "A", dof=7.0), BENCH)
    result = derived_power_budget(gain_voltage(), gain_current(), phase, 0.0).evaluate()
    voltage, current = gain_voltage().evaluate(), gain_current().evaluate()
    assert result.correlated
    assert result.standard > math.hypot(voltage.standard, current.standard)
    assert result.standard < voltage.standard + current.standard
    assert any(line.contribution.name == "voltage: state of the adaptor" for line in result.lines)


def test_a_degree_of_angle_counts_at_half_power_factor():
    phase = phase_budget(Contribution("angles", 0.001, "A", dof=7.0), BenchLimits(load_angle_deg=1.0))
    upright = derived_power_budget(gain_voltage(), gain_current(), phase, 0.0).evaluate()
    slanted = derived_power_budget(gain_voltage(), gain_current(), phase, 60.0).evaluate()
    added = math.sqrt(slanted.standard**2 - upright.standard**2)
    assert added == pytest.approx(100 * math.tan(math.radians(60)) * math.radians(1 / math.sqrt(3)), rel=0.01)
    for angle_deg in (90.0, -90.0, math.nan):
        with pytest.raises(ValueError, match="angle_deg"):
            derived_power_budget(gain_voltage(), gain_current(), phase, angle_deg)


def test_a_group_with_finite_degrees_of_freedom_keeps_the_fewest():
    lines = (
        Contribution("a", 0.1, dof=5.0, group="meter"),
        Contribution("b", 0.1, dof=9.0, sensitivity=-2.0, group="meter"),
    )
    result = Budget("x", "", lines).evaluate()
    assert result.correlated
    assert result.standard == pytest.approx(0.3)
    assert result.dof == pytest.approx(5.0)


def test_a_phase_budget_knows_what_its_reference_is():
    angles = Contribution("angles", 0.001, "A", dof=7.0)
    by_load = phase_budget(angles, BENCH, step_deg=0.00879).evaluate()
    by_meter = phase_budget(angles, BENCH, reference_angle_deg=TABLE.angle_limit_deg()).evaluate()
    assert by_load.lines[0].contribution.name == "angle of the load"
    assert by_meter.lines[0].contribution.name == "reference, angle"
    assert by_load.expanded == pytest.approx(2 * math.hypot(0.05 / math.sqrt(3), 0.001, 0.0025), rel=0.01)


def test_a_power_factor_near_one_has_the_curvature_of_the_cosine():
    phase = phase_budget(Contribution("angles", 0.001, "A", dof=7.0), BENCH).evaluate()
    upright = power_factor_budget(0.0, phase, 0.001).evaluate()
    assert upright.standard == pytest.approx(0.0005 / math.sqrt(3), rel=1e-3)
    slanted = power_factor_budget(60.0, phase, 0.001).evaluate()
    slope = math.sin(math.radians(60)) * math.radians(phase.standard)
    assert slanted.standard == pytest.approx(math.hypot(slope, 0.0005 / math.sqrt(3)), rel=1e-3)
    with pytest.raises(ValueError, match="angle_deg"):
        power_factor_budget(math.nan, phase, 0.001)
