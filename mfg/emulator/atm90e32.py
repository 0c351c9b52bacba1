"""The ATM90E32AS metering chip as an SPI slave: a register model over physical inputs.

The chip measures in windows of 16 mains cycles that it counts from the moment metering was enabled.
A read returns the last complete window, computed with the gain, offset and phase registers that were
in force when that window ended; before the first window is complete, everything measured reads 0.

Not modelled: energy registers, interrupts, sag and phase-loss detection, totals over the phases,
fundamental and harmonic power, CRC. Those registers read what was written to them, or 0.

Source: Microchip ATM90E32AS datasheet (Atmel-46003B) 3.6, 5.4; application note Atmel-46103A 4.2.5 to
4.2.7; the gains that a CT6 needs come from its factory files.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from typing import Protocol

from mfg.emulator.front_end import ChipWindow, CurrentInput

CYCLES_PER_WINDOW = 16
NOMINAL_VOLTAGE_GAIN = 55600
NOMINAL_CURRENT_GAIN = 42720  # at PGA x1; 10680 at x4
ADC_CLIP_A = 102.6  # RMS of a sine that just fits the converter at PGA x1
PHASE_CLOCK_HZ = 2_048_000.0
VOLTAGE_LSB_V = 0.01
CURRENT_LSB_A = 0.001
POWER_LSB_W = 0.00032
OFFSET_LSB = 128 / 65536  # of the RMS register's LSB
PEAK_SCALE = 8192

READ_BIT = 0x8000
ADDRESS_MASK = 0x03FF
FRAME_BYTES = 4

METER_ENABLE = 0x00
CHANNEL_MAP_I = 0x01
CHANNEL_MAP_U = 0x02
PGA_GAIN = 0x34
ACTIVE_OFFSETS = (0x41, 0x43, 0x45)
REACTIVE_OFFSETS = (0x42, 0x44, 0x46)
POWER_GAINS = (0x47, 0x49, 0x4B)
PHASE_ANGLES = (0x48, 0x4A, 0x4C)
VOLTAGE_GAINS = (0x61, 0x65, 0x69)
CURRENT_GAINS = (0x62, 0x66, 0x6A)
VOLTAGE_OFFSETS = (0x63, 0x67, 0x6B)
CURRENT_OFFSETS = (0x64, 0x68, 0x6C)
CORRECTIONS = range(0x61, 0x6D)
SOFT_RESET = 0x70
SOFT_RESET_KEY = 0x789A
LAST_SPI_DATA = 0x78
CONFIG_ACCESS = 0x7F
CONFIG_ACCESS_KEY = 0x55AA
PROTECTED = range(0x00, 0x70)
MEASURED = range(0x80, 0x100)
FREQUENCY = 0xF8
CHIP_TEMPERATURE = 0xFC

# Code of the voltage input V1 in ChannelMapU; codes of the current inputs in ChannelMapI are 0, 1, 2.
VOLTAGE_INPUT_1 = 4

RESET_VALUES = {
    CHANNEL_MAP_I: 0x0210,
    CHANNEL_MAP_U: 0x0654,
    0x05: 0x143F,  # peak and sag detector
    0x31: 0x0861,  # PL constant
    0x32: 0xC468,
    0x33: 0x0087,  # MMode0
    **dict.fromkeys((*VOLTAGE_GAINS, *CURRENT_GAINS), 0x8000),
}


class Inputs(Protocol):
    """What the chip is connected to; see front_end.py."""

    def revision(self) -> int:
        """Return a number that changes whenever something on the bench is switched."""
        ...

    def window(self, start_s: float, end_s: float) -> ChipWindow:
        """Return what the inputs saw over a window."""
        ...

    def frequency_hz(self, t_s: float) -> float:
        """Return the mains frequency."""
        ...

    def board_degc(self, t_s: float) -> float:
        """Return the temperature around the chip."""
        ...


@dataclass(frozen=True)
class Results:
    """The measured registers of one window and the window itself."""

    start_s: float
    end_s: float
    registers: dict[int, int]


class Atm90e32:
    """One chip; the caller passes the bench time of every access and serialises them."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._registers: dict[int, int] = {}
        self._written: dict[int, int] = {}
        self._last_data = 0
        self._enabled_s: float | None = None
        self._period_s = 0.0
        self._frozen: dict[int, int] = {}  # corrections in force when window `_frozen_index` ended
        self._frozen_index = -1
        self._results: Results | None = None
        self._results_key: tuple[int, int] = (-1, -1)
        self._frame = bytearray()
        self._reply = 0
        self._old: dict[int, int] = {}  # what the first window after a reset still shows
        self.drop_corrections = False  # a fault: writes to gain and offset registers are lost
        self.stale_window = False  # a fault: the first window after a reset holds the values before it
        self.reset()

    # ---- pins -----------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Take the reset values and forget everything that was measured."""
        self._results = None
        self._old = {}
        self.reset()

    def reset(self) -> None:
        """Take the reset values, as after power-on, the reset pin or the soft reset."""
        if self._results is not None:
            self._old = self._results.registers
        self._registers = dict(RESET_VALUES)
        self._written = {}
        self._enabled_s = None
        self._frozen_index = -1
        self._results = None
        self._results_key = (-1, -1)
        self._frame.clear()

    def select(self) -> None:
        """Begin a frame: CS goes low."""
        self._frame.clear()

    def transfer(self, data: bytes, t_s: float) -> bytes:
        """Clock bytes in and out; the line floats high while the chip has nothing to say."""
        reply = bytearray()
        for byte in data:
            position = len(self._frame)
            self._frame.append(byte)
            if position == 1 and self._frame[0] & (READ_BIT >> 8):
                self._reply = self.read(self._address(), t_s)
            reading = self._frame[0] & (READ_BIT >> 8)
            if reading and 2 <= position < FRAME_BYTES:
                reply.append(self._reply >> 8 if position == 2 else self._reply & 0xFF)
            else:
                reply.append(0xFF)
        return bytes(reply)

    def deselect(self, t_s: float) -> None:
        """End a frame: CS goes high; only a complete write frame has an effect."""
        if len(self._frame) == FRAME_BYTES and not self._frame[0] & (READ_BIT >> 8):
            self.write(self._address(), self._frame[2] << 8 | self._frame[3], t_s)
        self._frame.clear()

    def _address(self) -> int:
        return (self._frame[0] << 8 | self._frame[1]) & ADDRESS_MASK

    # ---- registers ------------------------------------------------------------------------------

    def written(self) -> dict[int, int]:
        """Return the registers that were written since the last reset."""
        return dict(self._written)

    def read(self, address: int, t_s: float) -> int:
        """Return a register as the SPI master sees it at a bench time."""
        if address == LAST_SPI_DATA:
            return self._last_data
        value = self._value(address, t_s)
        self._last_data = value
        return value

    def write(self, address: int, value: int, t_s: float) -> None:
        """Write a register; a protected one only while access is open."""
        if self.drop_corrections and address in CORRECTIONS:
            return
        self._last_data = value
        if address == SOFT_RESET:
            if value == SOFT_RESET_KEY:
                self.reset()
            return
        if address in MEASURED or address == LAST_SPI_DATA:
            return
        if address in PROTECTED and self._registers.get(CONFIG_ACCESS) != CONFIG_ACCESS_KEY:
            return
        if address == METER_ENABLE:
            self._enable(value, t_s)
        self._freeze(t_s)
        self._registers[address] = value
        self._written[address] = value

    def _enable(self, value: int, t_s: float) -> None:
        if value == 0:
            self._enabled_s = None
        elif self._enabled_s is None:
            self._enabled_s = t_s
            self._period_s = CYCLES_PER_WINDOW / self._inputs.frequency_hz(t_s)
            self._frozen_index = -1
            self._results_key = (-1, -1)

    def _value(self, address: int, t_s: float) -> int:
        if address not in MEASURED:
            return self._registers.get(address, 0)
        if address == CHIP_TEMPERATURE:
            return round(self._inputs.board_degc(t_s)) & 0xFFFF
        if self._enabled_s is None:
            return 0
        if address == FREQUENCY:
            sees_mains = any(self._sees_mains(self._registers, phase) for phase in range(3))
            return round(self._inputs.frequency_hz(t_s) * 100) if sees_mains else 0
        if self.stale_window and self._last_window(t_s) < 1:
            return self._old.get(address, 0)
        results = self.results(t_s)
        return results.registers.get(address, 0) if results else 0

    # ---- windows --------------------------------------------------------------------------------

    def _last_window(self, t_s: float) -> int:
        """Return the index of the last complete window, -1 while there is none."""
        if self._enabled_s is None:
            return -1
        return int((t_s - self._enabled_s) / self._period_s) - 1

    def _freeze(self, t_s: float) -> None:
        """Keep the corrections with which the last complete window was computed."""
        index = self._last_window(t_s)
        if index != self._frozen_index:
            self._frozen = dict(self._registers)
            self._frozen_index = index

    def results(self, t_s: float) -> Results | None:
        """Return the registers of the last complete window, None while there is none."""
        index = self._last_window(t_s)
        if index < 0 or self._enabled_s is None:
            return None
        key = (index, self._inputs.revision())
        if self._results is None or key != self._results_key:
            start_s = self._enabled_s + index * self._period_s
            end_s = start_s + self._period_s
            corrections = self._frozen if index == self._frozen_index else self._registers
            window = self._inputs.window(start_s, end_s)
            registers: dict[int, int] = {}
            for phase in range(3):
                registers |= _phase_registers(phase, corrections, window)
            self._results = Results(start_s, end_s, registers)
            self._results_key = key
        return self._results

    @staticmethod
    def _sees_mains(registers: dict[int, int], phase: int) -> bool:
        return registers[CHANNEL_MAP_U] >> 4 * phase & 7 == VOLTAGE_INPUT_1


def _signed(value: int) -> int:
    return value - 0x10000 if value & 0x8000 else value


def _phase_registers(phase: int, corrections: dict[int, int], window: ChipWindow) -> dict[int, int]:
    """Return the measured registers of one phase for one window."""
    sees_mains = corrections[CHANNEL_MAP_U] >> 4 * phase & 7 == VOLTAGE_INPUT_1
    raw_v = window.voltage_v if sees_mains else window.voltage_noise_v
    voltage_factor = corrections[VOLTAGE_GAINS[phase]] / NOMINAL_VOLTAGE_GAIN
    voltage_v = raw_v * voltage_factor
    current, pga = _current_input(phase, corrections, window)
    raw_a = _clipped(current.rms_a, ADC_CLIP_A / pga)
    clipping = raw_a / current.rms_a if current.rms_a else 1.0
    current_factor = pga * corrections[CURRENT_GAINS[phase]] / NOMINAL_CURRENT_GAIN
    current_a = raw_a * current_factor

    power = current.power * clipping if sees_mains else 0j
    power = _delayed(power, corrections.get(PHASE_ANGLES[phase], 0), window)
    power *= voltage_factor * current_factor
    power *= 1 + _signed(corrections.get(POWER_GAINS[phase], 0)) / 32768
    active = power.real / POWER_LSB_W + _signed(corrections.get(ACTIVE_OFFSETS[phase], 0))
    reactive = power.imag / POWER_LSB_W + _signed(corrections.get(REACTIVE_OFFSETS[phase], 0))
    apparent = voltage_v * current_a / POWER_LSB_W

    voltage_offset = _signed(corrections.get(VOLTAGE_OFFSETS[phase], 0))
    current_offset = _signed(corrections.get(CURRENT_OFFSETS[phase], 0))
    shown_a = current_a + current.offset_a * current_factor
    factor = max(-1.0, min(1.0, active / apparent)) if apparent else 0.0
    angle_deg = math.degrees(math.atan2(reactive, active))
    peak_u = math.sqrt(2) * raw_v * 100 * PEAK_SCALE / NOMINAL_VOLTAGE_GAIN
    peak_i = math.sqrt(2) * raw_a * 1000 * PEAK_SCALE * pga / NOMINAL_CURRENT_GAIN
    return {
        **_rms_words(0xD9 + phase, 0xE9 + phase, voltage_v / VOLTAGE_LSB_V + voltage_offset * OFFSET_LSB),
        **_rms_words(0xDD + phase, 0xED + phase, shown_a / CURRENT_LSB_A + current_offset * OFFSET_LSB),
        **_power_words(0xB1 + phase, active),
        **_power_words(0xB5 + phase, reactive),
        **_power_words(0xB9 + phase, apparent),
        0xBD + phase: round(factor * 1000) & 0xFFFF,
        0xF1 + phase: min(0x7FFF, int(peak_u)),
        0xF5 + phase: min(0x7FFF, int(peak_i)),
        0xF9 + phase: round(angle_deg * 10) & 0xFFFF,
    }


def _current_input(phase: int, corrections: dict[int, int], window: ChipWindow) -> tuple[CurrentInput, int]:
    """Return the input that ChannelMapI leads to a phase, with its PGA gain."""
    source = corrections[CHANNEL_MAP_I] >> 4 * phase & 7
    if source >= len(window.currents):
        return CurrentInput(0.0, 0.0, 0j), 1
    code = corrections.get(PGA_GAIN, 0) >> 2 * source & 3
    return window.currents[source], (1, 2, 4, 4)[code]


def _clipped(rms_a: float, clip_a: float) -> float:
    """Return the RMS value of a sine after a converter that clips its peaks at sqrt(2) `clip_a`."""
    if rms_a <= clip_a:
        return rms_a
    ratio = clip_a / rms_a
    angle = math.asin(ratio)
    square = (angle - ratio * math.sqrt(1 - ratio**2)) * 2 / math.pi + 2 * ratio**2 * (
        1 - 2 * angle / math.pi
    )
    return rms_a * math.sqrt(square)


def _delayed(power: complex, register: int, window: ChipWindow) -> complex:
    """Return the power after the phase register delayed the current, or with bit 15 the voltage.

    Source: Atmel-46103A 4.2.7: a power that reads 0.95 % high at PF 0.5 lagging needs 24H, so a
    positive number makes the current lag more. One count is one cycle of 2.048 MHz.
    """
    delay_s = (register & 0xFF) / PHASE_CLOCK_HZ
    if register & 0x8000:
        delay_s = -delay_s
    angle_rad = 2 * math.pi * window.frequency_hz * delay_s
    turn = sum(
        weight * cmath.exp(1j * order * angle_rad) for order, weight in window.harmonic_weights.items()
    )
    return power * turn


def _rms_words(main: int, low: int, value: float) -> dict[int, int]:
    """Return an RMS value in LSB as main word and low word, of which the high byte is valid."""
    counts = min(0xFFFFFF, int(max(0.0, value) * 256))
    return {main: counts >> 8, low: (counts & 0xFF) << 8}


def _power_words(high: int, value: float) -> dict[int, int]:
    """Return a signed 32-bit power; the low word lies 0x10 above and its low byte is 0."""
    limited = max(-0x8000_0000, min(0x7FFF_FFFF, math.floor(value)))
    counts = limited & 0xFFFF_FF00
    return {high: counts >> 16, high + 0x10: counts & 0xFFFF}
