"""The faults of an emulated unit and of the plant, each as one predicate, all in this one place.

A fault is a change of the unit or of its cabling, never of an answer. The names, and what is physically
wrong, are in fault_catalogue.toml. A name is in the unit's `faults` from the start, or somebody switches it
in the event log, which wins.

The faults of the drive, the serial port, the flash and the radio are asked for by name in unit.py and
unix_core.py.

A fault of the plant belongs to the whole bench: its name is in the bench's `faults` from the start, or
somebody switches it in the event log for unit 0. It holds from that moment and leaves the past alone.
"""

from __future__ import annotations

import math

from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.emulator.events import EventLog

JUMP_PCT = 2.0
JUMP_PERIOD_S = 0.7
OTHER_FREQUENCY_HZ = 60.0
DRIFT_PER_S = 0.003
SATURATING_FACTOR = 1.25
FAR_OUT_ANGLE_DEG = 3.0
LOW_MAINS_FACTOR = 0.8
LEAKING_A = 0.06
LAGGING_DEG = 1.5
BYPASS_SHARE = 0.008
LOW_SUPPLY_V, SAGGING_SUPPLY_V = 6.8, 4.0
OPEN_BURDEN_FACTOR = 6.0  # the CT drives the input up to its clamp
NOT_CLOSED_FACTOR, NOT_CLOSED_ANGLE_DEG = 0.93, 2.0
BURDEN_DRIFT_PER_S = 0.003
WRONG_SENSOR_DEGC = 15.0
CHATTER_S, CHATTER_PERIOD_S = 2.0, 0.3
PORTS = 6
OTHER_BOARD_VERSION = 2.0


class PlantFaults:
    """Answers which faults the plant had at a bench time."""

    def __init__(self, config: BenchConfig, events: EventLog) -> None:
        self._initial = frozenset(config.faults)
        self._events = events

    def on(self, name: str, t_s: float) -> bool:
        """Return whether a fault held at a bench time."""
        return self._events.fault_at(name, t_s, default=name in self._initial)

    def edges_s(self, start_s: float, end_s: float) -> set[float]:
        """Return the bench times inside a window at which a fault makes a quantity jump."""
        names = ("mains_jumping", "mains_low", "load_not_settling", "saturation", "load_leaking")
        edges = {t_s for name in names for t_s in self._events.fault_changes(name, start_s, end_s)}
        first = math.floor(start_s / JUMP_PERIOD_S) + 1
        last = math.ceil(end_s / JUMP_PERIOD_S)
        steps = (index * JUMP_PERIOD_S for index in range(first, last))
        return edges | {t_s for t_s in steps if start_s < t_s < end_s and self.on("mains_jumping", t_s)}

    def mains_factor(self, t_s: float) -> float:
        """Return the factor on the mains voltage, 1 while nothing is wrong."""
        factor = LOW_MAINS_FACTOR if self.on("mains_low", t_s) else 1.0
        if not self.on("mains_jumping", t_s):
            return factor
        up = math.floor(t_s / JUMP_PERIOD_S) % 2 == 0
        return factor * (1 + (JUMP_PCT if up else -JUMP_PCT) / 100)

    def frequency_hz(self, nominal_hz: float, t_s: float) -> float:
        """Return the nominal frequency, or another country's."""
        return OTHER_FREQUENCY_HZ if self.on("mains_60hz", t_s) else nominal_hz

    def load_factor(self, changed_s: float, t_s: float) -> float:
        """Return the factor on the current of the load, 1 while nothing is wrong.

        Args:
            changed_s: Bench time at which the load was last switched or set.
            t_s: Bench time, in s.
        """
        factor = SATURATING_FACTOR if self.on("saturation", t_s) else 1.0
        if self.on("load_not_settling", t_s):
            since_s = max(changed_s, self._events.fault_since("load_not_settling", t_s))
            factor *= math.exp(-DRIFT_PER_S * (t_s - since_s))
        return factor

    def lagging_deg(self, t_s: float) -> float:
        """Return by how much more the load's current lags than it should, in degrees."""
        return LAGGING_DEG if self.on("load_lagging", t_s) else 0.0

    def leaking_a(self, t_s: float) -> float:
        """Return the current of a load that is off, in A, at the nominal mains voltage."""
        return LEAKING_A if self.on("load_leaking", t_s) else 0.0

    def reference_share(self, t_s: float) -> float:
        """Return the share of the conductors' current that passes through the reference meter."""
        return 1 - BYPASS_SHARE if self.on("load_bypasses_reference", t_s) else 1.0

    def supply_v(self, supply_v: float, sagging: bool, t_s: float) -> float:
        """Return what arrives at a unit whose supply is on, in V."""
        if sagging:
            return SAGGING_SUPPLY_V
        return LOW_SUPPLY_V if self.on("supply_low", t_s) else supply_v

    def turns(self, turns: int, t_s: float) -> int:
        """Return how often the conductor really passes through every CT."""
        return turns - 1 if self.on("wrong_turns", t_s) else turns


class UnitFaults:
    """Answers which faults one unit has now."""

    def __init__(self, unit: UnitConfig, events: EventLog) -> None:
        self._unit = unit
        self._events = events
        self._revision = -1
        self._active: frozenset[str] = frozenset()

    def on(self, name: str) -> bool:
        """Return whether a fault holds now, for this unit or for the whole bench (unit 0)."""
        return name in self.active()

    def active(self) -> frozenset[str]:
        """Return the names of all faults that hold now."""
        revision = self._events.sync()
        if revision != self._revision:
            names = self._events.faults_on(0) | set(self._unit.faults)
            number = self._unit.number
            names = {name for name in names if self._events.fault(name, number, default=True)}
            self._active = frozenset(names | self._events.faults_on(number))
            self._revision = revision
        return self._active

    # ---- lights, switch, display ----

    def green_light(self, green_pin: int, blue_pin: int) -> int:
        """Return whether the green light is lit while the unit has power."""
        if self.on("led_green_stuck"):
            return 1
        if self.on("led_green_dark"):
            return 0
        return blue_pin if self.on("leds_swapped") else green_pin

    def blue_light(self, green_pin: int, blue_pin: int) -> int:
        """Return whether the blue light is lit while the unit has power."""
        if self.on("led_blue_stuck"):
            return 1
        if self.on("led_blue_dark"):
            return 0
        return green_pin if self.on("leds_swapped") else blue_pin

    def button_closed(self, pressed: bool, since_s: float) -> bool:
        """Return whether the WiFi switch's contact is closed.

        Args:
            pressed: Whether a finger is on it.
            since_s: For how long the finger has been on it, or off it, in s.
        """
        if self.on("button_dead"):
            return False
        if self.on("button_stuck"):
            return True
        if self.on("button_bouncing") and (pressed or since_s < CHATTER_S):
            return since_s % CHATTER_PERIOD_S < CHATTER_PERIOD_S / 2
        return pressed

    def display_blank(self) -> bool:
        """Return whether the display shows nothing."""
        return self.on("display_blank")

    def display_mirrored(self) -> bool:
        """Return whether the display shows everything left to right."""
        return self.on("display_mirrored")

    def display_frozen(self) -> bool:
        """Return whether the display no longer takes new pixels."""
        return self.on("display_frozen")

    # ---- current transformers and inputs ----

    def port_reversed(self, port: int) -> bool:
        """Return whether somebody turned the CT of a port, against its configuration."""
        return self.on(f"port{port}_reversed")

    def port_dead(self, port: int) -> bool:
        """Return whether nothing arrives from the CT of a port."""
        return self.on(f"port{port}_dead")

    def ct_at_port(self, port: int) -> int:
        """Return which CT is plugged into a port."""
        if self.on("jig_shifted"):
            return (port - 2) % PORTS + 1
        for name in self.active():
            if name.startswith("ports_swapped_"):
                first, second = (int(part) for part in name.removeprefix("ports_swapped_").split("_"))
                if port in (first, second):
                    return first + second - port
        return port

    def port_gain(self, port: int) -> float:
        """Return the factor of a wrong burden, 1 when it is right."""
        if self.on(f"port{port}_burden_open"):
            return OPEN_BURDEN_FACTOR
        return 0.85 if self.on(f"port{port}_gain_far_out") else 1.0

    def port_drifting(self, port: int) -> bool:
        """Return whether the burden of a port changes while current flows."""
        return self.on(f"port{port}_drifting")

    def ct_gain(self, port: int) -> float:
        """Return the factor of a CT whose core is not closed, 1 when it is."""
        return NOT_CLOSED_FACTOR if self.on(f"ct{port}_not_closed") else 1.0

    def port_angle_deg(self, port: int) -> float:
        """Return by how much the CT of a port leads beyond its own phase error, in degrees."""
        far_out_deg = FAR_OUT_ANGLE_DEG if self.on(f"port{port}_phase_far_out") else 0.0
        return far_out_deg + (NOT_CLOSED_ANGLE_DEG if self.on(f"ct{port}_not_closed") else 0.0)

    def voltage_gain(self) -> float:
        """Return the factor of a wrong divider, 1 when it is right."""
        return 0.88 if self.on("voltage_gain_far_out") else 1.0

    def port_offset_a(self, port: int) -> float:
        """Return the offset that a fault adds to the RMS current, in A."""
        return 0.05 if self.on(f"offset_huge_port{port}") else 0.0

    # ---- metering chips, temperature sensor ----

    def chip_selects_exchanged(self) -> bool:
        """Return whether CS0 and CS4 lead to the other chip."""
        return self.on("chip_selects_exchanged")

    def chip_missing(self, name: str) -> bool:
        """Return whether a chip, "U4" or "U5", does not answer."""
        return self.on(f"chip_{name.lower()}_missing")

    def miso_stuck(self) -> int | None:
        """Return the byte that the MCU always reads: MISO is shorted to ground, or open at its pull-up."""
        active = self.active()
        if "miso_stuck" in active:
            return 0x00
        return 0xFF if "miso_open" in active else None

    def register_write_dropped(self) -> bool:
        """Return whether writes to gain and offset registers are lost."""
        return self.on("register_write_dropped")

    def stale_window(self) -> bool:
        """Return whether the first window after a reset still holds the values before it."""
        return self.on("chip_stale_window")

    def temperature_open(self) -> bool:
        """Return whether the temperature sensor is not connected."""
        return self.on("temperature_open")

    def temperature_shorted(self) -> bool:
        """Return whether the temperature sensor's output is shorted to ground."""
        return self.on("temperature_shorted")

    def temperature_error_degc(self) -> float:
        """Return by how much a sensor of another type reads too high, in degrees Celsius."""
        return WRONG_SENSOR_DEGC if self.on("temperature_wrong") else 0.0

    def board_version(self, labelled: float) -> float:
        """Return the version of the board behind the label."""
        return OTHER_BOARD_VERSION if self.on("board_of_other_version") else labelled
