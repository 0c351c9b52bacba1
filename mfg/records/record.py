"""The record of one run: the shape of `record.json`, its check, its loader and its writer.

A record is plain JSON. `SCHEMA` is its number: a change that an older reader would misread makes it one
higher. Keys that this reader does not know are kept and ignored, so that a record may grow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from mfg.errors import StationError
from mfg.records.calibration import CalibrationFacts, is_calibration
from mfg.records.checks import (
    has_keys,
    is_flag,
    is_integer,
    is_number,
    is_seconds,
    is_text,
    is_utc,
    is_value,
    list_of,
    map_of,
    one_of,
    optional,
    wrong,
)
from mfg.records.figures import decimals_for, uncertainty_figure

# The words are found here too: who reads a record needs them.
from mfg.records.outcomes import ABORTED as ABORTED
from mfg.records.outcomes import ERROR as ERROR
from mfg.records.outcomes import FAIL as FAIL
from mfg.records.outcomes import INDETERMINATE as INDETERMINATE
from mfg.records.outcomes import INTERRUPTED as INTERRUPTED
from mfg.records.outcomes import MEASUREMENT_OUTCOMES as MEASUREMENT_OUTCOMES
from mfg.records.outcomes import NOT_CALIBRATED as NOT_CALIBRATED
from mfg.records.outcomes import OUTCOMES as OUTCOMES
from mfg.records.outcomes import PARTLY_CALIBRATED as PARTLY_CALIBRATED
from mfg.records.outcomes import PASS as PASS
from mfg.records.outcomes import PHASE_OUTCOMES as PHASE_OUTCOMES
from mfg.records.outcomes import SKIP as SKIP
from mfg.records.outcomes import UNSET as UNSET
from mfg.records.run_folder import PUBLIC, RECORD_FILE, RunFolder, sha256_hex, write_atomic
from mfg.records.uncertainty import UncertaintyEntry, check_uncertainty
from mfg.records.unit_after import UnitAfter, is_unit_after
from mfg.untrusted import parse_json, read_bounded

SCHEMA = 1
MAX_RECORD_BYTES = 64 * 1024 * 1024

Value = float | int | str | bool | None


class StationFacts(TypedDict):
    """Which station made the record, and with which software."""

    id: str
    file_sha256: str
    software: str
    git: str  # `git describe --dirty`, empty outside a checkout
    adaptor: NotRequired[str]


class LimitsFacts(TypedDict):
    """Which limits judged the unit."""

    file: str
    revision: str
    sha256: str


class FirmwareFacts(TypedDict):
    """What the unit runs when it leaves."""

    version: str
    micropython: NotRequired[str]
    sha256: NotRequired[str]
    source: NotRequired[str]  # firmware/ct6 of the station, or the folder that was named instead


class InstrumentFacts(TypedDict):
    """One instrument as it identified itself."""

    role: str
    maker: str
    model: str
    serial_number: str
    firmware: str


class MeasurementEntry(TypedDict):
    """One measured value. A number that is not finite is stored as its text and has failed."""

    name: str
    value: Value
    unit: str
    low: float | int | None
    high: float | int | None
    expected: Value  # what it must equal; a regular expression between slashes when it must match one
    outcome: str
    limit_source: str
    uncertainty: NotRequired[UncertaintyEntry]


class PhaseError(TypedDict):
    """Why a phase ended early."""

    kind: str
    message: str
    action: NotRequired[str]


class PhaseEntry(TypedDict):
    """One phase as it ran, in order of execution; a repeated phase is there once per try."""

    case: int | None
    name: str
    outcome: str
    start_s: float  # bench time since the start of the run
    seconds: float  # bench time
    measurements: list[MeasurementEntry]
    error: PhaseError | None


class AttachmentEntry(TypedDict):
    """A file of the run folder."""

    name: str
    file: str
    sha256: str


class AdjustmentEntry(TypedDict):
    """What adjusting one channel did: a port's current or a chip's voltage.

    The errors are against the reference, in % of reading, before the first and after the last write.
    `low_pct` and `high_pct` are the limits on `after_pct`. None where a value was not taken.
    """

    port: str  # CT1 to CT6, or CS4 and CS0 for the voltage of the chip behind CT1 to CT3 and CT4 to CT6
    quantity: str  # current | voltage
    before_pct: float | None
    after_pct: float | None
    low_pct: float | None
    high_pct: float | None
    gain_old: int | None
    gain_new: int | None
    offset: int | None


class PromiseFacts(TypedDict):
    """What the plan promised and what ended the run: enough to derive the verdict again from the record."""

    measurements: dict[str, list[str]]  # declared ones by phase; every planned phase is a key
    teardowns: dict[str, list[str]]  # what measures that the bench is off, and the phases it follows
    evaluated: dict[str, list[str]]  # measurements that need an uncertainty, by phase
    calibration: str  # all | partly | none adjusted, or untouched: no matter of the run
    framework_outcome: str  # OpenHTF's own, empty when it made none
    aborted: bool
    troubles: list[str]  # why the run cannot be trusted, for reasons that no phase holds


class InterruptionFacts(TypedDict):
    """Where a run stood when it was killed, by its journal."""

    cause: str
    last_event: str
    acts: list[str]  # irreversible ones that had been begun
    journal: list[str]  # what is wrong with the journal itself; empty when it is whole


class Record(TypedDict):
    """The record of one run."""

    schema: int
    run_id: str
    serial_number: str  # empty when the unit was not identified
    assembly: str
    mac: str  # empty when it was not read
    product: str
    mode: str
    slot: int
    emulated: bool
    backend: str
    station: StationFacts
    limits: LimitsFacts
    firmware: FirmwareFacts
    instruments: list[InstrumentFacts]
    operator: str
    started_utc: str
    ended_utc: str
    bench_seconds: float
    wall_seconds: float
    outcome: str
    outcome_reasons: list[str]
    next_action: str
    retest: bool
    phases: list[PhaseEntry]
    attachments: list[AttachmentEntry]
    adjustments: list[AdjustmentEntry]
    log_file: str
    calibration: NotRequired[CalibrationFacts]  # of a run that compared the unit with a reference
    promise: NotRequired[PromiseFacts]
    interruption: NotRequired[InterruptionFacts]
    unit_after: NotRequired[UnitAfter]
    openhtf: NotRequired[dict[str, Any]]  # OpenHTF's own view of the run, for whoever doubts ours


_PLAIN_MEASUREMENT = has_keys(
    {
        "name": is_text,
        "value": is_value,
        "unit": is_text,
        "low": optional(is_number),
        "high": optional(is_number),
        "expected": is_value,
        "outcome": one_of(MEASUREMENT_OUTCOMES),
        "limit_source": is_text,
    }
)


def _is_measurement(value: Any, where: str) -> None:
    _PLAIN_MEASUREMENT(value, where)
    check_uncertainty(value, where)


_PHASE = has_keys(
    {
        "case": optional(is_integer),
        "name": is_text,
        "outcome": one_of(PHASE_OUTCOMES),
        "start_s": is_seconds,
        "seconds": is_seconds,
        "measurements": list_of(_is_measurement),
        "error": optional(has_keys({"kind": is_text, "message": is_text}, {"action": is_text})),
    }
)
_ADJUSTMENT = has_keys(
    {
        "port": is_text,
        "quantity": one_of(("current", "voltage")),
        "before_pct": optional(is_number),
        "after_pct": optional(is_number),
        "low_pct": optional(is_number),
        "high_pct": optional(is_number),
        "gain_old": optional(is_integer),
        "gain_new": optional(is_integer),
        "offset": optional(is_integer),
    }
)
_NAMES_BY_PHASE = map_of(is_text, list_of(is_text))
_PROMISE = has_keys(
    {
        "measurements": _NAMES_BY_PHASE,
        "teardowns": _NAMES_BY_PHASE,
        "evaluated": _NAMES_BY_PHASE,
        "calibration": one_of(("all", "partly", "none", "untouched")),
        "framework_outcome": is_text,
        "aborted": is_flag,
        "troubles": list_of(is_text),
    }
)
_INTERRUPTION = has_keys(
    {"cause": is_text, "last_event": is_text, "acts": list_of(is_text), "journal": list_of(is_text)}
)
_RECORD = has_keys(
    {
        "schema": is_integer,
        "run_id": is_text,
        "serial_number": is_text,
        "assembly": is_text,
        "mac": is_text,
        "product": is_text,
        "mode": is_text,
        "slot": is_integer,
        "emulated": is_flag,
        "backend": is_text,
        "station": has_keys(
            {"id": is_text, "file_sha256": is_text, "software": is_text, "git": is_text}, {"adaptor": is_text}
        ),
        "limits": has_keys({"file": is_text, "revision": is_text, "sha256": is_text}),
        "firmware": has_keys(
            {"version": is_text}, {"micropython": is_text, "sha256": is_text, "source": is_text}
        ),
        "instruments": list_of(
            has_keys(
                {
                    "role": is_text,
                    "maker": is_text,
                    "model": is_text,
                    "serial_number": is_text,
                    "firmware": is_text,
                }
            )
        ),
        "operator": is_text,
        "started_utc": is_utc,
        "ended_utc": is_utc,
        "bench_seconds": is_seconds,
        "wall_seconds": is_seconds,
        "outcome": one_of(OUTCOMES),
        "outcome_reasons": list_of(is_text),
        "next_action": is_text,
        "retest": is_flag,
        "phases": list_of(_PHASE),
        "attachments": list_of(has_keys({"name": is_text, "file": is_text, "sha256": is_text})),
        "adjustments": list_of(_ADJUSTMENT),
        "log_file": is_text,
    },
    {
        "calibration": is_calibration,
        "promise": _PROMISE,
        "interruption": _INTERRUPTION,
        "unit_after": is_unit_after,
    },
)


def is_phase_entry(value: Any, where: str) -> None:
    """Refuse what is no phase of a record."""
    _PHASE(value, where)


def validate_record(data: Any) -> Record:
    """Check that plain data has the shape of a record.

    Args:
        data: Parsed JSON.

    Returns:
        The same object.

    Raises:
        StationError: A key is missing or holds what it may not, or the schema is newer than this software;
            the message names the key.
    """
    if not isinstance(data, dict):
        raise wrong("content", data, "an object")
    schema = data.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise StationError(
            f"The record has schema {schema}; this software knows up to {SCHEMA}.",
            "Use the software that made it, or a newer one.",
        )
    if schema != SCHEMA or isinstance(schema, bool):
        raise wrong("schema", schema, str(SCHEMA))
    _RECORD(data, "")
    return cast(Record, data)


def record_to_json(record: Record) -> bytes:
    """Write a record as JSON text, after checking it.

    Raises:
        StationError: The record has not the shape of a record.
    """
    validate_record(record)
    try:
        return "".join(_lines(record)).encode("ascii")
    except (TypeError, ValueError) as error:
        raise StationError(f"The record cannot be written as JSON: {error}.", "Tell the engineer.") from error


def _lines(record: Record) -> Iterator[str]:
    """Give one line per key, and one per phase: readable, and by the encoder that is fast."""
    before = "{"
    for key, value in record.items():
        if isinstance(value, list) and key == "phases":
            text = "[\n" + ",\n".join(f"  {json.dumps(phase, allow_nan=False)}" for phase in value) + "]"
        else:
            text = json.dumps(value, allow_nan=False)
        yield f"{before}\n{json.dumps(key)}: {text}"
        before = ","
    yield "}\n"


def record_from_json(data: bytes, where: str = RECORD_FILE) -> Record:
    """Read and check a record.

    Args:
        data: Content of a `record.json`.
        where: What the message calls it.

    Raises:
        StationError: It is not JSON, too long, or not a record.
    """
    if len(data) > MAX_RECORD_BYTES:
        raise StationError(f"{where} has {len(data)} bytes, more than {MAX_RECORD_BYTES}.")
    try:
        parsed = parse_json(data)
    except ValueError as error:
        raise StationError(
            f"{where} is not JSON: {error}.", "Keep the file and tell the engineer."
        ) from error
    try:
        return validate_record(parsed)
    except StationError as error:
        raise StationError(f"{where}: {error.args[0]}", error.action) from error


def write_record(folder: RunFolder, record: Record) -> Path:
    """Write `record.json` of a run; from then on the run counts as ended.

    Args:
        folder: The run's folder.
        record: Its record, with the same run id.

    Returns:
        The path written.

    Raises:
        StationError: The record is no record or of another run, or the disk refuses; nothing half written.
    """
    if record["run_id"] != folder.run_id:
        raise StationError(f"A record of run {record['run_id']} does not belong into {folder.path}.")
    path = folder.file(RECORD_FILE)
    write_atomic(path, record_to_json(record), PUBLIC)
    return path


@dataclass(frozen=True)
class StoredRecord:
    """A record as its run folder holds it, with the hash of its file."""

    record: Record
    folder: Path
    sha256: str


def load_stored(folder: Path) -> StoredRecord:
    """Load the record of a run folder, with the SHA-256 of the bytes that it was read from.

    Raises:
        StationError: There is none, it cannot be read, or it is not a record.
    """
    path = folder / RECORD_FILE
    try:
        data = read_bounded(path, MAX_RECORD_BYTES)
    except FileNotFoundError as error:
        raise StationError(f"{folder} holds no {RECORD_FILE}: its run did not end.") from error
    except OSError as error:
        raise StationError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise StationError(f"{path}: {error}.", "Keep the file and tell the engineer.") from error
    return StoredRecord(record_from_json(data, str(path)), folder, sha256_hex(data))


def load_record(folder: Path) -> Record:
    """Load the record of a run folder.

    Raises:
        StationError: There is none, it cannot be read, or it is not a record.
    """
    return load_stored(folder).record


@dataclass(frozen=True)
class Failure:
    """One thing that kept a unit from passing."""

    case: int | None
    phase: str
    what: str  # a measurement's name, or the kind of an error
    value: str  # with unit; empty for an error
    limit: str  # empty for an error
    message: str = ""
    outcome: str = FAIL  # INDETERMINATE where the limit allows the value and its uncertainty does not


def number_text(value: Value) -> str:
    """Write a value as a person reads it: six significant digits, no exponent where none is needed."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    return str(value)


def value_text(entry: MeasurementEntry) -> str:
    """Write a measurement's value with its unit."""
    text = number_text(entry["value"])
    is_number = isinstance(entry["value"], int | float) and not isinstance(entry["value"], bool)
    return f"{text} {entry['unit']}" if is_number and entry["unit"] else text


def limit_text(entry: MeasurementEntry) -> str:
    """Write a measurement's limit with its unit; a dash when it has none."""
    unit = f" {entry['unit']}" if entry["unit"] else ""
    low, high = entry["low"], entry["high"]
    if low is not None and high is not None:
        if low == high:
            return f"= {number_text(low)}{unit}"
        if low == -high:
            return f"± {number_text(high)}{unit}"
        return f"{number_text(low)} … {number_text(high)}{unit}"
    if low is not None:
        return f"≥ {number_text(low)}{unit}"
    if high is not None:
        return f"≤ {number_text(high)}{unit}"
    if entry["expected"] is not None:
        expected = number_text(entry["expected"])
        pattern = len(expected) > 2 and expected.startswith("/") and expected.endswith("/")
        return f"matches {expected[1:-1]}" if pattern else f"= {expected}"
    return "–"  # noqa: RUF001 - the dash a reader expects for "no limit"


def accept_text(entry: MeasurementEntry) -> str:
    """Write where a value passes by its decision rule; a dash without an uncertainty."""
    held = entry.get("uncertainty")
    if held is None:
        return "–"  # noqa: RUF001 - as above
    low, high = held["accept_low"], held["accept_high"]
    if low is not None and high is not None and low > high:
        return "nowhere: the uncertainty fills the limits"
    places = decimals_for(held["expanded"]) + 1
    digits = [None if limit is None else round(limit, places) for limit in (low, high)]
    return limit_text({**entry, "low": digits[0], "high": digits[1], "expected": None})


def failures(record: Record) -> list[Failure]:
    """List everything that failed in a run, in the order it happened.

    Args:
        record: A checked record.

    Returns:
        Measurements that failed, are indeterminate or were never set, and phases that ended in an error. A
        try that was repeated is left out.
    """
    found: list[Failure] = []
    for phase in record["phases"]:
        if phase["outcome"] == SKIP:
            continue
        for entry in phase["measurements"]:
            if entry["outcome"] != PASS:
                found.append(_failure(phase, entry))
        error = phase["error"]
        if error is not None:
            found.append(Failure(phase["case"], phase["name"], error["kind"], "", "", error["message"]))
    return found


def _failure(phase: PhaseEntry, entry: MeasurementEntry) -> Failure:
    held = entry.get("uncertainty")
    value, limit = value_text(entry), limit_text(entry)
    if held is not None:
        unit = f" {entry['unit']}" if entry["unit"] else ""
        value, limit = (
            f"{value}, U = {uncertainty_figure(held['expanded'])}{unit}",
            f"{limit}, passes {accept_text(entry)}",
        )
    return Failure(phase["case"], phase["name"], entry["name"], value, limit, outcome=entry["outcome"])
