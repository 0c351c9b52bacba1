"""Find the calibration that is to be restored: a file, or the newest complete one in the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mfg.errors import StationError, UsageError
from mfg.fixtures.traveller import StoredCalibration, no_calibration
from mfg.plans.mode import CAL_ONLY, FULL, LATEST, SET_LABELS, UPGRADE_AND_CAL, VOLTAGE_CAL_ONLY, Mode
from mfg.records.factory_file import ARCHIVE, CALIBRATION_NAME, FACTORY_NAME
from mfg.records.index import RecordIndex, RunRow
from mfg.records.labels import parse_unit_label
from mfg.records.outcomes import PASS
from mfg.records.record import Record, load_record
from mfg.station import Station
from mfg.untrusted import read_bounded

FILE_LIMIT_BYTES = 65536
RELABELLED = ("identify_relabelled_unit", "label_before")
WHOLE_JOBS = (FULL, CAL_ONLY, UPGRADE_AND_CAL)  # that prove every port
PART_JOBS = (VOLTAGE_CAL_ONLY, SET_LABELS)  # that prove a part, and that the rest is as it was


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
    emulated unit, nor the other way round. A run that changed a part and proved the rest unchanged counts
    where it began from a complete calibration that is on record, byte for byte.

    Raises:
        UsageError: There is none.
        StationError: What the record lists is not in its folder.
    """
    with RecordIndex(station.records_folder) as index:
        found = _newest(index, station.emulated, serial_number)
    if found is None:
        raise UsageError(
            f"The store holds no complete calibration of {serial_number}.",
            "Name a factory file, or calibrate.",
        )
    return _kept(load_record(found.folder), found.folder)


def _newest(
    index: RecordIndex, emulated: bool, serial_number: str, before: str = "", sha256: str = ""
) -> RunRow | None:
    """Find the newest run that left a complete calibration on a unit.

    Args:
        index: Of the store.
        emulated: Whether the unit is.
        serial_number: The unit's.
        before: Only runs that started before this time, in UTC; "" for any.
        sha256: Only with this factory file; "" for any.
    """
    for row in reversed(index.runs(serial_number)):
        job = row.mode.split(" ")[0]
        # With some ports only a run is PARTLY CALIBRATED, never PASS.
        if row.outcome != PASS or row.emulated != emulated or job not in (*WHOLE_JOBS, *PART_JOBS):
            continue
        if before and row.started_utc >= before:
            continue
        record = load_record(row.folder)
        hashes = {entry["name"]: entry["sha256"] for entry in record["attachments"]}
        if sha256 and hashes.get(FACTORY_NAME) != sha256:
            continue
        began = hashes.get(f"{ARCHIVE}{FACTORY_NAME}", "")
        former = _former_serial(record)
        if job in WHOLE_JOBS or (began and _newest(index, emulated, former, row.started_utc, began)):
            return row
    return None


def _former_serial(record: Record) -> str:
    """Return the serial number that a unit had when a run began: new labels change it."""
    for phase in record["phases"]:
        for entry in phase["measurements"]:
            if (phase["name"], entry["name"]) == RELABELLED:
                return parse_unit_label(str(entry["value"])).serial_number
    return record["serial_number"]


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
