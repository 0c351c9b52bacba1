"""From OpenHTF's record of a test to ours. The only module of the store that knows OpenHTF.

Importing `openhtf` parses `sys.argv`: whoever imports this module has blanked it before.
"""

from __future__ import annotations

import copy
import datetime
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, cast

import openhtf
from openhtf.core import measurements as htf_measurements
from openhtf.core import phase_executor
from openhtf.core import test_record as htf_record
from openhtf.util import validators as htf_validators

from mfg.errors import MfgError, StationError
from mfg.records.adjustments import adjustments_of_phases
from mfg.records.calibration import CalibrationFacts
from mfg.records.checks import MAX_INTEGER
from mfg.records.outcomes import ERROR, FAIL, INDETERMINATE, PASS, SKIP, UNSET, VERDICTS, worst
from mfg.records.record import (
    SCHEMA,
    AdjustmentEntry,
    AttachmentEntry,
    FirmwareFacts,
    InstrumentFacts,
    LimitsFacts,
    MeasurementEntry,
    PhaseEntry,
    PhaseError,
    Record,
    StationFacts,
    Value,
    validate_record,
)
from mfg.records.run_folder import PRIVATE, PUBLIC, RunFolder, StoredFile, safe_file_name
from mfg.records.uncertainty import UncertaintyEntry

MAX_TEXT = 4000  # characters of one text from a unit or an exception that a record keeps

_SIGNS = {"pct": "%"}  # OpenHTF takes no percent sign in the text of a measurement
_PRIVATE_SUFFIXES = (".cfg", ".json")  # attachments that may hold a unit's configuration


@dataclass(frozen=True)
class RunContext:
    """What OpenHTF does not know about a run.

    The verdict defaults to ERROR, so that a run whose verdict was forgotten never passes.

    Attributes:
        run_id: From `new_run_id`.
        started_utc, ended_utc: With time zone.
        bench_seconds, wall_seconds: Length of the run.
        clock_factor: Bench seconds per wall second; phases are timed with it.
        cases: Case number by phase name (1000, 2000, …).
        old_gains: Gain in force while `before_pct` was taken, by channel (`CT1`, `CS4`, …).
        attachments: Files already written into the run folder.
        adjustments: Per channel; None gathers them from the measurements.
        evaluations: Uncertainty of a measured value with its verdict, by phase and measurement.
        calibration: What the calibration rests on, None in a run without one.
    """

    run_id: str
    mode: str
    backend: str
    emulated: bool
    station: StationFacts
    limits: LimitsFacts
    started_utc: datetime.datetime
    ended_utc: datetime.datetime
    bench_seconds: float
    wall_seconds: float
    serial_number: str = ""
    assembly: str = ""
    mac: str = ""
    product: str = "CT6"
    slot: int = 1
    operator: str = ""
    firmware: FirmwareFacts = field(default_factory=lambda: FirmwareFacts(version=""))
    instruments: Sequence[InstrumentFacts] = ()
    outcome: str = ERROR
    outcome_reasons: Sequence[str] = ("The run ended without a verdict.",)
    next_action: str = "Run the unit again."
    retest: bool = False
    clock_factor: float = 1.0
    cases: Mapping[str, int] = field(default_factory=dict)
    old_gains: Mapping[str, int] = field(default_factory=dict)
    attachments: Sequence[StoredFile] = ()
    adjustments: Sequence[AdjustmentEntry] | None = None
    log_file: str = ""
    evaluations: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    calibration: Mapping[str, Any] | None = None


def record_from_openhtf(test_record: htf_record.TestRecord, context: RunContext) -> Record:
    """Build our record of a run.

    Args:
        test_record: As OpenHTF hands it to an output callback.
        context: Everything else, the verdict of the guard included.

    Returns:
        A checked record. A measured number that is not finite is stored as text and has failed, and so
        has its phase, whatever OpenHTF thought. An evaluation can make an outcome worse, never better. Of a
        repeated phase the last try is the one that was evaluated.

    Raises:
        StationError: A fact of the context does not fit a record, or an evaluation contradicts its value,
            its limits or itself, or belongs to no measurement of the run.
    """
    start_ms = test_record.start_time_millis
    evaluated = _evaluated(test_record, context)
    phases = [
        _phase(phase, start_ms, context, evaluated.get(position, {}))
        for position, phase in enumerate(test_record.phases)
    ]
    adjustments = context.adjustments
    if adjustments is None:
        adjustments = adjustments_of_phases(phases, context.old_gains)
    record: Record = {
        "schema": SCHEMA,
        "run_id": context.run_id,
        "serial_number": context.serial_number,
        "assembly": context.assembly,
        "mac": context.mac,
        "product": context.product,
        "mode": context.mode,
        "slot": context.slot,
        "emulated": context.emulated,
        "backend": context.backend,
        "station": context.station,
        "limits": context.limits,
        "firmware": context.firmware,
        "instruments": list(context.instruments),
        "operator": clean_text(context.operator),
        "started_utc": utc_text(context.started_utc),
        "ended_utc": utc_text(context.ended_utc),
        "bench_seconds": round(context.bench_seconds, 3),
        "wall_seconds": round(context.wall_seconds, 3),
        "outcome": context.outcome,
        "outcome_reasons": [clean_text(reason) for reason in context.outcome_reasons],
        "next_action": clean_text(context.next_action),
        "retest": context.retest,
        "phases": phases,
        "attachments": [_attachment(stored) for stored in context.attachments],
        "adjustments": list(adjustments),
        "log_file": context.log_file,
        "openhtf": _own_view(test_record),
    }
    if context.calibration is not None:
        record["calibration"] = cast(CalibrationFacts, copy.deepcopy(dict(context.calibration)))
    return validate_record(record)


def store_attachments(test_record: htf_record.TestRecord, folder: RunFolder) -> list[StoredFile]:
    """Write what the phases attached into the run folder.

    Args:
        test_record: As OpenHTF hands it to an output callback.
        folder: The run's folder.

    Returns:
        One entry per attachment, in order, for `RunContext.attachments`; a name used twice gets a number.

    Raises:
        StationError: The disk refuses.
    """
    stored: list[StoredFile] = []
    for phase in test_record.phases:
        for name, attachment in phase.attachments.items():
            file = _free_name(folder, safe_file_name(name))
            mode = PRIVATE if file.endswith(_PRIVATE_SUFFIXES) else PUBLIC
            stored.append(folder.write(file, attachment.data, clean_text(name), mode))
    return stored


def _free_name(folder: RunFolder, name: str) -> str:
    path, number = PurePath(name), 1
    while folder.file(name).exists():
        number += 1
        name = f"{path.stem[:100]}-{number}{path.suffix}"
    return name


def clean_text(text: object) -> str:
    """Make a text storable: at most `MAX_TEXT` characters, no lone surrogates, no NUL."""
    shown = str(text)
    if len(shown) > MAX_TEXT:
        shown = f"{shown[:MAX_TEXT]} … ({len(shown)} characters)"
    return shown.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def utc_text(moment: datetime.datetime) -> str:
    """Write a time as ISO 8601 UTC with milliseconds, e.g. `2026-11-20T12:03:54.123Z`."""
    if moment.tzinfo is None:
        raise ValueError("a record's time needs a time zone")
    utc = moment.astimezone(datetime.UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def _attachment(stored: StoredFile) -> AttachmentEntry:
    return {"name": stored.name, "file": stored.file, "sha256": stored.sha256}


def _evaluated(
    test_record: htf_record.TestRecord, context: RunContext
) -> dict[int, dict[str, Mapping[str, Any]]]:
    """Sort the evaluations by the position of the phase they belong to: the last one of its name."""
    last = {phase.name: position for position, phase in enumerate(test_record.phases)}
    found: dict[int, dict[str, Mapping[str, Any]]] = {}
    for (name, measurement), evaluation in context.evaluations.items():
        position = last.get(name)
        if position is None or measurement not in (test_record.phases[position].measurements or {}):
            raise StationError(
                f"{name} has an uncertainty for {measurement}, which it does not measure.",
                "Tell the engineer; the unit is not judged.",
            )
        found.setdefault(position, {})[measurement] = evaluation
    return found


def _phase(
    phase: htf_record.PhaseRecord,
    start_ms: int,
    context: RunContext,
    evaluations: Mapping[str, Mapping[str, Any]],
) -> PhaseEntry:
    measured = list((phase.measurements or {}).values())
    entries = [_measurement(item, evaluations.get(item.name)) for item in measured]
    outcome = phase.outcome.value if phase.outcome is not None else ERROR
    if outcome == PASS:
        outcome = _lowered(measured, entries)
    begin_ms = max(phase.start_time_millis, start_ms)
    end_ms = max(phase.end_time_millis or begin_ms, begin_ms)
    return {
        "case": context.cases.get(phase.name),
        "name": phase.name,
        "outcome": outcome,
        "start_s": round((begin_ms - start_ms) / 1000 * context.clock_factor, 3),
        "seconds": round((end_ms - begin_ms) / 1000 * context.clock_factor, 3),
        "measurements": entries,
        "error": _error(phase, outcome),
    }


def _lowered(measured: Sequence[htf_measurements.Measurement], entries: Sequence[MeasurementEntry]) -> str:
    """Return the outcome of a phase that OpenHTF passed.

    It is worse where a measurement that OpenHTF passed is not finite, set to None, or judged by its
    uncertainty.
    """
    lowered = {
        entry["outcome"]
        for item, entry in zip(measured, entries, strict=True)
        if item.outcome is htf_measurements.Outcome.PASS and entry["outcome"] != PASS
    }
    return PASS if not lowered else INDETERMINATE if lowered == {INDETERMINATE} else FAIL


def _error(phase: htf_record.PhaseRecord, outcome: str) -> PhaseError | None:
    result = phase.result
    if outcome == SKIP:
        return None
    if result is None:
        return (
            None if outcome in (PASS, FAIL) else {"kind": "Unfinished", "message": "The phase did not end."}
        )
    if result.is_timeout:
        return {"kind": "Timeout", "message": "The phase did not end within its time."}
    if result.is_aborted:
        return {"kind": "Aborted", "message": "The phase was stopped from outside."}
    if isinstance(result.phase_result, phase_executor.ExceptionInfo):
        return _exception(result.phase_result.exc_val)
    if outcome == ERROR:
        return {"kind": "Stopped", "message": "The phase ended the run."}
    return None


def _exception(raised: BaseException) -> PhaseError:
    kind = type(raised).__name__
    if isinstance(raised, MfgError):
        message = clean_text(raised.args[0] if raised.args else kind)
        return {"kind": kind, "message": message, "action": clean_text(raised.action)}
    return {"kind": kind, "message": clean_text(raised) or kind}


def _measurement(
    measured: htf_measurements.Measurement, evaluation: Mapping[str, Any] | None = None
) -> MeasurementEntry:
    value, finite = _value(measured)
    outcome = measured.outcome.value if measured.outcome.value in (PASS, FAIL) else UNSET
    if value is None:
        outcome = UNSET
    elif not finite:
        outcome = FAIL
    low, high, expected = _limits(measured.validators)
    entry: MeasurementEntry = {
        "name": measured.name,
        "value": value,
        "unit": _unit(measured),
        "low": low,
        "high": high,
        "expected": expected,
        "outcome": outcome,
        "limit_source": clean_text(measured.docstring or ""),
    }
    # A value that was not set or is no number has no uncertainty, and has not passed already.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if evaluation is not None and is_number and outcome != UNSET:
        entry["uncertainty"] = cast(UncertaintyEntry, copy.deepcopy(dict(evaluation)))
        if evaluation.get("verdict") in VERDICTS:
            entry["outcome"] = worst(outcome, evaluation["verdict"])
    return entry


def _value(measured: htf_measurements.Measurement) -> tuple[Value, bool]:
    """Return a measurement's value as a record stores it, and whether it is finite; None when unset."""
    stored = measured.measured_value
    if not stored.is_value_set:
        return None, True
    if measured.dimensions:
        return f"{len(stored.value)} points", _all_finite(stored.value)
    return _plain(stored.value)


def _plain(value: object) -> tuple[Value, bool]:
    if value is None or isinstance(value, bool):
        return value, True
    if isinstance(value, numbers.Integral):
        whole = int(value)
        return (whole, True) if abs(whole) <= MAX_INTEGER else ("too large", False)
    if isinstance(value, numbers.Real):
        number = float(value)
        return (number, True) if math.isfinite(number) else (str(number), False)
    return clean_text(value), True


def _all_finite(points: Any) -> bool:
    numbers_found = [item for point in points for item in point if isinstance(item, float)]
    return all(math.isfinite(item) for item in numbers_found)


def _unit(measured: htf_measurements.Measurement) -> str:
    unit = measured.units
    if unit is None:
        return ""
    name = clean_text(unit.suffix or ("" if unit.code == "NDL" else unit.name))
    return _SIGNS.get(name, name)


def _limits(validators: Sequence[Any]) -> tuple[float | int | None, float | int | None, Value]:
    """Read low, high and expected from a measurement's validators; the first of each kind counts."""
    low: float | int | None = None
    high: float | int | None = None
    expected: Value = None
    for validator in validators:
        if isinstance(validator, htf_validators.RangeValidatorBase):
            if isinstance(validator.minimum, bool):  # `equals(True)` is a range for OpenHTF
                expected = validator.minimum
                continue
            low = _bound(validator.minimum) if low is None else low
            high = _bound(validator.maximum) if high is None else high
        elif isinstance(validator, htf_validators.RegexMatcher) and expected is None:
            expected = _expected_text(validator.regex)
        elif isinstance(validator, htf_validators.Equals) and expected is None:
            expected = _plain(validator.expected)[0]
    return low, high, expected


def _bound(bound: object) -> float | int | None:
    value, finite = _plain(bound)
    return value if finite and isinstance(value, int | float) else None


def _expected_text(regex: str) -> str:
    """Say what a regular expression expects: the text itself when it is nothing but text."""
    body = regex.removeprefix("^").removesuffix("$")
    text = re.sub(r"\\(.)", r"\1", body)
    if regex == f"^{re.escape(text)}$":
        return clean_text(text)
    if body.startswith("(?:") and body.endswith(")"):
        body = body[3:-1]
    return clean_text(f"/{body}/")


def _own_view(test_record: htf_record.TestRecord) -> dict[str, Any]:
    """Keep OpenHTF's verdict beside ours; its configuration, source code and log are left out."""
    return {
        "version": getattr(openhtf, "__version__", ""),
        "test_name": clean_text(test_record.metadata.get("test_name", "")),
        "dut_id": clean_text(test_record.dut_id or ""),
        "station_id": clean_text(test_record.station_id),
        "outcome": test_record.outcome.value if test_record.outcome is not None else None,
        "outcome_details": [
            {"code": clean_text(detail.code), "description": clean_text(detail.description)}
            for detail in test_record.outcome_details
        ],
        "start_time_millis": test_record.start_time_millis,
        "end_time_millis": test_record.end_time_millis,
        "phases": [_own_phase(phase) for phase in test_record.phases],
    }


def _own_phase(phase: htf_record.PhaseRecord) -> dict[str, Any]:
    return {
        "name": phase.name,
        "outcome": phase.outcome.value if phase.outcome is not None else None,
        "result": clean_text(phase.result.phase_result) if phase.result is not None else None,
        "start_time_millis": phase.start_time_millis,
        "end_time_millis": phase.end_time_millis,
        "measurements": [
            {
                "name": measured.name,
                "outcome": measured.outcome.value,
                "validators": [clean_text(validator) for validator in measured.validators],
            }
            for measured in (phase.measurements or {}).values()
        ],
    }
