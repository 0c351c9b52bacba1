"""Whether a stored factory file may be written to a unit: is it whole, and is it this unit's.

A unit applies every key of `factory.cfg` at each start, without a look at it; what is let through here is
what the meter will measure with. The file itself names neither firmware nor amplifier nor date, so its gains
must say which amplifier (PGA) they were found with: a file from firmware before 2.8 (PGA x4) reads four times
low on later firmware.

Source: ct6-interface 5.2, 7.4 and 8 (restore); the windows are limits of the product.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mfg.errors import DutError, UsageError
from mfg.records.factory_file import (
    CURRENT_GAIN_KEYS,
    CURRENT_OFFSET_KEYS,
    VOLTAGE_GAIN_KEYS,
    FactoryFile,
    parse_factory_file,
)
from mfg.records.labels import UnitLabel
from mfg.untrusted import printable

PGAS = (1, 2, 4)  # of the chip's amplifier; ct6-interface 7.2, register 0x34
PGA, OLD_PGA = 1, 4
FIRST_WITH_PGA_X1 = 2.8  # ct6-interface 11: firmware before it amplifies four times
OTHER_FILE = "Choose the factory file of this unit, or calibrate the unit."

_SIGNED_FROM, _WORDS = 0x8000, 0x10000


@dataclass(frozen=True)
class Window:
    """Counts that a register may hold, both ends included."""

    low: float
    high: float

    def __contains__(self, counts: float) -> bool:
        return self.low <= counts <= self.high

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"


@dataclass(frozen=True)
class RestoreTarget:
    """The unit that a factory file is to be written to, and what its registers may hold.

    Attributes:
        label: What the unit's own label says.
        line_frequency_hz: Of the bench, 50 or 60.
        pga: Of the firmware that the unit runs: 1, 2 or 4.
        current_gain, voltage_gain: In counts, at this PGA; the limits of the adjustment.
        current_offset: In counts, signed.
        adaptor: With which the unit is used; empty where nobody knows.
    """

    label: UnitLabel
    line_frequency_hz: int
    pga: int
    current_gain: Window
    voltage_gain: Window
    current_offset: Window
    adaptor: str = ""


@dataclass(frozen=True)
class Restorable:
    """A factory file that may be written.

    Attributes:
        file: Its values.
        objections: What speaks against it, in sentences; empty unless somebody forced it.
    """

    file: FactoryFile
    objections: tuple[str, ...]


def check_restorable(
    content: bytes,
    target: RestoreTarget,
    where: str,
    *,
    sha256: str = "",
    adaptor: str = "",
    forced: bool = False,
) -> Restorable:
    """Refuse a factory file that is damaged, or that is not this unit's.

    Args:
        content: The file as it would be written.
        target: The unit.
        where: What messages call the file.
        sha256: What the store says of the file, in hex; empty for a file from elsewhere.
        adaptor: With which the calibration was made, as its record says; empty where nobody knows.
        forced: Let through what is whole and not this unit's; the caller puts who, why and the objections
            into the record. What is damaged is never let through.

    Returns:
        The values, and what was forced.

    Raises:
        UsageError: The file is no factory file, is not what the store holds, or is not this unit's; names
            every reason. Nothing was written.
    """
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise UsageError(f"{where} is not the file that was stored: its sha256 differs.", OTHER_FILE)
    try:
        file = parse_factory_file(content)
    except DutError as error:
        raise UsageError(f"{where}: {error.args[0]}", OTHER_FILE) from error
    if not content.startswith(b'{"') or b"\n" in content.strip():
        raise UsageError(
            f'{where}: factory.cfg is not one line that begins with {{", as a unit can be read back.',
            "Write it on one line.",
        )
    objections = restore_objections(file, target, adaptor)
    if objections and not forced:
        raise UsageError(f"{where} is not for this unit: {' '.join(objections)}", OTHER_FILE)
    return Restorable(file, objections)


def restore_objections(file: FactoryFile, target: RestoreTarget, adaptor: str = "") -> tuple[str, ...]:
    """Say in sentences what speaks against writing a whole factory file to a unit; see `check_restorable`."""
    found = [*_foreign_label(file.label, target.label), *_foreign_gains(file, target)]
    if file.line_frequency_hz != target.line_frequency_hz:
        found.append(f"It is for {file.line_frequency_hz} Hz, the bench has {target.line_frequency_hz} Hz.")
    if adaptor and target.adaptor and adaptor != target.adaptor:
        used, own = printable(adaptor), printable(target.adaptor)
        found.append(f'It was made with the adaptor "{used}", the unit has "{own}".')
    if file.extra_keys:
        names = ", ".join(printable(key, 30) for key in file.extra_keys[:5])
        found.append(f"It has {len(file.extra_keys)} keys that no factory file has ({names}).")
    return tuple(found)


def pga_of_firmware(version: str) -> int:
    """Return how much a firmware of some version amplifies, 1 or 4; one that cannot be read counts as old."""
    major, _, minor = version.partition(".")
    number = float(f"{major}.{minor.replace('.', '')}") if major.isdigit() else 0.0
    return PGA if number >= FIRST_WITH_PGA_X1 else OLD_PGA


def _foreign_label(label: UnitLabel, own: UnitLabel) -> list[str]:
    found = []
    if label.assembly_number != own.assembly_number:
        found.append(f"It is of assembly {label.assembly_number}, the unit is {own.assembly_number}.")
    if label.serial != own.serial:
        found.append(f"It is of {label.serial_number}, the unit is {own.serial_number}.")
    if label.version != own.version:
        found.append(f"It is of board version {label.version:g}, the unit is {own.version:g}.")
    return found


def _foreign_gains(file: FactoryFile, target: RestoreTarget) -> list[str]:
    found = [_gain_objection(key, file.registers[key], target) for key in CURRENT_GAIN_KEYS]
    for key in VOLTAGE_GAIN_KEYS:
        if file.registers[key] not in target.voltage_gain:
            found.append(f"{key} is {file.registers[key]}, outside {target.voltage_gain}.")
    for key in CURRENT_OFFSET_KEYS:
        word = file.registers[key]
        if (counts := word - _WORDS if word >= _SIGNED_FROM else word) not in target.current_offset:
            found.append(f"{key} is {counts}, outside {target.current_offset}.")
    return [objection for objection in found if objection]


def _gain_objection(key: str, counts: int, target: RestoreTarget) -> str:
    if counts in target.current_gain:
        return ""
    text = f"{key} is {counts}, outside {target.current_gain} of PGA x{target.pga}"
    # The chip needs half the gain for twice the amplification.
    fitting = [pga for pga in PGAS if pga != target.pga and counts * pga / target.pga in target.current_gain]
    return f"{text}; it belongs to PGA x{fitting[0]}." if fitting else f"{text}."
