"""The station's drivers against the emulated instruments, over real sockets, each with its own tables."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from instruments_bench import Bench, running_instruments

from mfg.errors import FixtureError, StationError
from mfg.fixtures.power_switch import PowerSwitch
from mfg.fixtures.reference_dialects import load_dialect
from mfg.fixtures.reference_meter import ReferenceMeter
from mfg.fixtures.thermometer import Thermometer
from mfg.fixtures.visa_link import VisaLink

FACTOR = 5.0
SUPPLY, LOAD, IDENTIFICATION = 1, 2, 3


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_instruments(tmp_path_factory.mktemp("bench"), FACTOR) as bench:
        yield bench


@pytest.fixture
def meter(bench: Bench) -> Iterator[ReferenceMeter]:
    resource = bench.resource(bench.config.instruments.meter_port)
    meter = ReferenceMeter.at(resource, load_dialect("gwinstek-gpm8310"), "", bench.clock)
    meter.open()
    meter.configure(300, 10, 0.25)
    yield meter
    meter.close()


@pytest.fixture
def switch(bench: Bench) -> Iterator[PowerSwitch]:
    link = VisaLink(bench.resource(bench.config.instruments.switch_port), bench.clock, name="the switch")
    names = {SUPPLY: "the supply", LOAD: "the load", IDENTIFICATION: "the identification conductor"}
    switch = PowerSwitch(link, bench.clock, "EMU-BENCH,SW6,", names)
    switch.open()
    yield switch
    switch.clear_watchdog()
    switch.all_off([SUPPLY, LOAD, IDENTIFICATION])
    switch.close()


def test_the_reference_reads_what_the_mains_is(bench: Bench, meter: ReferenceMeter):
    assert str(meter.identity) == "GWInstek GPM-8310 serial GEU000123 firmware V1.05"
    reading = meter.read()
    plant = bench.plant()
    assert reading.voltage_v == pytest.approx(plant.mains_voltage_v(reading.t_s), rel=1e-3)
    assert reading.frequency_hz == pytest.approx(plant.frequency_hz(reading.t_s), abs=0.02)
    assert abs(reading.current_a) < 0.01
    assert meter.error_queue() == []


def test_every_reading_is_of_a_new_update_and_stamped_in_its_middle(bench: Bench, meter: ReferenceMeter):
    readings = [meter.read() for _ in range(8)]
    gaps_s = [after.t_s - before.t_s for before, after in itertools.pairwise(readings)]
    assert min(gaps_s) > 0.1
    # Those that came fastest: a busy machine delivers answers late, and none early.
    update_end_s = bench.control.call("state")["meter"]["update_end_s"]
    phases = [(reading.t_s + 0.125 - update_end_s) / 0.25 for reading in readings]
    assert sorted(abs(phase - round(phase)) for phase in phases)[2] < 0.25


def test_the_load_is_seen_by_switch_and_reference_alike(
    bench: Bench, meter: ReferenceMeter, switch: PowerSwitch
):
    switch.set_watchdog(30)
    switch.on(LOAD)
    switch.feed()
    bench.clock.sleep_s(1.0)
    reading = meter.read()
    assert reading.current_a == pytest.approx(switch.measured_current_a(LOAD), rel=5e-3)
    assert reading.active_w == pytest.approx(reading.voltage_v * reading.current_a, rel=5e-3)
    assert reading.angle_deg == pytest.approx(0.0, abs=1.0)
    switch.off(LOAD)
    assert abs(switch.measured_current_a(LOAD)) < 0.01


def test_the_load_can_be_set_and_the_reference_follows(
    bench: Bench, meter: ReferenceMeter, switch: PowerSwitch
):
    assert switch.current_limits_a(LOAD) == (0.02, 16.0)
    assert switch.set_current(LOAD, 1 / 6) == pytest.approx(0.167)
    switch.on(LOAD)
    for current_a in (0.167, 1.0, 9.0):
        switch.set_current(LOAD, current_a)
        bench.clock.sleep_s(4.0)
        assert meter.read().current_a == pytest.approx(current_a, rel=1e-2)
        assert switch.measured_current_a(LOAD) == pytest.approx(current_a, rel=1e-2)
    switch.off(LOAD)
    with pytest.raises(StationError, match="-222"):
        switch.set_current(LOAD, 17.0)


def test_the_supply_cannot_be_set(switch: PowerSwitch):
    with pytest.raises(StationError, match="-114"):
        switch.set_current(SUPPLY, 1.0)


def test_the_supply_switches(switch: PowerSwitch):
    switch.on(SUPPLY)
    assert 11.0 < switch.measured_voltage_v(SUPPLY) < 13.5
    switch.off(SUPPLY)
    assert switch.measured_voltage_v(SUPPLY) < 0.5


def test_a_channel_that_does_not_exist_is_refused(switch: PowerSwitch):
    with pytest.raises(StationError, match="after channel 9 was switched off"):
        switch.off(9)
    with pytest.raises(FixtureError, match="stays off"):
        switch.on(LOAD)


def test_the_watchdog_drops_the_load_and_the_driver_says_so(bench: Bench, switch: PowerSwitch):
    switch.set_watchdog(2)
    switch.on(LOAD)
    bench.clock.sleep_s(4.0)
    with pytest.raises(FixtureError, match="watchdog expired"):
        switch.feed()
    assert not switch.is_on(LOAD)


def test_the_thermometer_reads_the_room(bench: Bench):
    link = VisaLink(bench.resource(bench.config.instruments.thermometer_port), bench.clock)
    thermometer = Thermometer(link, "EMU-BENCH,TH1,")
    assert thermometer.read_degc() == pytest.approx(22.0, abs=1.5)
    assert "TH000004" in thermometer.source
    thermometer.close()


def test_another_instruments_address_is_refused(bench: Bench):
    """The terminator differs too, so the identity is named as what came without one."""
    resource = bench.resource(bench.config.instruments.switch_port)
    meter = ReferenceMeter.at(resource, load_dialect("gwinstek-gpm8310"), "", bench.clock)
    with pytest.raises(StationError, match="EMU-BENCH,SW6"):
        meter.open()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("meter_over_range", r"current_a .*(INF|is not a number)|over range"),
        ("meter_nan", "NAN"),
        ("meter_error_queue_full", "reports|still holds entries"),
        ("meter_silent", "no complete answer|does not take"),
        ("meter_late_reply", "no complete answer|is '|after it was asked"),
        ("meter_drops_connection", "closed|refuses|does not take"),
    ],
)
def test_a_faulty_meter_never_gives_a_number(bench: Bench, meter: ReferenceMeter, fault: str, says: str):
    assert meter.read().voltage_v > 200
    bench.fault(fault, on=True)
    try:
        with pytest.raises(StationError, match=says):
            _read_until_it_fails(meter)
    finally:
        bench.fault(fault, on=False)
    bench.clock.sleep_s(4.0)
    recovered = _read_after_fault(bench, meter)
    assert recovered.voltage_v == pytest.approx(bench.plant().mains_voltage_v(recovered.t_s), rel=2e-3)


def _read_until_it_fails(meter: ReferenceMeter) -> None:
    """Read three times: the update under way when the fault began may still be good."""
    for _ in range(3):
        meter.read()


def _read_after_fault(bench: Bench, meter: ReferenceMeter):
    """Read again; what the link still holds of the fault may cost one more dropped reading."""
    try:
        return meter.read()
    except StationError:
        bench.clock.sleep_s(1.0)
        return meter.read()


def test_a_meter_with_another_identity_is_refused(bench: Bench):
    bench.fault("meter_wrong_identity", on=True)
    try:
        resource = bench.resource(bench.config.instruments.meter_port)
        meter = ReferenceMeter.at(
            resource, load_dialect("gwinstek-gpm8310"), "GWInstek,GPM-8310,GEU000123,", bench.clock
        )
        with pytest.raises(StationError, match="is 'GWInstek,GPM-8213"):
            meter.open()
    finally:
        bench.fault("meter_wrong_identity", on=False)
