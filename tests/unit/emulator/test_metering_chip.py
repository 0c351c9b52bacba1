"""The metering chip's register model against the maker's rules and worked examples."""

import cmath
import math

import pytest

from mfg.emulator.atm90e32 import Atm90e32
from mfg.emulator.front_end import ChipWindow, CurrentInput

PERIOD_S = 16 / 50
ALL_FROM_V1 = 0x0444
UNITY = {1: 1.0}


class SteadyInputs:
    """Inputs that see the same voltage, currents and angle all the time, unless a test changes them."""

    def __init__(self):
        self.voltage_v = 230.0
        self.currents_a = [10.0, 20.0, 30.0]
        self.lag_deg = 0.0
        self.offset_a = 0.0
        self.hz = 50.0
        self.degc = 24.4
        self.switched = 0
        self.windows = []

    def revision(self):
        return self.switched

    def window(self, start_s, end_s):
        self.windows.append((start_s, end_s))
        turn = cmath.exp(1j * math.radians(self.lag_deg))
        currents = tuple(
            CurrentInput(abs(current_a), self.offset_a, self.voltage_v * current_a * turn)
            for current_a in self.currents_a
        )
        return ChipWindow(self.voltage_v, 0.02, currents, UNITY, self.hz)

    def frequency_hz(self, t_s):
        return self.hz

    def board_degc(self, t_s):
        return self.degc


class Bench:
    """A chip with a master on its bus, at a bench time that the test sets."""

    def __init__(self):
        self.inputs = SteadyInputs()
        self.chip = Atm90e32(self.inputs)
        self.t_s = 1000.0

    def frame(self, data):
        self.chip.select()
        reply = self.chip.transfer(data, self.t_s)
        self.chip.deselect(self.t_s)
        return reply

    def write(self, address, value):
        self.frame(bytes([address >> 8, address & 0xFF, value >> 8, value & 0xFF]))

    def read(self, address):
        reply = self.frame(bytes([0x80 | address >> 8, address & 0xFF, 0, 0]))
        return reply[2] << 8 | reply[3]

    def read_s16(self, address):
        value = self.read(address)
        return value - 0x10000 if value & 0x8000 else value

    def read_s32(self, high, low):
        value = self.read(high) << 16 | self.read(low)
        return value - (1 << 32) if value & 0x8000_0000 else value

    def start(self, voltage_gain=55600, current_gain=42720):
        self.write(0x70, 0x789A)
        self.write(0x7F, 0x55AA)
        self.write(0x00, 0x0001)
        self.write(0x02, ALL_FROM_V1)
        for phase in range(3):
            self.write(0x61 + 4 * phase, voltage_gain)
            self.write(0x62 + 4 * phase, current_gain)

    def wait_windows(self, count):
        self.t_s += count * PERIOD_S + 0.001


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def running(bench):
    bench.start()
    bench.wait_windows(1)
    return bench


def current_fine_a(bench, phase=0):
    return (bench.read(0xDD + phase) + (bench.read(0xED + phase) >> 8) / 256) * 0.001


# ---- framing and access -----------------------------------------------------------------------------


def test_reset_values_are_those_of_the_datasheet(bench):
    expected = {
        0x61: 0x8000,
        0x62: 0x8000,
        0x6A: 0x8000,
        0x01: 0x0210,
        0x02: 0x0654,
        0x33: 0x0087,
        0x05: 0x143F,
    }
    assert {address: bench.read(address) for address in expected} == expected


def test_a_protected_register_is_written_only_while_access_is_open(bench):
    bench.write(0x61, 1234)
    assert bench.read(0x61) == 0x8000
    bench.write(0x7F, 0x55AA)
    bench.write(0x61, 1234)
    assert bench.read(0x61) == 1234
    bench.write(0x7F, 0x0000)
    bench.write(0x61, 4321)
    assert bench.read(0x61) == 1234


def test_an_incomplete_frame_does_nothing(bench):
    bench.write(0x7F, 0x55AA)
    bench.frame(bytes([0x00, 0x61, 0x12]))
    assert bench.read(0x61) == 0x8000
    bench.frame(bytes([0x00, 0x61, 0x12, 0x34, 0x56]))
    assert bench.read(0x61) == 0x8000


def test_a_frame_may_arrive_byte_by_byte(running):
    running.chip.select()
    reply = b"".join(running.chip.transfer(bytes([byte]), running.t_s) for byte in (0x80, 0xD9, 0, 0))
    running.chip.deselect(running.t_s)
    assert reply[2] << 8 | reply[3] == 23000
    assert reply[:2] == b"\xff\xff"


def test_last_data_repeats_what_was_written_and_what_was_read(bench):
    bench.write(0x7F, 0x55AA)
    bench.write(0x61, 0xD930)
    assert bench.read(0x78) == 0xD930
    bench.read(0x33)
    assert bench.read(0x78) == 0x0087
    assert bench.read(0x78) == 0x0087


def test_a_soft_reset_needs_its_key_and_restores_the_reset_values(bench):
    bench.start()
    bench.write(0x70, 0x1234)
    assert bench.read(0x61) == 55600
    bench.write(0x70, 0x789A)
    assert bench.read(0x61) == 0x8000
    assert bench.chip.written() == {}


def test_measured_registers_cannot_be_written(running):
    running.write(0xD9, 1)
    assert running.read(0xD9) == 23000


def test_dropped_corrections_are_seen_by_reading_back(bench):
    bench.chip.drop_corrections = True
    bench.start()
    assert bench.read(0x61) == 0x8000
    assert bench.read(0x02) == ALL_FROM_V1


# ---- windows ----------------------------------------------------------------------------------------


def test_everything_measured_reads_zero_while_metering_is_not_enabled(bench):
    bench.write(0x7F, 0x55AA)
    bench.write(0x02, ALL_FROM_V1)
    bench.t_s += 5
    assert [bench.read(address) for address in (0xD9, 0xDD, 0xB1, 0xF8)] == [0, 0, 0, 0]


def test_before_the_first_window_after_a_reset_is_complete_everything_reads_zero(bench):
    bench.start()
    bench.t_s += PERIOD_S - 0.01
    assert bench.read(0xDD) == 0
    bench.t_s += 0.02
    assert bench.read(0xDD) == 10000
    bench.start()
    assert bench.read(0xDD) == 0


def test_windows_are_sixteen_cycles_counted_from_the_moment_metering_was_enabled(bench):
    bench.start()
    bench.t_s = 1000.0 + 2.5 * PERIOD_S
    bench.read(0xD9)
    assert bench.inputs.windows == [pytest.approx((1000.0 + PERIOD_S, 1000.0 + 2 * PERIOD_S))]


def test_at_60_hz_a_window_takes_267_ms(bench):
    bench.inputs.hz = 60.0
    bench.start()
    bench.t_s += 0.266
    assert bench.read(0xD9) == 0
    bench.t_s += 0.001
    assert bench.read(0xD9) == 23000


def test_between_two_window_ends_a_read_repeats_itself(running):
    assert running.read(0xDD) == 10000
    running.inputs.currents_a[0] = 7.0
    running.t_s += 0.5 * PERIOD_S
    assert running.read(0xDD) == 10000
    running.wait_windows(1)
    assert running.read(0xDD) == 7000


def test_a_new_gain_shows_only_in_the_next_window(running):
    assert running.read(0xDD) == 10000
    running.write(0x62, 21360)
    assert running.read(0xDD) == 10000
    running.wait_windows(1)
    assert running.read(0xDD) == 5000


def test_a_window_that_was_not_read_before_a_write_still_uses_the_old_gain(running):
    running.write(0x62, 21360)
    assert running.read(0xDD) == 10000


def test_enabling_metering_again_does_not_restart_the_windows(running):
    running.write(0x00, 0x0001)
    assert running.read(0xD9) == 23000


def test_a_stale_first_window_after_a_reset_holds_the_values_before_it(running):
    running.wait_windows(1)
    running.chip.stale_window = True
    assert running.read(0xDD) == 10000
    running.inputs.currents_a[0] = 5.0
    running.start(current_gain=21360)
    assert running.read(0xDD) == 10000
    running.wait_windows(1)
    assert running.read(0xDD) == 10000
    running.wait_windows(1)
    assert running.read(0xDD) == 2500


def test_without_its_supply_a_chip_forgets_its_stale_window_too(running):
    running.chip.stale_window = True
    running.read(0xDD)
    running.chip.power_on()
    running.start()
    running.wait_windows(1)
    assert running.read(0xDD) == 0
    running.wait_windows(1)
    assert running.read(0xDD) == 10000


# ---- RMS, gains, offsets ----------------------------------------------------------------------------


def test_nominal_gains_indicate_the_input(running):
    assert [running.read(0xD9 + phase) for phase in range(3)] == [23000] * 3
    assert [running.read(0xDD + phase) for phase in range(3)] == [10000, 20000, 30000]


def test_the_makers_worked_example_of_the_voltage_gain(bench):
    """Atmel-46103A 4.2.6: 8000H, 220.00 V, Urms 12345 with LSB high byte 67 needs E41BH."""
    indicated_v = 12345 * 0.01 + 67.5 * 0.01 / 256
    bench.inputs.voltage_v = indicated_v * 55600 / 0x8000
    bench.start(voltage_gain=0x8000)
    bench.wait_windows(1)
    assert (bench.read(0xD9), bench.read(0xE9)) == (12345, 67 << 8)
    bench.write(0x61, 0xE41B)
    bench.wait_windows(1)
    assert (bench.read(0xD9) + (bench.read(0xE9) >> 8) / 256) * 0.01 == pytest.approx(220.00, abs=0.004)


def test_at_pga_x4_the_nominal_current_gain_is_10680(running):
    running.write(0x34, 0x002A)
    for phase in range(3):
        running.write(0x62 + 4 * phase, 10680)
    running.wait_windows(1)
    assert [running.read(0xDD + phase) for phase in range(2)] == [10000, 20000]


def test_a_gain_of_the_other_pga_reads_four_times_low(running):
    running.write(0x62, 10680)
    running.wait_windows(1)
    assert running.read(0xDD) == 2500


def test_one_offset_count_is_1_953_microamperes_and_19_53_microvolts(running):
    running.write(0x64, 10240)  # 20 mA
    running.write(0x63, 10240)  # 0.2 V
    running.wait_windows(1)
    assert current_fine_a(running) == pytest.approx(10.020, abs=1e-5)
    assert running.read(0xD9) == 23020


def test_the_original_step_of_minus_1000_takes_1_953_milliamperes_away(running):
    running.write(0x64, -1000 & 0xFFFF)
    running.wait_windows(1)
    assert 10.0 - current_fine_a(running) == pytest.approx(0.001953, abs=5e-6)


def test_the_offset_is_added_after_the_gain(running):
    running.write(0x64, 10240)
    running.write(0x62, 21360)
    running.wait_windows(1)
    assert current_fine_a(running) == pytest.approx(5.020, abs=1e-5)


def test_a_negative_result_reads_zero_and_does_not_wrap(running):
    running.inputs.currents_a[0] = 0.001
    running.write(0x64, -1000 & 0xFFFF)
    running.wait_windows(1)
    assert (running.read(0xDD), running.read(0xED)) == (0, 0)


def test_the_default_offset_of_the_original_firmware_reads_0_21_v_high(running):
    running.write(0x67, 10734)
    running.wait_windows(1)
    assert running.read(0xDA) - running.read(0xD9) == 20


def test_the_low_word_has_a_valid_high_byte_of_one_256th(running):
    running.inputs.currents_a[0] = 10.000501
    running.wait_windows(1)
    assert running.read(0xDD) == 10000
    assert running.read(0xED) == 0x8000


def test_a_register_saturates_at_65535(running):
    running.inputs.currents_a[0] = 70.0
    running.wait_windows(1)
    assert running.read(0xDD) == 65535


@pytest.mark.parametrize(("pga", "factor", "clip_a"), [(0x0000, 1, 102.6), (0x002A, 4, 25.65)])
def test_the_converter_clips_a_sine_above_its_range(running, pga, factor, clip_a):
    running.inputs.currents_a[0] = 1.5 * clip_a
    running.write(0x34, pga)
    running.write(0x62, 10000)
    running.wait_windows(1)
    peak_a = 1.5 * clip_a * math.sqrt(2)
    limit_a = clip_a * math.sqrt(2)
    samples = [min(limit_a, peak_a * math.sin(math.pi * (index + 0.5) / 2000)) for index in range(2000)]
    clipped_a = math.sqrt(sum(sample**2 for sample in samples) / len(samples))
    assert running.read(0xDD) / 1000 == pytest.approx(clipped_a * factor * 10000 / 42720, rel=1e-3)


def test_a_front_end_offset_adds_to_the_rms_value(running):
    running.inputs.offset_a = 0.05
    running.wait_windows(1)
    assert running.read(0xDD) in (10049, 10050)


# ---- channel maps -----------------------------------------------------------------------------------


def test_with_the_reset_channel_map_only_phase_a_sees_the_voltage(bench):
    bench.start()
    bench.write(0x02, 0x0654)
    bench.wait_windows(1)
    assert bench.read(0xD9) == 23000
    assert bench.read(0xDA) < 10
    assert bench.read_s32(0xB2, 0xC2) == 0
    assert bench.read(0xF8) == 5000


def test_without_any_voltage_there_is_no_frequency(running):
    running.write(0x02, 0x0333)
    assert running.read(0xF8) == 0


def test_the_current_map_leads_an_input_to_another_phase(running):
    running.write(0x01, 0x0212)
    running.wait_windows(1)
    assert running.read(0xDD) == 30000
    running.write(0x01, 0x0213)
    running.wait_windows(1)
    assert running.read(0xDD) == 0


# ---- power, angle, frequency, temperature -----------------------------------------------------------


def test_power_is_signed_in_two_words_of_which_the_last_byte_is_zero(running):
    running.inputs.currents_a[0] = -10.0
    running.wait_windows(1)
    assert running.read_s32(0xB1, 0xC1) * 0.00032 == pytest.approx(-2300.0, abs=0.09)
    assert running.read(0xC1) & 0xFF == 0
    assert running.read_s16(0xBD) == -1000


def test_active_reactive_and_apparent_power_follow_the_angle(running):
    running.inputs.lag_deg = 60.0
    running.wait_windows(1)
    assert running.read_s32(0xB1, 0xC1) * 0.00032 == pytest.approx(1150.0, abs=0.1)
    assert running.read_s32(0xB5, 0xC5) * 0.00032 == pytest.approx(1991.9, abs=0.1)
    assert running.read_s32(0xB9, 0xC9) * 0.00032 == pytest.approx(2300.0, abs=0.1)
    assert running.read(0xBD) == 500
    assert running.read(0xF9) == 600


def test_the_makers_worked_example_of_the_power_gain(running):
    """Atmel-46103A 4.2.7: an energy error of -13.78 % needs 1475H."""
    running.inputs.currents_a[0] = 10.0 * (1 - 0.1378)
    running.write(0x47, 0x1475)
    running.wait_windows(1)
    assert running.read_s32(0xB1, 0xC1) * 0.00032 == pytest.approx(2300.0, rel=2e-4)


def test_the_makers_worked_example_of_the_phase_angle(running):
    """Atmel-46103A 4.2.7: 0.95 % too much at PF 0.5 lagging needs 24H at 50 Hz."""
    angle_error_deg = math.degrees(0.0095 / math.tan(math.radians(60.0)))
    running.inputs.lag_deg = 60.0 - angle_error_deg
    running.write(0x48, 0x0024)
    running.wait_windows(1)
    assert running.read_s32(0xB1, 0xC1) * 0.00032 == pytest.approx(1150.0, rel=2e-4)


@pytest.mark.parametrize(("hz", "count_deg"), [(50.0, 0.00879), (60.0, 0.01055)])
def test_one_phase_count_is_one_cycle_of_2_048_mhz(bench, hz, count_deg):
    bench.inputs.hz = hz
    bench.start()
    bench.write(0x48, 200)
    bench.write(0x4A, 0x8000 | 200)
    bench.wait_windows(1)
    angles_deg = [
        math.degrees(
            math.atan2(bench.read_s32(0xB5 + phase, 0xC5 + phase), bench.read_s32(0xB1 + phase, 0xC1 + phase))
        )
        for phase in (0, 1, 2)
    ]
    assert angles_deg == pytest.approx([200 * count_deg, -200 * count_deg, 0.0], abs=0.005)


def test_one_count_of_power_offset_is_0_32_milliwatts(running):
    running.write(0x41, -31250 & 0xFFFF)  # -10 W
    running.write(0x42, 31250)
    running.wait_windows(1)
    assert running.read_s32(0xB1, 0xC1) * 0.00032 == pytest.approx(2290.0, abs=0.09)
    assert running.read_s32(0xB5, 0xC5) * 0.00032 == pytest.approx(10.0, abs=0.09)


def test_peaks_are_in_counts_before_the_gain(running):
    u_peak_v = running.read(0xF1) * 55600 / (100 * 8192)
    i_peak_a = running.read(0xF5) * 42720 / (1000 * 8192)
    assert u_peak_v == pytest.approx(230.0 * math.sqrt(2), rel=1e-3)
    assert i_peak_a == pytest.approx(10.0 * math.sqrt(2), rel=1e-3)


def test_frequency_and_temperature_have_their_own_scales(running):
    running.inputs.hz = 49.987
    assert running.read(0xF8) == 4999
    running.inputs.degc = -3.6
    assert running.read_s16(0xFC) == -4
