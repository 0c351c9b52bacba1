"""Where windows come from: numbered by our firmware, or seen by their change on an original unit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bench_fakes import TurnedClock, port_stats

from mfg.errors import DutError
from mfg.fixtures.dut_api import UnitStats
from mfg.fixtures.dut_windows import ChipWindow as Numbered
from mfg.fixtures.dut_windows import PortWindow as NumberedPort
from mfg.fixtures.dut_windows import UnitWindows
from mfg.readings.window_sources import (
    CHIP_PORTS,
    DISCARDED_WINDOWS,
    ChangingValues,
    NumberedWindows,
    window_source,
)

LOW_STEP_A, LOW_STEP_V = 0.001 / 256, 0.01 / 256

EVER = -1e9  # s of bench time: all had settled long before


def numbered(seq: int, t_end_s: float, frequency_hz: float = 50.0, current_a: float = 54.0) -> Numbered:
    port = NumberedPort(230.0, current_a, 12420.0, 3.0)
    return Numbered(seq, t_end_s, 0.0, frequency_hz, 30.0, (port, port, port))


class CountingUnit:
    """Gives the windows that a test has put there."""

    def __init__(self) -> None:
        self.chips: dict[str, Numbered] = {}

    def windows(self) -> UnitWindows:
        return UnitWindows(0.0, 0.0, {name: chip.seq for name, chip in self.chips.items()}, self.chips)


class OriginalUnit:
    """Gives the port readings that a test has put there, in an exchange of 0.02 s."""

    def __init__(self, clock: TurnedClock) -> None:
        self.clock = clock
        self.ports = [port_stats(port) for port in range(1, 7)]

    def stats(self) -> UnitStats:
        self.clock.sleep_s(0.02)
        return UnitStats(0.0, 0.02, tuple(self.ports), 25.0, -50.0, 0.01, "", "", "3.0", active=True)

    def end_window(self, chip: str, number: int, **changes: float) -> None:
        for port in CHIP_PORTS[chip]:
            values = {"voltage_v": 230.0 + number / 100} | changes
            self.ports[port - 1] = port_stats(port, **values)


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock.at(1000.0)


class TestTheChoice:
    @pytest.mark.parametrize(
        ("features", "kind"),
        [({"windows", "phase"}, NumberedWindows), ({"phase"}, ChangingValues), (set(), ChangingValues)],
    )
    def test_is_by_what_the_unit_offers(self, clock, features, kind):
        unit: Any = CountingUnit()
        assert isinstance(window_source(unit, clock, frozenset(features), 0.0), kind)


class TestNumberedWindows:
    def source(self, unit: Any, clock: TurnedClock, settled_s: float = 0.0) -> NumberedWindows:
        return NumberedWindows(unit, clock, settled_s)

    def test_a_window_is_given_once_with_the_time_of_its_centre(self, clock):
        unit = CountingUnit()
        unit.chips = {"CS4": numbered(7, 1000.0)}
        source = self.source(unit, clock)
        (window,) = source.poll()
        assert (window.chip, window.centre_s) == ("CS4", pytest.approx(1000.0 - 0.16))
        assert source.poll() == []
        unit.chips = {"CS4": numbered(8, 1000.32), "CS0": numbered(3, 1000.4)}
        assert [window.chip for window in source.poll()] == ["CS4", "CS0"]

    def test_a_window_that_nobody_read_is_no_harm(self, clock):
        unit = CountingUnit()
        source = self.source(unit, clock)
        for seq, end_s in ((7, 1000.0), (11, 1001.28)):
            unit.chips = {"CS0": numbered(seq, end_s)}
            assert len(source.poll()) == 1

    def test_windows_of_60_hz_are_shorter(self, clock):
        unit = CountingUnit()
        unit.chips = {"CS4": numbered(7, 1000.0, frequency_hz=60.0)}
        source = self.source(unit, clock)
        assert source.poll()[0].centre_s == pytest.approx(1000.0 - 8 / 60)
        assert source.frequency_hz == 60.0

    def test_a_chip_without_mains_is_timed_as_at_50_hz_and_reported_as_it_is(self, clock):
        unit = CountingUnit()
        unit.chips = {"CS4": numbered(7, 1000.0, frequency_hz=0.0)}
        source = self.source(unit, clock)
        assert source.poll()[0].centre_s == pytest.approx(1000.0 - 0.16)
        assert source.frequency_hz == 0.0

    def test_a_window_that_began_before_the_load_had_settled_is_left_out(self, clock):
        unit = CountingUnit()
        source = self.source(unit, clock, settled_s=1000.0)
        unit.chips = {"CS4": numbered(7, 1000.31)}
        assert source.poll() == []
        unit.chips = {"CS4": numbered(8, 1000.63)}
        assert len(source.poll()) == 1

    def test_half_a_step_is_added_because_the_chip_truncates(self, clock):
        unit = CountingUnit()
        unit.chips = {"CS4": numbered(7, 1000.0)}
        port = self.source(unit, clock).poll()[0].ports[0]
        assert port.voltage_v == pytest.approx(230.0 + LOW_STEP_V / 2, abs=1e-9)
        assert port.current_a == pytest.approx(54.0 + LOW_STEP_A / 2, abs=1e-9)
        assert (port.active_w, port.reactive_var) == (12420.0, 3.0)

    def test_no_current_stays_no_current(self, clock):
        unit = CountingUnit()
        unit.chips = {"CS4": numbered(7, 1000.0, current_a=0.0)}
        assert self.source(unit, clock).poll()[0].ports[0].current_a == 0.0

    def test_a_chip_without_readings_gives_nothing(self, clock):
        unit = CountingUnit()
        unit.chips = {"CS4": replace(numbered(2, 1000.0), ports=())}
        assert self.source(unit, clock).poll() == []

    def test_a_unit_that_gives_an_earlier_window_is_rejected(self, clock):
        unit = CountingUnit()
        source = self.source(unit, clock)
        unit.chips = {"CS0": numbered(12, 1000.0)}
        source.poll()
        unit.chips = {"CS0": numbered(3, 1000.5)}
        with pytest.raises(DutError, match=r"windows of CS0 went back from no\. 12 to no\. 3"):
            source.poll()


def polled_twice(source: ChangingValues) -> list[Any]:
    """A window is proved by the second answer that shows it."""
    assert source.poll() == []
    return source.poll()


class TestChangingValues:
    def test_the_first_windows_are_discarded_and_the_next_is_given_with_its_centre(self, clock):
        unit: Any = OriginalUnit(clock)
        source = ChangingValues(unit, clock, EVER)
        assert source.poll() == []
        for number in range(1, DISCARDED_WINDOWS + 1):
            unit.end_window("CS4", number)
            assert polled_twice(source) == []
        clock.sleep_s(0.04)
        before_s = clock.now_s()
        unit.end_window("CS4", 9)
        (window,) = polled_twice(source)
        # It ended between the middles of the two exchanges around its change.
        ended_s = ((before_s - 0.05) + (before_s + 0.01)) / 2
        assert window.chip == "CS4"
        assert window.centre_s == pytest.approx(ended_s - 0.16)

    def test_a_window_of_which_a_part_may_be_from_before_all_had_settled_is_left_out(self, clock):
        unit: Any = OriginalUnit(clock)
        settled_s = clock.now_s()
        source = ChangingValues(unit, clock, settled_s)
        ends = []
        for number in range(60):
            unit.end_window("CS4", number)
            ends += [window.centre_s + 0.16 for window in polled_twice(source)]
        assert ends
        assert ends[0] - 0.64 >= settled_s
        assert ends[0] - 0.64 < settled_s + 0.1

    def test_a_torn_answer_is_no_window_and_lies_on_the_end_of_one(self, clock):
        unit: Any = OriginalUnit(clock)
        source = ChangingValues(unit, clock, EVER)
        source.poll()
        for number in range(1, DISCARDED_WINDOWS + 1):
            unit.end_window("CS4", number)
            polled_twice(source)
        unit.end_window("CS4", 9, active_w=15.67)  # the words of two windows: a power that never was
        torn_s = clock.now_s() + 0.01
        assert source.poll() == []
        unit.end_window("CS4", 9, active_w=0.0)
        (window,) = polled_twice(source)
        assert [port.active_w for port in window.ports] == [0.0, 0.0, 0.0]
        assert window.centre_s == pytest.approx(torn_s - 0.16)

    def test_a_window_that_waits_for_its_second_answer_is_asked_for_at_once(self, clock):
        unit: Any = OriginalUnit(clock)
        source = ChangingValues(unit, clock, EVER)
        source.poll()
        assert source.poll_s > 0
        unit.end_window("CS0", 1)
        source.poll()
        assert source.poll_s == 0
        source.poll()
        assert source.poll_s > 0

    def test_values_that_no_second_answer_shows_are_never_a_window(self, clock):
        unit: Any = OriginalUnit(clock)
        source = ChangingValues(unit, clock, EVER)
        for number in range(60):
            unit.end_window("CS4", number)
            assert source.poll() == []

    def test_a_power_that_is_wrong_and_stays_is_given(self, clock):
        unit: Any = OriginalUnit(clock)
        source = ChangingValues(unit, clock, EVER)
        source.poll()
        for number in range(1, DISCARDED_WINDOWS + 2):
            unit.end_window("CS4", number, active_w=15.67)
            found = polled_twice(source)
        assert [port.active_w for port in found[0].ports] == [15.67, 15.67, 15.67]

    def test_a_value_that_stays_is_no_new_window(self, clock):
        unit: Any = OriginalUnit(clock)
        source = ChangingValues(unit, clock, EVER)
        assert [source.poll() for _ in range(20)] == [[]] * 20

    def test_each_chip_is_followed_by_itself(self, clock):
        unit: Any = OriginalUnit(clock)
        source = ChangingValues(unit, clock, EVER)
        source.poll()
        for number in range(1, DISCARDED_WINDOWS + 2):
            unit.end_window("CS0", number)
            found = polled_twice(source)
        assert [window.chip for window in found] == ["CS0"]
        unit.end_window("CS4", 1)
        assert polled_twice(source) == []

    @pytest.mark.parametrize("name", ["voltage_v", "current_a", "active_w", "reactive_var"])
    def test_a_change_of_one_value_of_one_port_ends_the_window_of_its_chip(self, clock, name):
        unit: Any = OriginalUnit(clock)
        source = ChangingValues(unit, clock, EVER)
        source.poll()
        for number in range(1, DISCARDED_WINDOWS + 2):
            unit.ports[4] = port_stats(5, **{name: 200.0 + number})
            found = polled_twice(source)
        assert [window.chip for window in found] == ["CS0"]
        assert getattr(found[0].ports[1], name) == pytest.approx(203.0, abs=0.006)

    def test_readings_have_half_a_display_step_added(self, clock):
        unit: Any = OriginalUnit(clock)
        source = ChangingValues(unit, clock, EVER)
        source.poll()
        for number in range(1, DISCARDED_WINDOWS + 2):
            unit.end_window("CS4", number, current_a=0.0 if number > DISCARDED_WINDOWS else 1.0)
            found = polled_twice(source)
        port = found[0].ports[0]
        assert port.voltage_v == pytest.approx(230.03 + 0.005)
        assert port.current_a == 0.0
        assert (source.current_step_a, source.voltage_step_v) == (0.001, 0.01)

    def test_the_frequency_is_that_of_the_first_port(self, clock):
        unit: Any = OriginalUnit(clock)
        unit.ports[0] = port_stats(1, frequency_hz=59.9)
        source = ChangingValues(unit, clock, EVER)
        source.poll()
        assert source.frequency_hz == 59.9
