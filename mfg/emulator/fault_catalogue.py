"""Every fault that the emulated bench or its surroundings can have, read from fault_catalogue.toml.

The data says what is physically wrong and which phase of the station must see it. What each fault does
stands in faults.py (board, plant), unit.py and unix_core.py (drive, serial port, flash, radio) and
instruments/faults.py. Faults of the part "hand" are done by the coverage run in tests/faults.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("fault_catalogue.toml")
DUT, FIXTURE, INSTRUMENT, STATION = "DUT", "fixture", "instrument", "station"
UNIT, PLANT, INSTRUMENTS, HAND = "unit", "plant", "instruments", "hand"
PORTS = range(1, 7)
TEXTS = ("cause", "breaks", "phase")  # in which placeholders are filled in
# The phases of the plan in which a unit that runs can restart by itself and be missed.
REBOOT_PHASES = (
    "load_firmware",
    "check_board_temperature",
    "check_leds",
    "check_wifi_switch",
    "check_power_cycle",
    "check_display",
    "write_label",
    "identify_ports",
    "adjust_registers",
    "verify_points",
    "verify_stored",
    "verify_no_load",
    "store_calibration",
    "reset_to_factory_defaults",
)
FACTOR = 5.0  # of the bench clock where a fault names no other: what a busy machine can stand with firmware


@dataclass(frozen=True)
class Fault:
    """One thing that can be wrong.

    Attributes:
        template: Its entry in the file; several faults may share one.
        scope: Whose fault it is.
        part: What carries it.
        cause: What is physically wrong.
        breaks: What no longer works.
        phase: The phase that must catch it; "before" or "after" the plan; "" where none can.
        outcomes: How a run with it may end.
        says: What the station's reasons must hold, a regular expression.
        harmless: The station works around it: the unit passes, and is right by the plant's truth.
        needs: What could show it where nothing on the bench can; "" for all others.
        proved: The tests that prove it where the coverage run cannot; "" for all others.
        mode: How the coverage run runs the unit, "full" or "no-cal".
        factor: Of the bench clock in that run.
    """

    name: str
    template: str
    scope: str
    part: str
    cause: str
    breaks: str
    phase: str
    outcomes: tuple[str, ...]
    says: str = ""
    harmless: bool = False
    needs: str = ""
    proved: str = ""
    mode: str = "full"
    factor: float = FACTOR


def _values(template: str) -> Iterator[Mapping[str, object]]:
    """Return what the placeholders of a template stand for, one mapping per fault."""
    if "{port}" in template:
        return iter([{"port": port} for port in PORTS])
    if "{a}" in template:
        return iter([{"a": a, "b": b} for a, b in itertools.combinations(PORTS, 2)])
    if "{phase}" in template:
        return iter([{"phase": phase} for phase in REBOOT_PHASES])
    return iter([{}])


def _fault(template: str, entry: Mapping[str, Any], values: Mapping[str, object]) -> Fault:
    facts = {key: value.format(**values) if key in TEXTS else value for key, value in entry.items()}
    outcome = facts.pop("outcome")
    outcomes = (outcome,) if isinstance(outcome, str) else tuple(outcome)
    return Fault(name=template.format(**values), template=template, outcomes=outcomes, **facts)


def load_catalogue(file: Path = FILE) -> tuple[Fault, ...]:
    """Read the catalogue.

    Raises:
        KeyError, TypeError: An entry lacks something or names something that there is not.
    """
    entries = tomllib.loads(file.read_text(encoding="utf-8"))
    return tuple(
        _fault(template, entry, values) for template, entry in entries.items() for values in _values(template)
    )


CATALOGUE = load_catalogue()
NAMES = frozenset(fault.name for fault in CATALOGUE if fault.part == UNIT)
PLANT_NAMES = frozenset(fault.name for fault in CATALOGUE if fault.part == PLANT)
INSTRUMENT_NAMES = frozenset(fault.name for fault in CATALOGUE if fault.part == INSTRUMENTS)


def is_fault(name: str) -> bool:
    """Return whether one unit can have a fault of that name; swapped ports may be named in either order."""
    swapped = re.fullmatch(r"ports_swapped_(\d)_(\d)", name)
    if swapped:
        low, high = sorted(swapped.groups())
        name = f"ports_swapped_{low}_{high}"
    return name in NAMES
