"""The certificates of an emulated bench's instruments, issued when the bench starts.

They are relative to today, so that an emulated station is never past due by itself. The corrections are
those of the emulated instruments' own errors, as a laboratory would have found them.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from mfg.certificates import (
    HAND_HELD_METER,
    PLUG_METER,
    POWER_SWITCH,
    REFERENCE_METER,
    THERMOMETER,
)
from mfg.emulator.config import InstrumentsConfig
from mfg.emulator.instruments import hand_meter, power_meter, shelly, switch_unit, thermometer

FILE_NAME = "certificates.toml"
VALID_DAYS = 365
PRINTED_DECIMALS = 3  # of a correction in %
IDENTITIES = {
    REFERENCE_METER: power_meter.IDENTITY,
    POWER_SWITCH: switch_unit.IDENTITY,
    THERMOMETER: thermometer.IDENTITY,
    HAND_HELD_METER: hand_meter.IDENTITY,
    PLUG_METER: shelly.IDENTITY,
}


def write_certificates(folder: Path, instruments: InstrumentsConfig, today: datetime.date) -> Path:
    """Write the certificates of an emulated bench into its folder.

    Args:
        folder: Of the bench; it exists.
        instruments: Their own errors, and in how many days they are due.
        today: The day on which the bench starts.

    Returns:
        The file.
    """
    due = today + datetime.timedelta(days=instruments.certificate_days)
    path = folder / FILE_NAME
    tables = [_table(role, identity, instruments, due) for role, identity in IDENTITIES.items()]
    path.write_text("\n".join(tables), encoding="utf-8")
    return path


def _table(role: str, identity: str, instruments: InstrumentsConfig, due: datetime.date) -> str:
    maker, model, serial_number, _firmware = identity.split(",")
    issued = due - datetime.timedelta(days=VALID_DAYS)
    lines = [
        f"[{role}]",
        f'maker = "{maker}"',
        f'model = "{model}"',
        f'serial_number = "{serial_number}"',
        f'number = "EMULATED-{serial_number}-{issued:%Y%m%d}"',
        f"issued = {issued}",
        f"due = {due}",
    ]
    for quantity, correction, expanded, unit in _quantities(role, instruments):
        lines += [
            "",
            f"[{role}.{quantity}]",
            f"correction_{unit} = {correction!r}",
            f"expanded_{unit} = {expanded!r}",
            "k = 2.0",
        ]
    return "\n".join(lines) + "\n"


def _quantities(role: str, instruments: InstrumentsConfig) -> list[tuple[str, float, float, str]]:
    """Return quantity, correction, expanded uncertainty and unit; a switch only switches."""
    if role == THERMOMETER:
        return [("temperature", 0.0, 0.1, "degc")]
    errors_pct = {
        REFERENCE_METER: instruments.meter_gain_error_pct,
        HAND_HELD_METER: instruments.hand_meter_gain_error_pct,
        PLUG_METER: instruments.shelly_gain_error_pct,
    }
    if role not in errors_pct:
        return []
    correction_pct = -round(errors_pct[role], PRINTED_DECIMALS)
    return [
        ("voltage", correction_pct, 0.03, "pct"),
        ("current", correction_pct, 0.03, "pct"),
        ("power", 2 * correction_pct, 0.05, "pct"),
        ("angle", 0.0, 0.02, "deg"),
    ]
