"""What spoils a dwell is caught and named: the real drivers, load points and checks on emulated instruments.

The unit is a perfect one that reads the plant, so that nothing but the fault is wrong.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from instruments_bench import Bench, running_instruments

from mfg.calibration.registers import CURRENT_CEILING_A
from mfg.calibration.windows import StopRule, check_turns
from mfg.clock import BenchClock
from mfg.emulator.plant import Plant
from mfg.errors import FixtureError, StationError
from mfg.fixtures.power_switch import PowerSwitch
from mfg.fixtures.reference_dialects import load_dialect
from mfg.fixtures.reference_meter import ReferenceMeter
from mfg.fixtures.visa_link import VisaLink
from mfg.readings.load_points import LoadBench, require_believable
from mfg.readings.paired import Dwell
from mfg.readings.window_sources import CHIP_PORTS, ChipWindow, PortReading
from mfg.station import Station, load_station

FACTOR = 5.0
SHIPPED = Path(__file__).parents[2] / "station.yaml"
LOAD, IDENTIFICATION = 2, 3
SETTLE_S, DWELL_S, SHORT_S = 20.0, 30.0, 6.0
RULE = StopRule(wanted_ppm=1000.0)
PLANT_FAULTS = ("mains_jumping", "load_not_settling", "saturation", "mains_60hz", "wrong_turns")
METER_FAULTS = ("meter_lagging", "meter_stuck")


class PerfectUnit:
    """Both chips' windows of 16 cycles, each once, as they end; a register ends at its largest value."""

    poll_s = 0.08
    current_step_a, voltage_step_v = 0.001 / 256, 0.01 / 256

    def __init__(self, plant: Plant, clock: BenchClock) -> None:
        self.plant, self.clock = plant, clock
        self.stale_from_s: float | None = None  # the first window of all is that of this time
        now_s = clock.now_s()
        self.frequency_hz = plant.frequency_hz(now_s)
        self.length_s = 16 / self.frequency_hz
        self._ends_s = {chip: now_s + offset_s for chip, offset_s in (("CS4", 0.0), ("CS0", 0.1))}

    def begin_later(self, delay_s: float) -> None:
        """Let the first windows begin when the reference has readings on both sides of them."""
        self._ends_s = {chip: end_s + delay_s for chip, end_s in self._ends_s.items()}

    def poll(self) -> list[ChipWindow]:
        fresh = []
        for chip in CHIP_PORTS:
            end_s = self._ends_s[chip] + self.length_s
            if end_s > self.clock.now_s():
                continue
            self._ends_s[chip] = end_s
            fresh.append(self._window(chip, end_s))
        return fresh

    def _window(self, chip: str, end_s: float) -> ChipWindow:
        until_s, self.stale_from_s = self.stale_from_s or end_s, None
        readings = []
        for port in CHIP_PORTS[chip]:
            truth = self.plant.port_truth(1, port, until_s - self.length_s, until_s)
            current_a = min(truth.current_a, CURRENT_CEILING_A)
            readings.append(PortReading(truth.voltage_v, current_a, truth.active_w, truth.reactive_var))
        return ChipWindow(chip, end_s - self.length_s / 2, tuple(readings))


@dataclasses.dataclass
class Place:
    """The bench with its drivers."""

    bench: Bench
    loads: LoadBench
    station: Station
    at: int = 0

    def unit(self) -> PerfectUnit:
        return PerfectUnit(self.bench.plant(), self.bench.clock)

    def plant_fault(self, name: str, on: bool = True) -> None:
        self.bench.event("fault", {"name": name, "on": on})

    def go_to(self, number: int = 0, settle_s: float = SETTLE_S) -> float:
        self.at = number
        return self.loads.go_to(self.station.load_points[number], settle_s, lambda _done: None)

    def dwell(self, unit: PerfectUnit | None = None, on_poll: Callable[[int], None] | None = None) -> Dwell:
        point = self.station.load_points[self.at]
        return self.loads.dwell(point, unit or self.unit(), RULE, DWELL_S, on_poll or (lambda _done: None))

    def in_the_dwell(self, act: Callable[[], None], after: int = 3) -> Dwell:
        """Take a dwell and do something once some windows are there."""
        pending = [act]

        def look(done: int) -> None:
            if done >= after and pending:
                pending.pop()()

        return self.dwell(on_poll=look)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_instruments(tmp_path_factory.mktemp("dwell"), FACTOR) as bench:
        yield bench


@pytest.fixture(scope="module")
def drivers(bench: Bench) -> Iterator[tuple[ReferenceMeter, PowerSwitch]]:
    instruments = bench.config.instruments
    resource = bench.resource(instruments.meter_port)
    meter = ReferenceMeter.at(resource, load_dialect("gwinstek-gpm8310"), "", bench.clock)
    meter.open()
    link = VisaLink(bench.resource(instruments.switch_port), bench.clock, name="the switch")
    switch = PowerSwitch(link, bench.clock, "EMU-BENCH,SW6,", {LOAD: "the load"})
    switch.open()
    yield meter, switch
    switch.close()
    meter.close()


@pytest.fixture
def place(bench: Bench, drivers: tuple[ReferenceMeter, PowerSwitch]) -> Iterator[Place]:
    meter, switch = drivers
    station = load_station(SHIPPED)
    settings = station.reference_meter
    meter.configure(settings.voltage_range_v, settings.current_range_a, settings.update_s)
    place = Place(bench, LoadBench(station, bench.clock, switch, meter), station)
    yield place
    for name in PLANT_FAULTS:
        place.plant_fault(name, on=False)
    for name in METER_FAULTS:
        bench.fault(name, on=False)
    switch.all_off([LOAD, IDENTIFICATION])


def test_a_good_bench_is_believed_at_every_point(place: Place):
    for number, point in enumerate(place.station.load_points):
        assert place.go_to(number) == pytest.approx(point.current_a, rel=0.02)
        dwell = place.dwell()
        for port in range(1, 7):
            means = dwell.means(port)
            assert means.current_a / means.reference_a == pytest.approx(6.0, rel=200e-6)


class TestTheMains:
    def test_that_jumps_before_the_dwell_is_named(self, place: Place):
        place.plant_fault("mains_jumping")
        with pytest.raises(FixtureError, match=r"The mains voltage jumps: it varied by [34]\.\d\d %"):
            place.go_to(settle_s=SHORT_S)

    def test_that_jumps_in_the_dwell_is_named(self, place: Place):
        place.go_to()
        with pytest.raises(
            FixtureError, match=r"mains voltage jumped by \d\.\d\d % at \d+\.\d\d s in the dwell"
        ):
            place.in_the_dwell(lambda: place.plant_fault("mains_jumping"))

    def test_of_60_hz_on_a_50_hz_unit_is_named(self, place: Place):
        place.plant_fault("mains_60hz")
        place.go_to()
        with pytest.raises(StationError, match=r"The mains has (59\.9|60\.0)\d Hz, but LINE_FREQ_HZ is 50"):
            place.dwell()


class TestTheLoad:
    def test_that_does_not_settle_is_named(self, place: Place):
        place.plant_fault("load_not_settling")
        with pytest.raises(FixtureError, match="load's current did not become stable within 6 s"):
            place.go_to(settle_s=SHORT_S)

    def test_that_goes_away_in_the_dwell_is_named(self, place: Place):
        place.go_to()
        with pytest.raises(FixtureError, match=r"current fell to 0\.000 A in the dwell, from [89]\.\d+ A"):
            place.in_the_dwell(lambda: place.bench.event("load", 0))

    def test_that_saturates_the_ports_is_named(self, place: Place):
        place.plant_fault("saturation")
        place.go_to()
        with pytest.raises(StationError, match=r"Port \d reads 65\.535 A, the most its register holds"):
            place.dwell()

    def test_wound_once_less_through_the_cts_is_named(self, place: Place):
        place.plant_fault("wrong_turns")
        place.go_to()
        dwell = place.dwell()
        ratios = {port: dwell.current_ratios(port)[0] for port in range(1, 7)}
        with pytest.raises(FixtureError, match=r"reads 5\.00 times the reference's .* says 6 turns"):
            require_believable([lambda: check_turns(ratios, place.station.conductor.turns)])


class TestTheReference:
    def test_that_gives_the_reading_of_two_seconds_ago_is_named(self, place: Place):
        place.bench.fault("meter_lagging", on=True)
        with pytest.raises(
            StationError, match=r"The reference lags: it still showed [0-4]\.\d{3} A [12]\.\d\d s after"
        ):
            place.go_to()

    def test_that_repeats_a_reading_in_the_dwell_is_named(self, place: Place):
        place.go_to()
        with pytest.raises(StationError, match=r"\d+ of \d+ readings of the reference equal an earlier one"):
            place.in_the_dwell(lambda: place.bench.fault("meter_stuck", on=True), after=1)

    def test_that_somebody_else_sets_in_the_dwell_is_named(self, place: Place):
        place.go_to()
        instruments = place.bench.config.instruments
        other = VisaLink(
            place.bench.resource(instruments.meter_port),
            place.bench.clock,
            read_termination="\r\n",
            write_termination="\r\n",
            name="another program",
        )
        other.identify("GWInstek")
        try:
            with pytest.raises(StationError, match=r"current range was set to 10|is not a number"):
                place.in_the_dwell(lambda: other.write(":INP:CURR:RANG 20A"))
        finally:
            other.close()

    def test_that_holds_what_it_showed_without_a_load_is_named(self, place: Place):
        place.loads.meter.read()
        place.bench.fault("meter_stuck", on=True)
        with pytest.raises(FixtureError, match=r"by the power switch, but the reference shows 0\.000 A"):
            place.go_to(settle_s=SHORT_S)


def test_a_first_window_from_before_the_load_was_on_is_named(place: Place):
    before_s = place.bench.clock.now_s()
    place.go_to()
    unit = place.unit()
    unit.begin_later(2.0)
    unit.stale_from_s = before_s
    with pytest.raises(StationError, match=r"The first window of port \d is \d+ ppm away .* It is stale"):
        place.dwell(unit)


def test_nothing_of_the_plant_depends_on_a_test_before(place: Place, bench: Bench):
    plant: Any = bench.plant()
    t_s = bench.clock.now_s()
    assert plant.load_current_a(t_s) == 0.0
    assert math.isclose(plant.frequency_hz(t_s), 50.0, abs_tol=0.05)
    assert plant.turns(t_s) == 6
