"""Faults of switch, inputs, board and supply that change what the unit sees, by their physical cause."""

import dataclasses
import itertools
import math

import pytest
from test_ct6_board import CONFIG, Unit

from mfg.emulator.core import FILE_SYSTEM_OFFSET, FLASH_BYTES
from mfg.emulator.ct6_board import GPIO_BLUE_LED, GPIO_BUTTON
from mfg.emulator.events import Event, EventLog, append_event
from mfg.emulator.faults import CHATTER_S, LOW_SUPPLY_V, SAGGING_SUPPLY_V
from mfg.emulator.plant import Plant
from mfg.emulator.unit import drop_bits


@pytest.fixture
def unit(tmp_path):
    unit = Unit(tmp_path, CONFIG)
    unit.power_on()
    return unit


@pytest.fixture
def metering(unit):
    unit.event("identification", 1)
    unit.clock.forward(1)
    unit.start_chips()
    unit.settle()
    return unit


def levels(unit, seconds):
    found = []
    for _ in range(round(seconds / 0.02)):
        unit.clock.forward(0.02)
        found.append(unit.board.pin_read(GPIO_BUTTON))
    return found


def test_a_broken_dome_chatters_in_the_press_and_after_it_and_then_is_open(unit):
    unit.fault("button_bouncing")
    assert set(levels(unit, 1.0)) == {1}
    unit.event("button", 1, 1)
    assert levels(unit, 0.6).count(0) > 5
    unit.event("button", 0, 1)
    after = levels(unit, CHATTER_S)
    assert sum(later < earlier for earlier, later in itertools.pairwise(after)) >= 4
    assert set(levels(unit, 1.0)) == {1}


def test_a_bridged_switch_is_always_pressed(unit):
    unit.fault("button_stuck")
    assert set(levels(unit, 1.0)) == {0}


def test_a_blue_led_that_is_stuck_stays_lit(unit):
    unit.fault("led_blue_stuck")
    unit.board.pin_write(GPIO_BLUE_LED, 0)
    assert unit.board.lights()[GPIO_BLUE_LED] == 1


def test_an_open_miso_reads_all_ones(metering):
    metering.fault("miso_open")
    assert set(metering.currents_a()) == {65.535}


def test_an_open_burden_reads_several_times_too_much(metering):
    metering.fault("port3_burden_open")
    metering.settle()
    currents = metering.currents_a()
    assert currents[2] > 5 * 12.0
    assert currents[1] == pytest.approx(8.0, rel=0.01)


def test_a_ct_that_is_not_closed_reads_low_and_shifts_the_power(metering):
    metering.fault("ct2_not_closed")
    metering.settle()
    assert metering.currents_a()[1] == pytest.approx(8.0 * 0.93, rel=0.01)


def test_a_shifted_jig_shows_every_port_its_neighbour(metering):
    metering.fault("jig_shifted")
    metering.settle()
    assert [round(current_a / 4) for current_a in metering.currents_a()] == [6, 1, 2, 3, 4, 5]


def test_a_cracked_burden_falls_for_as_long_as_the_load_is_on(unit):
    unit.event("load", 1)
    unit.clock.forward(1)
    unit.start_chips()
    unit.fault("port1_drifting")
    unit.settle()
    before = unit.currents_a()
    unit.clock.forward(20)
    after = unit.currents_a()
    assert after[0] / before[0] < 0.95 < after[1] / before[1]


def test_a_sensor_of_another_type_reads_too_high(unit):
    before = unit.board.adc_u16(2)
    unit.fault("temperature_wrong")
    assert unit.board.adc_u16(2) > before + 2000


def test_an_old_board_holds_its_supply_off_for_a_moment_only(unit):
    unit.fault("board_of_other_version")
    unit.board.pin_write(13, 1)
    assert unit.board.self_power_cycle_off_s() == 0.8


def plant_with(folder, *faults, events=()):
    for event in events:
        append_event(folder, event)
    return Plant(dataclasses.replace(CONFIG, faults=faults), EventLog(folder))


def test_a_load_that_leaks_draws_current_while_it_is_off(tmp_path):
    plant = plant_with(tmp_path, "load_leaking")
    assert plant.load_current_a(10.0) == pytest.approx(0.06, rel=0.01)
    assert plant.leaking_a(10.0) == pytest.approx(0.06)


def test_a_path_past_the_reference_is_missing_there_and_nowhere_else(tmp_path):
    on = Event(0.0, "load", 1)
    sound = plant_with(tmp_path, events=[on])
    passed = plant_with(tmp_path, "load_bypasses_reference")
    window = (10.0, 10.32)
    assert passed.reference_truth(*window).current_a / sound.reference_truth(*window).current_a == 0.992
    assert passed.reference_truth(*window).voltage_v == sound.reference_truth(*window).voltage_v
    assert passed.port_truth(1, 1, *window) == sound.port_truth(1, 1, *window)


def test_a_load_that_lags_shows_in_the_reactive_power_everywhere(tmp_path):
    plant = plant_with(tmp_path, "load_lagging", events=[Event(0.0, "load", 1)])
    for truth in (plant.reference_truth(10.0, 10.32), plant.port_truth(1, 1, 10.0, 10.32)):
        assert truth.reactive_var / truth.active_w == pytest.approx(math.tan(math.radians(1.5)))


def test_low_mains_a_burnt_contact_and_a_sag_lower_what_arrives(tmp_path):
    assert plant_with(tmp_path, "mains_low").mains_voltage_v(10.0) < 190.0
    sag = Event(20.0, "sag", 1, 1)
    plant = plant_with(tmp_path, "supply_low", events=[sag])
    assert plant.supply_v(12.0, 1, 10.0) == LOW_SUPPLY_V
    assert plant.supply_v(12.0, 1, 21.0) == SAGGING_SUPPLY_V
    assert plant.supply_v(12.0, 2, 10.0) == LOW_SUPPLY_V


def test_a_bad_cell_of_the_flash_differs_in_the_program_and_not_in_the_files():
    flash = bytearray(b"\xff" * FLASH_BYTES)
    flash[:1000] = b"\x5a" * 1000
    flash[FILE_SYSTEM_OFFSET : FILE_SYSTEM_OFFSET + 10] = b"file"[:4] + bytes(6)
    before = bytes(flash)
    drop_bits(flash)
    changed = [at for at, (old, new) in enumerate(zip(before, flash, strict=True)) if old != new]
    assert len(changed) == 1
    assert 768 <= changed[0] < 1000
