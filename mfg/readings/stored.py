"""What a unit has stored of its calibration: the bytes of its files, and whether they hold what was adjusted.

The files are judged by their bytes: `factory.cfg` and, of our firmware, `calibration.cfg` beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mfg.errors import DutError
from mfg.fixtures.dut_api import DutApi
from mfg.records.factory_file import (
    CALIBRATION_NAME,
    FACTORY_NAME,
    parse_calibration_file,
    parse_factory_file,
)

PHASE_FEATURE = "phase"


def stored_files(api: DutApi, features: Collection[str]) -> dict[str, bytes]:
    """Read the files in which the unit keeps its calibration.

    Args:
        api: The unit.
        features: What the unit says it offers; without "phase" it uses no `calibration.cfg`, and one that is
            there is a remnant of another firmware.

    Returns:
        Contents by name; a file that the unit does not have is absent.

    Raises:
        FixtureError: The unit cannot be reached, or stays silent.
        DutError: A file is listed but cannot be read.
    """
    listed = api.file_list()
    names = [name for name in used_files(features) if f"/{name}" in listed]
    return {name: api.get_file(f"/{name}").encode() for name in names}


def used_files(features: Collection[str]) -> tuple[str, ...]:
    """Return the names of the files in which a unit with such features keeps its calibration."""
    return (FACTORY_NAME, CALIBRATION_NAME) if PHASE_FEATURE in features else (FACTORY_NAME,)


def wholeness(files: Mapping[str, bytes]) -> str:
    """Say what a unit's `factory.cfg` is, among contents by name: "none", "damaged" or "whole"."""
    if FACTORY_NAME not in files:
        return "none"
    try:
        parse_factory_file(files[FACTORY_NAME])
    except DutError:
        return "damaged"
    return "whole"


def holds(files: Mapping[str, bytes], label: str, adjusted: Mapping[str, int]) -> bool:
    """Return whether the files are whole, belong together and to this unit, and hold every adjusted value.

    Args:
        files: As `stored_files` returns them.
        label: The unit's label.
        adjusted: Configuration values by key, as they were written.

    Raises:
        DutError: A file is cut short, or holds what it may not; names file and key.
    """
    if FACTORY_NAME not in files:
        return False
    factory = parse_factory_file(files[FACTORY_NAME])
    stored = dict(factory.registers)
    if CALIBRATION_NAME in files:
        stored |= parse_calibration_file(files[CALIBRATION_NAME], files[FACTORY_NAME])
    return factory.label.unit_text == label and all(
        stored.get(key) == value for key, value in adjusted.items()
    )
