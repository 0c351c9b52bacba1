"""The emulated GPM-8310 against captured replies, and as a measuring instrument."""

import asyncio
import math
import struct

import pytest
from fake_bench import FakeClock, FakePlant, FastClock, ask, served

from mfg.clock import BenchClock
from mfg.emulator.config import BenchConfig, InstrumentsConfig
from mfg.emulator.instruments import faults as fault
from mfg.emulator.instruments.metering import engineering, rectified_mean_share, setting
from mfg.emulator.instruments.power_meter import PowerMeter

EXACT = InstrumentsConfig(meter_gain_error_pct=0.0, meter_noise_pct=0.0)
CAPTURED = "127.58E+00,240.02E-03,17.688E+00,30.622E+00,59.993E+00,0.5776E+00,24.997E+00,NAN"
OVR, POV, POA, UPD = 64, 128, 256, 1


class Bench:
    """A meter on a fake plant, with a clock to move."""

    def __init__(self, instruments=EXACT, clock=None, **plant):
        self.clock = clock or FakeClock()
        self.plant = FakePlant(**plant)
        self.faults = set()
        self.meter = PowerMeter(
            BenchConfig(instruments=instruments), self.plant, self.clock, self.faults.__contains__
        )

    def ask(self, message):
        return ask(self.meter, message)

    def after(self, duration_s, message=":NUM:NORM:VAL?"):
        self.clock.t_s += duration_s
        return self.ask(message)


@pytest.fixture
def bench():
    bench = Bench()
    bench.ask(":COMM:HEAD OFF;:INP:VOLT:RANG 300V;:INP:CURR:RANG 10A")
    return bench


# ---- captured replies ----


def test_identity_and_line_ends_are_as_captured():
    async def talk():
        async with served(Bench().meter) as (client,):
            assert await client.query("*IDN?") == "GWInstek,GPM-8310,GEU000123,V1.05\r\n"
            assert await client.query(":NUMERIC:NORMAL:NUMBER?") == ":NUM:NORM:NUMB 8\r\n"
            assert await client.query(":NUMERIC:NORMAL:HEADER?") == "Urms,Irms,P,S,fU,PF,Q,fI\r\n"
            assert await client.query(":STATUS:ERROR?") == '0,"No error"\r\n'

    asyncio.run(talk())


def test_the_captured_values_come_back_from_the_captured_situation():
    apparent_va = 127.58 * 0.24002
    active_w = 17.688
    bench = Bench(
        voltage_v=127.58,
        current_a=0.24002,
        active_w=active_w,
        reactive_var=math.sqrt(apparent_va**2 - active_w**2),
    )
    bench.plant.frequency_hz = lambda t_s: 59.993
    bench.ask(":INP:VOLT:RANG 150V;:INP:CURR:RANG 500MA")
    assert bench.after(0.3, ":NUMERIC:NORMAL:VALUE?") == CAPTURED


def test_automatic_ranges_arrive_at_the_captured_numbers_too():
    bench = Bench(voltage_v=127.58, current_a=0.24002, active_w=17.688, reactive_var=24.997)
    for _ in range(20):
        bench.after(0.3)
    assert bench.ask(":NUM:NORM:VAL? 1;VAL? 2") == "127.58E+00;240.02E-03"


@pytest.mark.parametrize(
    ("value", "rating", "text"),
    [
        (127.58, 150, "127.58E+00"),
        (0.24002, 0.5, "240.02E-03"),
        (17.688, 75, "17.688E+00"),
        (0.57763, 1, "0.5776E+00"),
        (59.993, 99, "59.993E+00"),
        (2088.04, 3000, "2.0880E+03"),
        (9.0004, 10, "9.000E+00"),
        (0.0, 300, "0.00E+00"),
        (-12.345, 75, "-12.345E+00"),
        (math.nan, 1, "NAN"),
        (math.inf, 1, "INF"),
    ],
)
def test_numbers_have_engineering_exponents_and_the_resolution_of_their_range(value, rating, text):
    assert engineering(value, rating) == text


def test_settings_are_written_like_the_meter_writes_them():
    assert [setting(value) for value in (300, 0.5, 20, 0.25, 2.5e-3)] == [
        "300.0E+00",
        "500.0E-03",
        "20.0E+00",
        "250.0E-03",
        "2.5E-03",
    ]


# ---- headers and items ----


def test_headers_are_echoed_until_they_are_switched_off():
    bench = Bench()
    assert bench.ask(":RATE?;:INP:VOLT:RANG?;:COMM:HEAD?") == (
        ":RATE 250.0E-03;:INP:VOLT:RANG 600.0E+00;:COMM:HEAD 1"
    )
    assert bench.ask(":COMM:VERB ON;:NUM:ITEM2?") == ":NUMERIC:NORMAL:ITEM2 I,1"
    assert bench.ask(":COMM:HEAD OFF;:RATE?;:NUM:NUMB?") == "250.0E-03;8"


def test_items_are_chosen_in_one_message_by_either_spelling_of_number(bench):
    bench.ask(":NUM:NORM:NUM 5;ITEM1 U,1;ITEM2 I,1;ITEM3 P,1;ITEM4 PHI,1;ITEM5 FU,1")
    assert bench.ask(":NUM:NORM:HEAD?;:STAT:ERR?") == 'Urms,Irms,P,PHI,fU;0,"No error"'
    assert bench.after(0.25) == "230.00E+00,9.000E+00,2.0700E+03,0.00E+00,50.000E+00"
    assert bench.ask(":NUMERIC:NUMBER 2;:NUM:VAL?;:NUM:ITEM1?") == "230.00E+00,9.000E+00;U,1"
    bench.ask(":NUM:CLE ALL")
    assert bench.ask(":NUM:VAL?") == "NAN,NAN"


def test_items_that_the_meter_does_not_have_are_refused(bench):
    for message, code in ((":NUM:ITEM1 XYZ", -224), (":NUM:ITEM256 U", -114), (":NUM:ITEM1 U,2", -222)):
        bench.ask(message)
        assert bench.ask(":STAT:ERR?").startswith(f"{code},")
    assert bench.ask(":NUM:ITEM1?") == "U,1"


def test_the_float_format_is_a_block_of_big_endian_singles(bench):
    bench.ask(":NUM:FORM FLO;:NUM:NUMB 2;ITEM2 NONE")
    block = bench.after(0.25).encode("latin-1")
    assert block[:6] == b"#40008"
    assert struct.unpack(">f", block[6:10])[0] == 230.0
    assert struct.unpack(">f", block[10:])[0] == pytest.approx(9.91e37)


# ---- updates ----


def test_there_is_no_data_before_the_first_update_period_has_ended(bench):
    assert bench.after(0.24, ":NUM:VAL? 1") == "NAN"
    assert bench.after(0.01, ":NUM:VAL? 1") == "230.00E+00"


def test_values_change_only_when_an_update_period_ends(bench):
    bench.after(0.25)
    bench.plant.voltage_v = 240.0
    assert bench.after(0.249, ":NUM:VAL? 1") == "230.00E+00"
    assert bench.after(0.001, ":NUM:VAL? 1") == "240.00E+00"


def test_every_update_is_a_mean_over_its_own_period(bench):
    start_s = bench.clock.t_s
    bench.ask(":RATE 500MS")
    bench.after(1.6)
    expected = [(start_s + index * 0.5, start_s + (index + 1) * 0.5) for index in range(3)]
    assert bench.plant.windows == [pytest.approx(window) for window in expected]


def test_the_update_rate_is_one_of_the_meters_own(bench):
    bench.ask(":RATE 100MS;:RATE 2S")
    assert bench.ask(":RATE?;:STAT:ERR?") == '2.0E+00;0,"No error"'
    bench.ask(":RATE 300MS")
    assert bench.ask(":RATE?;:STAT:ERR?") == '2.0E+00;-222,"Data out of range;300MS"'


def test_noise_and_gain_error_are_a_pure_function_of_the_update():
    own = InstrumentsConfig(meter_gain_error_pct=0.1, meter_noise_pct=0.05)

    def readings():
        bench = Bench(own)
        bench.ask(":INP:VOLT:RANG 300V;:INP:CURR:RANG 10A")
        return [float(bench.after(0.25, ":NUM:VAL? 1")) for _ in range(200)]

    first = readings()
    assert first == readings()
    mean_v = sum(first) / len(first)
    spread_v = math.sqrt(sum((value - mean_v) ** 2 for value in first) / len(first))
    assert mean_v == pytest.approx(230.23, abs=0.03)
    assert spread_v == pytest.approx(0.115, rel=0.2)


def test_hold_freezes_the_numbers(bench):
    bench.after(0.25, ":HOLD ON")
    bench.plant.voltage_v = 240.0
    assert bench.after(0.5, ":NUM:VAL? 1") == "230.00E+00"
    assert bench.ask(":HOLD?;:HOLD OFF;:NUM:VAL? 1") == "1;240.00E+00"


def test_averaging_is_a_moving_mean(bench):
    bench.ask(":MEAS:AVER:COUN 8;TYPE LIN;STAT ON")
    bench.after(0.25 * 7)
    bench.plant.voltage_v = 238.0
    assert bench.after(0.25, ":NUM:VAL? 1") == "231.00E+00"


def test_a_long_silence_does_not_make_the_meter_work_off_every_update(bench):
    bench.after(3600.0)
    assert len(bench.plant.windows) <= 64
    assert bench.ask(":NUM:VAL? 1") == "230.00E+00"


# ---- ranges ----


def test_a_range_is_fixed_by_its_value_and_leaves_automatic(bench):
    assert bench.ask(":INP:VOLT:RANG?;AUTO?;:VOLTAGE:AUTO ON;AUTO?") == "300.0E+00;0;1"
    bench.ask(":VOLT:RANG 200V")
    assert bench.ask(":STAT:ERR?") == '-222,"Data out of range;200V"'
    assert bench.ask(":CURR:RANG 5MA;RANG?;RANG MAX;RANG?") == "5.0E-03;20.0E+00"


def test_crest_factor_six_halves_the_ranges_and_chooses_the_largest(bench):
    assert bench.ask(":INP:CFAC 6;CFAC?;:INP:VOLT:RANG?;:INP:CURR:RANG?") == "6;300.0E+00;10.0E+00"
    assert bench.ask(":INP:VOLT:RANG 150V;:INP:CFAC 3;CFAC?;:INP:VOLT:RANG?") == "3;600.0E+00"
    bench.ask(":INP:CFAC 4")
    assert bench.ask(":STAT:ERR?;:INP:CFAC?") == '-222,"Data out of range;4";3'


def test_a_change_of_the_crest_factor_keeps_automatic_as_it_was(bench):
    assert bench.ask(":INP:CFAC 6;:INP:VOLT:AUTO?;:INP:VOLT:AUTO ON;:INP:CFAC 3;:INP:VOLT:AUTO?") == "0;1"


@pytest.mark.parametrize(("crest", "reads"), [("3", "INF"), ("6", "INF"), ("A6", "9.0000E+00")])
def test_crest_factor_6a_measures_twice_as_far_beyond_its_range(bench, crest, reads):
    bench.ask(f":INP:CFAC {crest};:INP:CURR:RANG 5A")
    assert bench.after(0.25, ":NUM:VAL? 2") == reads
    assert bench.ask(":INP:CFAC?") == crest


@pytest.mark.parametrize(("crest", "reads_a"), [("3", 0.04), ("6", 0.0)])
def test_crest_factor_six_suppresses_twice_as_much(bench, crest, reads_a):
    bench.plant.current_a = 0.04
    bench.ask(f":INP:CFAC {crest};:INP:CURR:RANG 5A")
    assert float(bench.after(0.25, ":NUM:VAL? 2")) == reads_a


def test_over_range_reads_inf_and_sets_its_condition_bit(bench):
    bench.plant.current_a = 14.1
    assert bench.after(0.25) == "230.00E+00,INF,INF,INF,50.000E+00,NAN,INF,NAN"
    assert bench.ask(":STAT:COND?") == str(OVR)
    assert int(bench.ask(":STAT:EESR?")) & OVR
    bench.plant.current_a = 22.0
    bench.after(0.25)
    assert bench.ask(":STAT:COND?") == str(OVR | POA)
    bench.plant.current_a, bench.plant.voltage_v = 9.0, 650.0
    assert bench.after(0.25, ":NUM:VAL? 1;:STAT:COND?") == f"INF;{OVR | POV}"
    bench.plant.voltage_v = 230.0
    assert bench.after(0.25, ":STAT:COND?") == "0"


def test_within_140_percent_of_the_range_there_is_a_number(bench):
    bench.plant.current_a = 13.9
    assert bench.after(0.25, ":NUM:VAL? 2;:STAT:COND?") == "13.900E+00;0"


def test_small_currents_read_zero_and_have_no_power_factor(bench):
    bench.plant.current_a, bench.plant.active_w = 0.04, 9.2
    assert bench.after(0.25) == "230.00E+00,0.000E+00,0.0000E+03,0.0000E+03,50.000E+00,NAN,0.0000E+03,NAN"


def test_the_frequency_is_that_of_the_synchronised_signal(bench):
    bench.ask(":NUM:ITEM1 FU;ITEM2 FI;:NUM:NUMB 2;:INP:SYNC CURR")
    assert bench.after(0.25) == "NAN,50.000E+00"
    bench.ask(":INP:SYNC OFF")
    assert bench.after(0.25, ":NUM:VAL?;:INP:SYNC?") == "NAN,NAN;OFF"


def test_automatic_ranging_steps_up_through_over_range(bench):
    bench.plant.current_a = 0.3
    bench.ask(":INP:CURR:RANG 500MA;AUTO ON;:NUM:NUMB 1;ITEM1 I")
    bench.after(0.25)
    bench.ask(":INP:CURR:AUTO ON")
    bench.plant.current_a = 4.0
    readings = [bench.after(0.25) for _ in range(6)]
    assert readings[0] == "INF"
    assert readings[-1] == "4.0000E+00"
    assert bench.ask(":INP:CURR:RANG?") == "5.0E+00"


def test_a_lagging_current_has_positive_angle_and_reactive_power(bench):
    bench.plant.active_w, bench.plant.reactive_var = 1035.0, 1792.7
    bench.ask(":NUM:NUMB 3;ITEM1 PHI;ITEM2 LAMBDA;ITEM3 Q")
    assert bench.after(0.25) == "60.00E+00,0.5000E+00,1.7927E+03"


# ---- mode, filters and the like ----


def test_the_mode_is_true_rms_after_a_reset_and_answers_by_its_word(bench):
    assert bench.ask(":INP:MODE?") == "ACDC"
    for sent, answer in (("AC", "RMS"), ("rms", "RMS"), ("VMEan", "VME"), ("VME", "VME"), ("DC", "DC")):
        assert bench.ask(f":MODE {sent};:INP:MODE?") == answer
    assert bench.ask(":MODE VMEAN;:COMM:VERB ON;:INP:MODE?;*RST;:INP:MODE?") == "VMEAN;ACDC"
    bench.ask(":INP:MODE PEAK")
    assert bench.ask(":STAT:ERR?;:INP:MODE?") == '-224,"Illegal parameter value;PEAK";ACDC'


def test_the_mode_changes_what_is_shown_of_voltage_and_current_and_no_power(bench):
    read = ":NUM:VAL? 1;VAL? 2;VAL? 3;VAL? 5"
    assert bench.after(0.25, read) == "230.00E+00;9.000E+00;2.0700E+03;50.000E+00"
    bench.ask(":INP:MODE AC")
    assert bench.after(0.25, read) == "230.00E+00;9.000E+00;2.0700E+03;50.000E+00"
    bench.ask(":INP:MODE DC")
    assert bench.after(0.25, read) == "0.00E+00;0.000E+00;2.0700E+03;50.000E+00"
    bench.ask(":INP:MODE VMEAN")
    assert bench.after(0.25, read) == "232.03E+00;9.000E+00;2.0700E+03;50.000E+00"


def test_a_rectified_mean_differs_from_rms_by_the_harmonics_alone():
    assert rectified_mean_share({}) == 1.0
    third = [
        math.sin(x) + 0.1 * math.sin(3 * x) for x in (math.pi * (step + 0.5) / 1e4 for step in range(10000))
    ]
    rms = math.sqrt(sum(value**2 for value in third) / len(third))
    rectified = sum(abs(value) for value in third) / len(third) * math.pi / 2 / math.sqrt(2)
    assert rectified_mean_share({"3": 10.0}) == pytest.approx(rectified / rms, rel=1e-6)


@pytest.mark.parametrize(
    "header", [":INP:FILT:LINE", ":INPUT:FILTER:FREQUENCY", ":INP:SCAL", ":INP:SCAL:STAT", ":MEAS:MHOL"]
)
def test_a_setting_that_is_on_or_off_is_held_until_a_reset_and_starts_a_new_period(bench, header):
    bench.after(0.25)
    assert bench.ask(f"{header}?;{header} ON;{header}?;:NUM:VAL? 1") == "0;1;NAN"
    assert bench.ask(f"*RST;{header}?") == "0"


# ---- status ----


def test_the_updating_bit_rises_before_and_falls_at_the_end_of_a_period(bench):
    assert bench.ask(":STAT:COND?") == "0"
    assert bench.after(0.245, ":STAT:COND?;EESR?") == "1;1"
    assert bench.after(0.006, ":STAT:COND?;EESR?") == "0;0"
    bench.ask(":STAT:FILT1 FALL;FILT2 NEV;:STAT:EESR?")
    assert bench.ask(":STAT:FILT1?;FILT2?;FILT3?") == "FALL;NEVER;RISE"
    assert bench.after(0.245, ":STAT:EESR?") == "0"
    assert bench.after(0.01, ":STAT:EESR?;EESR?") == "1;0"


def test_the_wait_idiom_blocks_to_fresh_data():
    bench = Bench(clock=FastClock())
    bench.ask(":COMM:HEAD OFF;:INP:VOLT:RANG 300V;:INP:CURR:RANG 10A;:STAT:FILT1 FALL")
    start_s = bench.clock.t_s
    for index in range(1, 4):
        assert bench.ask(":STAT:EESR?;:COMM:WAIT 1;:NUM:NORM:VAL? 1").endswith(";230.00E+00")
        assert bench.clock.t_s == pytest.approx(start_s + index * 0.25)
    assert bench.ask(":STAT:EESR?;:COMM:WAIT? 1") == "1;1"


def test_waiting_for_what_never_comes_ends_with_an_error():
    bench = Bench(clock=FastClock())
    bench.ask(":STAT:EESR?;:COMM:WAIT 2")
    assert bench.ask(":STAT:ERR?").startswith('-365,"Time out error')


def test_extended_events_reach_the_status_byte(bench):
    bench.ask("*CLS;:STAT:EESE 64;*SRE 8")
    bench.plant.current_a = 15.0
    assert bench.after(0.25, "*STB?;:STAT:SPOL?;EESE?") == "72;88;64"
    assert bench.ask("*CLS;*STB?") == "0"


def test_error_texts_can_be_switched_off(bench):
    bench.ask("BOGUS;:STAT:QMES OFF")
    assert bench.ask(":STAT:ERR?;QMES?") == "-113;0"


def test_reset_keeps_the_communication_settings(bench):
    bench.ask(":COMM:REM ON;*RST")
    assert bench.ask(":COMM:HEAD?;REM?;:INP:VOLT:RANG?;:INP:VOLT:AUTO?") == "0;1;600.0E+00;1"


# ---- over a real socket ----


def test_a_wait_does_not_hold_up_the_other_clients_and_a_new_query_interrupts_the_old():
    async def talk():
        clock = BenchClock()
        bench = Bench(clock=clock)
        async with served(bench.meter, clients=2) as (first, second):
            first.write(":COMM:HEAD OFF;:RATE 1S;:STAT:FILT1 FALL;EESR?\n")
            await first.read()
            start_s = clock.now_s()
            first.write(":COMM:WAIT 1\n:NUM:NORM:VAL? 1\n")
            assert await second.query("*OPC?") == "1\r\n"
            assert clock.now_s() - start_s < 0.9
            assert await first.read() == "230.00E+00\r\n"
            assert clock.now_s() - start_s > 0.9
            first.write(":STAT:EESR?;:COMM:WAIT 1;:NUM:NORM:VAL?\n")
            await asyncio.sleep(0.02)
            assert await first.query("*OPC?") == "1\r\n"
            assert (await first.query(":STAT:ERR?")).startswith('-410,"Query INTERRUPTED"')

    asyncio.run(talk())


def test_a_client_that_leaves_during_a_wait_leaves_nothing_behind():
    async def talk():
        bench = Bench(clock=BenchClock())
        async with served(bench.meter, clients=2) as (first, second):
            first.write(":COMM:WAIT 2\n")
            await asyncio.sleep(0.02)
            first.writer.close()
            assert await second.query("*OPC?") == "1\r\n"

    asyncio.run(asyncio.wait_for(talk(), 5))


# ---- faults ----


def test_a_silent_meter_neither_answers_nor_acts():
    async def talk():
        bench = Bench()
        bench.faults.add(fault.METER_SILENT)
        async with served(bench.meter) as (client,):
            client.write(":COMM:HEAD OFF\n*IDN?\n")
            with pytest.raises(TimeoutError):
                await client.read(0.1)
            bench.faults.clear()
            assert await client.query(":COMM:HEAD?") == ":COMM:HEAD 1\r\n"

    asyncio.run(talk())


def test_a_late_reply_meets_the_next_query():
    async def talk():
        bench = Bench(clock=BenchClock(factor=5.0))
        bench.faults.add(fault.METER_LATE_REPLY)
        async with served(bench.meter) as (client,):
            client.write("*IDN?\n")
            with pytest.raises(TimeoutError):
                await client.read(0.05)
            client.write("*OPC?\n")
            assert (await client.read()).startswith("GWInstek")
            assert await client.read() == "1\r\n"

    asyncio.run(talk())


def test_a_meter_that_drops_the_connection_closes_it_on_the_next_message():
    async def talk():
        bench = Bench()
        async with served(bench.meter) as (client,):
            assert await client.query("*OPC?") == "1\r\n"
            bench.faults.add(fault.METER_DROPS_CONNECTION)
            assert await client.query("*OPC?") == ""

    asyncio.run(talk())


def test_another_meter_in_its_place_tells_its_own_name(bench):
    bench.faults.add(fault.METER_WRONG_IDENTITY)
    assert bench.ask("*IDN?") == "GWInstek,GPM-8213,GES913349,V1.05"


def test_the_value_faults_show_in_the_values(bench):
    bench.faults.add(fault.METER_NAN)
    assert bench.after(0.25, ":NUM:VAL? 1") == "NAN"
    bench.faults.clear()
    bench.faults.add(fault.METER_OVER_RANGE)
    assert bench.after(0.25, ":NUM:VAL? 2;:STAT:COND?") == f"INF;{OVR | POA}"
    bench.faults.clear()
    bench.faults.add(fault.METER_JUMPING)
    readings = {bench.after(0.25, ":NUM:VAL? 2") for _ in range(10)}
    assert len(readings) == 10
    assert max(abs(float(text) / 9.0 - 1) for text in readings) > 0.01


def test_a_stuck_meter_updates_without_new_values(bench):
    bench.after(0.25, ":STAT:FILT1 FALL;EESR?")
    bench.faults.add(fault.METER_STUCK)
    bench.plant.voltage_v = 240.0
    assert bench.after(0.5, ":NUM:VAL? 1;:STAT:EESR?") == "230.00E+00;1"


def test_a_stuck_meter_looks_fresh_to_whoever_waits_for_its_updates():
    bench = Bench(clock=FastClock())
    bench.ask(":COMM:HEAD OFF;:INP:VOLT:RANG 300V;:INP:CURR:RANG 10A;:STAT:FILT1 FALL")
    bench.ask(":STAT:EESR?;:COMM:WAIT 1;:NUM:NORM:VAL?")
    bench.faults.add(fault.METER_STUCK)
    bench.plant.current_a = 1.0
    for _ in range(4):
        before_s = bench.clock.t_s
        reply = bench.ask(":STAT:EESR?;:COMM:WAIT 1;:NUM:NORM:VAL? 2;:STAT:COND?;ERR?")
        assert reply.split(";", 1)[1] == '9.000E+00;0;0,"No error"'
        assert bench.clock.t_s - before_s == pytest.approx(0.25)


def test_a_lagging_meter_gives_the_reading_of_two_seconds_ago(bench):
    bench.faults.add(fault.METER_LAGGING)
    for index in range(20):
        bench.plant.voltage_v = 230.0 + index
        bench.after(0.25, ":STAT:FILT1 FALL")
    assert bench.ask(":NUM:VAL? 1;:STAT:EESR?") == "241.00E+00;1"
    bench.plant.voltage_v = 260.0
    assert bench.after(0.25, ":NUM:VAL? 1") == "242.00E+00"


def test_at_60_hz_the_meter_says_so_and_keeps_its_update_periods(bench):
    bench.plant.frequency_hz = lambda t_s: 60.0
    bench.ask(":NUM:NUMB 1;ITEM1 FU")
    assert bench.after(0.25) == "60.000E+00"
    assert bench.plant.windows == [(1000.0, 1000.25)]


def test_a_full_error_queue_never_becomes_empty(bench):
    bench.faults.add(fault.METER_ERROR_QUEUE_FULL)
    entries = [bench.ask(":STAT:ERR?") for _ in range(40)]
    assert not any(entry.startswith("0,") for entry in entries)
    bench.ask("*CLS")
    assert bench.ask(":STAT:ERR?") == '-300,"Device-specific error"'


def test_the_control_link_sees_the_front_panel(bench):
    bench.clock.t_s += 0.25
    state = bench.meter.state()
    assert (state["voltage_range_v"], state["current_range_a"], state["rate_s"]) == (300.0, 10.0, 0.25)
    assert state["values"]["U"] == "230.00E+00"
