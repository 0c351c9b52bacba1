"""A load has come to its current when its switch and the reference say so, one soon after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from bench_fakes import TurnedClock

from mfg.errors import FixtureError, StationError
from mfg.fixtures.reference_meter import ReferenceReading
from mfg.readings.settling import (
    STABLE_READINGS,
    Change,
    around,
    wait_until_stable,
    wait_until_switched,
)

UPDATE_S = 0.25
AT_9_A = Change(4.5, 18.0, at_s=100.0, measured_a=9.0)


class Meter:
    """Shows currents and voltages by the time of its readings."""

    def __init__(
        self,
        clock: TurnedClock,
        current_a: Callable[[float], float],
        voltage_v: Callable[[float], float] = lambda _t_s: 230.0,
    ) -> None:
        self.clock, self.current_a, self.voltage_v = clock, current_a, voltage_v

    def read(self) -> ReferenceReading:
        self.clock.sleep_s(UPDATE_S)
        t_s = self.clock.now_s() - UPDATE_S / 2
        return ReferenceReading(t_s, self.voltage_v(t_s), self.current_a(t_s), 0.0, 50.0)


def stable(meter: Any, change: Change = AT_9_A, timeout_s: float = 10.0, on_poll: Any = None) -> float:
    deadline = meter.clock.deadline(timeout_s)
    return wait_until_stable(meter, change, UPDATE_S, deadline, on_poll or (lambda _done: None))


def shown(*currents_a: float) -> Meter:
    """Give a meter that shows these currents one after the other, the last one for ever."""
    left = list(currents_a)
    return Meter(TurnedClock.at(100.0), lambda _t_s: left.pop(0) if len(left) > 1 else left[0])


class TestAStableLoad:
    def test_is_averaged_over_its_last_readings(self):
        assert stable(shown(12.0, 9.0, 9.001, 8.999, 9.0, 9.002)) == pytest.approx(9.0004)

    def test_takes_as_many_readings_as_make_it_stable_and_each_is_told(self):
        fed: list[int] = []
        meter = shown(9.0)
        stable(meter, on_poll=fed.append)
        assert len(fed) == STABLE_READINGS
        assert meter.clock.now_s() == pytest.approx(100.0 + STABLE_READINGS * UPDATE_S)

    def test_may_need_no_change_at_all(self):
        assert stable(shown(9.0), around(9.0)) == pytest.approx(9.0)


class TestALoadThatDoesNotBecomeStable:
    def test_because_it_warms_up_says_so_with_its_last_readings(self):
        meter = shown(*(9.0 * 0.999**n for n in range(1000)))
        with pytest.raises(FixtureError, match=r"load's current did not become stable within 10 s.* A\."):
            stable(meter)

    def test_because_the_mains_jumps_names_the_mains(self):
        def mains_v(t_s: float) -> float:
            return 230.0 * (1.02 if int(t_s / 0.7) % 2 else 0.98)

        meter = Meter(TurnedClock.at(100.0), lambda t_s: mains_v(t_s) / 25.6, mains_v)
        with pytest.raises(FixtureError, match=r"The mains voltage jumps: it varied by \d\.\d\d %"):
            stable(meter)

    def test_while_the_mains_wanders_as_it_may_is_not_the_mains(self):
        meter = Meter(
            TurnedClock.at(100.0),
            lambda t_s: 9.0 * (1 + 0.01 * math.sin(3 * t_s)),
            lambda t_s: 230.0 * (1 + 0.0003 * math.sin(6 * t_s)),
        )
        with pytest.raises(FixtureError, match="load's current did not become stable"):
            stable(meter)

    def test_because_the_mains_is_away_shows_no_current(self):
        meter = Meter(TurnedClock.at(100.0), lambda _t_s: 0.0, lambda _t_s: 0.0)
        with pytest.raises(FixtureError, match=r"9\.000 A by the power switch, but .* shows 0\.000 A"):
            stable(meter)

    def test_because_the_deadline_has_passed_has_no_readings(self):
        with pytest.raises(FixtureError, match="did not become stable within 0 s"):
            stable(shown(9.0), timeout_s=0.0)


class TestAReferenceThatLags:
    @pytest.mark.parametrize("lag_s", [1.25, 2.0, 5.0])
    def test_is_named_when_it_at_last_shows_what_the_switch_measured(self, lag_s):
        meter = Meter(TurnedClock.at(100.0), lambda t_s: 9.0 if t_s - lag_s > 100.0 else 0.0)
        with pytest.raises(StationError, match=r"reference lags: it still showed 0\.000 A \d\.\d\d s after"):
            stable(meter)

    def test_is_named_on_the_way_down_too(self):
        down = Change(0.5, 2.0, at_s=100.0, measured_a=1.0)
        meter = Meter(TurnedClock.at(100.0), lambda t_s: 1.0 if t_s > 102.0 else 9.0)
        with pytest.raises(StationError, match=r"still showed 9\.000 A 1\.8"):
            stable(meter, down)

    def test_is_none_when_the_old_reading_may_be_from_before_the_change(self):
        meter = Meter(TurnedClock.at(100.0), lambda t_s: 9.0 if t_s > 100.7 else 0.0)
        assert stable(meter) == pytest.approx(9.0)

    def test_is_none_while_the_load_itself_still_warms_up(self):
        meter = Meter(TurnedClock.at(100.0), lambda t_s: 9.0 * (1 + 0.2 * math.exp(100.0 - t_s)))
        assert stable(meter) == pytest.approx(9.0, rel=0.003)

    def test_is_none_without_a_change_of_the_load(self):
        meter = Meter(TurnedClock.at(100.0), lambda t_s: 9.0 if t_s > 103.0 else 0.0)
        assert stable(meter, around(9.0)) == pytest.approx(9.0)

    def test_that_never_shows_the_current_may_be_the_conductors_fault(self):
        with pytest.raises(FixtureError, match=r"9\.000 A by the power switch, but .* 0\.000 A after 10 s"):
            stable(shown(0.0))

    def test_and_fails_says_that_it_failed(self):
        class Silent(Meter):
            def read(self) -> ReferenceReading:
                raise StationError("silent")

        with pytest.raises(StationError, match="silent"):
            stable(Silent(TurnedClock.at(0.0), lambda _t_s: 9.0))


class TestTheSwitchsOwnMeasurement:
    def wait(self, current_a: Callable[[float], float], change: Change, timeout_s: float = 5.0) -> Change:
        clock = TurnedClock.at(10.0)
        self.fed: list[int] = []
        return wait_until_switched(
            lambda: current_a(clock.now_s()), clock, change, clock.deadline(timeout_s), self.fed.append
        )

    def test_says_when_the_load_has_come_on(self):
        change = self.wait(lambda t_s: 9.1 if t_s > 10.4 else 0.0, around(9.0))
        assert change.at_s == pytest.approx(10.45, abs=0.06)
        assert change.measured_a == 9.1
        assert len(self.fed) >= 8

    def test_waits_for_a_slow_load_to_come_down(self):
        change = self.wait(lambda t_s: 9.0 * math.exp(10.0 - t_s), around(1.0))
        assert change.at_s == pytest.approx(10.0 + math.log(4.5), abs=0.06)

    def test_takes_any_current_above_the_least_where_none_is_known(self):
        assert self.wait(lambda _t_s: 4.0, Change(0.2, math.inf)).measured_a == 4.0

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (around(9.0), r"draws 0\.000 A by the power switch, 5 s after .* 4\.5 to 18 A were expected"),
            (Change(0.2, math.inf), r"0\.2 or more A were expected"),
        ],
    )
    def test_gives_a_load_up_that_does_not_come(self, change, words):
        with pytest.raises(FixtureError, match=words):
            self.wait(lambda _t_s: 0.0, change)
