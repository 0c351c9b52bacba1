"""The uncertainty in a record: what is accepted, and that no figure may contradict the others."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import calibrated_record
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.errors import StationError
from mfg.records.record import Record, accept_text, failures, validate_record
from mfg.records.uncertainty import check_uncertainty, cumulative

Make = Callable[..., Record]
LINES = [calibrated_record.line("reference, specification", 0.2), calibrated_record.repeatability(0.0014)]
U = calibrated_record.uncertainty(0.0, -0.5, 0.5, LINES)["expanded"]


def measured(value: float, low: float = -0.5, high: float = 0.5, **changes: Any) -> Any:
    """Return a measurement in %, judged with w = U; `changes` go over its uncertainty."""
    entry = calibrated_record.judged("x", value, "%", low, high, LINES)
    return entry | {"uncertainty": entry["uncertainty"] | changes}


def at_risk(value: float, **changes: Any) -> Any:
    """Return a measurement judged by a stated risk of 2.5 %."""
    standard = U / 2
    band = 1.959964 * standard
    inside = abs(value) <= 0.5 - band
    risk = {"rule": "risk", "risk_pct": 2.5, "accept_low": band - 0.5, "accept_high": 0.5 - band}
    verdict = "PASS" if inside else "INDETERMINATE"
    return measured(value, **risk | {"verdict": verdict} | changes) | {"outcome": verdict}


def refused(entry: Any, named: str) -> None:
    with pytest.raises(StationError, match=named):
        check_uncertainty(entry, "x")


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (0.1, "PASS"),
        (0.5 - U, "PASS"),
        (-0.45, "INDETERMINATE"),
        (0.5, "INDETERMINATE"),
        (0.6, "FAIL"),
        (-0.9, "FAIL"),
    ],
)
def test_a_value_judged_with_a_guard_band_is_accepted(value: float, outcome: str):
    entry = measured(value)
    assert entry["outcome"] == outcome
    check_uncertainty(entry, "x")


def test_a_value_beyond_its_limit_by_less_than_u_is_not_proved_bad_and_has_failed():
    entry = measured(0.6)
    assert (entry["uncertainty"]["verdict"], entry["outcome"]) == ("INDETERMINATE", "FAIL")
    check_uncertainty(entry, "x")
    entry["uncertainty"]["verdict"] = "FAIL"
    check_uncertainty(entry, "x")


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.1, "INDETERMINATE"), (0.1, "FAIL"), (0.45, "PASS"), (0.45, "FAIL"), (0.9, "INDETERMINATE")],
)
def test_a_verdict_that_its_own_figures_do_not_bear_out_is_refused(value: float, verdict: str):
    refused(measured(value, verdict=verdict) | {"outcome": "FAIL"}, "verdict")


def test_a_value_with_a_smaller_ratio_than_is_required_is_undecided_or_somebody_let_it_pass():
    coarse = {"required_tur": 100.0}
    check_uncertainty(measured(0.1, **coarse), "x")
    undecided = measured(0.1, **coarse, verdict="INDETERMINATE")
    check_uncertainty(undecided | {"outcome": "INDETERMINATE"}, "x")
    refused(undecided, "x.outcome")
    refused(measured(0.1, **coarse, verdict="FAIL") | {"outcome": "FAIL"}, "verdict")


@pytest.mark.parametrize("outcome", ["PASS", "UNSET"])
def test_an_outcome_better_than_its_verdict_is_refused(outcome: str):
    refused(measured(0.45) | {"outcome": outcome}, "x.outcome")


def test_an_outcome_may_be_worse_than_its_verdict():
    check_uncertainty(measured(0.1) | {"outcome": "FAIL"}, "x")


def test_simple_acceptance_knows_no_third_verdict():
    simple = {"rule": "simple", "accept_low": -0.5, "accept_high": 0.5, "verdict": "PASS"}
    check_uncertainty(measured(0.45, **simple) | {"outcome": "PASS"}, "x")
    refused(measured(0.6, **simple | {"verdict": "INDETERMINATE"}), "verdict")


def test_a_stated_risk_is_accepted_with_the_limits_that_leave_it():
    check_uncertainty(at_risk(0.1), "x")
    check_uncertainty(at_risk(0.45), "x")
    refused(at_risk(0.1, accept_high=0.45), "accept_high")
    refused(at_risk(0.1, accept_high=0.6), "accept_high")
    refused(at_risk(0.1, risk_pct=None), "risk_pct")


def test_a_stated_risk_may_leave_no_value_that_passes():
    entry = at_risk(0.1, accept_low=0.5, accept_high=-0.5, verdict="INDETERMINATE")
    check_uncertainty(entry | {"outcome": "INDETERMINATE"}, "x")
    assert accept_text(entry) == "nowhere: the uncertainty fills the limits"


def test_a_quantity_that_cannot_pass_its_limit_has_no_guard_band_there():
    entry = calibrated_record.judged("x", 0.0, "A", 0, 0.01, calibrated_record.budget("zero", ""))
    assert (entry["uncertainty"]["accept_low"], entry["outcome"]) == (None, "PASS")
    check_uncertainty(entry, "x")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("expanded", 0.0),
        ("expanded", math.inf),
        ("k", -2.0),
        ("dof", 0.5),
        ("dof", math.inf),
        ("coverage_pct", 100),
        ("rule", "guess"),
        ("risk_pct", 2.5),
        ("accept_low", math.nan),
        ("accept_high", 0.5),
        ("accept_high", None),
        ("tur", 4.0),
        ("required_tur", -1),
        ("conformity_probability", 0.5),
        ("conformity_probability", 1.1),
        ("verdict", "GOOD"),
        ("budget", []),
        ("budget", [LINES[1]]),
        ("budget", [*LINES, calibrated_record.line("forgotten in U", 0.3)]),
        ("budget", [{**LINES[0], "kind": "C"}]),
        ("budget", [{**LINES[0], "standard": math.nan}]),
        ("budget", None),
    ],
)
def test_a_figure_that_is_wrong_is_named(key: str, value: Any):
    entry = measured(0.1, **{key: value})
    if (key, value) == ("accept_high", None):
        entry["uncertainty"]["accept_low"] = None
    refused(entry, key)


def test_fully_correlated_contributions_may_add_up_by_their_amounts():
    twice = [
        calibrated_record.line("reference, voltage", 0.1),
        calibrated_record.line("reference, current", 0.1),
    ]
    check_uncertainty(measured(0.1, budget=twice), "x")


@pytest.mark.parametrize("value", [None, "nan", True])
def test_an_uncertainty_belongs_to_a_number(value: Any):
    refused(measured(0.1) | {"value": value}, "x.value")


def test_an_indeterminate_value_needs_an_uncertainty():
    refused(calibrated_record.entry("x", 0.4, "%", -0.5, 0.5, outcome="INDETERMINATE"), "uncertainty")
    refused(measured(0.1) | {"uncertainty": None}, "uncertainty")


def test_a_value_without_limits_cannot_be_judged():
    refused(measured(0.1) | {"low": None, "high": None}, "accept_low")


def test_the_example_record_of_a_calibration_is_valid_and_has_no_failure(make_calibrated_record: Make):
    record = make_calibrated_record()
    judged = [
        entry for phase in record["phases"] for entry in phase["measurements"] if "uncertainty" in entry
    ]
    assert len(judged) == 6 * (3 * 3 + 2 + 1 + 1)
    assert failures(record) == []


def test_an_indeterminate_value_is_listed_with_u_and_where_it_would_have_passed(make_calibrated_record: Make):
    record: Any = copy.deepcopy(make_calibrated_record())
    phase = next(phase for phase in record["phases"] if phase["name"] == "verify_points")
    old = phase["measurements"][0]
    phase["measurements"][0] = calibrated_record.judged(
        old["name"], 0.37, "%", -0.5, 0.5, calibrated_record.budget("current", "high")
    )
    (found,) = failures(validate_record(record))
    assert found.outcome == "INDETERMINATE"
    assert found.value == "0.37 %, U = 0.31 %"
    assert found.limit == "± 0.5 %, passes ± 0.187 %"


@pytest.mark.parametrize(
    ("dof", "deviation", "share"),
    [
        (None, 1.959964, 0.975),
        (1, 12.7062, 0.975),
        (5, 2.57058, 0.975),
        (15, 2.13145, 0.975),
        (1e7, 1.644854, 0.95),
    ],
)
def test_students_t_has_its_tabulated_values(dof: float | None, deviation: float, share: float):
    """JCGM 100:2008, table G.2, and any table of the normal distribution."""
    assert cumulative(deviation, dof) == pytest.approx(share, abs=2e-6)
    assert cumulative(-deviation, dof) == pytest.approx(1 - share, abs=2e-6)


@given(st.none() | st.floats(1, 1e9), st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_a_distribution_rises_from_0_to_1(dof: float | None, first: float, second: float):
    low, high = (cumulative(deviation, dof) for deviation in sorted((first, second)))
    assert -2e-5 <= low <= high + 2e-5 <= 1 + 4e-5


@given(st.floats(-1.2, 1.2), st.sampled_from([1.0, 10.0, 1e-3]))
def test_any_value_judged_by_the_rule_is_accepted(value: float, scale: float):
    lines = [line | {"standard": line["standard"] * scale} for line in LINES]
    check_uncertainty(
        calibrated_record.judged("x", value * scale, "%", -0.5 * scale, 0.5 * scale, lines), "x"
    )
