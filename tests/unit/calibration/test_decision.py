"""Decision rules: the worked numbers of the metrology notes 4.2 and 4.3, and properties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.calibration.decision import (
    Rule,
    Spread,
    Tolerance,
    Verdict,
    acceptance_limits,
    conformity_probability,
    decide,
    global_risk,
    managed_guard_band,
    uncertainty_ratio,
)

SIMPLE, GUARDED = Rule("simple"), Rule("guarded", required_tur=1.5)
FIVE_PERCENT = Rule("stated_risk", risk=0.05)
CLASS_1 = Tolerance(-1.0, 1.0)
U_030 = Spread(0.15, 0.30)


@pytest.mark.parametrize(("limit_pct", "ratio"), [(1.0, 3.3), (2.0, 6.7), (3.5, 11.7), (0.5, 1.7)])
def test_the_test_uncertainty_ratio_is_tolerance_over_expanded_uncertainty(limit_pct, ratio):
    assert uncertainty_ratio(Tolerance(-limit_pct, limit_pct), U_030) == pytest.approx(ratio, abs=0.05)


@pytest.mark.parametrize(
    ("limit_pct", "expanded_pct", "acceptance_pct"),
    [(3.0, 0.4, 2.6), (2.0, 0.3, 1.7), (1.0, 0.3, 0.7), (0.5, 0.3, 0.2)],
)
def test_the_acceptance_limits_of_the_notes_come_out(limit_pct, expanded_pct, acceptance_pct):
    spread = Spread(expanded_pct / 2, expanded_pct)
    acceptance = acceptance_limits(Tolerance(-limit_pct, limit_pct), spread, GUARDED)
    assert acceptance.high == pytest.approx(acceptance_pct)
    assert acceptance.low == pytest.approx(-acceptance_pct)


def test_a_guard_band_of_u_leaves_a_risk_below_two_and_a_half_percent():
    at_limit = conformity_probability(0.7, CLASS_1, U_030)
    assert 1 - at_limit == pytest.approx(0.02275, abs=1e-5)


def test_a_stated_risk_of_five_percent_is_1_64_standard_uncertainties():
    acceptance = acceptance_limits(CLASS_1, U_030, FIVE_PERCENT)
    assert 1.0 - acceptance.high == pytest.approx(1.645 * 0.15, abs=1e-4)
    one_sided = acceptance_limits(Tolerance(None, 1.0), U_030, FIVE_PERCENT)
    assert one_sided.high == pytest.approx(acceptance.high, abs=1e-6)
    assert one_sided.low == -math.inf
    below = acceptance_limits(Tolerance(-1.0, None), U_030, FIVE_PERCENT)
    assert below.low == pytest.approx(-acceptance.high, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "rule", "verdict"),
    [
        (0.99, SIMPLE, Verdict.PASS),
        (1.00, SIMPLE, Verdict.PASS),
        (1.01, SIMPLE, Verdict.FAIL),
        (0.69, GUARDED, Verdict.PASS),
        (0.71, GUARDED, Verdict.INDETERMINATE),
        (1.29, GUARDED, Verdict.INDETERMINATE),
        (1.31, GUARDED, Verdict.FAIL),
        (-1.31, GUARDED, Verdict.FAIL),
        (-0.71, GUARDED, Verdict.INDETERMINATE),
        (0.75, FIVE_PERCENT, Verdict.PASS),
        (0.76, FIVE_PERCENT, Verdict.INDETERMINATE),
        (1.24, FIVE_PERCENT, Verdict.INDETERMINATE),
        (1.25, FIVE_PERCENT, Verdict.FAIL),
    ],
)
def test_the_three_verdicts(value, rule, verdict):
    assert decide(value, CLASS_1, U_030, rule).verdict is verdict


def test_a_decision_says_what_it_rests_on():
    decision = decide(0.5, Tolerance(-0.5, 0.5), U_030, Rule("guarded", required_tur=1.5))
    assert decision.guard_band == pytest.approx(0.30)
    assert decision.conformity_probability == pytest.approx(0.5)
    assert decision.tur == pytest.approx(1.667, abs=1e-3)
    assert decision.tur_met
    assert not decide(0.5, Tolerance(-0.5, 0.5), U_030, Rule("simple", required_tur=4.0)).tur_met


def test_one_limit_guards_one_side_only():
    zero = Tolerance(None, 0.010)
    spread = Spread(0.0004, 0.0008)
    assert decide(0.0003, zero, spread, GUARDED).verdict is Verdict.PASS
    assert decide(0.0095, zero, spread, GUARDED).verdict is Verdict.INDETERMINATE
    assert decide(0.0109, zero, spread, GUARDED).verdict is Verdict.FAIL
    assert decide(0.0, zero, spread, GUARDED).tur == pytest.approx(12.5)
    above = Tolerance(0.9, None, nominal=1.0)
    decision = decide(0.99, above, Spread(0.01, 0.02), GUARDED)
    assert decision.verdict is Verdict.PASS
    assert decision.guard_band == pytest.approx(0.02)
    assert decision.tur == pytest.approx(5.0)


def test_an_uncertainty_larger_than_the_tolerance_lets_nothing_pass():
    wide = Spread(1.0, 2.0)
    for rule in (GUARDED, FIVE_PERCENT):
        assert acceptance_limits(CLASS_1, wide, rule).empty
        assert decide(0.0, CLASS_1, wide, rule).verdict is Verdict.INDETERMINATE
    assert decide(0.0, CLASS_1, wide, SIMPLE).verdict is Verdict.PASS
    assert not acceptance_limits(CLASS_1, U_030, GUARDED).empty


def test_few_degrees_of_freedom_ask_for_more_room():
    few = Spread(0.15, 0.43, dof=4.0)
    many = Spread(0.15, 0.30, dof=1e6)
    acceptance = acceptance_limits(CLASS_1, few, FIVE_PERCENT)
    assert 1 - acceptance.high == pytest.approx(2.132 * 0.15, abs=1e-3)
    one_sided = acceptance_limits(Tolerance(None, 1.0), few, FIVE_PERCENT)
    assert one_sided.high == pytest.approx(acceptance.high, abs=1e-3)
    for value in (0.0, 0.7, 1.0, 1.2):
        assert conformity_probability(value, CLASS_1, many) == pytest.approx(
            conformity_probability(value, CLASS_1, U_030), abs=1e-5
        )


@pytest.mark.parametrize("rule", [SIMPLE, GUARDED, FIVE_PERCENT])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("tolerance", [CLASS_1, Tolerance(None, 1.0), Tolerance(-1.0, None)])
def test_what_is_no_number_fails(value, rule, tolerance):
    decision = decide(value, tolerance, U_030, rule)
    assert decision.verdict is Verdict.FAIL
    assert decision.conformity_probability == 0.0


@given(
    st.floats(-5.0, 5.0),
    st.floats(0.01, 2.0),
    st.sampled_from([SIMPLE, GUARDED, FIVE_PERCENT, Rule("stated_risk", risk=0.5)]),
)
def test_what_passes_is_inside_and_what_fails_is_outside(value, standard, rule):
    decision = decide(value, CLASS_1, Spread(standard, 2 * standard), rule)
    assert 0.0 <= decision.conformity_probability <= 1.0
    assert decision.guard_band >= -1e-12
    if decision.verdict is Verdict.PASS:
        assert CLASS_1.contains(value)
    if decision.verdict is Verdict.FAIL:
        assert not CLASS_1.contains(value)


@given(st.floats(-3.0, 3.0), st.floats(0.01, 2.0))
def test_a_stated_risk_holds_for_every_value_that_passes(value, standard):
    decision = decide(value, CLASS_1, Spread(standard, 2 * standard), FIVE_PERCENT)
    if decision.verdict is Verdict.PASS:
        assert 1 - decision.conformity_probability <= 0.05 + 1e-9


@given(st.floats(-3.0, 3.0), st.floats(0.01, 1.0))
def test_verdicts_do_not_depend_on_the_sign(value, standard):
    spread = Spread(standard, 2 * standard)
    for rule in (SIMPLE, GUARDED):
        assert decide(value, CLASS_1, spread, rule).verdict is decide(-value, CLASS_1, spread, rule).verdict


@pytest.mark.parametrize(
    ("ratio", "simple", "guarded"),
    [
        (1, (1.80, 13.0), (0.00, 95.0)),
        (2, (1.34, 4.2), (0.036, 33.0)),
        (3, (1.05, 2.3), (0.026, 16.0)),
        (4, (0.86, 1.6), (0.021, 10.0)),
        (8, (0.49, 0.7), (0.011, 3.9)),
    ],
)
def test_the_global_risks_of_the_notes_come_out(ratio, simple, guarded):
    for guard_ratio, (accept, reject) in ((0.0, simple), (1.0, guarded)):
        risk = global_risk(ratio, guard_ratio)
        assert risk.false_accept * 100 == pytest.approx(accept, rel=0.03, abs=0.006)
        assert risk.false_reject * 100 == pytest.approx(reject, rel=0.04, abs=0.06)


def test_a_global_risk_needs_sensible_figures():
    for arguments in ((0.0, 0.0), (math.nan, 0.0), (1.0, -1.0), (1.0, math.inf), (1.0, 0.0, 1.0)):
        with pytest.raises(ValueError, match="ratio="):
            global_risk(*arguments)


def test_a_managed_guard_band_ends_at_a_ratio_of_4_6():
    at_two = managed_guard_band(CLASS_1, Spread(0.25, 0.5))
    assert at_two == pytest.approx(0.5 * (1.04 - math.exp(0.38 * math.log(2) - 0.54)))
    assert managed_guard_band(CLASS_1, Spread(0.1, 0.2)) == 0.0
    assert global_risk(2.0, at_two / 0.5).false_accept < 0.02


@pytest.mark.parametrize(
    ("low", "high", "nominal"),
    [
        (None, None, 0.0),
        (1.0, 1.0, 0.0),
        (2.0, 1.0, 0.0),
        (math.nan, 1.0, 0.0),
        (0.0, math.inf, 0.0),
        (0.0, 1.0, math.nan),
    ],
)
def test_a_tolerance_has_finite_limits_with_room_between(low, high, nominal):
    with pytest.raises(ValueError, match="low"):
        Tolerance(low, high, nominal)


@pytest.mark.parametrize(
    ("kind", "risk", "required"),
    [
        ("stated_risk", 0.0, 0.0),
        ("stated_risk", 0.6, 0.0),
        ("stated_risk", math.nan, 0.0),
        ("guarded", 0.05, 0.0),
        ("none", 0.0, 0.0),
        ("simple", 0.0, -1.0),
        ("simple", 0.0, math.inf),
    ],
)
def test_a_rule_that_means_nothing_is_refused(kind, risk, required):
    with pytest.raises(ValueError, match=r"risk|required_tur"):
        Rule(kind, risk, required)


@pytest.mark.parametrize(
    "figures", [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (1.0, math.inf), (1.0, 2.0, 0.5)]
)
def test_what_is_no_uncertainty_is_refused(figures):
    with pytest.raises(ValueError, match="is no uncertainty"):
        Spread(*figures)
