"""The faults of an emulated unit, each as one predicate, all in this one place.

A fault is a change of the unit or of its cabling, never of an answer. Its name is in the unit's
`faults` from the start, or somebody switches it in the event log, which wins:

    led_green_dark  led_blue_dark  leds_swapped  led_green_stuck    the light does not follow the pin
    button_dead                                                     the WiFi switch never closes
    display_blank  display_mirrored  display_frozen
    port<k>_dead                      nothing arrives from CT k
    port<k>_reversed                  CT k is clamped on the other way round
    ports_swapped_<a>_<b>             the plugs of CT a and CT b are exchanged
    port<k>_gain_far_out              wrong burden at port k
    offset_huge_port<k>               an offset far above the noise floor at port k
    chip_selects_exchanged            CS0 and CS4 lead to the other chip
    chip_u4_missing  chip_u5_missing  the chip does not answer
    miso_stuck                        MISO is shorted to ground
    register_write_dropped            writes to gain and offset registers are lost
    voltage_gain_far_out              wrong divider at both chips
    temperature_open  temperature_shorted

The faults of the drive, the serial port and WiFi are asked for by name in unit.py.
"""

from __future__ import annotations

from mfg.emulator.config import UnitConfig
from mfg.emulator.events import EventLog


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
        if self.on("led_blue_dark"):
            return 0
        return green_pin if self.on("leds_swapped") else blue_pin

    def button_dead(self) -> bool:
        """Return whether the WiFi switch never closes."""
        return self.on("button_dead")

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
        for name in self.active():
            if name.startswith("ports_swapped_"):
                first, second = (int(part) for part in name.removeprefix("ports_swapped_").split("_"))
                if port in (first, second):
                    return first + second - port
        return port

    def port_gain(self, port: int) -> float:
        """Return the factor of a wrong burden, 1 when it is right."""
        return 0.85 if self.on(f"port{port}_gain_far_out") else 1.0

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

    def miso_stuck(self) -> bool:
        """Return whether MISO is shorted to ground."""
        return self.on("miso_stuck")

    def register_write_dropped(self) -> bool:
        """Return whether writes to gain and offset registers are lost."""
        return self.on("register_write_dropped")

    def temperature_open(self) -> bool:
        """Return whether the temperature sensor is not connected."""
        return self.on("temperature_open")

    def temperature_shorted(self) -> bool:
        """Return whether the temperature sensor's output is shorted to ground."""
        return self.on("temperature_shorted")
