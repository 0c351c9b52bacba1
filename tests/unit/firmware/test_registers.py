"""Register arithmetic against the chip maker's worked examples.

Source: application note Atmel-46103A, sections 4.2.2, 4.2.6 and 5.1.
"""

import math
import struct

import pytest
from app1 import registers
from hypothesis import given
from hypothesis import strategies as st

WORD = st.integers(0, 0xFFFF)


def table(**changes) -> list[tuple[int, int]]:
    arguments = {
        "line_hz": 50,
        "voltage_gain": 55600,
        "voltage_offset": 0x1234,
        "current_gains": (42720, 42721, 42722),
        "current_offsets": (1, 2, 3),
    }
    return list(registers.start_up(**(arguments | changes)))


def test_the_makers_voltage_example_gives_the_makers_gain():
    """4.2.6: UrmsA 3039H with 43H in its low word, gain 8000H, reference 220.00 V: E41BH."""
    reading_v = registers.voltage_v(0x3039, 0x4300)
    assert reading_v == pytest.approx(123.45 + 67 * 0.01 / 256)
    assert round(220.00 / reading_v * 0x8000) == 0xE41B


def test_the_low_byte_of_a_low_word_does_not_count():
    assert registers.voltage_v(0x3039, 0x43FF) == registers.voltage_v(0x3039, 0x4300)


def test_the_pl_constant_is_that_of_3200_pulses_per_kwh():
    """4.2.2: 450e9 / 3200 = 0861C468H."""
    values = dict(table())
    assert values[0x31] << 16 | values[0x32] == 450_000_000_000 // 3200


def test_a_threshold_power_has_the_step_of_the_makers_example():
    """5.1: 1.65 W is 1424H counts, 0.11 W is 158H."""
    assert registers.power_w(0, 0x1424) == pytest.approx(1.65, abs=0.00032)
    assert registers.power_w(0, 0x158) == pytest.approx(0.11, abs=0.00032)


def test_full_scale_fits():
    assert registers.current_a(0xFFFF, 0xFF00) == pytest.approx(65.535996, abs=1e-6)
    assert registers.voltage_v(0xFFFF, 0xFF00) == pytest.approx(655.35996, abs=1e-5)


@given(WORD, WORD)
def test_a_power_is_the_twos_complement_of_both_words(high, low):
    expected = struct.unpack(">i", struct.pack(">HH", high, low))[0] * 0.00032
    assert registers.power_w(high, low) == pytest.approx(expected)


@given(WORD, WORD)
def test_an_rms_value_survives_single_precision_to_its_last_step(main, low):
    counts = registers.rms_counts(main, low)
    assert struct.unpack("f", struct.pack("f", counts))[0] == counts


@given(WORD)
def test_a_signed_word_is_what_struct_says(value):
    assert registers.signed16(value) == struct.unpack(">h", struct.pack(">H", value))[0]


def test_the_peak_of_a_sine_follows_the_gain_in_force():
    counts = round(math.sqrt(2) * 2.0 * 1000 * 8192 / 42720)
    assert registers.current_peak_a(counts, 42720) == pytest.approx(2 * math.sqrt(2), abs=0.006)


@pytest.mark.parametrize(("line_hz", "sag_v"), [(50, 190), (60, 90)])
@given(gain=st.integers(6719, 65535))
def test_the_sag_threshold_is_that_of_the_interface_description(line_hz, sag_v, gain):
    expected = sag_v * 100 * math.sqrt(2) / (2 * gain / 32768)
    assert abs(registers.sag_threshold(line_hz, gain) - expected) <= 0.51


@given(gain=st.integers(1, 65535))
def test_the_sag_threshold_always_fits_its_register(gain):
    assert 0 <= registers.sag_threshold(50, gain) <= 0xFFFF


def test_every_start_up_value_fits_its_register():
    for address, value in table(voltage_gain=1):
        assert 0 <= address <= 0xFF
        assert 0 <= value <= 0xFFFF


def test_access_is_opened_first_and_closed_last():
    writes = table()
    assert writes[0] == (registers.ACCESS, registers.ACCESS_OPEN)
    assert writes[-1] == (registers.ACCESS, 0)
    assert [address for address, _ in writes[1:-1]].count(registers.ACCESS) == 0


def test_the_voltage_offset_reaches_all_three_phases():
    values = dict(table())
    assert [values[address] for address in (0x63, 0x67, 0x6B)] == [0x1234] * 3


def test_each_phase_gets_its_own_current_gain_and_offset():
    values = dict(table())
    assert [values[address] for address in (0x62, 0x66, 0x6A)] == [42720, 42721, 42722]
    assert [values[address] for address in (0x64, 0x68, 0x6C)] == [1, 2, 3]


def test_60_hz_sets_the_mode_and_moves_the_frequency_limits():
    at_50, at_60 = dict(table()), dict(table(line_hz=60))
    assert (at_50[0x33], at_60[0x33]) == (0x0087, 0x1087)
    assert (at_50[0x0C], at_50[0x0D]) == (4900, 5100)
    assert (at_60[0x0C], at_60[0x0D]) == (5900, 6100)


def test_the_start_up_table_is_that_of_the_interface_description():
    values = dict(table())
    expected = {
        0x00: 0x0001, 0x02: 0x0444, 0x75: 0xB76F, 0x76: 0xDDFD, 0x73: 1, 0x74: 1, 0x07: 0x0A55,
        0x34: 0, 0x35: 0x0AFC, 0x36: 0x0AEC, 0x37: 0, 0x38: 0x00BC, 0x39: 0, 0x3A: 0,
    }  # fmt: skip
    expected |= dict.fromkeys([*range(0x41, 0x4D), *range(0x51, 0x57)], 0)
    assert {address: values[address] for address in expected} == expected
