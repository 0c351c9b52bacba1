"""Every fault of an emulated unit and of the plant as data: its name, what is physically wrong, and where.

What each of them does stands in faults.py (board, plant) and unit.py (drive, serial port, radio). The
faults of the instruments are listed in instruments/faults.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BOARD, DRIVE, LINK, PLANT = "board", "drive", "link", "plant"
PORTS = range(1, 7)


@dataclass(frozen=True)
class Fault:
    """One thing that can be wrong with a unit, or with what all units share."""

    name: str
    cause: str
    scope: str


def _per_port(template: str, cause: str) -> tuple[Fault, ...]:
    return tuple(Fault(template.format(port), cause.format(port), BOARD) for port in PORTS)


CATALOGUE: tuple[Fault, ...] = (
    Fault("led_green_dark", "the green LED is fitted the wrong way round", BOARD),
    Fault("led_blue_dark", "the blue LED is fitted the wrong way round", BOARD),
    Fault("leds_swapped", "the two LEDs are in each other's place", BOARD),
    Fault("led_green_stuck", "the green LED's pin is shorted to the supply", BOARD),
    Fault("button_dead", "the WiFi switch is not soldered", BOARD),
    Fault("display_blank", "the display's flat cable is not plugged in", BOARD),
    Fault("display_mirrored", "a display of another batch, whose scan direction differs", BOARD),
    Fault("display_frozen", "the display no longer takes data", BOARD),
    *_per_port("port{}_dead", "the jack of CT{} is not soldered"),
    *_per_port("port{}_reversed", "CT{} is clamped on the other way round"),
    *_per_port("port{}_gain_far_out", "a wrong burden resistor at CT{}"),
    *_per_port("port{}_phase_far_out", "the CT at CT{} leads by 3 degrees more than a CT may"),
    *_per_port("offset_huge_port{}", "leakage at the input of CT{}"),
    *(
        Fault(f"ports_swapped_{a}_{b}", f"the plugs of CT{a} and CT{b} are exchanged", BOARD)
        for a in PORTS
        for b in PORTS
        if a < b
    ),
    Fault("chip_selects_exchanged", "CS0 and CS4 are routed to the other chip", BOARD),
    Fault("chip_u4_missing", "U4 does not answer: no supply or no crystal", BOARD),
    Fault("chip_u5_missing", "U5 does not answer: no supply or no crystal", BOARD),
    Fault("miso_stuck", "MISO is shorted to ground", BOARD),
    Fault("register_write_dropped", "MOSI is marginal: writes to gains and offsets are lost", BOARD),
    Fault("chip_stale_window", "after a reset the chips repeat their old values for a window", BOARD),
    Fault("voltage_gain_far_out", "a wrong resistor in the voltage divider", BOARD),
    Fault("temperature_open", "the temperature sensor is not soldered", BOARD),
    Fault("temperature_shorted", "the temperature sensor's output is shorted to ground", BOARD),
    Fault("drive_never_returns", "after the erase the drive does not come back", DRIVE),
    Fault("drive_read_only", "what the host writes to the drive never arrives", DRIVE),
    Fault("two_drives", "a second unit in BOOTSEL hangs on the same host", DRIVE),
    Fault("drive_of_other_chip", "the board carries an RP2350", DRIVE),
    Fault("repl_hung", "the serial port takes nothing from the host", LINK),
    Fault("wifi_refusing", "the access point rejects the unit", LINK),
    Fault("mains_jumping", "a neighbour's machine makes the mains step by 2 % every 0.7 s", PLANT),
    Fault("mains_60hz", "the bench hangs on a 60 Hz supply", PLANT),
    Fault("load_not_settling", "a heater whose resistance rises for as long as it is on", PLANT),
    Fault("saturation", "the load draws a quarter more than it is set to", PLANT),
    Fault("wrong_turns", "the conductor is wound once less through the CTs", PLANT),
)

NAMES = frozenset(fault.name for fault in CATALOGUE if fault.scope != PLANT)
PLANT_NAMES = frozenset(fault.name for fault in CATALOGUE if fault.scope == PLANT)


def is_fault(name: str) -> bool:
    """Return whether one unit can have a fault of that name; swapped ports may be named in either order."""
    swapped = re.fullmatch(r"ports_swapped_(\d)_(\d)", name)
    if swapped:
        low, high = sorted(swapped.groups())
        name = f"ports_swapped_{low}_{high}"
    return name in NAMES
