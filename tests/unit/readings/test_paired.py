"""Windows of the DUT with the reference at their centres, from a fake unit and a fake meter in bench time."""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from bench_fakes import TurnedClock, dwell, with_port

from mfg.calibration.windows import StopRule
from mfg.clock import BenchClock
from mfg.errors import DutError, FixtureError, StationError
from mfg.fixtures.hand_held_meter import HandHeldMeter, Plausible
from mfg.fixtures.reference_meter import ReferenceReading
from mfg.readings.feeds import ReferenceFeed
from mfg.readings.paired import (
    Dwell,
    collect_windows,
    read_unpaired,
)
from mfg.readings.window_sources import CHIP_PORTS, ChipWindow, PortReading
from mfg.station import HandHeldMeterSettings

TURNS = 6
WINDOW_S = 0.32
LEAST = 4
LENIENT = StopRule(wanted_ppm=1e6, least=LEAST)  # done with the least number, whatever they scatter


def mains_v(t_s: float) -> float:
    """Mains that drift by 1 % within 10 s."""
    return 230.0 + 2.3 * math.sin(2 * math.pi * t_s / 10.0)


def load_a(t_s: float) -> float:
    """A load that follows the mains."""
    return mains_v(t_s) / 26.0


def mean_over(function: Callable[[float], float], start_s: float, end_s: float) -> float:
    """Average a smooth function over a window."""
    steps = [start_s + (end_s - start_s) * (n + 0.5) / 16 for n in range(16)]
    return sum(map(function, steps)) / len(steps)


@dataclass
class FakeMeter:
    """Reads the plant over update windows of 0.25 s, without noise."""

    clock: BenchClock
    update_s: float = 0.25
    fails: Exception | None = None
    currents_a: list[float] = field(default_factory=list)

    def read(self) -> ReferenceReading:
        if self.fails is not None:
            raise self.fails
        start_s = self.clock.now_s()
        self.clock.sleep_s(self.update_s)
        end_s = self.clock.now_s()
        current_a = self.currents_a.pop(0) if self.currents_a else mean_over(load_a, start_s, end_s)
        voltage_v = mean_over(mains_v, start_s, end_s)
        return ReferenceReading((start_s + end_s) / 2, voltage_v, current_a, voltage_v * current_a, 50.1)


@dataclass
class FakeSource:
    """A unit whose two chips average windows of their own; the current reads 3 % high on port 2.

    A factor by port and window number may be given, and the chips that do not measure.
    """

    clock: BenchClock
    stuck: tuple[str, ...] = ()
    factor: Callable[[int, int], float] = lambda port, _number: 1.03 if port == 2 else 1.0
    poll_s: float = 0.08
    current_step_a: float = 0.001
    voltage_step_v: float = 0.01
    frequency_hz: float = 50.0
    polls: int = 0

    def __post_init__(self) -> None:
        self.started_s = self.clock.now_s()
        self.given = dict.fromkeys(CHIP_PORTS, 0)

    def poll(self) -> list[ChipWindow]:
        self.polls += 1
        fresh = []
        for chip, phase_s in (("CS4", 0.0), ("CS0", 0.11)):
            done = math.floor((self.clock.now_s() - self.started_s - phase_s) / WINDOW_S)
            if chip in self.stuck or done <= self.given[chip]:
                continue
            self.given[chip] = done
            end_s = self.started_s + phase_s + done * WINDOW_S
            ports = tuple(self._port(port, done, end_s) for port in CHIP_PORTS[chip])
            fresh.append(ChipWindow(chip, end_s - WINDOW_S / 2, ports))
        return fresh

    def _port(self, port: int, number: int, end_s: float) -> PortReading:
        voltage_v = mean_over(mains_v, end_s - WINDOW_S, end_s)
        current_a = TURNS * mean_over(load_a, end_s - WINDOW_S, end_s) * self.factor(port, number)
        return PortReading(voltage_v, current_a, voltage_v * current_a, 1.5)


@pytest.fixture
def clock() -> BenchClock:
    return BenchClock(time.monotonic(), 4.0)


def collect(
    source: Any, meter: Any, clock: BenchClock, rule: StopRule = LENIENT, timeout_s: float = 30.0, **more: Any
) -> Dwell:
    return collect_windows(source, meter, clock, rule, timeout_s, lambda _done: None, **more)


class TestCollectWindows:
    def test_every_port_gets_its_windows_with_the_reference_at_their_centres(self, clock):
        found = collect(FakeSource(clock), FakeMeter(clock), clock)
        assert found.count() == LEAST
        for port in range(1, 7):
            means = found.means(port)
            assert means.voltage_v / means.reference_v == pytest.approx(1.0, abs=1000e-6)
            expected = TURNS * (1.03 if port == 2 else 1.0)
            assert means.current_a / means.reference_a == pytest.approx(expected, rel=1200e-6)
            assert means.active_w / means.reference_w == pytest.approx(expected, rel=2400e-6)
            assert means.reactive_var == 1.5

    def test_no_window_is_taken_twice_and_all_are_in_ascending_time(self, clock):
        found = collect(FakeSource(clock), FakeMeter(clock), clock)
        for windows in found.windows.values():
            assert all(after.t_s > before.t_s for before, after in itertools.pairwise(windows))

    def test_frequencies_and_steps_of_both_sides_are_reported(self, clock):
        found = collect(FakeSource(clock, frequency_hz=49.9), FakeMeter(clock), clock)
        assert found.frequency_hz == 49.9
        assert found.reference_frequency_hz == pytest.approx(50.1)
        assert (found.current_step_a, found.voltage_step_v) == (0.001, 0.01)

    def test_the_angle_of_the_reference_is_reported_where_it_gives_one(self, clock):
        class AngledMeter(FakeMeter):
            def read(self):
                return dataclasses.replace(super().read(), angle_deg=0.4)

        assert collect(FakeSource(clock), FakeMeter(clock), clock).reference_angle_deg is None
        assert collect(FakeSource(clock), AngledMeter(clock), clock).reference_angle_deg == pytest.approx(0.4)

    def test_the_readings_of_the_reference_are_kept_around_all_windows(self, clock):
        found = collect(FakeSource(clock), FakeMeter(clock), clock)
        times = [sample.t_s for sample in found.samples]
        assert times == sorted(times)
        for windows in found.windows.values():
            assert times[0] <= windows[0].t_s
            assert windows[-1].t_s <= times[-1]
        assert all(len(sample.values) == 3 for sample in found.samples)

    def test_every_poll_is_told_so_that_a_watchdog_is_fed(self, clock):
        source, done = FakeSource(clock), []
        meter: Any = FakeMeter(clock)
        collect_windows(source, meter, clock, LENIENT, 30.0, done.append)
        assert len(done) == source.polls
        assert done == sorted(done)
        assert done[-1] >= LEAST

    @pytest.mark.parametrize("chip", ["CS4", "CS0"])
    def test_a_chip_that_does_not_measure_rejects_the_unit_and_is_named(self, clock, chip):
        with pytest.raises(DutError, match=rf"No 4 fresh windows of {chip} within 4 s"):
            collect(FakeSource(clock, stuck=(chip,)), FakeMeter(clock), clock, timeout_s=4.0)

    def test_two_chips_that_do_not_measure_are_both_named(self, clock):
        with pytest.raises(DutError, match="CS4 and CS0"):
            collect(FakeSource(clock, stuck=("CS4", "CS0")), FakeMeter(clock), clock, timeout_s=2.0)

    def test_a_reference_that_fails_is_the_stations_fault_with_its_own_words(self, clock):
        meter = FakeMeter(clock, fails=StationError("Over range.", "Choose a range."))
        with pytest.raises(StationError) as caught:
            collect(FakeSource(clock), meter, clock)
        assert caught.value.args[0] == "Over range."
        assert caught.value.action == "Choose a range."

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_reference_whose_thread_dies_otherwise_is_the_stations_fault_too(self, clock):
        with pytest.raises(StationError, match="broke off"):
            collect(FakeSource(clock), FakeMeter(clock, fails=ZeroDivisionError()), clock)

    def test_a_reference_that_is_too_slow_does_not_reject_the_unit(self, clock):
        with pytest.raises(StationError, match="no readings around 4 windows"):
            collect(FakeSource(clock), FakeMeter(clock, update_s=6.0), clock, timeout_s=5.0)

    def test_an_error_of_the_unit_ends_the_reading_of_the_reference(self, clock):
        class Dead(FakeSource):
            def poll(self) -> list[ChipWindow]:
                raise FixtureError("unreachable")

        with pytest.raises(FixtureError, match="unreachable"):
            collect(Dead(clock), FakeMeter(clock), clock)
        assert not [thread for thread in threading.enumerate() if thread.name == "reference-feed"]


class TestTheNumberOfWindows:
    def test_grows_until_the_scatter_of_the_worst_port_is_averaged_out(self, clock):
        def scattering(port: int, number: int) -> float:
            return 1 + (0.01 * (-1) ** number if port == 5 else 0.0)

        rule = StopRule(wanted_ppm=4000.0, least=LEAST)  # 1 % over the root of N: from 7 windows on
        found = collect(FakeSource(clock, factor=scattering), FakeMeter(clock), clock, rule)
        assert 6 <= found.count() <= 10

    def test_ends_at_the_most_that_the_rule_allows(self, clock):
        rule = StopRule(wanted_ppm=0.001, least=LEAST, most=6)
        assert 6 <= collect(FakeSource(clock), FakeMeter(clock), clock, rule).count() <= 7

    def test_is_all_since_the_question_where_a_person_reads_the_meter(self, clock):
        """What was read may be of the last moment before the answer."""

        def ask(_text: str, _timeout_s: float) -> str:
            clock.sleep_s(4.0)
            return "230.4 8.97"

        settings = HandHeldMeterSettings("Fluke", "87V", "1", 600.0, 10.0)
        meter = HandHeldMeter(settings, Plausible(230.0, None, 15.0, 10.0, 0.5), ask, 120.0, clock)
        meter.expect(9.0)
        asked_s = clock.now_s()
        found = collect(FakeSource(clock), meter, clock, StopRule(wanted_ppm=0.001, least=LEAST, most=6))
        assert found.count() >= 10
        assert found.windows[1][-1].t_s > asked_s + 4.0 - 2 * WINDOW_S

    def test_does_not_depend_on_a_port_that_is_not_asked_for(self, clock):
        def scattering(port: int, number: int) -> float:
            return 1 + (0.2 * (-1) ** number if port == 5 else 0.0)

        rule = StopRule(wanted_ppm=2000.0, least=LEAST, most=40)
        source = FakeSource(clock, factor=scattering)
        assert collect(source, FakeMeter(clock), clock, rule, ports=(2, 6)).count() < 8

    @pytest.mark.parametrize("noise", [0.0, 1e-4])
    def test_is_the_least_where_a_port_sees_no_current(self, clock, noise):
        source = FakeSource(clock, factor=lambda port, number: noise * (1 + number % 2) if port == 3 else 1.0)
        rule = StopRule(wanted_ppm=0.001, least=LEAST)
        assert collect(source, FakeMeter(clock), clock, rule).count() <= LEAST + 1

    def test_is_the_least_where_the_reference_sees_no_current(self, clock):
        meter = FakeMeter(clock, currents_a=[0.0] * 500)
        rule = StopRule(wanted_ppm=0.001, least=LEAST)
        assert collect(FakeSource(clock), meter, clock, rule).count() <= LEAST + 1


def test_a_reference_that_never_answers_is_given_up(monkeypatch, clock):
    let_go = threading.Event()

    class Silent(FakeMeter):
        def read(self) -> ReferenceReading:
            let_go.wait(10)
            return super().read()

    feed = ReferenceFeed(Silent(clock))  # type: ignore[arg-type]
    join = feed._thread.join
    monkeypatch.setattr(feed._thread, "join", lambda timeout: join(timeout=0.1))
    try:
        with pytest.raises(StationError, match="did not end"), feed:
            pass
    finally:
        let_go.set()
        join(5)


class TestADwell:
    def test_counts_the_windows_of_the_port_that_has_fewest(self):
        found = dwell(8)
        short = replace(found, windows={**found.windows, 3: found.windows[3][:5]})
        assert short.count() == 5

    def test_gives_ratios_to_the_reference_of_one_turn_window_by_window(self):
        found = with_port(dwell(8), 2, voltage_v=231.15, current_a=53.46, active_w=12420.0)
        assert found.voltage_ratios(2) == pytest.approx([1.005] * 8)
        assert found.current_ratios(2) == pytest.approx([5.94] * 8)
        assert found.power_ratios(2) == pytest.approx([6.0] * 8)

    def test_averages_every_value_of_a_port(self):
        means = dwell(8).means(1)
        assert means.current_a == pytest.approx(54.0)
        assert means.reference_w == pytest.approx(2070.0)


class TestReadUnpaired:
    def test_gives_current_and_power_of_every_port_as_often_as_asked(self):
        turned = TurnedClock.at(50.0)
        found = read_unpaired(FakeSource(turned), turned, 3, 20.0)
        assert sorted(found) == [1, 2, 3, 4, 5, 6]
        assert all(len(values) >= 3 for values in found.values())
        current_a, active_w = found[4][0]
        assert active_w / current_a == pytest.approx(230.0, rel=0.011)

    def test_does_not_wait_longer_than_the_windows_take(self):
        turned = TurnedClock.at(50.0)
        read_unpaired(FakeSource(turned), turned, 3, 20.0)
        assert turned.now_s() - 50.0 == pytest.approx(3 * WINDOW_S + 0.11, abs=0.17)

    @pytest.mark.parametrize("chip", ["CS4", "CS0"])
    def test_a_chip_that_does_not_measure_rejects_the_unit(self, chip):
        turned = TurnedClock.at(50.0)
        with pytest.raises(DutError, match=r"No 3 fresh windows of both chips within 5 s with the load off"):
            read_unpaired(FakeSource(turned, stuck=(chip,)), turned, 3, 5.0)
        assert turned.now_s() < 56.0
