"""From OpenHTF's record of a test to ours. The only module of the store that knows OpenHTF.

Importing `openhtf` parses `sys.argv`: whoever imports this module has blanked it before.
"""

from __future__ import annotations

import copy
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import openhtf
from openhtf.core import measurements as htf_measurements
from openhtf.core import phase_executor
from openhtf.core import test_record as htf_record
from openhtf.util import validators as htf_validators

from mfg.errors import MfgError, StationError
from mfg.records.checks import MAX_INTEGER
from mfg.records.outcomes import ERROR, FAIL, INDETERMINATE, PASS, SKIP, UNSET, VERDICTS, worst
from mfg.records.record import MeasurementEntry, PhaseEntry, PhaseError, Record, Value
from mfg.records.run_context import RunContext, build_record, clean_text
from mfg.records.uncertainty import UncertaintyEntry

_SIGNS = {"pct": "%"}  # OpenHTF takes no percent sign in the text of a measurement


def record_from_openhtf(test_record: htf_record.TestRecord, context: RunContext) -> Record:
    """Build our record of a run.

    Args:
        test_record: As OpenHTF hands it to an output callback.
        context: Everything else, the verdict of the guard included.

    Returns:
        A checked record; for its phases see `phases_from_openhtf`.

    Raises:
        StationError: A fact of the context does not fit a record, or an evaluation contradicts its value,
            its limits or itself, or belongs to no measurement of the run.
    """
    return build_record(phases_from_openhtf(test_record, context), context, own_view(test_record))


def phases_from_openhtf(test_record: htf_record.TestRecord, context: RunContext) -> list[PhaseEntry]:
    """Read the phases that have run.

    Args:
        test_record: Finished, or of a test that is running.
        context: Its clock, cases and evaluations.

    Returns:
        One entry per phase, in order. A measured number that is not finite is stored as text and has failed,
        and so has its phase, whatever OpenHTF thought. An evaluation can make an outcome worse, never better.
        Of a repeated phase the last try is the one that was evaluated.

    Raises:
        StationError: An evaluation belongs to no measurement of the run.
    """
    evaluated = _evaluated(test_record, context)
    timing = PhaseTiming(test_record.start_time_millis, context.clock_factor, context.cases)
    return [
        phase_from_openhtf(phase, timing, evaluated.get(position, {}))
        for position, phase in enumerate(test_record.phases)
    ]


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


@dataclass(frozen=True)
class PhaseTiming:
    """How a phase's times and case are read: start of the test, the clock's factor, cases by name."""

    start_ms: int
    clock_factor: float
    cases: Mapping[str, int]


def phase_from_openhtf(
    phase: htf_record.PhaseRecord, timing: PhaseTiming, evaluations: Mapping[str, Mapping[str, Any]]
) -> PhaseEntry:
    """Read one phase that has ended.

    Args:
        phase: As OpenHTF keeps it.
        timing: Of the test.
        evaluations: Uncertainty with verdict by the measurement's name.
    """
    measured = list((phase.measurements or {}).values())
    entries = [_measurement(item, evaluations.get(item.name)) for item in measured]
    outcome = phase.outcome.value if phase.outcome is not None else ERROR
    if outcome == PASS:
        outcome = _lowered(measured, entries)
    begin_ms = max(phase.start_time_millis, timing.start_ms)
    end_ms = max(phase.end_time_millis or begin_ms, begin_ms)
    return {
        "case": timing.cases.get(phase.name),
        "name": phase.name,
        "outcome": outcome,
        "start_s": round((begin_ms - timing.start_ms) / 1000 * timing.clock_factor, 3),
        "seconds": round((end_ms - begin_ms) / 1000 * timing.clock_factor, 3),
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
    if type(value) is float and math.isfinite(value):  # most are, and the general way is slow
        return value, True
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
            minimum = validator.minimum
            if isinstance(minimum, bool):  # `equals(True)` is a range for OpenHTF
                expected = minimum
                continue
            low = _bound(minimum) if low is None else low
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


def own_view(test_record: htf_record.TestRecord) -> dict[str, Any]:
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
