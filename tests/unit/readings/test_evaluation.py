"""Errors of a unit with their uncertainty, judged by their limit's own rule."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import CURRENT_A, TURNS, VOLTAGE_V, dwell, paper, standard, with_port

import mfg.limits
from mfg.calibration.uncertainty import BenchLimits, Uncertainty
from mfg.certificates import CertifiedQuantity
from mfg.fixtures.hand_held_meter import TypedPair, TypedReading
from mfg.limits import Limit, load_limits
from mfg.readings.evaluation import Evaluated, Evaluator, no_load_current, no_load_power
from mfg.records.uncertainty import UncertaintyEntry
from mfg.station import Conductor

CORRECTED_V, CORRECTED_A = VOLTAGE_V * 1.001, CURRENT_A * 0.998
GUARDED = Limit(
    "port1_high_current_error_pct", "range", "s", "%", -0.5, 0.5, rule="guarded", required_tur=1.5
)


def evaluator(range_a: float = 10.0, certificate: Any = None, **conductor: Any) -> Evaluator:
    values = {
        "turns": TURNS,
        "direction": "export",
        "has_identification": True,
        "load_angle_deg": 0.0,
        "soak_s": 0.0,
    } | conductor
    return Evaluator(standard(certificate), BenchLimits(), Conductor(**values), range_a)


def lines_of(evaluated: Evaluated) -> dict[str, float]:
    return {line.contribution.name: line.component for line in evaluated.uncertainty.lines}


class TestVoltageAndCurrent:
    def test_are_compared_with_the_corrected_reference(self):
        judge = evaluator()
        assert judge.voltage(dwell(), 1).value == pytest.approx((VOLTAGE_V / CORRECTED_V - 1) * 100)
        assert judge.current(dwell(), 1).value == pytest.approx((CURRENT_A / CORRECTED_A - 1) * 100, abs=1e-6)

    def test_are_those_of_the_port_that_is_asked_for(self):
        found = with_port(dwell(), 2, voltage_v=CORRECTED_V * 1.01, current_a=CORRECTED_A * TURNS * 1.02)
        assert evaluator().voltage(found, 2).value == pytest.approx(1.0)
        assert evaluator().current(found, 2).value == pytest.approx(2.0)
        assert evaluator().current(found, 1).value == pytest.approx(0.2004, abs=1e-3)

    def test_take_the_turns_into_account(self):
        five = with_port(dwell(), 1, current_a=CORRECTED_A * 5)
        assert evaluator(turns=5).current(five, 1).value == pytest.approx(0.0, abs=1e-9)

    def test_have_the_scatter_of_the_windows_in_their_budget(self):
        # 20 ppm to and fro over 8 windows: the standard deviation of the mean is 20 ppm over root 7.
        found = lines_of(evaluator().current(dwell(), 1))
        assert found["repeatability"] == pytest.approx(20e-4 / math.sqrt(7), rel=1e-3)

    def test_have_the_step_of_the_unit_in_their_budget(self):
        coarse = replace(dwell(), current_step_a=0.54, voltage_step_v=2.3)
        current, voltage = evaluator().current(coarse, 1), evaluator().voltage(coarse, 1)
        for found in (current, voltage):  # half of 1 %, rectangular
            assert lines_of(found)["resolution of the unit"] == pytest.approx(0.5 / math.sqrt(3))

    def test_have_the_certificate_in_their_budget(self):
        coarse = paper(current=CertifiedQuantity(0.0, 1.0, 2.0, "pct"))
        assert lines_of(evaluator(certificate=coarse).current(dwell(), 1))["reference, certificate"] == 0.5

    def test_are_less_certain_where_the_range_is_far_too_large(self):
        small = with_port(dwell(), 1, reference_a=1.0, current_a=6.0)
        wide = evaluator(range_a=10.0).current(small, 1).uncertainty.expanded
        fitting = evaluator(range_a=2.0).current(small, 1).uncertainty.expanded
        assert wide > fitting


class TestPower:
    def test_is_compared_with_the_reference_power_times_the_turns(self):
        found = with_port(dwell(), 3, active_w=VOLTAGE_V * CURRENT_A * TURNS * 1.01)
        assert evaluator().power(found, 3).value == pytest.approx(1.0)

    def test_of_a_ct_that_runs_the_other_way_is_judged_by_its_size(self):
        found = with_port(dwell(), 3, active_w=-VOLTAGE_V * CURRENT_A * TURNS * 1.01)
        assert evaluator(direction="import").power(found, 3).value == pytest.approx(1.0)
        assert evaluator(direction="export").power(found, 3).value == pytest.approx(-201.0)

    @pytest.mark.parametrize(("point", "off_pct"), [("high", 1.5), ("mid", 2.0), ("low", 3.0)])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_that_is_wrong_where_voltage_and_current_are_right_is_rejected(self, point, off_pct, sign):
        """A power gain that is off is seen by the power's own limit alone (decision 27)."""
        watts = VOLTAGE_V * CURRENT_A * TURNS * (1 + sign * off_pct / 100)
        found = with_port(dwell(), 3, voltage_v=CORRECTED_V, current_a=CORRECTED_A * TURNS, active_w=watts)
        limits = load_limits(Path(mfg.limits.__file__).with_name("ct6.toml"))

        def verdict(quantity: str) -> str:
            limit = limits.limit("verify_points", f"port3_{point}_{quantity}_error_pct")
            return str(getattr(evaluator(), quantity)(found, 3).judged(limit).verdict)

        assert (verdict("voltage"), verdict("current"), verdict("power")) == ("PASS", "PASS", "FAIL")

    def test_is_less_certain_at_an_angle(self):
        found = with_port(
            dwell(), 1, active_w=VOLTAGE_V * CURRENT_A * TURNS / 2, reference_w=VOLTAGE_V * CURRENT_A / 2
        )
        inductive = evaluator(load_angle_deg=60.0).power(found, 1)
        assert inductive.value == pytest.approx(0.0, abs=1e-9)
        assert inductive.uncertainty.expanded > evaluator().power(dwell(), 1).uncertainty.expanded


class TestPhase:
    def angled(self, angle_deg: float, sign: int = 1) -> Any:
        watts = sign * 12420.0 * math.cos(math.radians(angle_deg))
        var = sign * 12420.0 * math.sin(math.radians(angle_deg))
        return with_port(dwell(), 6, active_w=watts, reactive_var=var)

    @pytest.mark.parametrize(("direction", "sign"), [("export", 1), ("import", -1)])
    @pytest.mark.parametrize("load_deg", [0.0, 60.0, -30.0])
    def test_is_the_angle_beyond_that_of_the_load(self, direction, sign, load_deg):
        judge = evaluator(direction=direction, load_angle_deg=load_deg)
        assert judge.phase(self.angled(load_deg + 0.25, sign), 6).value == pytest.approx(0.25)

    def test_has_the_angle_of_the_load_in_its_budget(self):
        judge = replace(evaluator(), bench=BenchLimits(load_angle_deg=0.3))
        assert judge.phase(dwell(), 1).uncertainty.standard > 0.3 / math.sqrt(3) * 0.999


class TestNoLoad:
    LIMIT = Limit("port1_no_load_a", "range", "s", "A", 0.0, 0.010, rule="simple")

    def test_is_the_mean_with_pick_up_scatter_and_step_in_its_budget(self):
        found = no_load_current([0.003, 0.004, 0.005], 0.001, BenchLimits(pick_up_a=0.0005))
        assert found.value == pytest.approx(0.004)
        assert lines_of(found) == pytest.approx(
            {
                "pick-up": 0.0005 / math.sqrt(3),
                "repeatability": 0.001 / math.sqrt(3),
                "resolution of the unit": 0.0005 / math.sqrt(3),
            }
        )

    def test_of_a_power_takes_the_pick_up_at_the_voltage_of_the_mains(self):
        found = no_load_power([0.1, -0.1], 230.0, BenchLimits(pick_up_a=0.0005))
        assert found.value == 0.0
        assert lines_of(found)["pick-up"] == pytest.approx(0.115 / math.sqrt(3))

    def test_has_no_lower_limit_where_nothing_is_below_0(self):
        entry = no_load_current([0.0, 0.0, 0.0], 0.001, BenchLimits()).entry(self.LIMIT)
        assert entry["accept_low"] is None
        assert entry["verdict"] == "PASS"
        assert entry["conformity_probability"] == pytest.approx(1.0)
        assert no_load_current([0.011, 0.012], 0.001, BenchLimits()).entry(self.LIMIT)["verdict"] == "FAIL"


class TestTheVerdict:
    def judged(self, value: float, limit: Limit) -> Any:
        return Evaluated(value, self.uncertainty()).entry(limit)

    def uncertainty(self) -> Uncertainty:
        return evaluator().current(dwell(), 1).uncertainty

    def test_with_a_smaller_ratio_than_is_required_is_undecided_unless_somebody_lets_it_pass(self):
        demanding = replace(GUARDED, required_tur=100.0)
        found = Evaluated(0.0, self.uncertainty())
        assert found.entry(GUARDED)["verdict"] == "PASS"
        assert found.entry(demanding)["verdict"] == "INDETERMINATE"
        assert found.entry(demanding, waived=True)["verdict"] == "PASS"
        assert Evaluated(0.9, self.uncertainty()).entry(demanding)["verdict"] == "FAIL"

    def test_of_a_guarded_limit_keeps_its_distance(self):
        expanded = self.uncertainty().expanded
        entry = self.judged(0.1, GUARDED)
        assert entry["verdict"] == "PASS"
        assert entry["accept_high"] == pytest.approx(0.5 - expanded)
        assert entry["accept_low"] == pytest.approx(-0.5 + expanded)
        assert self.judged(0.5 - expanded * 0.9, GUARDED)["verdict"] == "INDETERMINATE"
        assert self.judged(0.5 + expanded * 1.1, GUARDED)["verdict"] == "FAIL"

    @pytest.mark.parametrize("rule", ["simple", ""])
    def test_of_a_simple_limit_is_the_values_own(self, rule):
        limit = replace(GUARDED, rule=rule, required_tur=0.0)
        entry = self.judged(0.499, limit)
        assert (entry["verdict"], entry["rule"], entry["required_tur"]) == ("PASS", "simple", None)
        assert entry["accept_high"] == 0.5

    def test_of_a_stated_risk_is_recorded_with_its_risk(self):
        entry = self.judged(0.0, replace(GUARDED, rule="stated_risk", risk=0.02))
        assert (entry["rule"], entry["risk_pct"], entry["verdict"]) == ("risk", 2.0, "PASS")

    def test_comes_with_ratio_probability_and_coverage(self):
        entry = self.judged(0.0, GUARDED)
        assert entry["tur"] == pytest.approx(0.5 / self.uncertainty().expanded)
        assert entry["required_tur"] == 1.5
        assert entry["risk_pct"] is None
        assert 0.99 < entry["conformity_probability"] <= 1.0
        assert entry["k"] == pytest.approx(self.uncertainty().k)
        assert entry["coverage_pct"] == pytest.approx(95.45)

    def test_comes_with_its_budget_whose_squares_add_up(self):
        entry = self.judged(0.0, GUARDED)
        assert {"name", "kind", "distribution", "standard", "dof"} == set(entry["budget"][0])
        total = math.hypot(*(line["standard"] for line in entry["budget"]))
        assert total * entry["k"] == pytest.approx(entry["expanded"])
        kinds = {line["name"]: (line["kind"], line["dof"]) for line in entry["budget"]}
        assert kinds["repeatability"] == ("A", 7)
        assert kinds["position of the turns"] == ("B", None)

    def test_has_every_key_of_a_record_and_no_other(self):
        assert set(self.judged(0.0, GUARDED)) == set(UncertaintyEntry.__annotations__)


class TestATypedReading:
    TYPED = TypedReading(TypedPair(VOLTAGE_V, CURRENT_A, 0.1, 0.01), 0.0, 3.0, 0.5)

    def test_has_its_digits_and_its_time_in_the_budget(self):
        found = replace(dwell(), typed=self.TYPED)
        current = lines_of(evaluator().current(found, 1))
        assert current["reference, digits that were read"] == pytest.approx(0.005 / CURRENT_A * 100 / 3**0.5)
        # 20 ppm to and fro: half the span is 20 ppm
        assert current["reference, time of the reading"] == pytest.approx(0.002 / 3**0.5, rel=0.01)
        voltage = lines_of(evaluator().voltage(found, 1))
        assert voltage["reference, digits that were read"] == pytest.approx(0.05 / VOLTAGE_V * 100 / 3**0.5)

    def test_is_less_certain_than_one_that_is_paired(self):
        found = replace(dwell(), typed=self.TYPED)
        typed, paired = (evaluator().current(one, 1).uncertainty.expanded for one in (found, dwell()))
        assert typed > paired
