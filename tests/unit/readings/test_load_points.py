"""The bench goes to a load point, and what a dwell gave there is believed or refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bench_fakes import CURRENT_A, VOLTAGE_V, TurnedClock, dwell, station, window, with_port

from mfg.calibration.pairing import Sample
from mfg.calibration.windows import Finding, StopRule
from mfg.errors import DutError, FixtureError, StationError
from mfg.fixtures.reference_meter import ReferenceReading
from mfg.readings import load_points
from mfg.readings.load_points import (
    LoadBench,
    check_currents_there,
    check_load_stayed,
    require_believable,
)
from mfg.readings.paired import Dwell
from mfg.station import LoadPoint

HIGH, LOW = LoadPoint("high", 9.0, 10.0), LoadPoint("low", 0.1667, 0.2)


class Bench:
    """Switch and meter in one; keeps what it is told, and refuses a current above the meter's range."""

    def __init__(self, clock: TurnedClock, on: bool = False, current_a: float = 9.0, range_a: float = 10.0):
        self.clock = clock
        self.is_on, self.current_a, self.range_a = on, current_a, range_a
        self.told: list[str] = []
        self.slow_until_s: float | None = None  # until then a load draws what it drew before
        self.slow_a = 0.0

    def be_slow(self, seconds: float) -> None:
        """Let the load keep its present current for a while."""
        self.slow_a = self.measured_current_a(2)
        self.slow_until_s = self.clock.now_s() + seconds

    def measured_current_a(self, channel: int) -> float:
        assert channel == 2
        if self.slow_until_s is not None and self.clock.now_s() < self.slow_until_s:
            return self.slow_a
        return self.current_a if self.is_on else 0.0

    def set_current(self, channel: int, current_a: float) -> None:
        assert channel == 2
        self.current_a = current_a
        self.told.append(f"set {current_a:g}")
        self._check()

    def on(self, channel: int) -> None:
        assert channel == 2
        self.is_on = True
        self.told.append("on")
        self._check()

    def configure(self, voltage_range_v: float, current_range_a: float, update_s: float) -> None:
        assert (voltage_range_v, update_s) == (300.0, 0.25)
        self.range_a = current_range_a
        self.told.append(f"range {current_range_a:g}")
        self._check()

    def read(self) -> ReferenceReading:
        self.clock.sleep_s(0.25)
        current_a = self.measured_current_a(2)
        return ReferenceReading(self.clock.now_s(), 230.0, current_a, 230.0 * current_a, 50.0)

    def _check(self) -> None:
        assert self.measured_current_a(2) <= self.range_a, self.told


def load_bench(bench: Any, **more: Any) -> LoadBench:
    points = more.pop("points", (HIGH, LOW))
    return LoadBench(station(load_points=points), bench.clock, bench, bench, **more)


class TestGoingToAPoint:
    def test_sets_range_and_current_before_the_load_is_switched_on(self):
        bench = Bench(TurnedClock.at(0.0))
        assert load_bench(bench).go_to(HIGH, 10.0, lambda _done: None) == pytest.approx(9.0)
        assert bench.told == ["range 10", "set 9", "on"]

    def test_never_has_a_current_above_the_range_on_the_way_down(self):
        bench = Bench(TurnedClock.at(0.0), on=True)
        load_bench(bench).go_to(LOW, 10.0, lambda _done: None)
        assert bench.told == ["set 0.1667", "on", "range 0.2"]

    def test_nor_on_the_way_up(self):
        bench = Bench(TurnedClock.at(0.0), on=True, current_a=0.1667, range_a=0.2)
        load_bench(bench).go_to(HIGH, 10.0, lambda _done: None)
        assert bench.told == ["range 10", "set 9", "on"]

    def test_narrows_the_range_of_a_slow_load_only_when_its_current_has_come_down(self):
        bench = Bench(TurnedClock.at(0.0), on=True)
        bench.be_slow(3.0)
        fed: list[int] = []
        load_bench(bench).go_to(LOW, 20.0, fed.append)
        assert bench.told == ["set 0.1667", "on", "range 0.2"]
        assert bench.clock.now_s() > 3.0
        assert len(fed) > 50  # its watchdog is fed meanwhile

    def test_gives_a_load_up_that_does_not_come_down(self):
        bench = Bench(TurnedClock.at(0.0), on=True)
        bench.be_slow(1000.0)
        with pytest.raises(FixtureError, match=r"draws 9\.000 A by the power switch, 10 s after"):
            load_bench(bench).go_to(LOW, 10.0, lambda _done: None)
        assert bench.range_a == 10.0

    def test_leaves_the_current_of_a_load_that_has_only_one(self):
        bench = Bench(TurnedClock.at(0.0))
        load_bench(bench, points=(HIGH,)).go_to(HIGH, 10.0, lambda _done: None)
        assert bench.told == ["range 10", "on"]

    def test_a_load_of_less_than_half_the_current_is_not_there(self):
        bench = Bench(TurnedClock.at(0.0), current_a=4.4)
        with pytest.raises(FixtureError, match=r"4\.400 A by the power switch, 5 s after it was switched"):
            load_bench(bench, points=(HIGH,)).go_to(HIGH, 5.0, lambda _done: None)


def samples_of(*currents_a: float, voltage_v: float = VOLTAGE_V) -> tuple[Sample, ...]:
    """Give readings of the reference, each with another last digit of the voltage."""
    return tuple(
        Sample(0.25 * number, (voltage_v + 0.001 * number, current_a, voltage_v * current_a))
        for number, current_a in enumerate(currents_a)
    )


STEADY = (CURRENT_A,) * 12
JUMP = (*samples_of(*STEADY[:6]), Sample(1.5, (225.0, CURRENT_A, 0.0)))
UNBELIEVABLE = [
    ("the reference sees 60 Hz", dwell(reference_frequency_hz=60.0), StationError, "mains has 60.00 Hz"),
    ("a load that lags", dwell(reference_angle_deg=1.5), FixtureError, "1.50 deg away from the voltage"),
    ("the unit sees 60 Hz", dwell(frequency_hz=60.0), StationError, "LINE_FREQ_HZ is 50"),
    (
        "the reference repeats itself",
        dwell(samples=tuple(Sample(0.25 * n, (230.0, 9.0, 2070.0)) for n in range(12))),
        StationError,
        "equal an earlier one",
    ),
    ("the mains jumps", dwell(samples=JUMP), FixtureError, "mains voltage jumped by 2.18 %"),
    ("a port is saturated", with_port(dwell(), 4, current_a=65.535), StationError, "Port 4 reads 65.535 A"),
    (
        "the load went away",
        with_port(dwell(samples=samples_of(*STEADY[:6], *[0.0] * 6)), 1, reference_a=0.0),
        FixtureError,
        "current fell to 0.000 A",
    ),
    (
        "the load broke down",
        dwell(samples=samples_of(*STEADY[:6], *[4.0] * 6)),
        FixtureError,
        "current fell to 4.000 A in the dwell, from 9.000 A",
    ),
    ("a CT is open", with_port(dwell(), 3, current_a=0.0), FixtureError, "Port 3 reads no current"),
    (
        "the first window is stale",
        replace(
            dwell(),
            windows={1: (window(0.0, current_a=53.0), *dwell(8).windows[1][1:])}
            | {port: dwell(8).windows[port] for port in range(2, 7)},
        ),
        StationError,
        "first window of port 1",
    ),
    (
        "the first window is from before the load",
        replace(
            dwell(),
            windows={port: (window(0.0, current_a=0.0), *dwell(8).windows[port][1:]) for port in range(1, 7)},
        ),
        StationError,
        "first window of port 1 is 1000000 ppm away",
    ),
    (
        "a port scatters",
        replace(
            dwell(),
            windows={
                **dwell().windows,
                5: tuple(window(0.32 * n, current_a=54.0 * (1 + 1e-3 * (-1) ** n)) for n in range(8)),
            },
        ),
        FixtureError,
        "windows of port 5 scatter",
    ),
]


class TestADwell:
    def take(self, monkeypatch: Any, found: Dwell, **more: Any) -> Dwell:
        asked: list[Any] = []

        def collect(*args: Any) -> Dwell:
            asked.append(args)
            return found

        monkeypatch.setattr(load_points, "collect_windows", collect)
        bench = Bench(TurnedClock.at(0.0))
        source: Any = object()
        taken = load_bench(bench, **more).dwell(HIGH, source, StopRule(), 30.0, print)
        assert asked[0][:1] == (source,)
        assert asked[0][3:6] == (StopRule(), 30.0, print)
        return taken

    @pytest.mark.parametrize(("current_a", "told"), [(6.0, "-33 %"), (9.95, r"\+11 %")])
    def test_of_a_load_of_another_current_than_the_station_file_says_is_the_benchs_fault(
        self, monkeypatch, current_a, told
    ):
        other = replace(dwell(), samples=samples_of(*(current_a + 1e-4 * number for number in range(12))))
        with pytest.raises(FixtureError, match=f"{told} from the 9 A of the station file"):
            self.take(monkeypatch, other)

    def test_that_can_be_believed_is_given(self, monkeypatch):
        found = dwell()
        assert self.take(monkeypatch, found) is found

    @pytest.mark.parametrize(
        ("found", "error", "message"),
        [case[1:] for case in UNBELIEVABLE],
        ids=[case[0] for case in UNBELIEVABLE],
    )
    def test_that_cannot_is_refused_by_who_must_act(self, monkeypatch, found, error, message):
        with pytest.raises(error, match=message):
            self.take(monkeypatch, found)

    def test_a_port_that_is_not_under_test_may_have_no_ct(self, monkeypatch):
        found = with_port(dwell(), 3, current_a=0.0)
        assert self.take(monkeypatch, found, ports=(1, 2)) is found

    def test_on_a_bench_for_one_ct_another_ports_ct_is_named(self, monkeypatch):
        shipped = station()
        single = station(conductor=replace(shipped.conductor, ct_jig="single"))
        found = dwell()
        for port in range(1, 7):
            found = with_port(found, port, current_a=54.0 if port == 2 else 0.0)
        monkeypatch.setattr(load_points, "collect_windows", lambda *_args: found)
        switch: Any = Bench(TurnedClock.at(0.0))

        def take(port: int) -> Dwell:
            bench = LoadBench(single, TurnedClock.at(0.0), switch, switch, (port,))
            return bench.dwell(HIGH, switch, StopRule(), 30.0, print)

        assert take(2) is found
        with pytest.raises(FixtureError, match=r"Port 2 reads 6\.00 .* the CT of port 3 was asked for"):
            take(3)
        turned = with_port(found, 2, active_w=-12420.0)
        monkeypatch.setattr(load_points, "collect_windows", lambda *_args: turned)
        with pytest.raises(FixtureError, match="Port 2 reads -12420 W, of the other sign"):
            take(2)
        monkeypatch.setattr(load_points, "collect_windows", lambda *_args: found)
        with pytest.raises(FixtureError, match=r"Port 2 reads 6\.00 .* the CT of port 1 was asked for"):
            LoadBench(single, TurnedClock.at(0.0), switch, switch).dwell(
                HIGH, switch, StopRule(), 30.0, print
            )


class TestTheLoadStays:
    def test_while_it_follows_the_mains(self):
        assert check_load_stayed(samples_of(9.0, 8.7, 9.3)) is None

    @pytest.mark.parametrize("lowest", [0.0, 4.4])
    def test_but_not_below_half_of_what_it_was(self, lowest):
        finding = check_load_stayed(samples_of(9.0, lowest, 9.0))
        assert finding is not None
        assert (finding.name, finding.culprit, finding.value) == ("load_lost", "fixture", lowest)

    def test_nor_when_it_never_was_on(self):
        assert check_load_stayed(samples_of(0.0, 0.0)) is not None


def test_a_port_without_current_is_named():
    finding = check_currents_there({1: [54.0, 54.0], 6: [54.0, 0.0]})
    assert finding is not None
    assert finding.message.startswith("Port 6 reads no current")
    assert check_currents_there({1: [54.0], 6: [0.001]}) is None


class TestBelieving:
    def finding(self, culprit: Any) -> Finding:
        return Finding("odd", culprit, "It is odd.", 2.0, 1.0)

    @pytest.mark.parametrize(
        ("culprit", "error", "action"),
        [
            ("dut", DutError, "Reject the unit."),
            ("fixture", FixtureError, "Check the load"),
            ("station", StationError, "Call the engineer."),
        ],
    )
    def test_a_finding_is_raised_at_who_must_act(self, culprit, error, action):
        with pytest.raises(error, match="It is odd") as caught:
            require_believable([lambda: None, lambda: self.finding(culprit)])
        assert caught.value.action.startswith(action)

    def test_the_first_finding_counts_and_later_checks_are_not_made(self):
        def later() -> Finding | None:
            raise AssertionError("asked")

        with pytest.raises(DutError):
            require_believable([lambda: self.finding("dut"), later])

    def test_nothing_found_is_nothing_raised(self):
        require_believable([lambda: None])
