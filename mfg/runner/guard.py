"""The verdict: derived from what is in the record, never taken over from OpenHTF.

PASS needs every planned phase run and passed, every declared measurement set, finite and inside its
limit, no phase in error, the bench measured to be off, a unit that was identified, and OpenHTF's own
agreement. Anything else is one of the other outcomes, in its own words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mfg.errors import StationError
from mfg.records.outcomes import EXIT_CODES
from mfg.records.record import (
    ABORTED,
    ERROR,
    FAIL,
    INDETERMINATE,
    INTERRUPTED,
    NOT_CALIBRATED,
    PARTLY_CALIBRATED,
    PASS,
    SKIP,
    UNSET,
    MeasurementEntry,
    PhaseEntry,
    PromiseFacts,
    Record,
    limit_text,
    value_text,
)

_UNDECIDED_ACTION = (
    "Reject the unit: it is not proved to be good. A reference with less uncertainty could decide."
)
_DUT_ERRORS = {"DutError", "AdjustmentError"}
OFF_AT_THE_MAINS = "Do not touch the bench: switch it off at the mains, then call the engineer."


@dataclass(frozen=True)
class Verdict:
    """The outcome with its reasons, the most important first, and what to do next."""

    outcome: str
    reasons: tuple[str, ...]
    next_action: str

    @property
    def exit_code(self) -> int:
        """The process's exit code for this outcome."""
        return EXIT_CODES[self.outcome]


@dataclass(frozen=True)
class Expectation:
    """What the record must hold for a PASS.

    Attributes:
        measurements: Names of the declared measurements by phase; every planned phase is a key.
        teardowns: The phases that measure that the bench is off, each with the phases it follows: once
            one of those has begun, its teardown must be there.
        calibration: "all", "partly", "none", or "untouched" when it is no matter of the run.
        evaluated: Names of the measurements that need an uncertainty, by phase.
    """

    measurements: Mapping[str, Sequence[str]]
    teardowns: Mapping[str, Sequence[str]]
    calibration: str
    evaluated: Mapping[str, Sequence[str]] = field(default_factory=dict)


def judge(
    phases: Sequence[PhaseEntry],
    expected: Expectation,
    framework_outcome: str,
    serial_number: str,
    aborted: bool,
    troubles: Sequence[str] = (),
) -> Verdict:
    """Derive the verdict of a run from its phases.

    Args:
        phases: The phases of the record, in order of execution.
        expected: What the plan promised.
        framework_outcome: OpenHTF's outcome, "" when it made none.
        serial_number: The unit's, "" when it was not identified.
        aborted: Whether somebody asked for an abort.
        troubles: Why the run cannot be trusted, for reasons that no phase holds.
    """
    unsafe = _unsafe(phases, expected)
    errors = [*unsafe, *_errors(phases, expected), *troubles]
    failures = _failures(phases, expected)
    if aborted or framework_outcome == "ABORTED":
        reasons = ("The run was aborted before its end.", *errors, *failures)
        return Verdict(ABORTED, reasons, OFF_AT_THE_MAINS if unsafe else "Start the unit again.")
    if errors:
        return Verdict(ERROR, tuple(errors + failures), _error_action(phases, bool(unsafe)))
    if failures:
        return Verdict(FAIL, tuple(failures), _failure_action(phases))
    missing = [*_missing(phases, expected, serial_number), *_unevaluated(phases, expected)]
    if missing or framework_outcome != PASS:
        reasons = (*missing, f"The test framework's own outcome is {framework_outcome or 'none'}.")
        return Verdict(ERROR, reasons, "Call the engineer: the run is incomplete. The unit is not judged.")
    undecided = _undecided(phases)
    if undecided:
        return Verdict(INDETERMINATE, tuple(undecided), _UNDECIDED_ACTION)
    return _passed(expected.calibration)


def judge_record(record: Record) -> Verdict:
    """Derive the verdict again from a stored record.

    Raises:
        StationError: The record holds no promise, so that its verdict rests on its word alone.
    """
    if "interruption" in record:
        return Verdict(INTERRUPTED, tuple(record["outcome_reasons"]), record["next_action"])
    promise = record.get("promise")
    if promise is None:
        raise StationError(
            f"The record of run {record['run_id']} does not say what its plan promised.",
            "Its verdict cannot be derived again: look at it by hand.",
        )
    expected = Expectation(
        promise["measurements"], promise["teardowns"], promise["calibration"], promise["evaluated"]
    )
    return judge(
        record["phases"],
        expected,
        promise["framework_outcome"],
        record["serial_number"],
        promise["aborted"],
        promise["troubles"],
    )


def promise_facts(
    expected: Expectation, framework_outcome: str, aborted: bool, troubles: Sequence[str]
) -> PromiseFacts:
    """Return what a record must hold so that its verdict can be derived again; arguments as for `judge`."""
    return {
        "measurements": {phase: list(names) for phase, names in expected.measurements.items()},
        "teardowns": {phase: list(names) for phase, names in expected.teardowns.items()},
        "evaluated": {phase: list(names) for phase, names in expected.evaluated.items()},
        "calibration": expected.calibration,
        "framework_outcome": framework_outcome,
        "aborted": aborted,
        "troubles": list(troubles),
    }


def _undecided(phases: Sequence[PhaseEntry]) -> list[str]:
    return [
        f"{_title(phase)}: {_measured(entry)}: {_why_undecided(entry)}"
        for phase in phases
        for entry in phase["measurements"]
        if entry["outcome"] == INDETERMINATE
    ]


def _why_undecided(entry: MeasurementEntry) -> str:
    held = entry.get("uncertainty")
    if held is not None and held["tur"] is not None and held["tur"] < (held["required_tur"] or 0.0):
        return f"test uncertainty ratio {held['tur']:.2f}, required {held['required_tur']:g}"
    return "inside its limit, but not by its uncertainty"


def _unevaluated(phases: Sequence[PhaseEntry], expected: Expectation) -> list[str]:
    """Find values that a rule judges by their uncertainty, and that have none."""
    done = {phase["name"]: phase for phase in phases}
    return [
        f"{name}: {entry['name']} has no uncertainty."
        for name, wanted in expected.evaluated.items()
        if name in done
        for entry in done[name]["measurements"]
        if entry["name"] in wanted and "uncertainty" not in entry
    ]


def _passed(calibration: str) -> Verdict:
    if calibration == "all":
        return Verdict(PASS, (), "Take the unit out and put its label on the tray.")
    if calibration == "untouched":
        return Verdict(PASS, (), "The job is done.")
    if calibration == "partly":
        return Verdict(
            PARTLY_CALIBRATED, ("Not every port was calibrated.",), "Calibrate the unit before it is shipped."
        )
    return Verdict(
        NOT_CALIBRATED, ("The unit was not calibrated.",), "Calibrate the unit before it is shipped."
    )


def _unsafe(phases: Sequence[PhaseEntry], expected: Expectation) -> list[str]:
    """Find teardowns that failed, or did not run although something before them did."""
    ran = {phase["name"] for phase in phases}
    reasons = [
        f"The bench was not proved to be off: {teardown} did not run."
        for teardown, before in expected.teardowns.items()
        if teardown not in ran and ran.intersection(before)
    ]
    for phase in phases:
        if phase["name"] in expected.teardowns and phase["outcome"] != PASS:
            words = "; ".join(_measured(entry) for entry in phase["measurements"] if entry["outcome"] != PASS)
            detail = phase["error"]["message"] if phase["error"] else words
            reasons.append(f"The bench was not proved to be off ({phase['name']}): {detail}")
    return reasons


def _errors(phases: Sequence[PhaseEntry], expected: Expectation) -> list[str]:
    last = {phase["name"]: phase for phase in phases}
    reasons = [f"{_title(phase)}: was skipped." for phase in last.values() if phase["outcome"] == SKIP]
    for phase in phases:
        if phase["name"] in expected.teardowns:
            continue
        reasons += [
            f"{_title(phase)}: {entry['name']} is no number: {entry['value']}."
            for entry in phase["measurements"]
            if _no_number(entry)
        ]
        error = phase["error"]
        if error is None or error["kind"] in _DUT_ERRORS:
            continue
        if error["kind"] == "Stopped" and any(entry["outcome"] == FAIL for entry in phase["measurements"]):
            continue  # a failed measurement that ends the run is the unit's failure
        reasons.append(f"{_title(phase)}: {error['message']}")
    return reasons


def _no_number(entry: MeasurementEntry) -> bool:
    """Tell a value that is not finite where a range is to be met: it judges nobody."""
    in_range = entry["low"] is not None or entry["high"] is not None
    return in_range and entry["outcome"] == FAIL and isinstance(entry["value"], str)


def _failures(phases: Sequence[PhaseEntry], expected: Expectation) -> list[str]:
    reasons = []
    for phase in phases:
        if phase["name"] in expected.teardowns:
            continue
        error = phase["error"]
        if error is not None and error["kind"] in _DUT_ERRORS:
            reasons.append(f"{_title(phase)}: {error['message']}")
        reasons += [
            f"{_title(phase)}: {_measured(entry)}"
            for entry in phase["measurements"]
            if entry["outcome"] == FAIL and not _no_number(entry)
        ]
    return reasons


def _missing(phases: Sequence[PhaseEntry], expected: Expectation, serial_number: str) -> list[str]:
    reasons = [] if serial_number else ["The unit was never identified."]
    if not expected.measurements:
        reasons.append("The plan has no phases.")
    done = {phase["name"]: phase for phase in phases}
    for name, measurements in expected.measurements.items():
        if name not in done:
            reasons.append(f"The planned phase {name} did not run.")
            continue
        if done[name]["outcome"] not in (PASS, INDETERMINATE):
            reasons.append(f"The phase {name} ended as {done[name]['outcome']}.")
        entries = {entry["name"]: entry for entry in done[name]["measurements"]}
        reasons += [
            f"{name}: {measurement} was not measured."
            for measurement in measurements
            if measurement not in entries or entries[measurement]["outcome"] == UNSET
        ]
    return reasons


def _title(phase: PhaseEntry) -> str:
    return f"{phase['case']} {phase['name']}" if phase["case"] is not None else phase["name"]


def _measured(entry: MeasurementEntry) -> str:
    return f"{entry['name']} is {value_text(entry)}, allowed {limit_text(entry)}"


def _error_action(phases: Sequence[PhaseEntry], unsafe: bool) -> str:
    if unsafe:
        return OFF_AT_THE_MAINS
    for phase in phases:
        error = phase["error"]
        if error is not None and error["kind"] not in _DUT_ERRORS and error.get("action"):
            return error["action"]
    return "Call the engineer. The unit is not judged: test it again afterwards."


def _failure_action(phases: Sequence[PhaseEntry]) -> str:
    for phase in phases:
        error = phase["error"]
        if error is not None and error["kind"] in _DUT_ERRORS and error.get("action"):
            told = error["action"].startswith("Reject the unit")
            return error["action"] if told else f"Reject the unit. {error['action']}"
    return "Reject the unit: put it on the repair tray with its report."
