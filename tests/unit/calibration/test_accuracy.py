"""Accuracy tables of the reference meters."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.calibration import accuracy
from mfg.calibration.accuracy import Conditions, accuracy_of, accuracy_tables
from mfg.errors import StationError

MAINS = Conditions(50.0)


def shipped_text() -> str:
    return Path(accuracy.__file__).with_name("accuracy_tables.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", ["GPM-8310", "WT310E"])
def test_nine_amperes_on_the_ten_ampere_range_have_the_limit_of_the_notes(model):
    """Metrology 4.1: 0.156 % of 54 A, self-heating 0.011 %; 3.4: 0.211 % on the 20 A range."""
    table = accuracy_of(model)
    limit = table.current_limit(9.0, 10.0, MAINS)
    assert limit.base / 9.0 * 100 == pytest.approx(0.156, abs=5e-4)
    assert limit.self_heating / 9.0 * 100 == pytest.approx(0.011, abs=5e-4)
    assert table.current_limit(9.0, 20.0, MAINS).base / 9.0 * 100 == pytest.approx(0.211, abs=5e-4)
    assert limit.half_width == pytest.approx(limit.base + limit.self_heating)


def test_240_volts_on_the_300_volt_range_have_the_limit_of_the_notes():
    limit = accuracy_of("WT310E").voltage_limit(240.0, 300.0, MAINS)
    assert limit.base / 240.0 * 100 == pytest.approx(0.1625)


def test_a_power_has_the_limit_of_reading_and_ranges():
    """Makers' formula at PF 1 and at PF 0.5, 230 V and 9 A on 300 V and 10 A."""
    table = accuracy_of("WT310E")
    one = table.power_limit(230.0, 9.0, 0.0, (300.0, 10.0), MAINS)
    assert one.base == pytest.approx(2070 * 0.001 + 3000 * 0.0005)
    assert one.power_factor == 0.0
    half = table.power_limit(230.0, 9.0, 60.0, (300.0, 10.0), MAINS)
    assert half.base == pytest.approx(1035 * 0.001 + 1035 * 0.0005 * 3000 / 2070)
    assert half.power_factor == pytest.approx(1035 * math.sqrt(3) * 0.001)


def test_settings_and_air_add_to_the_limit():
    table = accuracy_of("GPM-8310")
    fast = table.power_limit(230.0, 9.0, 0.0, (300.0, 10.0), Conditions(50.0, 33.0, 0.1, True, 6))
    slow = table.power_limit(230.0, 9.0, 0.0, (300.0, 10.0), MAINS)
    assert fast.setting == pytest.approx(2070 * 0.0035)
    assert fast.ambient == pytest.approx(2070 * 5 * 0.0003)
    assert fast.base - slow.base == pytest.approx(1.5)
    assert table.voltage_limit(230.0, 300.0, Conditions(50.0, 13.0)).ambient == pytest.approx(
        230 * 5 * 0.0003
    )
    assert table.voltage_limit(230.0, 300.0, Conditions(50.0, 23.0, line_filter=True)).setting == 0.0


def test_another_frequency_has_another_limit():
    limit = accuracy_of("WT310E").power_limit(230.0, 9.0, 0.0, (300.0, 10.0), Conditions(400.0))
    assert limit.base == pytest.approx(2070 * 0.002 + 3000 * 0.002)


def test_the_meters_own_angle_follows_from_its_power_at_power_factor_zero():
    assert accuracy_of("WT310E").angle_limit_deg() == pytest.approx(0.0573, abs=1e-4)


@given(st.floats(min_value=0.1, max_value=13.0))
def test_a_larger_current_has_a_larger_limit_but_a_smaller_share(reading_a):
    table = accuracy_of("WT310E")
    limit, full = (table.current_limit(value, 10.0, MAINS) for value in (reading_a, 13.0))
    assert limit.half_width <= full.half_width
    assert limit.base / reading_a >= full.base / 13.0 - 1e-12


@pytest.mark.parametrize("reading", [0.0, 0.09, 13.1, -5.0, math.nan, math.inf])
def test_a_reading_outside_of_the_specification_has_no_limit(reading):
    with pytest.raises(ValueError, match="the specification covers"):
        accuracy_of("WT310E").current_limit(reading, 10.0, MAINS)


@pytest.mark.parametrize("range_", [0.0, -1.0, math.nan, math.inf])
def test_a_range_is_a_positive_number(range_):
    with pytest.raises(ValueError, match="no limit for a voltage"):
        accuracy_of("WT310E").voltage_limit(230.0, range_, MAINS)


@pytest.mark.parametrize("conditions", [Conditions(20.0), Conditions(math.nan), Conditions(2e6)])
def test_a_frequency_outside_of_the_bands_has_no_limit(conditions):
    with pytest.raises(ValueError, match="no limit for a voltage at"):
        accuracy_of("WT310E").voltage_limit(230.0, 300.0, conditions)


@pytest.mark.parametrize("ambient_degc", [4.0, 41.0, math.nan])
def test_air_outside_of_the_specification_has_no_limit(ambient_degc):
    with pytest.raises(ValueError, match="degC"):
        accuracy_of("WT310E").voltage_limit(230.0, 300.0, Conditions(50.0, ambient_degc))


@pytest.mark.parametrize("angle_deg", [90.0, -90.0, math.nan])
def test_a_power_without_power_has_no_limit(angle_deg):
    with pytest.raises(ValueError, match="angle"):
        accuracy_of("WT310E").power_limit(230.0, 9.0, angle_deg, (300.0, 10.0), MAINS)


def test_an_unknown_meter_has_no_table():
    with pytest.raises(StationError, match=r"model 'GPM-8213'; there is one for GW Instek GPM-8310, Yoko"):
        accuracy_of("GPM-8213")


def test_every_number_has_a_source():
    for table in accuracy_tables().values():
        assert {"voltage", "current", "power", "self_heating", "ambient", "usable_pct"} <= set(table.sources)
        assert all(source.strip() for source in table.sources.values())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 2", "schema 1"),
        ("schema = 1", "schema = ", "cannot be read"),
        ("interval_months = 12", "interval_weeks = 52", "interval_months, interval_weeks"),
        ("interval_months = 12", "interval_months = -1", "must be a number >= 0"),
        ("interval_months = 12", "interval_months = true", "must be a number >= 0"),
        ("usable_pct = [1, 130]", "usable_pct = [1]", "not enough values"),
        ("voltage = [[45, 66, 0.1, 0.05]", "voltage = [[45, 66, 0.1]", "missing 1 required"),
        ('model = "WT310E"', 'model = "WT310E("', "unterminated"),
        ('power = "IM', 'energy = "IM', "sources has no power"),
    ],
)
def test_a_table_that_is_not_complete_is_refused(tmp_path, old, new, message):
    path = tmp_path / "tables.toml"
    text = shipped_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(StationError, match=message):
        accuracy_tables(path)


def test_a_meter_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "tables.toml"
    path.write_text("schema = 1\nmeter.other = 5\n")
    with pytest.raises(StationError, match=r"meter\.other: missing or unknown"):
        accuracy_tables(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StationError, match=r"nothing\.toml: cannot be read"):
        accuracy_of("WT310E", tmp_path / "nothing.toml")
