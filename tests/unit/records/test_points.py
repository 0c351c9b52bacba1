"""Names of measurements: which port, load and quantity they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mfg.records.points import PointKey, point_values
from mfg.records.record import Record

Make = Callable[..., Record]


def phase(*names: str, outcome: str = "PASS", value: float = 1.0) -> Any:
    return {"outcome": outcome, "measurements": [{"name": name, "value": value} for name in names]}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("port1_high_current_error_pct", PointKey("current", "high", 1)),
        ("port6_low_power_error_pct", PointKey("power", "low", 6)),
        ("port2_stored_voltage_error_pct", PointKey("voltage", "stored", 2)),
        ("port3_high_phase_error_deg", PointKey("phase", "high", 3)),
        ("port4_current_error_pct", PointKey("current", "high", 4)),
        ("port4_phase_error_deg", PointKey("phase", "high", 4)),
    ],
)
def test_the_name_of_an_error_says_what_it_is_the_error_of(name: str, key: PointKey):
    assert list(point_values([phase(name)]).errors) == [key]


@pytest.mark.parametrize(
    "name",
    ["port7_high_current_error_pct", "port1_turns_error_pct", "port1_high_power_factor", "port1_before_pct"],
)
def test_other_names_are_no_errors(name: str):
    assert point_values([phase(name)]).errors == {}


def test_a_name_with_its_point_goes_before_one_without():
    names = ("port1_high_current_error_pct", "port1_current_error_pct")
    for order in (names, names[::-1]):
        (entry,) = point_values([phase(*order)]).errors.values()
        assert entry["name"] == names[0]


def test_of_what_was_measured_twice_the_last_counts_and_repeated_tries_do_not():
    name = "port1_high_current_error_pct"
    phases = [phase(name, value=1.0), phase(name, value=2.0), phase(name, outcome="SKIP", value=3.0)]
    (entry,) = point_values(phases).errors.values()
    assert entry["value"] == 2.0


def test_points_stand_in_the_order_of_the_load_and_others_after_them(make_calibrated_record: Make):
    assert point_values(make_calibrated_record()["phases"]).points == ("high", "mid", "low", "stored")
    names = ("port1_extra_current_error_pct", "port1_low_current_error_pct")
    assert point_values([phase(*names)]).points == ("low", "extra")


def test_a_voltage_before_is_that_of_the_chip_and_zeros_are_the_last_taken(make_calibrated_record: Make):
    values = point_values(make_calibrated_record()["phases"])
    assert values.before["voltage", 3]["name"] == "cs4_voltage_before_pct"
    assert values.before["voltage", 4]["name"] == "cs0_voltage_before_pct"
    assert values.zeros[1]["name"] == "port1_no_load_a"
    assert values.before["phase", 6]["name"] == "port6_phase_deg"
    assert values.ports == (1, 2, 3, 4, 5, 6)
