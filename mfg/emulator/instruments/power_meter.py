"""The emulated reference meter: a GW Instek GPM-8310 with the `:NUMeric` command tree of the WT300.

Values change only when an update period ends and are means over that period. An update is a pure
function of the seed and the bench time at which it ends. A change of range, rate or input starts a new
period; until it has ended there is no data (`NAN`).

Source:
    Physical capture of a GPM-8213, firmware V1.05: identity, header echo, number form, CRLF.
    GPM-8310 user manual, pages 146 and 242: exact short and long forms, status byte.
    Capture of a GPM-8310: form of the answers to the settings of the input; command list of its manual.
"""

from __future__ import annotations

import asyncio
import math
import random
import struct
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from mfg.emulator.config import BenchConfig
from mfg.emulator.instruments import faults as fault
from mfg.emulator.instruments.metering import (
    CURRENT_RANGES_A,
    VOLTAGE_RANGES_V,
    RangeSetting,
    Reading,
    Sample,
    Truth,
    make_reading,
    mean_sample,
    measure,
    rectified_mean_share,
    setting,
)
from mfg.emulator.instruments.scpi import ERROR_QUEUE_DEPTH, Clock, Command, Instrument, Link, StatusRegister
from mfg.emulator.instruments.syntax import Call, Mnemonic, ScpiError

IDENTITY = "GWInstek,GPM-8310,GEU000123,V1.05"
OTHER_IDENTITY = "GWInstek,GPM-8213,GES913349,V1.05"

ITEM_SLOTS = 255
DEFAULT_ITEMS = ("U", "I", "P", "S", "FU", "LAMBDA", "Q", "FI")
ITEM_WORDS = {
    "U": "U",
    "I": "I",
    "P": "P",
    "S": "S",
    "Q": "Q",
    "LAMBda": "LAMBDA",
    "PHI": "PHI",
    "FU": "FU",
    "FI": "FI",
    "NONE": "NONE",
}
ITEM_TITLES = {
    "U": "Urms",
    "I": "Irms",
    "P": "P",
    "S": "S",
    "Q": "Q",
    "LAMBDA": "PF",
    "PHI": "PHI",
    "FU": "fU",
    "FI": "fI",
    "NONE": "NONE",
}
RATES_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
DEFAULT_RATE_S = 0.25
AVERAGE_COUNTS = (8, 16, 32, 64)
CREST_FACTORS = ("3", "6", "A6")

# Condition and extended event register.
UPDATING = 1 << 0
VOLTAGE_OR_CURRENT_OVER = 1 << 6
VOLTAGE_PEAK_OVER = 1 << 7
CURRENT_PEAK_OVER = 1 << 8
STB_EXTENDED_EVENT = 0x08

UPDATING_S = 0.01  # before the end of each period the updating bit is set for this long
CATCH_UP_UPDATES = 64  # older updates that nobody asked for are not made up for
WAIT_LIMIT_S = 60.0
LATE_REPLY_S = 3.0
JUMP_PCT = 5.0
LAG_S = 2.0
OVER_RANGE_FACTOR = 1000.0
FAR_OUT_GAIN, DRIFTED_GAIN = 0.85, 0.992

FLOAT_NAN = bytes.fromhex("7E951BEE")  # 9.91E+37
FLOAT_INF = bytes.fromhex("7E94F56A")  # 9.9E+37


class MeterPlant(Protocol):
    """What the meter's terminals see of the plant."""

    def frequency_hz(self, t_s: float) -> float:
        """Return the mains frequency, in Hz."""

    def reference_truth(self, start_s: float, end_s: float) -> Truth:
        """Return the means over a window."""


class PowerMeter(Instrument):
    """GPM-8310: one voltage input, one current input, numeric output, status of its own."""

    identity = IDENTITY
    terminator = "\r\n"
    interruptible = True
    # Measurement modes by their words; the first is that of a reset. ACDC is the true RMS, AC the same here.
    modes: Mapping[str, str] = {"ACDC": "ACDC", "RMS": "RMS", "AC": "RMS", "VMEan": "VMEan", "DC": "DC"}

    def __init__(
        self, config: BenchConfig, plant: MeterPlant, clock: Clock, fault_on: Callable[[str], bool]
    ) -> None:
        super().__init__(clock)
        self._config = config
        self._plant = plant
        self._fault_on = fault_on
        self._header = True
        self._verbose = False
        self._remote = False
        self._locked = False
        self._messages = True
        self._extended = StatusRegister(positive=0xFFFF)
        self._register_communication()
        self._register_status()
        self._register_numeric()
        self._register_input()
        self.reset()

    # ---- state ----

    def reset(self) -> None:
        """Set the measuring functions to their defaults; communication and status stay."""
        self._voltage = RangeSetting(VOLTAGE_RANGES_V)
        self._current = RangeSetting(CURRENT_RANGES_A)
        self._synchronised = "VOLT"
        self._mode = next(iter(self.modes.values()))
        self._crest = CREST_FACTORS[0]
        self._on = {"line filter": False, "frequency filter": False, "scaling": False, "maximum hold": False}
        self._items = [*DEFAULT_ITEMS, *["NONE"] * (ITEM_SLOTS - len(DEFAULT_ITEMS))]
        self._number = len(DEFAULT_ITEMS)
        self._ascii = True
        self._rate_s = DEFAULT_RATE_S
        self._averages = False
        self._average_count = AVERAGE_COUNTS[0]
        self._held: Reading | None = None
        self._start_period()

    def _start_period(self) -> None:
        """Begin a new update period now: what was measured under other settings is gone."""
        self._origin_s = self.clock.now_s()
        self._updates = 0
        self._samples: deque[Sample] = deque(maxlen=AVERAGE_COUNTS[-1])
        self._past: deque[Reading] = deque(maxlen=CATCH_UP_UPDATES)
        self._reading = Reading(self._origin_s, {}, {})

    def before_message(self) -> None:
        """Carry out the updates whose time has come; keep the error queue full where that is a fault."""
        self._advance()
        if self._fault_on(fault.METER_ERROR_QUEUE_FULL):
            for _ in range(ERROR_QUEUE_DEPTH + 1 - len(self.errors)):
                self.push_error(-300)

    def idn(self) -> str:
        """Return the identity, or another meter's."""
        return OTHER_IDENTITY if self._fault_on(fault.METER_WRONG_IDENTITY) else self.identity

    def link(self) -> Link:
        """Return how the connection behaves under the present faults."""
        return Link(
            silent=self._fault_on(fault.METER_SILENT),
            drops=self._fault_on(fault.METER_DROPS_CONNECTION),
            delay_s=LATE_REPLY_S if self._fault_on(fault.METER_LATE_REPLY) else 0.0,
        )

    def state(self) -> dict[str, Any]:
        """Return what the front panel would show, for the control link."""
        self._advance()
        return {
            "voltage_range_v": self._voltage.value,
            "current_range_a": self._current.value,
            "rate_s": self._rate_s,
            "update_end_s": self._reading.end_s,
            "values": {name: self._reading.text(name) for name in DEFAULT_ITEMS},
            "errors": len(self.errors),
            "remote": self._remote,
        }

    # ---- updates ----

    def _advance(self) -> None:
        now_s = self.clock.now_s()
        due = math.floor((now_s - self._origin_s) / self._rate_s)
        self._updates = max(self._updates, due - CATCH_UP_UPDATES)
        while self._updates < due:
            self._updates += 1
            end_s = self._origin_s + self._updates * self._rate_s
            self._update(end_s)
            due = math.floor((now_s - self._origin_s) / self._rate_s)  # a new range restarts the period
        if now_s >= self._next_update_s() - UPDATING_S:
            self._extended.set_condition(self._extended.condition | UPDATING)

    def _next_update_s(self) -> float:
        return self._origin_s + (self._updates + 1) * self._rate_s

    def _update(self, end_s: float) -> None:
        self._extended.set_condition(self._extended.condition | UPDATING)
        sample = self._sample(end_s)
        self._samples.append(sample)
        count = self._average_count if self._averages else 1
        averaged = mean_sample(list(self._samples)[-count:])
        if not (self._fault_on(fault.METER_STUCK) and self._reading.values):
            shares = self._shares()
            reading = make_reading(end_s, averaged, self._voltage, self._current, self._synchronised, shares)
            self._past.append(reading)
            self._reading = self._earlier() if self._fault_on(fault.METER_LAGGING) else reading
        self._extended.set_condition(self._condition())
        self._follow_ranges(sample, end_s)

    def _shares(self) -> tuple[float, float]:
        """Return what the mode shows of the RMS values of voltage and current: nothing of AC, as DC."""
        rectified = rectified_mean_share(self._config.mains.harmonics_pct)
        return {"VMEan": (rectified, 1.0), "DC": (0.0, 0.0)}.get(self._mode, (1.0, 1.0))

    def _earlier(self) -> Reading:
        """Return the reading of `LAG_S` ago, or the oldest since the settings changed."""
        return self._past[-min(len(self._past), round(LAG_S / self._rate_s) + 1)]

    def _sample(self, end_s: float) -> Sample:
        start_s = end_s - self._rate_s
        own = self._config.instruments
        key = f"{self._config.seed}:meter:{round(end_s * 1e6)}"
        sample = measure(
            self._plant.reference_truth(start_s, end_s),
            self._plant.frequency_hz((start_s + end_s) / 2),
            own.meter_gain_error_pct,
            own.meter_noise_pct,
            key,
        )
        gain = FAR_OUT_GAIN if self._fault_on(fault.METER_GAIN_FAR_OUT) else 1.0
        gain *= DRIFTED_GAIN if self._fault_on(fault.METER_GAIN_DRIFTED) else 1.0
        sample = replace(sample, current_a=sample.current_a * gain, active_w=sample.active_w * gain)
        if self._fault_on(fault.METER_OVER_RANGE):
            sample = replace(sample, current_a=max(sample.current_a, 1.0) * OVER_RANGE_FACTOR)
        if self._fault_on(fault.METER_JUMPING):
            factor = 1 + random.Random(f"{key}:jump").uniform(-JUMP_PCT, JUMP_PCT) / 100
            sample = replace(sample, current_a=sample.current_a * factor, active_w=sample.active_w * factor)
        return sample

    def _condition(self) -> int:
        reading = self._reading
        condition = VOLTAGE_OR_CURRENT_OVER if reading.voltage_over or reading.current_over else 0
        condition |= VOLTAGE_PEAK_OVER if reading.voltage_peak_over else 0
        return condition | (CURRENT_PEAK_OVER if reading.current_peak_over else 0)

    def _follow_ranges(self, sample: Sample, end_s: float) -> None:
        changed = self._voltage.automatic and self._voltage.follow(sample.voltage_v)
        changed = (self._current.automatic and self._current.follow(sample.current_a)) or changed
        if changed:
            self._samples.clear()
            self._origin_s, self._updates = end_s, 0

    # ---- communication group ----

    def decorate(self, command: Command, call: Call, response: str) -> str:
        """Put the header in front of a setting's value unless headers are off."""
        if not self._header:
            return response
        return f"{command.header.text(self._verbose, call.suffixes)} {response}"

    def _register_communication(self) -> None:
        self._switch(":COMMunicate:HEADer", "_header")
        self._switch(":COMMunicate:VERBose", "_verbose")
        self._switch(":COMMunicate:REMote", "_remote")
        self._switch(":COMMunicate:LOCKout", "_locked")
        self.add(":COMMunicate:WAIT", self._wait, self._wait_query, query_parameters=(1, 1))

    def _switch(self, definition: str, attribute: str) -> None:
        self.add(
            definition,
            lambda call: setattr(self, attribute, call.boolean()),
            lambda call: str(int(getattr(self, attribute))),
        )

    async def _wait(self, call: Call) -> None:
        mask = call.integer(0, 0xFFFF)
        give_up_s = self.clock.now_s() + WAIT_LIMIT_S
        self._advance()
        while not self._extended.event & mask:
            now_s = self.clock.now_s()
            if now_s >= give_up_s:
                raise ScpiError(-365, "COMM:WAIT")
            await asyncio.sleep(self.clock.wall_s(min(self._next_update_s(), give_up_s) - now_s))
            self._advance()

    async def _wait_query(self, call: Call) -> str:
        await self._wait(call)
        return "1"

    # ---- status group ----

    def _register_status(self) -> None:
        register = self._extended
        self.add(":STATus:ERRor", query=lambda call: self._next_error(), echoes_header=False)
        self.add(":STATus:EESR", query=lambda call: str(register.read_event()), echoes_header=False)
        self.add(":STATus:CONDition", query=lambda call: str(register.condition), echoes_header=False)
        self.add(":STATus:SPOLl", query=lambda call: str(self.status_byte()), echoes_header=False)
        self.add(":STATus:EESE", self._set_extended_enable, lambda call: str(register.enable))
        self.add(":STATus:FILTer<n>", self._set_filter, self._filter)
        self._switch(":STATus:QMESsage", "_messages")

    def _next_error(self) -> str:
        code, text = self.errors.pop()
        return f'{code},"{text}"' if self._messages else str(code)

    def _set_extended_enable(self, call: Call) -> None:
        self._extended.enable = call.integer(0, 0xFFFF)

    def _set_filter(self, call: Call) -> None:
        bit = 1 << (call.suffix(1, 16) - 1)
        word = call.choice({"RISE": "RISE", "FALL": "FALL", "BOTH": "BOTH", "NEVer": "NEVER"})
        register = self._extended
        register.positive = register.positive & ~bit | (bit if word in {"RISE", "BOTH"} else 0)
        register.negative = register.negative & ~bit | (bit if word in {"FALL", "BOTH"} else 0)

    def _filter(self, call: Call) -> str:
        bit = 1 << (call.suffix(1, 16) - 1)
        rise, fall = bool(self._extended.positive & bit), bool(self._extended.negative & bit)
        return {(True, False): "RISE", (False, True): "FALL", (True, True): "BOTH"}.get((rise, fall), "NEVER")

    def clear_events(self) -> None:
        """Clear the extended event register."""
        self._extended.read_event()

    def status_bits(self) -> int:
        """Return the extended event summary."""
        return STB_EXTENDED_EVENT if self._extended.summary() else 0

    # ---- numeric group ----

    def _register_numeric(self) -> None:
        self.add(":NUMeric:FORMat", self._set_format, lambda call: "ASC" if self._ascii else "FLO")
        # The meter echoes NUMB; the WT300 documents NUM, and both spellings are in use.
        self.add(":NUMeric[:NORMal]:NUMber", self._set_number)
        self.add(":NUMeric[:NORMal]:NUMBer", self._set_number, lambda call: str(self._number))
        self.add(":NUMeric[:NORMal]:ITEM<n>", self._set_item, self._item, parameters=(1, 3))
        self.add(":NUMeric[:NORMal]:CLEar", self._clear_items, parameters=(1, 2))
        self.add(":NUMeric[:NORMal]:VALue", query=self._values, query_parameters=(0, 1), echoes_header=False)
        self.add(":NUMeric[:NORMal]:HEADer", query=self._titles, query_parameters=(0, 1), echoes_header=False)
        self.add(":HOLD", self._set_hold, lambda call: str(int(self._held is not None)))
        self.add(":RATE", self._set_rate, lambda call: setting(self._rate_s))
        self.add(":MEASure:AVERaging[:STATe]", self._set_averages, lambda call: str(int(self._averages)))
        self.add(":MEASure:AVERaging:COUNt", self._set_count, lambda call: str(self._average_count))
        self._register_on(":MEASure:MHOLd", "maximum hold")
        self.add(
            ":MEASure:AVERaging:TYPE", lambda call: _discard(call.choice({"LINear": ""})), lambda call: "LIN"
        )

    def _set_format(self, call: Call) -> None:
        self._ascii = call.choice({"ASCii": "ASC", "FLOat": "FLO"}) == "ASC"

    def _set_number(self, call: Call) -> None:
        if call.parameters[0].upper() == "ALL":
            self._number = ITEM_SLOTS
        else:
            self._number = call.integer(1, ITEM_SLOTS)

    def _set_item(self, call: Call) -> None:
        slot = call.suffix(1, ITEM_SLOTS)
        item = call.choice(ITEM_WORDS)
        if call.more():
            call.integer(1, 1)  # the meter has one element
        if call.more():
            raise ScpiError(-222, "harmonic order")
        self._items[slot - 1] = item

    def _item(self, call: Call) -> str:
        item = self._items[call.suffix(1, ITEM_SLOTS) - 1]
        return item if item == "NONE" else f"{item},1"

    def _clear_items(self, call: Call) -> None:
        if call.parameters[0].upper() == "ALL":
            first, last = 1, ITEM_SLOTS
        else:
            first = call.integer(1, ITEM_SLOTS)
            last = call.integer(first, ITEM_SLOTS) if call.more() else ITEM_SLOTS
        self._items[first - 1 : last] = ["NONE"] * (last - first + 1)

    def _chosen(self, call: Call) -> list[str]:
        if call.more():
            slot = call.integer(1, ITEM_SLOTS)
            return self._items[slot - 1 : slot]
        return self._items[: self._number]

    def _titles(self, call: Call) -> str:
        return ",".join(ITEM_TITLES[item] for item in self._chosen(call))

    def _values(self, call: Call) -> str:
        reading = self._held or self._reading
        if self._fault_on(fault.METER_NAN):
            reading = Reading(reading.end_s, {}, {})
        items = self._chosen(call)
        if self._ascii:
            return ",".join(reading.text(item) for item in items)
        data = b"".join(_float(reading.values.get(item, math.nan)) for item in items)
        return f"#4{len(data):04d}{data.decode('latin-1')}"

    def _set_hold(self, call: Call) -> None:
        self._held = self._reading if call.boolean() else None

    def _set_rate(self, call: Call) -> None:
        rate_s = call.number(RATES_S[0], RATES_S[-1], "S", DEFAULT_RATE_S)
        matches = [rate for rate in RATES_S if math.isclose(rate, rate_s, rel_tol=1e-6)]
        if not matches:
            raise ScpiError(-222, call.parameters[0])
        self._rate_s = matches[0]
        self._start_period()

    def _set_averages(self, call: Call) -> None:
        self._averages = call.boolean()
        self._start_period()

    def _set_count(self, call: Call) -> None:
        count = call.integer(AVERAGE_COUNTS[0], AVERAGE_COUNTS[-1])
        if count not in AVERAGE_COUNTS:
            raise ScpiError(-222, call.parameters[0])
        self._average_count = count
        self._start_period()

    # ---- input group ----

    def _register_input(self) -> None:
        for name, attribute, unit in (("VOLTage", "_voltage", "V"), ("CURRent", "_current", "A")):
            self._register_range(f"[:INPut]:{name}", attribute, unit)
        self.add("[:INPut]:CFACtor", self._set_crest, lambda call: self._crest)
        self.add("[:INPut]:SYNChronize", self._set_synchronised, lambda call: self._synchronised)
        self.add("[:INPut]:MODE", self._set_mode, lambda call: self._mode_word())
        self._register_on("[:INPut]:FILTer:LINE", "line filter")
        self._register_on("[:INPut]:FILTer:FREQuency", "frequency filter")
        self._register_on("[:INPut]:SCALing[:STATe]", "scaling")

    def _register_range(self, path: str, attribute: str, unit: str) -> None:
        def select(call: Call) -> None:
            chosen: RangeSetting = getattr(self, attribute)
            available = chosen.available()
            if not chosen.select(call.number(available[0], available[-1], unit, available[-1])):
                raise ScpiError(-222, call.parameters[0])
            self._start_period()

        def automatic(call: Call) -> None:
            chosen: RangeSetting = getattr(self, attribute)
            chosen.automatic = call.boolean()

        self.add(f"{path}:RANGe", select, lambda call: setting(getattr(self, attribute).value))
        self.add(f"{path}:AUTO", automatic, lambda call: str(int(getattr(self, attribute).automatic)))

    def _register_on(self, definition: str, key: str) -> None:
        """Register a setting that is held and answered; what it does to a reading is not emulated."""

        def switch(call: Call) -> None:
            self._on[key] = call.boolean()
            self._start_period()

        self.add(definition, switch, lambda call: str(int(self._on[key])))

    def _set_mode(self, call: Call) -> None:
        self._mode = call.choice(self.modes)
        self._start_period()

    def _mode_word(self) -> str:
        word = Mnemonic.parse(self._mode)
        return word.long if self._verbose else word.short

    def _set_crest(self, call: Call) -> None:
        text = call.parameters[0].upper()
        crest = text if text == "A6" else str(call.integer(3, 6))
        if crest not in CREST_FACTORS:
            raise ScpiError(-222, text)
        self._crest = crest
        for chosen in (self._voltage, self._current):
            chosen.set_crest_factor(int(crest[-1]), stretched=crest == "A6")
        self._start_period()

    def _set_synchronised(self, call: Call) -> None:
        self._synchronised = call.choice({"VOLTage": "VOLT", "CURRent": "CURR", "OFF": "OFF"})
        self._start_period()


def _discard(value: str) -> None:
    """Take a setting that has only one value."""


def _float(value: float) -> bytes:
    """Return a value of the FLOAT output: big endian single precision with its two sentinels."""
    if math.isnan(value):
        return FLOAT_NAN
    if math.isinf(value):
        return FLOAT_INF
    return struct.pack(">f", value)
