"""The record of one run: the shape of `record.json`, its check, its loader and its writer.

A record is plain JSON. `SCHEMA` is its number: a change that an older reader would misread makes it one
higher. Keys that this reader does not know are kept and ignored, so that a record may grow.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from mfg.errors import StationError
from mfg.records.run_folder import PUBLIC, RECORD_FILE, RunFolder, write_atomic

SCHEMA = 1
MAX_RECORD_BYTES = 64 * 1024 * 1024
MAX_INTEGER = 2**63 - 1  # what the index can hold

PASS = "PASS"
FAIL = "FAIL"
ERROR = "ERROR"
SKIP = "SKIP"
UNSET = "UNSET"
ABORTED = "ABORTED"
NOT_CALIBRATED = "NOT CALIBRATED"
PARTLY_CALIBRATED = "PARTLY CALIBRATED"

OUTCOMES = (PASS, FAIL, ERROR, ABORTED, NOT_CALIBRATED, PARTLY_CALIBRATED)
PHASE_OUTCOMES = (PASS, FAIL, ERROR, SKIP)
MEASUREMENT_OUTCOMES = (PASS, FAIL, UNSET)

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
    openhtf: NotRequired[dict[str, Any]]  # OpenHTF's own view of the run, for whoever doubts ours


_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_Check = Callable[[Any, str], None]


def _wrong(where: str, value: object, allowed: str) -> StationError:
    return StationError(
        f"The record's {where} is {repr(value)[:80]}; it must be {allowed}.",
        "Keep the file and tell the engineer; the record was edited, cut short or made by other software.",
    )


def _text(value: Any, where: str) -> None:
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise _wrong(where, value, "a text of Unicode characters")


def _flag(value: Any, where: str) -> None:
    if not isinstance(value, bool):
        raise _wrong(where, value, "true or false")


def _integer(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_INTEGER:
        raise _wrong(where, value, "a whole number of at most 63 bits")


def _number(value: Any, where: str) -> None:
    if isinstance(value, int):
        _integer(value, where)
    elif not isinstance(value, float) or not math.isfinite(value):
        raise _wrong(where, value, "a finite number")


def _seconds(value: Any, where: str) -> None:
    _number(value, where)
    if value < 0:
        raise _wrong(where, value, "0 or more")


def _value(value: Any, where: str) -> None:
    if isinstance(value, str):
        _text(value, where)
    elif value is not None and not isinstance(value, bool):
        _number(value, where)


def _utc(value: Any, where: str) -> None:
    if not isinstance(value, str) or not _UTC.fullmatch(value):
        raise _wrong(where, value, "a UTC time like 2026-11-20T12:03:54.123Z")


def _optional(check: _Check) -> _Check:
    def checked(value: Any, where: str) -> None:
        if value is not None:
            check(value, where)

    return checked


def _one_of(choices: Sequence[str]) -> _Check:
    def checked(value: Any, where: str) -> None:
        if value not in choices:
            raise _wrong(where, value, f"one of {', '.join(choices)}")

    return checked


def _list_of(check: _Check) -> _Check:
    def checked(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise _wrong(where, value, "a list")
        for number, item in enumerate(value):
            check(item, f"{where}[{number}]")

    return checked


def _object(keys: Mapping[str, _Check], optional: Mapping[str, _Check] | None = None) -> _Check:
    may = optional or {}

    def checked(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(where, value, "an object")
        dotted = f"{where}." if where else ""
        for key, check in keys.items():
            if key not in value:
                raise _wrong(f"{dotted}{key}", None, "there")
            check(value[key], f"{dotted}{key}")
        for key, check in may.items():
            if key in value:
                check(value[key], f"{dotted}{key}")

    return checked


_MEASUREMENT = _object(
    {
        "name": _text,
        "value": _value,
        "unit": _text,
        "low": _optional(_number),
        "high": _optional(_number),
        "expected": _value,
        "outcome": _one_of(MEASUREMENT_OUTCOMES),
        "limit_source": _text,
    }
)
_PHASE = _object(
    {
        "case": _optional(_integer),
        "name": _text,
        "outcome": _one_of(PHASE_OUTCOMES),
        "start_s": _seconds,
        "seconds": _seconds,
        "measurements": _list_of(_MEASUREMENT),
        "error": _optional(_object({"kind": _text, "message": _text}, {"action": _text})),
    }
)
_ADJUSTMENT = _object(
    {
        "port": _text,
        "quantity": _one_of(("current", "voltage")),
        "before_pct": _optional(_number),
        "after_pct": _optional(_number),
        "low_pct": _optional(_number),
        "high_pct": _optional(_number),
        "gain_old": _optional(_integer),
        "gain_new": _optional(_integer),
        "offset": _optional(_integer),
    }
)
_RECORD = _object(
    {
        "schema": _integer,
        "run_id": _text,
        "serial_number": _text,
        "assembly": _text,
        "mac": _text,
        "product": _text,
        "mode": _text,
        "slot": _integer,
        "emulated": _flag,
        "backend": _text,
        "station": _object(
            {"id": _text, "file_sha256": _text, "software": _text, "git": _text}, {"adaptor": _text}
        ),
        "limits": _object({"file": _text, "revision": _text, "sha256": _text}),
        "firmware": _object({"version": _text}, {"micropython": _text, "sha256": _text}),
        "instruments": _list_of(
            _object(
                {"role": _text, "maker": _text, "model": _text, "serial_number": _text, "firmware": _text}
            )
        ),
        "operator": _text,
        "started_utc": _utc,
        "ended_utc": _utc,
        "bench_seconds": _seconds,
        "wall_seconds": _seconds,
        "outcome": _one_of(OUTCOMES),
        "outcome_reasons": _list_of(_text),
        "next_action": _text,
        "retest": _flag,
        "phases": _list_of(_PHASE),
        "attachments": _list_of(_object({"name": _text, "file": _text, "sha256": _text})),
        "adjustments": _list_of(_ADJUSTMENT),
        "log_file": _text,
    }
)


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
        raise _wrong("content", data, "an object")
    schema = data.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise StationError(
            f"The record has schema {schema}; this software knows up to {SCHEMA}.",
            "Use the software that made it, or a newer one.",
        )
    if schema != SCHEMA or isinstance(schema, bool):
        raise _wrong("schema", schema, str(SCHEMA))
    _RECORD(data, "")
    return cast(Record, data)


def record_to_json(record: Record) -> bytes:
    """Write a record as JSON text, after checking it.

    Raises:
        StationError: The record has not the shape of a record.
    """
    validate_record(record)
    try:
        return (json.dumps(record, indent=1, allow_nan=False) + "\n").encode("ascii")
    except (TypeError, ValueError) as error:
        raise StationError(f"The record cannot be written as JSON: {error}.", "Tell the engineer.") from error


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
        parsed = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise StationError(
            f"{where} is not JSON: {error}.", "Keep the file and tell the engineer."
        ) from error
    try:
        return validate_record(parsed)
    except StationError as error:
        raise StationError(f"{where}: {error.args[0]}", error.action) from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


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


def load_record(folder: Path) -> Record:
    """Load the record of a run folder.

    Raises:
        StationError: There is none, it cannot be read, or it is not a record.
    """
    path = folder / RECORD_FILE
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            raise StationError(f"{path} is larger than {MAX_RECORD_BYTES} bytes.")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise StationError(f"{folder} holds no {RECORD_FILE}: its run did not end.") from error
    except OSError as error:
        raise StationError(f"{path} cannot be read: {error.strerror or error}.") from error
    return record_from_json(data, str(path))


@dataclass(frozen=True)
class Failure:
    """One thing that kept a unit from passing."""

    case: int | None
    phase: str
    what: str  # a measurement's name, or the kind of an error
    value: str  # with unit; empty for an error
    limit: str  # empty for an error
    message: str = ""


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


def failures(record: Record) -> list[Failure]:
    """List everything that failed in a run, in the order it happened.

    Args:
        record: A checked record.

    Returns:
        Measurements that failed or were never set, and phases that ended in an error. A try that was
        repeated is left out.
    """
    found: list[Failure] = []
    for phase in record["phases"]:
        if phase["outcome"] == SKIP:
            continue
        for entry in phase["measurements"]:
            if entry["outcome"] != PASS:
                found.append(
                    Failure(phase["case"], phase["name"], entry["name"], value_text(entry), limit_text(entry))
                )
        error = phase["error"]
        if error is not None:
            found.append(Failure(phase["case"], phase["name"], error["kind"], "", "", error["message"]))
    return found
