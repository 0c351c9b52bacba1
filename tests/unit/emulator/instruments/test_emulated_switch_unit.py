"""The emulated power switch: channels, measurements, watchdog, welded contacts."""

import asyncio

import pytest
from fake_bench import FakeClock, FakePlant, ask, served

from mfg.clock import BenchClock
from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.emulator.events import Event, EventLog, append_event
from mfg.emulator.instruments import faults as fault
from mfg.emulator.instruments.switch_unit import SwitchUnit

WATCHDOG_BIT = 1 << 11


class Bench:
    """A switch on a fake plant and a real event log."""

    def __init__(self, folder, clock=None, units=1):
        self.folder = folder
        self.clock = clock or FakeClock()
        self.faults = set()
        self.events = EventLog(folder)
        config = BenchConfig(
            folder=str(folder), units=tuple(UnitConfig(number=number + 1) for number in range(units))
        )
        self.switch = SwitchUnit(config, FakePlant(), self.events, self.clock, self.faults.__contains__)

    def ask(self, message):
        return ask(self.switch, message)

    def closed(self, what, unit=0):
        self.events.sync()
        return bool(self.events.at(what, self.clock.now_s(), unit))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_identity_is_that_of_the_contract(bench):
    assert bench.ask("*IDN?;:SYST:ERR?") == 'EMU-BENCH,SW6,SW000017,1.2;+0,"No error"'


@pytest.mark.parametrize(
    ("channel", "what", "unit"),
    [(1, "supply", 1), (2, "load", 0), (3, "identification", 0), (12, "supply", 2), (13, "supply", 3)],
)
def test_every_channel_moves_its_own_contact(tmp_path, channel, what, unit):
    bench = Bench(tmp_path, units=3)
    bench.clock.t_s = 1234.5
    bench.ask(f"OUTP{channel} ON")
    assert bench.closed(what, unit)
    assert bench.ask(f"OUTPUT{channel}:STATE?") == "1"
    assert bench.events.refresh() == [Event(1234.5, what, 1, unit)]
    bench.ask(f"OUTP{channel}:STAT 0")
    assert not bench.closed(what, unit)


@pytest.mark.parametrize("channel", [0, 4, 11, 12, 99])
def test_channels_that_do_not_exist_are_refused(bench, channel):
    bench.ask(f"OUTP{channel} ON")
    assert bench.ask("SYST:ERR?").startswith("-114")
    assert bench.events.refresh() == []


def test_saying_it_twice_moves_nothing_twice(bench):
    bench.ask("OUTP2 ON")
    bench.ask("OUTP2 ON")
    assert len(bench.events.refresh()) == 1


def test_power_on_and_reset_open_every_contact(tmp_path):
    append_event(tmp_path, Event(10.0, "load", 1))
    bench = Bench(tmp_path)
    assert not bench.closed("load")
    bench.ask("OUTP1 ON;:OUTP3 ON;:OUTP:PROT:WDOG ON;*RST")
    assert not bench.closed("supply", 1)
    assert not bench.closed("identification")
    assert bench.ask("OUTP:PROT:WDOG?;:OUTP1?") == "0;0"


def test_measurements_follow_the_contacts(bench):
    assert bench.ask("MEAS1:VOLT?;:MEAS2:CURR?") == "+3.1000E-02;+4.0000E-04"
    bench.ask("OUTP1 ON;:OUTP2 ON;:OUTP3 ON")
    bench.clock.t_s += 1
    assert bench.ask("MEASURE1:VOLTAGE?;:MEAS2:VOLT?") == "+1.2000E+01;+2.3000E+02"
    assert bench.ask("MEAS2:CURR?;:MEAS3:SCAL:CURR?") == "+9.0000E+00;+4.0000E+00"
    assert float(bench.ask("MEAS1:CURR?")) > 0.05


def test_the_watchdog_switches_the_loads_off_and_leaves_the_supply(bench):
    bench.ask("OUTP1 ON;:OUTP2 ON;:OUTP3 ON;:OUTP:PROT:WDOG:DEL 5;:OUTP:PROT:WDOG ON")
    bench.clock.t_s += 4.9
    bench.switch.poll()
    assert bench.closed("load")
    bench.clock.t_s += 0.2
    bench.switch.poll()
    assert not bench.closed("load")
    assert not bench.closed("identification")
    assert bench.closed("supply", 1)
    assert bench.ask("STAT:QUES:COND?;EVEN?;:OUTP2?") == f"{WATCHDOG_BIT};{WATCHDOG_BIT};0"
    bench.ask("OUTP:PROT:CLE;:OUTP2 ON")
    assert bench.ask("STAT:QUES:COND?;:OUTP2?") == "0;1"


def test_any_message_feeds_the_watchdog(bench):
    bench.ask("OUTP2 ON;:OUTP:PROT:WDOG:DEL 2;:OUTP:PROT:WDOG 1")
    for _ in range(10):
        bench.clock.t_s += 1.5
        bench.ask("BOGUS")
    assert bench.closed("load")


def test_a_message_that_comes_too_late_finds_the_load_off(bench):
    bench.ask("OUTP2 ON;:OUTP:PROT:WDOG:DEL 2;:OUTP:PROT:WDOG 1")
    bench.clock.t_s += 3
    assert bench.ask("OUTP2?") == "0"


def test_the_watchdog_delay_has_limits(bench):
    bench.ask("OUTP:PROT:WDOG:DEL 0.5")
    assert bench.ask("SYST:ERR?").startswith("-222")
    assert bench.ask("OUTP:PROT:WDOG:DEL?;DEL? MIN;DEL? MAX;DEL 2.5;DEL?") == "60;1;3600;2.5"


def test_a_welded_load_contact_says_off_and_stays_closed(bench):
    bench.ask("OUTP2 ON")
    bench.faults.add(fault.LOAD_STUCK_ON)
    bench.ask("OUTP2 OFF")
    bench.clock.t_s += 1
    assert bench.ask("OUTP2?;:MEAS2:CURR?") == "0;+9.0000E+00"
    bench.faults.clear()
    bench.switch.poll()
    assert not bench.closed("load")


def test_a_load_contact_that_does_not_close_says_on_and_stays_open(bench):
    bench.faults.add(fault.LOAD_STUCK_OFF)
    bench.ask("OUTP2 ON")
    assert bench.ask("OUTP2?;:MEAS2:CURR?") == "1;+4.0000E-04"
    bench.ask("OUTP3 ON")
    assert bench.closed("identification")


def test_a_welded_supply_contact_keeps_its_voltage(bench):
    bench.ask("OUTP1 ON")
    bench.faults.add(fault.SUPPLY_STUCK_ON)
    bench.ask("OUTP1 OFF")
    bench.clock.t_s += 1
    assert bench.ask("OUTP1?;:MEAS1:VOLT?") == "0;+1.2000E+01"


def test_a_contact_that_a_hand_at_the_bench_closed_stays_until_the_next_command(bench):
    append_event(bench.folder, Event(bench.clock.t_s, "supply", 1, 1))
    bench.switch.poll()
    assert bench.closed("supply", 1)
    assert bench.ask("OUTP1?;:MEAS1:VOLT?") == "0;+1.2000E+01"
    bench.ask("OUTP1 OFF")
    assert not bench.closed("supply", 1)


def test_the_watchdog_of_the_running_instrument_needs_no_message(tmp_path):
    async def talk():
        clock = BenchClock(factor=10.0)
        bench = Bench(tmp_path, clock)
        watchdog = asyncio.create_task(bench.switch.run())
        async with served(bench.switch) as (client,):
            assert await client.query("OUTP2 ON;:OUTP:PROT:WDOG:DEL 2;:OUTP:PROT:WDOG ON;*OPC?") == "1\n"
            fed_s = clock.now_s()
            await asyncio.sleep(0.05)
            bench.faults.add(fault.SWITCH_SILENT)
            client.write("OUTP2 ON\n")
            await asyncio.sleep(0.4)
        watchdog.cancel()
        bench.events.sync()
        opened_s = bench.events.since("load", clock.now_s())
        assert not bench.closed("load")
        assert 1.5 < opened_s - fed_s < 4.0

    asyncio.run(talk())


# ---- the settable load ----


def test_the_load_is_set_while_off_and_goes_on_at_its_level(bench):
    assert bench.ask("SOUR2:CURR?") == "+9.0000E+00"
    bench.ask("SOURCE2:CURRENT:LEVEL:IMMEDIATE:AMPLITUDE 1.5A")
    assert bench.events.refresh() == []
    bench.ask("OUTP2 ON")
    assert bench.events.refresh() == [Event(1000.0, "load", 1.5 / 9.0)]
    assert bench.ask("SOUR2:CURR?;:OUTP2?;:SYST:ERR?") == '+1.5000E+00;1;+0,"No error"'


def test_a_new_level_of_a_load_that_is_on_holds_at_once(bench):
    bench.ask("OUTP2 ON")
    bench.clock.t_s += 1
    bench.ask("SOUR2:CURR 500MA")
    assert bench.events.refresh() == [Event(1000.0, "load", 1), Event(1001.0, "load", 0.5 / 9.0)]
    bench.ask("OUTP2 OFF")
    assert not bench.closed("load")
    assert bench.ask("SOUR2:CURR?") == "+5.0000E-01"


def test_reset_sets_the_nominal_level(bench):
    bench.ask("SOUR2:CURR 1;*RST;:OUTP2 ON")
    assert bench.events.refresh() == [Event(1000.0, "load", 1)]
    assert bench.switch.state()["load_current_a"] == 9.0


def test_the_level_has_limits_and_a_resolution(bench):
    assert bench.ask("SOUR2:CURR? MIN;CURR? MAX;CURR? DEF") == "+2.0000E-02;+1.6000E+01;+9.0000E+00"
    for refused in ("0.019", "16.1", "0", "-1"):
        bench.ask(f"SOUR2:CURR {refused}")
        assert bench.ask("SYST:ERR?").startswith("-222")
    assert bench.ask("SOUR2:CURR?;CURR MAX;CURR?") == "+9.0000E+00;+1.6000E+01"
    assert bench.ask("SOUR2:CURR 0.166667;CURR?") == "+1.6700E-01"


@pytest.mark.parametrize("channel", [1, 3, 7])
def test_only_the_load_can_be_set(bench, channel):
    bench.ask(f"SOUR{channel}:CURR 1")
    assert bench.ask("SYST:ERR?").startswith("-114")


def test_setting_a_load_that_a_hand_at_the_bench_switched_moves_nothing(bench):
    append_event(bench.folder, Event(bench.clock.t_s, "load", 1))
    bench.ask("SOUR2:CURR 2")
    assert bench.closed("load")
    assert len(bench.events.refresh()) == 1


def test_a_welded_contact_follows_its_level_and_does_not_open(bench):
    bench.ask("OUTP2 ON")
    bench.faults.add(fault.LOAD_STUCK_ON)
    bench.ask("SOUR2:CURR 3;:OUTP2 OFF")
    assert [event.value for event in bench.events.refresh()] == [1, 3 / 9]


def test_the_watchdog_switches_a_load_off_at_any_level(bench):
    bench.ask("SOUR2:CURR 1;:OUTP2 ON;:OUTP:PROT:WDOG:DEL 2;:OUTP:PROT:WDOG ON")
    bench.clock.t_s += 3
    bench.switch.poll()
    assert not bench.closed("load")
    assert bench.ask("SOUR2:CURR?") == "+1.0000E+00"
