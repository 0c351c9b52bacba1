"""Labels of a unit: what the bar codes say, what is written to the unit, what files are named after.

Source: ct6-interface 5.3, "Labels and file names".
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from mfg.errors import DutError, UsageError
from mfg.untrusted import quoted

ASSEMBLY_NUMBER = 398  # of the CT6
MAX_SERIAL = 99_999_999  # eight digits
MAX_VERSION = 999.999  # what `%07.3f` holds in its seven characters

_MAX_TEXT = 200  # no scanner and no unit says more than this in a label
_CONTROL = "".join(map(chr, range(0x20))) + "\x7f"
_ASSEMBLY_CODE = re.compile(r"ASY0*(?P<number>[0-9]{1,4})V(?P<version>[0-9]{1,3}(?:\.[0-9]{1,4})?)")
_SERIAL_CODE = re.compile(r"SN(?P<serial>[0-9]{1,8})")
_LABEL = re.compile(
    r"ASY(?P<number>[0-9]{1,6})_V(?P<version>[0-9]{1,6}(?:\.[0-9]{1,6})?)_SN(?P<serial>[0-9]{1,10})"
)
_SCAN_AGAIN = "Scan the label again; if it is damaged, print a new one."


@dataclass(frozen=True, order=True)
class UnitLabel:
    """The identity of one unit.

    Attributes:
        assembly_number: 398 for a CT6, 0 to 9999.
        version: Assembly version, 0 to 999.999, at most three decimals; not the board's version.
        serial: 0 to 99999999; 0 is what unlabelled firmware carries.
    """

    assembly_number: int
    version: float
    serial: int

    def __post_init__(self) -> None:
        if not 0 <= self.assembly_number <= 9999:
            raise UsageError(f"Assembly number {self.assembly_number} is outside 0..9999.")
        if not 0 <= self.version <= MAX_VERSION or round(self.version, 3) != self.version:
            raise UsageError(
                f"Assembly version {self.version} does not fit: 0..{MAX_VERSION}, at most three decimals."
            )
        if not 0 <= self.serial <= MAX_SERIAL:
            raise UsageError(f"Serial number {self.serial} is outside 0..{MAX_SERIAL}.")

    @property
    def unit_text(self) -> str:
        """The label as it is written to the unit, e.g. `ASY0398_V001.600_SN00001823`."""
        return f"ASY{self.assembly_number:04d}_V{self.version:07.3f}_SN{self.serial:08d}"

    @property
    def file_text(self) -> str:
        """The label as files on the PC are named, e.g. `ASY0398_V01.6000_SN00001823`."""
        return f"ASY{self.assembly_number:04d}_V{self.version:07.4f}_SN{self.serial:08d}"

    @property
    def assembly_text(self) -> str:
        """The assembly in the form of its bar code, e.g. `ASY0398V01.6`."""
        whole, _, decimals = f"{self.version:.3f}".partition(".")
        return f"ASY{self.assembly_number:04d}V{int(whole):02d}.{decimals.rstrip('0') or '0'}"

    @property
    def serial_number(self) -> str:
        """The serial number in the form of its bar code, e.g. `SN00001823`."""
        return serial_number_text(self.serial)


def serial_number_text(serial: int) -> str:
    """Write a serial number as the bar code does, `SN` and eight digits."""
    return f"SN{serial:08d}"


def drop_control_characters(scanned: str) -> str:
    """Remove what a bar code reader puts before and after the text, and its white space."""
    return scanned.strip(_CONTROL + " ")


def parse_assembly_code(scanned: str) -> float:
    """Read the assembly bar code, e.g. `ASY0398V03.2`.

    Args:
        scanned: As it came from the scanner, upper or lower case, control characters around it or not.

    Returns:
        The assembly version, 0 to 999.999.

    Raises:
        UsageError: It is not the bar code of a CT6 assembly.
    """
    text = drop_control_characters(scanned[:_MAX_TEXT])
    match = _ASSEMBLY_CODE.fullmatch(text.upper()) if text.isascii() else None
    if match is None:
        raise UsageError(
            f"{quoted(text)} is not an assembly bar code; it must look like ASY0398V03.2.", _SCAN_AGAIN
        )
    if int(match["number"]) != ASSEMBLY_NUMBER:
        raise UsageError(
            f"{text!r} is assembly {int(match['number'])}, not {ASSEMBLY_NUMBER}: this is not a CT6.",
            "Take the unit out; it belongs to another station.",
        )
    return UnitLabel(ASSEMBLY_NUMBER, float(match["version"]), 0).version


def parse_serial_code(scanned: str) -> str:
    """Read the serial number bar code, e.g. `SN00001823`.

    Args:
        scanned: As it came from the scanner, upper or lower case, control characters around it or not.

    Returns:
        The serial number, `SN` and eight digits.

    Raises:
        UsageError: It is not a serial number, or it is 0, which unlabelled firmware carries.
    """
    text = drop_control_characters(scanned[:_MAX_TEXT])
    match = _SERIAL_CODE.fullmatch(text.upper()) if text.isascii() else None
    if match is None:
        raise UsageError(
            f"{quoted(text)} is not a serial number; it must be SN and up to eight digits.", _SCAN_AGAIN
        )
    if int(match["serial"]) == 0:
        raise UsageError("Serial number 0 is what an unlabelled unit carries.", _SCAN_AGAIN)
    return serial_number_text(int(match["serial"]))


def parse_bar_codes(assembly: str, serial: str) -> UnitLabel:
    """Read both bar codes of a unit.

    Raises:
        UsageError: One of them is not what it must be.
    """
    return UnitLabel(ASSEMBLY_NUMBER, parse_assembly_code(assembly), int(parse_serial_code(serial)[2:]))


def parse_unit_label(text: str) -> UnitLabel:
    """Read a label as a unit or a file name carries it, of any field width.

    Args:
        text: E.g. `ASY0398_V001.600_SN00001823`, `ASY0398_V01.6000_SN00001823`.

    Returns:
        The label.

    Raises:
        DutError: It is no label, or a field is out of its range.
    """
    match = _LABEL.fullmatch(text) if len(text) <= _MAX_TEXT and text.isascii() else None
    if match is not None:
        number, version, serial = int(match["number"]), float(match["version"]), int(match["serial"])
        try:
            return UnitLabel(number, version, serial)
        except UsageError:
            match = None
    raise DutError(
        f"{quoted(text)} is not an assembly label; it must look like ASY0398_V003.200_SN00001823.",
        "Write the label again.",
    )


def file_stem(label: UnitLabel, started: datetime.datetime) -> str:
    """Name the files of one run: `<file label>_<YYYYMMDDHHMMSS>`.

    Args:
        label: The unit.
        started: When the run started, with a time zone; the name says UTC.

    Returns:
        E.g. `ASY0398_V03.2000_SN00001823_20261120120354`.

    Raises:
        ValueError: `started` has no time zone.
    """
    if started.tzinfo is None:
        raise ValueError("a file's time stamp needs a time zone")
    return f"{label.file_text}_{started.astimezone(datetime.UTC):%Y%m%d%H%M%S}"


def factory_file_name(label: UnitLabel, started: datetime.datetime) -> str:
    """Name the stored factory file, `<file label>_<YYYYMMDDHHMMSS>_factory.cfg`."""
    return f"{file_stem(label, started)}_factory.cfg"


def machine_config_name(label: UnitLabel, started: datetime.datetime) -> str:
    """Name the stored machine configuration, `<file label>_<YYYYMMDDHHMMSS>_this.machine.cfg`."""
    return f"{file_stem(label, started)}_this.machine.cfg"


def calibration_file_name(label: UnitLabel, started: datetime.datetime) -> str:
    """Name the stored calibration file, `<file label>_<YYYYMMDDHHMMSS>_calibration.cfg`."""
    return f"{file_stem(label, started)}_calibration.cfg"


# How the run folder calls what a unit holds.
UNIT_FILES = {
    "factory.cfg": factory_file_name,
    "calibration.cfg": calibration_file_name,
    "this.machine.cfg": machine_config_name,
}
