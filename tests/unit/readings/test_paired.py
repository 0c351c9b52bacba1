"""Windows of the DUT with the reference at their centres, from a fake unit and a fake meter in bench time."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from mfg.clock import BenchClock
from mfg.errors import DutError, FixtureError, StationError
from mfg.fixtures.dut_api import PortStats, UnitStats
from mfg.fixtures.reference_meter import ReferenceReading
from mfg.readings.paired import (
    DISCARDED_WINDOWS,
    STABLE_READINGS,
    ReferenceFeed,
    collect_windows,
    read_zeros,
    wait_until_stable,
)

TURNS = 6
WINDOW_S = 0.32


def mains_v(t_s: float) -> float:
    """Mains that drift by 1 % within 10 s."""
    return 230.0 + 2.3 * math.sin(2 * math.pi * t_s / 10.0)


def load_a(t_s: float) -> float:
    """A load that follows the mains and warms up."""
    return mains_v(t_s) / 26.0 * (1 + 0.02 * math.exp(-t_s / 20.0))


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
        return ReferenceReading((start_s + end_s) / 2, voltage_v, current_a, voltage_v * current_a, 50.0)


@dataclass
class FakeApi:
    """A unit whose two chips average windows of their own; the current reads 3 % high on port 2."""

    clock: BenchClock
    stuck: tuple[int, ...] = ()
    started_s: float = 0.0
    polls: int = 0

    def __post_init__(self) -> None:
        self.started_s = self.clock.now_s()

    def stats(self) -> UnitStats:
        self.polls += 1
        t_s = self.clock.now_s()
        ports = tuple(self._port(port, t_s) for port in range(1, 7))
        return UnitStats(t_s, 0.0, ports, 25.0, -50.0, 0.01, "", "", "4.0", active=True)

    def _port(self, port: int, t_s: float) -> PortStats:
        phase_s = 0.0 if port <= 3 else 0.11
        number = math.floor((t_s - self.started_s + phase_s) / WINDOW_S)
        if port in self.stuck:
            number = 0
        end_s = self.started_s - phase_s + number * WINDOW_S
        voltage_v = mean_over(mains_v, end_s - WINDOW_S, end_s)
        current_a = TURNS * mean_over(load_a, end_s - WINDOW_S, end_s) * (1.03 if port == 2 else 1.0)
        watts = voltage_v * current_a
        return PortStats(voltage_v, current_a, watts, 0.0, watts, 1.0, 50.0, 30.0, 0.0, f"ct{port}", "")


@pytest.fixture
def clock() -> BenchClock:
    return BenchClock(time.monotonic(), 4.0)


def collect(api: Any, meter: Any, clock: BenchClock, count: int = 4, timeout_s: float = 30.0) -> Any:
    return collect_windows(api, meter, clock, count, timeout_s, lambda _done: None)


class TestCollectWindows:
    def test_every_port_gets_its_windows_with_the_reference_at_their_centres(self, clock):
        dwell = collect(FakeApi(clock), FakeMeter(clock), clock)
        assert dwell.count() == 4
        for port in range(1, 7):
            voltage_v, current_a, reference_v, reference_a = dwell.sums(port)
            assert voltage_v / reference_v == pytest.approx(1.0, abs=1000e-6)
            expected = TURNS * (1.03 if port == 2 else 1.0)
            assert current_a / reference_a == pytest.approx(expected, rel=1200e-6)

    def test_no_window_is_taken_twice_and_each_is_a_window_apart(self, clock):
        dwell = collect(FakeApi(clock), FakeMeter(clock), clock)
        for windows in dwell.windows.values():
            gaps = [after.t_s - before.t_s for before, after in itertools.pairwise(windows)]
            assert all(gap == pytest.approx(WINDOW_S, abs=0.25) for gap in gaps)
            assert len({window.voltage_v for window in windows}) == len(windows)

    def test_the_first_windows_are_dropped_because_the_chips_settle(self, clock):
        api = FakeApi(clock)
        dwell = collect(api, FakeMeter(clock), clock, count=1)
        assert dwell.windows[1][0].t_s - api.started_s > DISCARDED_WINDOWS * WINDOW_S

    def test_both_frequencies_are_reported(self, clock):
        dwell = collect(FakeApi(clock), FakeMeter(clock), clock, count=1)
        assert dwell.frequency_hz == 50.0
        assert dwell.reference_frequency_hz == 50.0

    def test_every_poll_is_told_so_that_a_watchdog_is_fed(self, clock):
        api, done = FakeApi(clock), []
        collect_windows(api, FakeMeter(clock), clock, 2, 30.0, done.append)  # type: ignore[arg-type]
        assert len(done) == api.polls
        assert done == sorted(done)
        assert done[-1] >= 2

    @pytest.mark.parametrize(("stuck", "chip"), [((1, 2, 3), "CS4"), ((4, 5, 6), "CS0")])
    def test_a_chip_that_does_not_measure_rejects_the_unit_and_is_named(self, clock, stuck, chip):
        with pytest.raises(DutError, match=rf"No 4 fresh windows of {chip} within 4 s"):
            collect(FakeApi(clock, stuck=stuck), FakeMeter(clock), clock, timeout_s=4.0)

    def test_two_chips_that_do_not_measure_are_both_named(self, clock):
        with pytest.raises(DutError, match="CS4 and CS0"):
            collect(FakeApi(clock, stuck=(1, 2, 3, 4, 5, 6)), FakeMeter(clock), clock, timeout_s=2.0)

    def test_a_reference_that_fails_is_the_stations_fault_with_its_own_words(self, clock):
        meter = FakeMeter(clock, fails=StationError("Over range.", "Choose a range."))
        with pytest.raises(StationError) as caught:
            collect(FakeApi(clock), meter, clock)
        assert caught.value.args[0] == "Over range."
        assert caught.value.action == "Choose a range."

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_reference_whose_thread_dies_otherwise_is_the_stations_fault_too(self, clock):
        with pytest.raises(StationError, match="broke off"):
            collect(FakeApi(clock), FakeMeter(clock, fails=ZeroDivisionError()), clock)

    def test_a_reference_that_is_too_slow_does_not_reject_the_unit(self, clock):
        with pytest.raises(StationError, match="no readings around 4 windows"):
            collect(FakeApi(clock), FakeMeter(clock, update_s=6.0), clock, timeout_s=5.0)

    def test_an_error_of_the_unit_ends_the_reading_of_the_reference(self, clock):
        class Dead(FakeApi):
            def stats(self) -> UnitStats:
                raise FixtureError("unreachable")

        with pytest.raises(FixtureError, match="unreachable"):
            collect(Dead(clock), FakeMeter(clock), clock)
        assert not [thread for thread in threading.enumerate() if thread.name == "reference-feed"]

    def test_a_unit_that_reports_no_frequency_is_paired_as_at_50_hz(self, clock):
        class Still(FakeApi):
            def _port(self, port: int, t_s: float) -> PortStats:
                reading = super()._port(port, t_s)
                return PortStats(**{**reading.__dict__, "frequency_hz": 0.0})

        dwell = collect(Still(clock), FakeMeter(clock), clock, count=1)
        assert dwell.frequency_hz == 0.0


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


class TestWaitUntilStable:
    def wait(self, clock: BenchClock, currents_a: list[float], timeout_s: float) -> float:
        meter: Any = FakeMeter(clock, update_s=0.05, currents_a=currents_a)
        return wait_until_stable(meter, clock, timeout_s, lambda _done: None)

    def test_a_settled_load_is_averaged_over_its_last_readings(self, clock):
        settled = [9.0, 9.001, 8.999, 9.0, 9.002]
        assert self.wait(clock, [0.0, 12.0, *settled], 20.0) == pytest.approx(9.0004)

    def test_a_load_that_is_off_is_never_stable(self, clock):
        with pytest.raises(FixtureError, match=r"did not become stable within 1 s; last readings 0\.000, "):
            self.wait(clock, [0.0] * 500, 1.0)

    def test_a_load_that_still_warms_up_is_not_stable(self, clock):
        warming = [9.0 * 0.999**n for n in range(1000)]
        with pytest.raises(FixtureError, match="did not become stable"):
            self.wait(clock, warming, 1.0)

    def test_every_reading_is_told_so_that_a_watchdog_is_fed(self, clock):
        fed: list[int] = []
        meter: Any = FakeMeter(clock, update_s=0.05, currents_a=[9.0] * 20)
        wait_until_stable(meter, clock, 20.0, fed.append)
        assert len(fed) == STABLE_READINGS

    def test_a_reference_that_fails_says_so(self, clock):
        meter: Any = FakeMeter(clock, fails=StationError("silent"))
        with pytest.raises(StationError, match="silent"):
            wait_until_stable(meter, clock, 5.0, lambda _done: None)


class TestReadZeros:
    def test_every_port_is_averaged_over_windows_that_began_later(self, clock):
        api: Any = FakeApi(clock)
        before_s = clock.now_s()
        zeros_a = read_zeros(api, clock, 50.0, 3)
        assert sorted(zeros_a) == [1, 2, 3, 4, 5, 6]
        assert api.polls == 3
        assert clock.now_s() - before_s >= (DISCARDED_WINDOWS + 3) * WINDOW_S * 0.999
        assert all(value > 0 for value in zeros_a.values())
