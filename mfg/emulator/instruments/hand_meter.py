"""What stands on the display of the emulated hand-held meter: voltage and current of the main conductor.

It has three readings a second, four digits, and errors of its own. It has no link: only eyes read it.
"""

from __future__ import annotations

import math

from mfg.emulator.config import BenchConfig
from mfg.emulator.instruments.metering import measure
from mfg.emulator.plant import Plant

IDENTITY = "Fluke,87V,12345678,"
UPDATE_S = 1 / 3
NOISE_PCT = 0.01


def display(config: BenchConfig, plant: Plant, t_s: float) -> str:
    """Return what the display shows at a bench time, such as "232.4 V 8.98 A"."""
    end_s = math.floor(t_s / UPDATE_S) * UPDATE_S
    truth = plant.reference_truth(end_s - UPDATE_S, end_s)
    error_pct = config.instruments.hand_meter_gain_error_pct
    key = f"{config.seed}:hand-held:{end_s!r}"
    seen = measure(truth, plant.frequency_hz(end_s), error_pct, NOISE_PCT, key)
    return f"{seen.voltage_v:.1f} V {seen.current_a:.2f} A"
