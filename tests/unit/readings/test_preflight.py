"""A calibration that would prove nothing is refused before anything is switched on."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import TODAY, paper, station

import mfg.limits
from mfg.certificates import CertifiedQuantity
from mfg.errors import StationError
from mfg.limits import LimitSet, load_limits
from mfg.readings.preflight import past_due, too_uncertain
from mfg.runner.chosen_reference import with_reference
from mfg.station import HandHeldMeterSettings, LoadPoint

LIMITS = load_limits(Path(mfg.limits.__file__).with_name("ct6.toml"))
COARSE = paper(
    current=CertifiedQuantity(0.0, 1.0, 2.0, "pct"), voltage=CertifiedQuantity(0.0, 0.03, 2.0, "pct")
)


def requiring(ratio: float) -> LimitSet:
    """Give the limits of the CT6 with another test uncertainty ratio required of all that have one."""
    limits = tuple(
        replace(limit, required_tur=ratio if limit.required_tur else 0.0)
        for limit in LIMITS.of_phase("verify_points")
    )
    return replace(LIMITS, phases={**LIMITS.phases, "verify_points": limits})


class TestPastDue:
    def test_nothing_is_on_the_day_itself(self):
        assert past_due({"reference_meter": paper(TODAY)}, TODAY) == []

    def test_an_instrument_is_the_day_after_and_is_named_with_its_paper(self):
        tomorrow = TODAY + datetime.timedelta(days=1)
        papers = {"reference_meter": paper(TODAY), "power_switch": paper(tomorrow)}
        assert past_due(papers, tomorrow) == [
            "the reference meter (certificate C-1) was due on 2026-11-20",
        ]

    @pytest.mark.parametrize(
        ("issued", "until"), [("2024-02-29", "2025-02-28"), ("2025-11-19", "2026-11-19")]
    )
    def test_a_reference_is_when_its_specification_ends_whatever_the_paper_says(self, issued, until):
        long = replace(paper(), issued=datetime.date.fromisoformat(issued), due=datetime.date(2028, 1, 1))
        last = datetime.date.fromisoformat(until)
        assert past_due({"reference_meter": long}, last) == []
        assert past_due({"reference_meter": long}, last + datetime.timedelta(days=1)) == [
            "the reference meter (certificate C-1) is specified for 12 months after its calibration, until "
            f"{until}"
        ]
        assert past_due({"thermometer": long}, last + datetime.timedelta(days=1)) == []


class TestTooUncertain:
    def test_the_shipped_station_is_fit_for_the_limits_of_the_ct6(self):
        assert too_uncertain(station(), LIMITS, paper()) == []

    def test_a_poor_certificate_is_named_with_every_point_it_spoils(self):
        problems = too_uncertain(station(), LIMITS, COARSE)
        assert problems[0].startswith("current_error_pct at the point high: test uncertainty ratio 0.4")
        assert problems[0].endswith("required 1.5")
        assert len([text for text in problems if "current_error_pct" in text]) == 2  # low has 2 %

    def test_each_quantity_is_judged_where_it_has_a_limit(self):
        problems = too_uncertain(station(), requiring(1000.0), paper())
        named = [text.split(":")[0] for text in problems]
        assert named == [
            "voltage_error_pct at the point high",
            "current_error_pct at the point high",
            "power_error_pct at the point high",
            "phase_error_deg at the point high",
            "voltage_error_pct at the point mid",
            "current_error_pct at the point mid",
            "power_error_pct at the point mid",
            "voltage_error_pct at the point low",
            "current_error_pct at the point low",
            "power_error_pct at the point low",
        ]

    def test_only_the_points_that_the_bench_can_set_are_judged(self):
        bench = station(load_points=station().load_points[:1])
        assert all("point high" in text for text in too_uncertain(bench, requiring(1000.0), paper()))

    def test_a_limit_that_requires_nothing_is_never_in_the_way(self):
        assert too_uncertain(station(), requiring(0.0), COARSE) == []

    def test_a_bench_with_much_to_add_is_too_uncertain(self):
        bench = station()
        shaky = replace(bench, uncertainty=replace(bench.uncertainty, turns_position_pct=2.0))
        named = {text.split()[0] for text in too_uncertain(shaky, LIMITS, paper())}
        assert named == {"current_error_pct", "power_error_pct"}

    @pytest.mark.parametrize(
        ("changes", "certificate", "message"),
        [
            ({}, replace(paper(), model="DMM-1"), "no accuracy table"),
            ({"load_points": (LoadPoint("high", 9.0, 5.0),)}, paper(), "does not cover the reading"),
        ],
    )
    def test_a_reference_that_is_not_specified_is_refused(self, changes: Any, certificate, message):
        with pytest.raises(StationError, match=message):
            too_uncertain(station(**changes), LIMITS, certificate)

    @pytest.mark.parametrize(
        ("chosen", "model", "spoilt"),
        [
            ("manual", "GPM-8310", set()),
            ("manual", "87V", {"voltage_error_pct", "current_error_pct"}),
            ("shelly://192.0.2.9", "Plus1PM", {"voltage_error_pct", "current_error_pct", "power_error_pct"}),
        ],
    )
    def test_a_chosen_reference_is_judged_by_its_own_table(self, chosen: str, model: str, spoilt: set[str]):
        meter = HandHeldMeterSettings("Any", model, "1", 300.0, 10.0)
        bench = station(load_points=station().load_points[:1], hand_held_meter=meter)
        problems = too_uncertain(with_reference(bench, chosen), LIMITS, replace(paper(), model=model))
        assert {text.split()[0] for text in problems} == spoilt
