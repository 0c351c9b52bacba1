"""From OpenHTF's record of a test to ours. The only module of the store that knows OpenHTF.

Importing `openhtf` parses `sys.argv`: whoever imports this module has blanked it before.
"""

from __future__ import annotations

import copy
import functools
import math
import numbers
import re
from collections.abc import Iterator, Mapping, Sequence
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
from mfg.records.record import MeasurementEntry, PhaseEntry, PhaseError, Value
from mfg.records.run_context import clean_text
from mfg.records.uncertainty import UncertaintyEntry

Evaluations = Mapping[tuple[str, str], Mapping[str, Any]]

_NUMBER = (int, float)
_KINDS = (htf_validators.RangeValidatorBase, htf_validators.RegexMatcher, htf_validators.Equals)
_SIGNS = {"pct": "%"}  # OpenHTF takes no percent sign in the text of a measurement


class PhaseReader:
    """Reads the phases of one test as they end, each once: journal and record hold the same entries.

    A measured number that is not finite is stored as text and has failed, and so has its phase, whatever
    OpenHTF thought. An evaluation, uncertainty with verdict by phase and measurement, can make an outcome
    worse, never better; of a repeated phase the last try is the one that was evaluated.
    """

    def __init__(self, clock_factor: float, cases: Mapping[str, int]) -> None:
        """Prepare for a test that has not begun.

        Args:
            clock_factor: Bench seconds per wall second; phases are timed with it.
            cases: Case number by phase name.
        """
        self._clock_factor = clock_factor
        self._cases = cases
        self._read: dict[int, _Read] = {}  # by the phase's place in the test
        self._told: dict[int, htf_record.PhaseOutcome] = {}  # likewise

    def ended(self, test_record: htf_record.TestRecord, evaluations: Evaluations) -> Iterator[PhaseEntry]:
        """Read the phases that have ended, or ended otherwise, since the last look.

        A phase is given again at the next look where whoever took its entry did not come back for more.
        """
        for place, phase in enumerate(list(test_record.phases)):
            known = self._told.get(place)
            if phase.outcome is not None and known is not phase.outcome:
                by_place = _by_place(test_record, evaluations)
                yield self._entry(test_record, place, by_place.get(place, {}))
                self._told[place] = phase.outcome

    def phases(self, test_record: htf_record.TestRecord, evaluations: Evaluations) -> list[PhaseEntry]:
        """Return one entry per phase, in order; what has changed since it was read is read again.

        Raises:
            StationError: An evaluation belongs to no measurement of the test.
        """
        by_place = _by_place(test_record, evaluations)
        lost = set(evaluations) - {
            (test_record.phases[place].name, name) for place, held in by_place.items() for name in held
        }
        for phase, name in sorted(lost):
            raise StationError(
                f"{phase} has an uncertainty for {name}, which it does not measure.",
                "Tell the engineer; the unit is not judged.",
            )
        return [
            self._entry(test_record, place, by_place.get(place, {}))
            for place in range(len(test_record.phases))
        ]

    def _entry(
        self, test_record: htf_record.TestRecord, place: int, evaluations: Mapping[str, Mapping[str, Any]]
    ) -> PhaseEntry:
        phase, known = test_record.phases[place], self._read.get(place)
        if known is None or known.outcome is not phase.outcome or known.evaluations != evaluations:
            entry = self._phase(phase, test_record.start_time_millis, evaluations)
            known = self._read[place] = _Read(phase.outcome, dict(evaluations), entry)
        return known.entry

    def _phase(
        self, phase: htf_record.PhaseRecord, start_ms: int, evaluations: Mapping[str, Mapping[str, Any]]
    ) -> PhaseEntry:
        measured = list((phase.measurements or {}).values())
        entries = [_measurement(item, evaluations.get(item.name)) for item in measured]
        outcome = phase.outcome.value if phase.outcome is not None else ERROR
        if outcome == PASS:
            outcome = _lowered(measured, entries)
        begin_ms = max(phase.start_time_millis, start_ms)
        end_ms = max(phase.end_time_millis or begin_ms, begin_ms)
        return {
            "case": self._cases.get(phase.name),
            "name": phase.name,
            "outcome": outcome,
            "start_s": round((begin_ms - start_ms) / 1000 * self._clock_factor, 3),
            "seconds": round((end_ms - begin_ms) / 1000 * self._clock_factor, 3),
            "measurements": entries,
            "error": _error(phase, outcome),
        }


@dataclass(frozen=True)
class _Read:
    """A phase as it was read, and what it was read from."""

    outcome: htf_record.PhaseOutcome | None
    evaluations: Mapping[str, Mapping[str, Any]]
    entry: PhaseEntry


def _by_place(
    test_record: htf_record.TestRecord, evaluations: Evaluations
) -> dict[int, dict[str, Mapping[str, Any]]]:
    """Sort evaluations by the place of the phase they belong to: the last one of its name."""
    last = {phase.name: place for place, phase in enumerate(test_record.phases)}
    found: dict[int, dict[str, Mapping[str, Any]]] = {}
    for (name, measurement), evaluation in list(evaluations.items()):  # a running phase adds to them
        place = last.get(name)
        if place is not None and measurement in (test_record.phases[place].measurements or {}):
            found.setdefault(place, {})[measurement] = evaluation
    return found


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
    outcome = _outcome(measured.outcome)
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
    if evaluation is not None and outcome != UNSET and _is_number(value):
        entry["uncertainty"] = cast(UncertaintyEntry, copy.deepcopy(dict(evaluation)))
        if evaluation.get("verdict") in VERDICTS:
            entry["outcome"] = worst(outcome, evaluation["verdict"])
    return entry


def _is_number(value: Value) -> bool:
    return isinstance(value, _NUMBER) and not isinstance(value, bool)


def _outcome(outcome: htf_measurements.Outcome) -> str:
    """Return our word; one by one, because the text of an enumeration's member is slow to come by."""
    if outcome is htf_measurements.Outcome.PASS:
        return PASS
    return FAIL if outcome is htf_measurements.Outcome.FAIL else UNSET


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
    if type(value) is int and -MAX_INTEGER <= value <= MAX_INTEGER:
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
        kind = _kind(validator.__class__)
        if kind is htf_validators.RangeValidatorBase:
            minimum = validator.minimum
            if isinstance(minimum, bool):  # `equals(True)` is a range for OpenHTF
                expected = minimum
                continue
            low = _bound(minimum) if low is None else low
            high = _bound(validator.maximum) if high is None else high
        elif kind is htf_validators.RegexMatcher and expected is None:
            expected = _expected_text(validator.regex)
        elif kind is htf_validators.Equals and expected is None:
            expected = _plain(validator.expected)[0]
    return low, high, expected


@functools.cache
def _kind(validator: type) -> type | None:
    """Return which of the kinds that we read a class of validators is, None for another one."""
    return next((kind for kind in _KINDS if issubclass(validator, kind)), None)


def _bound(bound: object) -> float | int | None:
    if bound is None:
        return None
    value, finite = _plain(bound)
    return value if finite and isinstance(value, _NUMBER) else None


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
        "measurements": {
            measured.name: f"{measured.outcome.value}: {'; '.join(map(clean_text, measured.validators))}"
            for measured in (phase.measurements or {}).values()
        },
    }
