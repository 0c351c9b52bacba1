"""From the conductors to the pins of the metering chips: CTs, plugs, burdens, divider, adaptor, noise.

Values are referred to the primary: an input current in A is what a nominal CT and burden would need in
the conductor, an input voltage in V is the mains voltage at a nominal adaptor and divider. The faults
of the analog part act here.
"""

from __future__ import annotations

import cmath
import math
import random
from dataclasses import dataclass

from mfg.emulator.config import PortConfig, UnitConfig
from mfg.emulator.faults import BURDEN_DRIFT_PER_S, UnitFaults
from mfg.emulator.plant import Plant

PORTS_PER_CHIP = 3
VOLTAGE_NOISE_V = 0.02  # of a voltage input, in quadrature
SAMPLES_PER_S = 8000  # how far a window's noise varies follows from it


@dataclass(frozen=True)
class CurrentInput:
    """One current input over a window."""

    rms_a: float  # noise included
    offset_a: float  # of the front end, adds to the RMS value
    power: complex  # W + j var against the voltage input, positive j for a lagging current


@dataclass(frozen=True)
class ChipWindow:
    """Everything one chip's inputs saw over a window."""

    voltage_v: float  # RMS at V1; V2 and V3 are grounded
    voltage_noise_v: float  # RMS of a grounded voltage input
    currents: tuple[CurrentInput, CurrentInput, CurrentInput]
    harmonic_weights: dict[int, float]
    frequency_hz: float


class FrontEnd:
    """The analog part of one unit in front of one chip."""

    def __init__(self, plant: Plant, unit: UnitConfig, faults: UnitFaults, chip: str) -> None:
        """Wire up one chip.

        Args:
            plant: The bench.
            unit: The unit as a physical object.
            faults: The unit's faults.
            chip: "U5" (CT1 to CT3) or "U4" (CT4 to CT6).
        """
        self._plant = plant
        self._unit = unit
        self._faults = faults
        self._first_port = 1 if chip == "U5" else 4
        self._voltage_gain = 1 + unit.voltage_gain_error_pct[0 if chip == "U5" else 1] / 100

    def revision(self) -> int:
        """Return a number that changes whenever something on the bench is switched."""
        return self._plant.events.sync()

    def frequency_hz(self, t_s: float) -> float:
        """Return the mains frequency, in Hz."""
        return self._plant.frequency_hz(t_s)

    def board_degc(self, t_s: float) -> float:
        """Return the board's temperature at the chip, in degrees Celsius."""
        return self._plant.board_degc(self._unit.number, t_s)

    def window(self, start_s: float, end_s: float) -> ChipWindow:
        """Return what the chip's inputs saw over a window."""
        gain = self._voltage_gain * self._faults.voltage_gain()
        first = self._first_port
        voltage_v = math.sqrt(self._plant.mean_square("voltage", start_s, end_s)) * gain
        return ChipWindow(
            math.hypot(voltage_v, VOLTAGE_NOISE_V),
            VOLTAGE_NOISE_V,
            (
                self._current(first, start_s, end_s, gain),
                self._current(first + 1, start_s, end_s, gain),
                self._current(first + 2, start_s, end_s, gain),
            ),
            self._plant.harmonic_weights,
            self._plant.frequency_hz((start_s + end_s) / 2),
        )

    def _current(self, port: int, start_s: float, end_s: float, voltage_gain: float) -> CurrentInput:
        """Return the input of one jack, which may hold another port's CT."""
        jack = self._unit.ports[port - 1]
        ct_number = self._faults.ct_at_port(port)
        ct = self._unit.ports[ct_number - 1]
        primary = self._plant.primary_window(self._unit.number, ct_number, start_s, end_s)
        gain = self._signal_gain(port, jack, ct_number, ct) * self._drift(port, end_s)
        signal_a = abs(gain) * math.sqrt(primary.current_square)
        noise = random.Random(f"{self._plant.config.seed}:{self._unit.number}:{port}:{start_s!r}")
        samples = SAMPLES_PER_S * (end_s - start_s)
        floor_square = jack.noise_a**2 * (1 + noise.gauss(0, math.sqrt(2 / samples)))
        mean_a = jack.noise_a / math.sqrt(samples)  # of noise against the signal, per window
        rms_a = math.sqrt(max(0.0, signal_a**2 + floor_square + 2 * signal_a * noise.gauss(0, mean_a)))
        # The adaptor's voltage leads by its angle, the CT's current by its own.
        lead_deg = ct.ct_angle_deg + self._faults.port_angle_deg(ct_number)
        lag_rad = math.radians(self._unit.adaptor_angle_deg - lead_deg)
        power = primary.power * gain * voltage_gain * cmath.exp(1j * lag_rad)
        voltage_v = math.sqrt(primary.voltage_square) * voltage_gain
        power += voltage_v * complex(noise.gauss(0, mean_a), noise.gauss(0, mean_a))
        return CurrentInput(rms_a, jack.offset_a + self._faults.port_offset_a(port), power)

    def _signal_gain(self, port: int, jack: PortConfig, ct_number: int, ct: PortConfig) -> float:
        """Return the factor from the conductor to the chip's input, signed by the CT's direction."""
        if jack.dead or ct.dead or self._faults.port_dead(port) or self._faults.port_dead(ct_number):
            return 0.0
        gain = (1 + ct.ct_ratio_error_pct / 100) * (1 + jack.gain_error_pct / 100)
        gain *= self._faults.ct_gain(ct_number)
        direction = self._plant.ct_direction(self._unit.number, ct_number)
        return gain * self._faults.port_gain(port) * direction

    def _drift(self, port: int, t_s: float) -> float:
        """Return the factor of a burden that changes for as long as the load is on, 1 when it is sound."""
        step = self._plant.events.step("load", t_s)
        if not (step.value and self._faults.port_drifting(port)):
            return 1.0
        return math.exp(-BURDEN_DRIFT_PER_S * (t_s - step.t_s))
