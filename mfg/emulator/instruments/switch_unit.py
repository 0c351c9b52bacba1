"""The emulated power switch: an N6700-like mainframe that switches supplies and the two loads.

Channel 1 is the supply of unit 1, 2 the load in the main conductor, 3 the load in the identification
conductor, 10 + n the supply of unit n for n from 2. The current of the load in the main conductor can be
set, whether it is on or off; the event log holds it as a share of the nominal current.

A contact is what the bench's event log says: the switch appends an event when it moves one, and a welded
contact is one that it no longer moves.

The output watchdog counts bench time from the latest message that arrived, whatever it said. When it
runs out, the loads go off; the supplies stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mfg.emulator.config import BenchConfig
from mfg.emulator.events import Event, EventLog, append_event
from mfg.emulator.instruments import faults as fault
from mfg.emulator.instruments.scpi import Clock, Link, ScpiInstrument
from mfg.emulator.instruments.syntax import Call, ScpiError

IDENTITY = "EMU-BENCH,SW6,SW000017,1.2"
OTHER_IDENTITY = "EMU-BENCH,SW2,SW000203,1.0"

LOAD_CURRENT = ":SOURce<n>:CURRent[:LEVel][:IMMediate][:AMPLitude]"

LOAD_CHANNEL = 2
IDENTIFICATION_CHANNEL = 3
FURTHER_SUPPLIES = 10  # the supply of unit n, n from 2, is channel 10 + n

WATCHDOG_MIN_S = 1.0
WATCHDOG_MAX_S = 3600.0
WATCHDOG_DEFAULT_S = 60.0
QUESTIONABLE_WATCHDOG = 1 << 11

APERTURE_S = 0.02  # one mains cycle per measurement
ADAPTOR_V = 12.0  # AC output of the adaptor at MAINS_NOMINAL_V
MAINS_NOMINAL_V = 230.0
SUPPLY_CURRENT_A = 0.18  # a running unit, at the adaptor's output
RESIDUAL_V = 0.031  # what the voltage input reads of an open contact
RESIDUAL_A = 0.0004
CURRENT_STEP_A = 0.001  # resolution of the load's setting
POLL_WALL_S = 0.1
STUCK = {  # by what a channel switches: the fault of its contact, welded or never closing
    "load": (fault.LOAD_STUCK_ON, fault.LOAD_STUCK_OFF),
    "identification": (fault.IDENTIFICATION_STUCK_ON, fault.IDENTIFICATION_STUCK_OFF),
    "supply": (fault.SUPPLY_STUCK_ON, fault.SUPPLY_STUCK_OFF),
}


class SwitchPlant(Protocol):
    """What the switch's sense terminals see of the plant."""

    def mains_voltage_v(self, t_s: float) -> float:
        """Return the RMS mains voltage, in V."""

    def load_current_a(self, t_s: float) -> float:
        """Return the current in the main conductor, in A."""

    def identification_current_a(self, t_s: float) -> float:
        """Return the current in the identification conductor, in A."""

    def leaking_a(self, t_s: float) -> float:
        """Return what flows through a load that is off, in A."""

    def supply_v(self, supply_v: float, unit: int, t_s: float) -> float:
        """Return what of an adaptor's voltage arrives at a unit, in V."""


@dataclass
class Channel:
    """One output: what it switches, and what it was told."""

    number: int
    what: str  # channel of the event log
    unit: int
    commanded: bool = False
    share: float = 1.0  # of the nominal current, while on
    pending: bool = False  # the contact has not followed the latest command yet

    def command(self, on: bool) -> None:
        """Tell the output what to be."""
        self.commanded = on
        self.pending = True

    @property
    def wanted(self) -> float:
        """What the event log will hold once the contact has followed: 0, or the share."""
        return self.share if self.commanded else 0.0

    @property
    def is_load(self) -> bool:
        """Whether the watchdog switches it off."""
        return self.what != "supply"


class SwitchUnit(ScpiInstrument):
    """The switch with its SCPI commands, its watchdog and its sense inputs."""

    identity = IDENTITY

    def __init__(
        self,
        config: BenchConfig,
        plant: SwitchPlant,
        events: EventLog,
        clock: Clock,
        fault_on: Callable[[str], bool],
    ) -> None:
        super().__init__(clock)
        self._plant = plant
        self._events = events
        self._folder = Path(config.folder)
        self._load = config.load
        self._fault_on = fault_on
        self._channels = {channel.number: channel for channel in _channels(config)}
        self._watchdog_on = False
        self._watchdog_delay_s = WATCHDOG_DEFAULT_S
        self._fed_s = clock.now_s()
        self._fed = asyncio.Event()
        self.add(":OUTPut<n>[:STATe]", self._set_output, self._output)
        self.add(LOAD_CURRENT, self._set_current, self._current, query_parameters=(0, 1))
        self.add(":MEASure<n>[:SCALar]:VOLTage", query=self._measure_voltage)
        self.add(":MEASure<n>[:SCALar]:CURRent", query=self._measure_current)
        self.add(":OUTPut:PROTection:WDOG[:STATe]", self._set_watchdog, self._watchdog)
        self.add(":OUTPut:PROTection:WDOG:DELay", self._set_delay, self._delay, query_parameters=(0, 1))
        self.add(":OUTPut:PROTection:CLEar", lambda call: self._clear_trip(), parameters=(0, 0))
        self.reset()

    # ---- state ----

    def reset(self) -> None:
        """Switch everything off, also as the state after power-on; the watchdog too."""
        self._watchdog_on = False
        self._watchdog_delay_s = WATCHDOG_DEFAULT_S
        self._clear_trip()
        for channel in self._channels.values():
            channel.share = 1.0
            channel.command(on=False)
        self._move_contacts()

    def before_message(self) -> None:
        """Let the watchdog judge the silence until now, then count this message as a sign of life."""
        self.poll()
        self._fed_s = self.clock.now_s()
        self._fed.set()

    def link(self) -> Link:
        """Return how the connection behaves under the present faults."""
        return Link(
            silent=self._fault_on(fault.SWITCH_SILENT), drops=self._fault_on(fault.SWITCH_DROPS_CONNECTION)
        )

    def idn(self) -> str:
        """Return the identity, or another switch's."""
        return OTHER_IDENTITY if self._fault_on(fault.SWITCH_WRONG_IDENTITY) else self.identity

    def state(self) -> dict[str, Any]:
        """Return commands, contacts and the watchdog, for the control link."""
        self.poll()
        return {
            "outputs": {str(channel.number): channel.commanded for channel in self._channels.values()},
            "contacts": {str(channel.number): self._closed(channel) for channel in self._channels.values()},
            "load_current_a": self._channels[LOAD_CHANNEL].share * self._load.current_a,
            "watchdog": self._watchdog_on,
            "watchdog_delay_s": self._watchdog_delay_s,
            "tripped": bool(self.questionable.condition & QUESTIONABLE_WATCHDOG),
            "errors": len(self.errors),
        }

    # ---- watchdog ----

    def poll(self) -> None:
        """Switch the loads off when the watchdog has run out; move contacts that came loose."""
        if self._watchdog_on and not self._tripped() and self.clock.now_s() >= self._expires_s():
            self.questionable.set_condition(self.questionable.condition | QUESTIONABLE_WATCHDOG)
            for channel in self._channels.values():
                if channel.is_load:
                    channel.command(on=False)
        self._move_contacts()

    async def run(self) -> None:
        """Poll for as long as the instrument has power, at the latest when the watchdog runs out."""
        while True:
            self.poll()
            wait_s = POLL_WALL_S
            if self._watchdog_on and not self._tripped():
                wait_s = min(wait_s, max(0.0, self.clock.wall_s(self._expires_s() - self.clock.now_s())))
            self._fed.clear()
            fed = asyncio.ensure_future(self._fed.wait())
            try:
                await asyncio.wait({fed}, timeout=wait_s)
            finally:
                fed.cancel()

    def _expires_s(self) -> float:
        return self._fed_s + self._watchdog_delay_s

    def _tripped(self) -> bool:
        return bool(self.questionable.condition & QUESTIONABLE_WATCHDOG)

    def _clear_trip(self) -> None:
        self._fed_s = self.clock.now_s()
        self.questionable.set_condition(self.questionable.condition & ~QUESTIONABLE_WATCHDOG)

    # ---- contacts ----

    def _closed(self, channel: Channel) -> bool:
        return bool(self._state(channel))

    def _state(self, channel: Channel) -> float:
        return float(self._events.at(channel.what, self.clock.now_s(), channel.unit))

    def _move_contacts(self) -> None:
        """Let the contacts follow commands; what a hand at the bench switched meanwhile stays."""
        self._events.sync()
        for channel in self._channels.values():
            state = self._state(channel)
            moves = channel.commanded != bool(state)
            if not channel.pending or (moves and self._welded(channel, bool(state))):
                continue
            channel.pending = False
            if channel.wanted != state:
                value = channel.wanted if channel.number == LOAD_CHANNEL else int(channel.commanded)
                append_event(self._folder, Event(self.clock.now_s(), channel.what, value, channel.unit))
        self._events.sync()

    def _welded(self, channel: Channel, closed: bool) -> bool:
        stuck_on, stuck_off = STUCK[channel.what]
        return self._fault_on(stuck_on if closed else stuck_off)

    # ---- commands ----

    def _channel(self, call: Call) -> Channel:
        channel = self._channels.get(call.suffixes[0])
        if channel is None:
            raise ScpiError(-114, str(call.suffixes[0]))
        return channel

    def _set_output(self, call: Call) -> None:
        self._channel(call).command(call.boolean())
        self._move_contacts()

    def _output(self, call: Call) -> str:
        return str(int(self._channel(call).commanded))

    def _settable(self, call: Call) -> Channel:
        channel = self._channel(call)
        if channel.number != LOAD_CHANNEL:
            raise ScpiError(-114, str(channel.number))
        return channel

    def _set_current(self, call: Call) -> None:
        channel = self._settable(call)
        channel.share = self._wanted_current_a(call) / self._load.current_a
        channel.pending = channel.pending or (channel.commanded and self._closed(channel))
        self._move_contacts()

    def _current(self, call: Call) -> str:
        channel = self._settable(call)
        current_a = self._wanted_current_a(call) if call.more() else channel.share * self._load.current_a
        return _nr3(current_a)

    def _wanted_current_a(self, call: Call) -> float:
        load = self._load
        current_a = call.number(load.min_a, load.max_a, "A", load.current_a)
        return round(current_a / CURRENT_STEP_A) * CURRENT_STEP_A

    async def _measure_voltage(self, call: Call) -> str:
        channel = self._channel(call)
        middle_s = await self._aperture()
        if not self._events.at(channel.what, middle_s, channel.unit):
            return _nr3(RESIDUAL_V)
        mains_v = self._plant.mains_voltage_v(middle_s)
        if channel.is_load:
            return _nr3(mains_v)
        return _nr3(self._plant.supply_v(ADAPTOR_V * mains_v / MAINS_NOMINAL_V, channel.unit, middle_s))

    async def _measure_current(self, call: Call) -> str:
        channel = self._channel(call)
        middle_s = await self._aperture()
        if not self._events.at(channel.what, middle_s, channel.unit):
            leaking_a = self._plant.leaking_a(middle_s) if channel.number == LOAD_CHANNEL else 0.0
            return _nr3(RESIDUAL_A + leaking_a)
        if channel.number == LOAD_CHANNEL:
            return _nr3(self._plant.load_current_a(middle_s))
        if channel.number == IDENTIFICATION_CHANNEL:
            return _nr3(self._plant.identification_current_a(middle_s))
        return _nr3(SUPPLY_CURRENT_A)

    async def _aperture(self) -> float:
        """Let a measurement's time pass; return the bench time of its middle."""
        start_s = self.clock.now_s()
        await asyncio.sleep(self.clock.wall_s(APERTURE_S))
        self._events.sync()
        return start_s + APERTURE_S / 2

    def _set_watchdog(self, call: Call) -> None:
        self._watchdog_on = call.boolean()
        self._clear_trip()

    def _watchdog(self, call: Call) -> str:
        return str(int(self._watchdog_on))

    def _set_delay(self, call: Call) -> None:
        self._watchdog_delay_s = call.number(WATCHDOG_MIN_S, WATCHDOG_MAX_S, "S", WATCHDOG_DEFAULT_S)

    def _delay(self, call: Call) -> str:
        if call.more():
            return f"{call.number(WATCHDOG_MIN_S, WATCHDOG_MAX_S, 'S', WATCHDOG_DEFAULT_S):g}"
        return f"{self._watchdog_delay_s:g}"


def _channels(config: BenchConfig) -> list[Channel]:
    supplies = [
        Channel(1 if unit.number == 1 else FURTHER_SUPPLIES + unit.number, "supply", unit.number)
        for unit in config.units
    ]
    loads = [Channel(LOAD_CHANNEL, "load", 0), Channel(IDENTIFICATION_CHANNEL, "identification", 0)]
    return supplies + loads


def _nr3(value: float) -> str:
    return f"{value:+.4E}"
