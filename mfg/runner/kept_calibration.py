"""Find the calibration that is to be restored: a file, or the newest complete one in the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mfg.errors import StationError, UsageError
from mfg.fixtures.traveller import StoredCalibration, no_calibration
from mfg.plans.mode import CAL_ONLY, FULL, LATEST, UPGRADE_AND_CAL, Mode
from mfg.records.factory_file import CALIBRATION_NAME, FACTORY_NAME
from mfg.records.index import RecordIndex, RunRow
from mfg.records.outcomes import PASS
from mfg.records.record import Record, load_record
from mfg.station import Station
from mfg.untrusted import read_bounded

FILE_LIMIT_BYTES = 65536


def calibration_finder(station: Station, mode: Mode) -> Callable[[str], StoredCalibration]:
    """Return what gives the calibration that a mode restores to a serial number."""
    if not mode.factory_file:
        return no_calibration
    if mode.factory_file != LATEST:
        path = Path(mode.factory_file)
        return lambda _serial_number: StoredCalibration(str(path), _content(path))
    return lambda serial_number: latest_calibration(station, serial_number)


def latest_calibration(station: Station, serial_number: str) -> StoredCalibration:
    """Return the newest complete calibration of a unit that is on record.

    A partial calibration never counts, nor does one that was not proved, nor on a real bench one of an
    emulated unit, nor the other way round.

    Raises:
        UsageError: There is none.
        StationError: What the record lists is not in its folder.
    """
    with RecordIndex(station.records_folder) as index:
        rows = index.runs(serial_number)
    for row in reversed(rows):
        if _is_complete(row) and row.emulated == station.emulated:
            return _kept(load_record(row.folder), row.folder)
    raise UsageError(
        f"The store holds no complete calibration of {serial_number}.", "Name a factory file, or calibrate."
    )


def _is_complete(row: RunRow) -> bool:
    """Tell a run that proved all ports; with some ports only a run is PARTLY CALIBRATED, never PASS."""
    return row.outcome == PASS and row.mode.split(" ")[0] in (FULL, CAL_ONLY, UPGRADE_AND_CAL)


def _kept(record: Record, folder: Path) -> StoredCalibration:
    files = {entry["name"]: entry for entry in record["attachments"]}
    if FACTORY_NAME not in files:
        raise StationError(
            f"The record in {folder} lists no {FACTORY_NAME}.", "Run `mfg verify`; name a factory file."
        )
    factory = files[FACTORY_NAME]
    path = folder / factory["file"]
    beside = files.get(CALIBRATION_NAME)
    return StoredCalibration(
        str(path),
        _content(path),
        _content(folder / beside["file"]) if beside else b"",
        factory["sha256"],
        str(record["station"].get("adaptor", "")),
    )


def _content(path: Path) -> bytes:
    try:
        return read_bounded(path, FILE_LIMIT_BYTES)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Name a factory file of this unit.") from error
