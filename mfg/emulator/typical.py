"""A typical unit drawn from a seed: what the tolerances of its parts leave before it is adjusted.

Spreads: burden and PGA 1 % (ct6-interface 7.4: gains within 3 to 5 % of nominal), CT ratio 0.5 % and phase
1 to 3 degrees, adaptor 1 to 3 degrees (metrology 3.4), noise floor 1 to 3 mA, divider 0.6 %.
"""

from __future__ import annotations

import dataclasses
import random

from mfg.emulator.config import PortConfig, UnitConfig


def typical_unit(seed: int, number: int) -> UnitConfig:
    """Draw a unit.

    Args:
        seed: The bench's seed.
        number: Slot number; the unit's MAC address carries it.

    Returns:
        A good unit: every deviation can be adjusted.
    """
    draw = random.Random(f"{seed}/{number}")  # not for secrets: the same seed gives the same unit
    ports = tuple(
        PortConfig(
            ct_ratio_error_pct=round(draw.uniform(-0.5, 0.5), 4),
            ct_angle_deg=round(draw.uniform(0.5, 1.5), 3),
            gain_error_pct=round(draw.uniform(-1.0, 1.0), 4),
            noise_a=round(draw.uniform(0.001, 0.003), 5),
        )
        for _port in range(6)
    )
    return dataclasses.replace(
        UnitConfig(),
        number=number,
        mac=f"28:cd:c1:00:00:{number:02x}",
        voltage_gain_error_pct=(round(draw.uniform(-0.6, 0.6), 4), round(draw.uniform(-0.6, 0.6), 4)),
        adaptor_angle_deg=round(draw.uniform(0.3, 0.8), 3),
        ports=ports,
    )
