"""What a job on a part of a calibration left alone is found by comparing all that the unit holds."""

import pytest

from mfg.readings.unit_state import differing

BEFORE = {"CT1_IGAIN": 42711, "CS4_VOLTAGE_GAIN": 55512, "factory.cfg CT1_IGAIN": 42711, "CS4 0x62": 42711}
MAY = ("CS4_VOLTAGE_GAIN",)


def test_a_value_that_may_change_is_not_named():
    assert differing(BEFORE, BEFORE | {"CS4_VOLTAGE_GAIN": 54000}, MAY) == "none"


@pytest.mark.parametrize("name", ["CT1_IGAIN", "factory.cfg CT1_IGAIN", "CS4 0x62"])
def test_any_other_value_that_changed_is_named(name):
    assert differing(BEFORE, BEFORE | {"CS4_VOLTAGE_GAIN": 54000, name: 42712}, MAY) == name


@pytest.mark.parametrize(("before", "after"), [(BEFORE, {}), ({}, BEFORE)])
def test_a_value_that_came_or_went_is_named(before, after):
    assert differing(before, after, MAY) == "CT1_IGAIN, factory.cfg CT1_IGAIN, CS4 0x62"
