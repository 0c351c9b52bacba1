"""Limits become OpenHTF measurements that always judge."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import openhtf as htf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.errors import UsageError
from mfg.limits import Limit, LimitSet
from mfg.limits.measurements import bind_limits, measurement

LEVEL = Limit("level_v", "range", "data sheet", unit="V", low=-1.0, high=2.0)
STATE = Limit("state", "matches", "data sheet", pattern="on|off")
SSID = Limit("ssid", "equals", "data sheet", value="Y.DEV")
SEEN = Limit("seen", "equals", "data sheet", value=True)


def judged(limit: Limit, value: Any) -> bool:
    """Return what every validator of a limit's measurement says of a value."""
    validators = measurement(limit).validators
    assert validators
    return all(validator(value) for validator in validators)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_range_lets_in_what_is_finite_and_within(value):
    assert judged(LEVEL, value) == (math.isfinite(value) and -1.0 <= value <= 2.0)


@pytest.mark.parametrize(
    ("limit", "value", "passes"),
    [
        (LEVEL, None, False),
        (STATE, "on", True),
        (STATE, "off", True),
        (STATE, "on\n", False),
        (STATE, "onoff", False),
        (STATE, "", False),
        (STATE, " on", False),
        (SSID, "Y.DEV", True),
        (SSID, "Y.DEV\n", False),
        (SSID, "YxDEV", False),
        (SEEN, True, True),
        (SEEN, False, False),
        (SEEN, None, False),
    ],
)
def test_a_value_is_judged_whole(limit, value, passes):
    assert judged(limit, value) is passes


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_text_equals_itself_only(expected, value):
    assert judged(Limit("ssid", "equals", "s", value=expected), value) == (value == expected)


@pytest.mark.parametrize(
    ("unit", "suffix"),
    [("V", "V"), ("%", "pct"), ("degC", "°C"), ("counts", "counts"), ("bytes/s", "bytes/s")],
)
def test_the_unit_is_recorded(unit, suffix):
    units = measurement(Limit("level", "range", "s", unit=unit, low=0, high=1)).units
    assert units is not None
    assert units.suffix == suffix


def test_a_limit_without_a_unit_has_none():
    assert measurement(STATE).units is None


def test_the_source_is_recorded():
    assert measurement(LEVEL).docstring == "data sheet"


def limit_set(*limits: Limit) -> LimitSet:
    return LimitSet("CT6", "1", Path("ct6.toml"), "", {"look": limits}, {}, {})


@htf.PhaseOptions(timeout_s=5)
def look(_test: htf.TestApi) -> None:
    """Look."""


class TestBinding:
    def test_a_phase_must_set_everything_in_its_table(self):
        bound = bind_limits(look, limit_set(LEVEL, STATE))
        assert [declared.name for declared in bound.measurements] == ["level_v", "state"]
        assert bound.options.timeout_s == 5

    def test_only_the_ports_under_test_are_declared(self):
        ports = [Limit(f"port{port}_v", "range", "s", "V", 0, 1) for port in range(1, 7)]
        bound = bind_limits(look, limit_set(LEVEL, *ports), ports=(2,))
        assert [declared.name for declared in bound.measurements] == ["level_v", "port2_v"]

    def test_only_the_points_that_the_bench_can_set_are_declared(self):
        points = [Limit(f"port1_{point}_v", "range", "s", "V", 0, 1) for point in ("high", "mid", "low")]
        bound = bind_limits(look, limit_set(LEVEL, *points), points=("high", "low"))
        assert [declared.name for declared in bound.measurements] == [
            "level_v",
            "port1_high_v",
            "port1_low_v",
        ]

    def test_the_phase_itself_stays_as_it_was(self):
        bind_limits(look, limit_set(LEVEL))
        assert look.measurements == []

    def test_a_phase_without_a_table_is_refused(self):
        limits = LimitSet("CT6", "1", Path("ct6.toml"), "", {}, {}, {})
        with pytest.raises(UsageError, match=r"has no table \[look"):
            bind_limits(look, limits)
