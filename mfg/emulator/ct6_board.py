"""The CT6 board around the MCU: metering chips, display, LEDs, switch, sensor, supply hold-off.

Both MCU back ends drive this one board. All methods may be called from any thread; none waits.

Source: the CT6 interface description, sections 1.1 to 1.4 and 1.6.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from mfg.clock import BenchClock
from mfg.emulator.atm90e32 import (
    CURRENT_LSB_A,
    POWER_LSB_W,
    VOLTAGE_LSB_V,
    Atm90e32,
)
from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.emulator.faults import UnitFaults
from mfg.emulator.front_end import PORTS_PER_CHIP, FrontEnd
from mfg.emulator.plant import Plant
from mfg.emulator.st7789 import Frame, St7789, dark_frame, mirrored

GPIO_CS0 = 5  # chip U4: CT4, CT5, CT6
GPIO_CS4 = 22  # chip U5: CT1, CT2, CT3
GPIO_METER_RESET = 19  # active low
GPIO_DISPLAY_POWER = 7
GPIO_DISPLAY_DC = 12
GPIO_DISPLAY_CS = 17
GPIO_POWER_CYCLE = 13
GPIO_BUTTON = 14
GPIO_BLUE_LED = 15
GPIO_GREEN_LED = 16
PULLED_DOWN = (GPIO_DISPLAY_POWER, GPIO_POWER_CYCLE, GPIO_BLUE_LED, GPIO_GREEN_LED)

METER_BUS = 0
DISPLAY_BUS = 1
TEMPERATURE_CHANNEL = 2

RESET_PIN_BOARD_VERSION = 2.1
LONG_HOLD_OFF_BOARD_VERSION = 3.1
LONG_HOLD_OFF_S = 5.0
SHORT_HOLD_OFF_S = 0.8

# The firmware shows (counts / 19757.69 - 0.5) / 0.010 x 0.86 degrees; this is the inverse.
ADC_COUNTS_PER_V = 19757.69
SENSOR_OFFSET_V = 0.5
SENSOR_V_PER_DEGC = 0.010
SENSOR_SELF_HEATING = 0.86
ADC_FULL_SCALE = 0xFFFF
IDLE_BYTE = 0xFF  # MISO has a pull-up

REMEMBERED_EDGES = 20_000


class Ct6Board:
    """One board; the MCU's pins and buses on one side, the bench on the other."""

    def __init__(self, config: BenchConfig, unit: UnitConfig, plant: Plant, clock: BenchClock) -> None:
        self._config = config
        self._unit = unit
        self._plant = plant
        self._clock = clock
        self._lock = threading.RLock()
        self.faults = UnitFaults(unit, plant.events)
        self._chips = {name: Atm90e32(FrontEnd(plant, unit, self.faults, name)) for name in ("U4", "U5")}
        self._selected: list[Atm90e32] = []
        self._display = St7789()
        self._levels: dict[int, int] = {}  # pins the MCU drives
        self._lights = {GPIO_GREEN_LED: 0, GPIO_BLUE_LED: 0}
        self._edges: deque[tuple[float, int, int]] = deque(maxlen=REMEMBERED_EDGES)
        self._powered = False
        self._hold_off_s: float | None = None

    # ---- supply and reset -----------------------------------------------------------------------

    def power_on(self, t_s: float) -> None:
        """Give the board its supply: every chip starts from its reset state.

        Args:
            t_s: Bench time of the moment, in s.
        """
        with self._lock:
            self._powered = True
            self._hold_off_s = None
            self._forget(t_s)

    def power_off(self, t_s: float) -> None:
        """Take the supply away: registers and picture are lost.

        Args:
            t_s: Bench time of the moment, in s.
        """
        with self._lock:
            self._powered = False
            self._hold_off_s = None
            self._forget(t_s)

    def _forget(self, t_s: float) -> None:
        for chip in self._chips.values():
            chip.power_on()
        self._display.reset()
        self._release_pins(t_s)

    def mcu_reset(self) -> None:
        """Reset the MCU alone: its pins float again; the metering chips keep their registers."""
        with self._lock:
            self._release_pins(self._clock.now_s())

    def _release_pins(self, t_s: float) -> None:
        self._levels.clear()
        self._selected.clear()
        self._display.reset()  # its power switch has a pull-down
        self._update_lights(t_s)

    def self_power_cycle_off_s(self) -> float | None:
        """Return for how long the supply must now go off, None unless GPIO13 went high."""
        with self._lock:
            return self._hold_off_s

    # ---- pins -----------------------------------------------------------------------------------

    def pin_write(self, gpio: int, level: int) -> None:
        """Drive an output of the MCU.

        Args:
            gpio: Number of the pin.
            level: 0 or 1.
        """
        level = 1 if level else 0
        with self._lock:
            if not self._powered:
                return
            before = self._level(gpio)
            self._levels[gpio] = level
            if level != before:
                self._edge(gpio, level)

    def _edge(self, gpio: int, level: int) -> None:
        now_s = self._clock.now_s()
        if gpio in (GPIO_CS0, GPIO_CS4):
            self._chip_select(gpio, level, now_s)
        elif gpio in (GPIO_GREEN_LED, GPIO_BLUE_LED):
            self._update_lights(now_s)
        elif gpio == GPIO_METER_RESET and level == 0 and self._has_reset_pin():
            for chip in self._chips.values():
                chip.reset()
        elif gpio == GPIO_DISPLAY_POWER:
            self._display.reset()
        elif gpio == GPIO_POWER_CYCLE and level == 1:
            long = self._board_version() >= LONG_HOLD_OFF_BOARD_VERSION
            self._hold_off_s = LONG_HOLD_OFF_S if long else SHORT_HOLD_OFF_S

    def _has_reset_pin(self) -> bool:
        return self._board_version() >= RESET_PIN_BOARD_VERSION

    def _board_version(self) -> float:
        return self.faults.board_version(self._unit.board_version)

    def _level(self, gpio: int) -> int:
        return self._levels.get(gpio, 0 if gpio in PULLED_DOWN else 1)

    def pin_read(self, gpio: int) -> int:
        """Return the level the MCU sees at a pin."""
        with self._lock:
            if gpio == GPIO_BUTTON:
                return self._button_level()
            return self._level(gpio)

    def _button_level(self) -> int:
        events, now_s, unit = self._plant.events, self._clock.now_s(), self._unit.number
        events.sync()
        pressed = bool(events.at("button", now_s, unit))
        return 0 if self.faults.button_closed(pressed, now_s - events.since("button", now_s, unit)) else 1

    def pins(self) -> dict[int, int]:
        """Return the level of every pin that the MCU drives, and of the WiFi switch."""
        with self._lock:
            return {**self._levels, GPIO_BUTTON: self._button_level()}

    # ---- LEDs -----------------------------------------------------------------------------------

    def _update_lights(self, t_s: float) -> None:
        """Record the edges of the lights, which a fault may keep from following their pins."""
        green_pin, blue_pin = self._level(GPIO_GREEN_LED), self._level(GPIO_BLUE_LED)
        lights = {
            GPIO_GREEN_LED: self._powered and self.faults.green_light(green_pin, blue_pin),
            GPIO_BLUE_LED: self._powered and self.faults.blue_light(green_pin, blue_pin),
        }
        for gpio, light in lights.items():
            level = int(light)
            if level != self._lights[gpio]:
                self._lights[gpio] = level
                self._edges.append((t_s, gpio, level))

    def lights(self) -> dict[int, int]:
        """Return which lights are lit, by the pin that belongs to them: 16 green, 15 blue."""
        with self._lock:
            self._update_lights(self._clock.now_s())
            return dict(self._lights)

    def led_edges(self, since_s: float) -> list[tuple[float, int, int]]:
        """Return when lights went on and off: (bench time, 16 green or 15 blue, 1 lit or 0 dark)."""
        with self._lock:
            self._update_lights(self._clock.now_s())
            return [edge for edge in self._edges if edge[0] >= since_s]

    # ---- buses ----------------------------------------------------------------------------------

    def spi_transfer(self, bus: int, data: bytes) -> bytes:
        """Clock bytes out of and into the MCU.

        Args:
            bus: 0 for the metering chips, 1 for the display.
            data: What the MCU sends; chip select and D/C are pins.

        Returns:
            As many bytes as were sent.
        """
        with self._lock:
            if bus == DISPLAY_BUS:
                self._to_display(data)
                return bytes(len(data))
            return self._to_chips(data)

    def _chip_select(self, gpio: int, level: int, now_s: float) -> None:
        name = "U4" if (gpio == GPIO_CS0) != self.faults.chip_selects_exchanged() else "U5"
        chip = self._chips[name]
        if level:
            if chip in self._selected:
                self._selected.remove(chip)
                chip.deselect(now_s)
            return
        held = self._level(GPIO_METER_RESET) == 0 and self._has_reset_pin()
        if held or self.faults.chip_missing(name):
            return
        chip.drop_corrections = self.faults.register_write_dropped()
        chip.stale_window = self.faults.stale_window()
        chip.select()
        self._selected.append(chip)

    def _to_chips(self, data: bytes) -> bytes:
        now_s = self._clock.now_s()
        reply = bytes([IDLE_BYTE]) * len(data)
        for chip in self._selected:
            answer = chip.transfer(data, now_s)
            reply = bytes(one & other for one, other in zip(reply, answer, strict=True))
        stuck = self.faults.miso_stuck()
        return reply if stuck is None else bytes([stuck]) * len(data)

    def _to_display(self, data: bytes) -> None:
        if not self._display_powered() or self._level(GPIO_DISPLAY_CS):
            return
        self._display.frozen = self.faults.display_frozen()
        if self._level(GPIO_DISPLAY_DC):
            self._display.data(data)
        else:
            self._display.command(data)

    def _display_powered(self) -> bool:
        return self._powered and self._level(GPIO_DISPLAY_POWER) == 1

    def frame(self) -> Frame:
        """Return what the display shows to somebody who looks at it."""
        with self._lock:
            if not self._display_powered() or self.faults.display_blank():
                return dark_frame()
            frame = self._display.frame()
            return mirrored(frame) if self.faults.display_mirrored() else frame

    def adc_u16(self, channel: int) -> int:
        """Return a conversion of the MCU's ADC scaled to 16 bits; channel 2 is the temperature."""
        if channel != TEMPERATURE_CHANNEL or self.faults.temperature_shorted():
            return 0
        if self.faults.temperature_open():
            return ADC_FULL_SCALE
        shown_degc = self._plant.board_degc(self._unit.number, self._clock.now_s())
        shown_degc += self.faults.temperature_error_degc()
        sensor_v = shown_degc / SENSOR_SELF_HEATING * SENSOR_V_PER_DEGC + SENSOR_OFFSET_V
        return max(0, min(ADC_FULL_SCALE, round(sensor_v * ADC_COUNTS_PER_V)))

    # ---- for tests and for a person at the bench ------------------------------------------------

    def registers(self) -> dict[str, dict[str, int]]:
        """Return the registers the firmware wrote, by chip select: CS4 is U5, CS0 is U4."""
        with self._lock:
            return {
                select: {f"0x{address:02X}": value for address, value in self._chips[name].written().items()}
                for select, name in (("CS4", "U5"), ("CS0", "U4"))
            }

    def readings(self, port: int) -> dict[str, Any]:
        """Return what the chip's registers say about a port now, and the truth over the same window.

        Args:
            port: 1 to 6.

        Returns:
            "window_s" (start and end, bench time), "truth" and "registers", the last two with
            "voltage_v", "current_a", "active_w", "reactive_var"; None for all while the chip has no
            complete window.
        """
        chip = self._chips["U5" if port <= PORTS_PER_CHIP else "U4"]
        phase = (port - 1) % PORTS_PER_CHIP
        with self._lock:
            results = chip.results(self._clock.now_s())
        if results is None:
            return {"window_s": None, "truth": None, "registers": None}
        truth = self._plant.port_truth(self._unit.number, port, results.start_s, results.end_s)
        words = results.registers
        return {
            "window_s": [results.start_s, results.end_s],
            "truth": {
                "voltage_v": truth.voltage_v,
                "current_a": truth.current_a,
                "active_w": truth.active_w,
                "reactive_var": truth.reactive_var,
            },
            "registers": {
                "voltage_v": _fine(words[0xD9 + phase], words[0xE9 + phase]) * VOLTAGE_LSB_V,
                "current_a": _fine(words[0xDD + phase], words[0xED + phase]) * CURRENT_LSB_A,
                "active_w": _power(words[0xB1 + phase], words[0xC1 + phase]) * POWER_LSB_W,
                "reactive_var": _power(words[0xB5 + phase], words[0xC5 + phase]) * POWER_LSB_W,
            },
        }


def _fine(main: int, low: int) -> float:
    return main + (low >> 8) / 256


def _power(high: int, low: int) -> int:
    value = high << 16 | low
    return value - (1 << 32) if value & 0x8000_0000 else value
