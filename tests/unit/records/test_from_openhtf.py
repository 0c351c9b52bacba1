"""Our record from OpenHTF's: run by a real `htf.Test`."""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import calibrated_record
import pytest

_argv, sys.argv = sys.argv, sys.argv[:1]  # importing OpenHTF parses the command line
import openhtf as htf  # noqa: E402
from openhtf.core import test_record as htf_record  # noqa: E402

from mfg.errors import DutError, FixtureError, StationError  # noqa: E402
from mfg.records.from_openhtf import Evaluations, PhaseReader, own_view  # noqa: E402
from mfg.records.record import MeasurementEntry, PhaseEntry, Record, record_to_json  # noqa: E402
from mfg.records.run_context import RunContext, build_record, clean_text  # noqa: E402

sys.argv = _argv

STARTED = datetime.datetime(2026, 11, 20, 12, 3, 54, 123456, tzinfo=datetime.UTC)
CONTEXT = RunContext(
    run_id="20261120T120354.123Z-3f9a1c",
    mode="full",
    backend="unix",
    emulated=True,
    station={"id": "s", "file_sha256": "", "software": "1", "git": ""},
    limits={"file": "ct6.toml", "revision": "1", "sha256": ""},
    started_utc=STARTED,
    ended_utc=STARTED + datetime.timedelta(seconds=4),
    bench_seconds=40.0,
    wall_seconds=4.0,
    serial_number="SN00001823",
)


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide pytest's arguments from OpenHTF, which parses them for each test."""
    monkeypatch.setattr(sys, "argv", sys.argv[:1])


def run(*phases: Any) -> htf_record.TestRecord:
    """Run phases as a test and return OpenHTF's record."""
    records: list[htf_record.TestRecord] = []
    test = htf.Test(*phases)
    test.configure(failure_exceptions=[DutError])
    test.add_output_callbacks(records.append)
    test.execute(test_start=lambda: "SN00001823")
    return records[0]


def reader() -> PhaseReader:
    return PhaseReader(10.0, {"good": 1000})


def record_from_openhtf(
    test_record: htf_record.TestRecord, context: RunContext = CONTEXT, evaluations: Evaluations | None = None
) -> Record:
    """Build a record as a run does."""
    return build_record(reader().phases(test_record, evaluations or {}), context, own_view(test_record))


def phase_of(record: Any, name: str) -> PhaseEntry:
    return next(phase for phase in record["phases"] if phase["name"] == name)


def measure(
    make: Callable[[htf.Measurement], htf.Measurement], value: Any
) -> tuple[PhaseEntry, MeasurementEntry]:
    """Set one measurement to a value and return the phase and the measurement as recorded."""

    @htf.measures(make(htf.Measurement("x")))
    def good(test: htf.TestApi) -> None:
        if value is not NotImplemented:
            test.measurements.x = value

    record = record_from_openhtf(run(good))
    record_to_json(record)
    phase = phase_of(record, "good")
    return phase, phase["measurements"][0]


def test_records_value_limits_unit_and_source():
    phase, measured = measure(
        lambda m: m.doc("document 4.2").in_range(1.0, 2.5).with_units(htf.units.VOLT), 2.0
    )
    assert (phase["outcome"], phase["case"], phase["error"]) == ("PASS", 1000, None)
    assert measured == {
        "name": "x",
        "value": 2.0,
        "unit": "V",
        "low": 1.0,
        "high": 2.5,
        "expected": None,
        "outcome": "PASS",
        "limit_source": "document 4.2",
    }


@pytest.mark.parametrize(
    ("make", "value", "expected", "outcome"),
    [
        (lambda m: m.equals(True), True, True, "PASS"),
        (lambda m: m.equals(True), False, True, "FAIL"),
        (lambda m: m.equals("as expected."), "as expected.", "as expected.", "PASS"),
        (lambda m: m.matches_regex("^(?:SN\\d{8})$"), "SN00000001", "/SN\\d{8}/", "PASS"),
        (lambda m: m.matches_regex("SN\\d{8}"), "XX", "/SN\\d{8}/", "FAIL"),
        (lambda m: m.with_validator(htf.util.validators.Equals([1])), [1], "[1]", "PASS"),
    ],
)
def test_records_what_was_expected(make: Any, value: Any, expected: Any, outcome: str):
    _, measured = measure(make, value)
    assert (measured["expected"], measured["outcome"]) == (expected, outcome)
    assert (measured["low"], measured["high"]) == (None, None)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_is_not_finite_has_failed_whatever_openhtf_says(value: float):
    phase, measured = measure(lambda m: m, value)
    assert (measured["value"], measured["outcome"], phase["outcome"]) == (str(value), "FAIL", "FAIL")


def test_an_endless_number_has_failed():
    phase, measured = measure(lambda m: m, 10**40)
    assert (measured["outcome"], phase["outcome"]) == ("FAIL", "FAIL")


def test_a_measurement_set_to_none_is_unset_and_its_phase_has_failed():
    phase, measured = measure(lambda m: m, None)
    assert (measured["value"], measured["outcome"], phase["outcome"]) == (None, "UNSET", "FAIL")


def test_a_measurement_that_was_not_set_is_unset():
    phase, measured = measure(lambda m: m.in_range(0, 1), NotImplemented)
    assert (measured["outcome"], phase["outcome"]) == ("UNSET", "FAIL")


def test_percent_is_written_as_a_sign():
    _, measured = measure(lambda m: m.in_range(-0.5, 0.5).with_units("pct"), 0.1)
    assert measured["unit"] == "%"


def test_a_table_of_values_is_recorded_by_its_size():
    @htf.measures(htf.Measurement("curve").with_dimensions("ms").with_units("V"))
    def good(test: htf.TestApi) -> None:
        for step in range(3):
            test.measurements.curve[step] = 1.5 * step

    record = record_from_openhtf(run(good))
    assert phase_of(record, "good")["measurements"][0]["value"] == "3 points"


def test_an_error_is_recorded_with_its_sentence_and_its_action():
    def good(test: htf.TestApi) -> None:
        raise FixtureError("The drive did not come back.", "Check the cable.")

    phase = phase_of(record_from_openhtf(run(good)), "good")
    assert phase["outcome"] == "ERROR"
    assert phase["error"] == {
        "kind": "FixtureError",
        "message": "The drive did not come back.",
        "action": "Check the cable.",
    }


def test_a_rejected_unit_is_recorded_with_its_reason():
    def good(test: htf.TestApi) -> None:
        raise DutError("No answer.", "Reject the unit.")

    outcome = run(good)
    record = record_from_openhtf(outcome)
    assert phase_of(record, "good")["error"]["message"] == "No answer."
    assert record["openhtf"]["outcome"] == "FAIL"


def test_any_exception_is_recorded():
    def good(test: htf.TestApi) -> None:
        raise KeyError("\ud800" + "x" * 9000)

    record = record_from_openhtf(run(good))
    error = phase_of(record, "good")["error"]
    assert error["kind"] == "KeyError"
    assert len(error["message"]) < 5000
    record_to_json(record)


def test_a_phase_that_stops_the_run_is_recorded():
    def good(test: htf.TestApi) -> htf.PhaseResult:
        return htf.PhaseResult.STOP

    assert phase_of(record_from_openhtf(run(good)), "good")["error"]["kind"] == "Stopped"


def test_a_repeated_phase_is_recorded_once_per_try():
    tries: list[int] = []

    @htf.PhaseOptions(repeat_limit=2)
    def good(test: htf.TestApi) -> htf.PhaseResult | None:
        tries.append(1)
        return htf.PhaseResult.REPEAT if len(tries) == 1 else None

    record = record_from_openhtf(run(good))
    outcomes = [phase["outcome"] for phase in record["phases"] if phase["name"] == "good"]
    assert outcomes == ["SKIP", "PASS"]


def test_phases_are_timed_in_bench_seconds():
    def good(test: htf.TestApi) -> None:
        return

    test_record = run(good)
    phase = test_record.phases[-1]
    phase.start_time_millis = test_record.start_time_millis + 200
    phase.end_time_millis = phase.start_time_millis + 300
    recorded = phase_of(record_from_openhtf(test_record), "good")
    assert (recorded["start_s"], recorded["seconds"]) == (2.0, 3.0)


def test_a_clock_that_went_backwards_gives_no_negative_time():
    def good(test: htf.TestApi) -> None:
        return

    test_record = run(good)
    test_record.phases[-1].start_time_millis = test_record.start_time_millis - 5000
    test_record.phases[-1].end_time_millis = test_record.start_time_millis - 9000
    recorded = phase_of(record_from_openhtf(test_record), "good")
    assert (recorded["start_s"], recorded["seconds"]) == (0.0, 0.0)


def test_a_forgotten_verdict_is_an_error_and_never_a_pass():
    def good(test: htf.TestApi) -> None:
        return

    record = record_from_openhtf(run(good))
    assert record["openhtf"]["outcome"] == "PASS"
    assert record["outcome"] == "ERROR"
    assert record["started_utc"] == "2026-11-20T12:03:54.123Z"


def test_a_verdict_that_does_not_exist_is_refused():
    def good(test: htf.TestApi) -> None:
        return

    with pytest.raises(StationError, match="outcome"):
        record_from_openhtf(run(good), replace(CONTEXT, outcome="OK"))


def test_the_configuration_of_openhtf_is_not_recorded():
    def good(test: htf.TestApi) -> None:
        return

    test_record = run(good)
    assert "config" in test_record.metadata
    assert "config" not in record_from_openhtf(test_record)["openhtf"]


def test_adjustments_are_gathered_from_the_measurements():
    names = ("port1_before_pct", "port1_igain", "port1_ioffset")

    @htf.measures(*(htf.Measurement(name).in_range(-70000, 70000) for name in names))
    def adjust_gains(test: htf.TestApi) -> None:
        for name, value in zip(names, (1.3, 42157, 0), strict=True):
            test.measurements[name] = value

    @htf.measures(
        htf.Measurement("port1_current_error_pct").in_range(-0.5, 0.5),
        htf.Measurement("port1_voltage_error_pct").in_range(-0.5, 0.5),
        htf.Measurement("port2_voltage_error_pct").in_range(-0.4, 0.4),
    )
    def verify_gains(test: htf.TestApi) -> None:
        test.measurements.port1_current_error_pct = 0.012
        test.measurements.port1_voltage_error_pct = 0.01
        test.measurements.port2_voltage_error_pct = -0.02

    record = record_from_openhtf(run(adjust_gains, verify_gains), replace(CONTEXT, old_gains={"CT1": 42720}))
    voltage, current = record["adjustments"]
    assert (voltage["port"], voltage["after_pct"], voltage["low_pct"]) == ("CS4", -0.02, -0.4)
    assert current == {
        "port": "CT1",
        "quantity": "current",
        "before_pct": 1.3,
        "after_pct": 0.012,
        "low_pct": -0.5,
        "high_pct": 0.5,
        "gain_old": 42720,
        "gain_new": 42157,
        "offset": 0,
    }


def test_what_is_left_after_the_adjustment_is_the_error_at_the_high_point(make_calibrated_record: Any):
    voltage, other_voltage, *currents = make_calibrated_record()["adjustments"]
    assert (voltage["after_pct"], other_voltage["after_pct"]) == (0.011, -0.008)
    assert [entry["after_pct"] for entry in currents][:2] == [0.012, -0.008]
    assert (currents[0]["gain_new"], voltage["gain_new"], currents[0]["offset"]) == (42157, 55153, 0)


def evaluated(value: float, evaluation: Any, limit: float = 0.5) -> tuple[Any, MeasurementEntry, PhaseEntry]:
    """Measure `x` in a phase and record it with an evaluation."""

    @htf.measures(htf.Measurement("x").in_range(-limit, limit).with_units("pct"))
    def good(test: htf.TestApi) -> None:
        test.measurements.x = value

    record = record_from_openhtf(run(good), evaluations={("good", "x"): evaluation})
    record_to_json(record)
    phase = phase_of(record, "good")
    return record, phase["measurements"][0], phase


LINES = [calibrated_record.line("reference, specification", 0.2)]


@pytest.mark.parametrize(
    ("value", "outcome"), [(0.1, "PASS"), (-0.4, "INDETERMINATE"), (0.6, "FAIL"), (2.0, "FAIL")]
)
def test_the_verdict_of_an_evaluation_decides_and_never_betters_openhtf(value: float, outcome: str):
    evaluation = calibrated_record.uncertainty(value, -0.5, 0.5, LINES)
    record, entry, phase = evaluated(value, evaluation)
    assert (entry["outcome"], phase["outcome"]) == (outcome, outcome)
    assert entry["uncertainty"] == evaluation
    assert record["openhtf"]["outcome"] == ("PASS" if abs(value) <= 0.5 else "FAIL")


def test_an_evaluation_that_contradicts_its_value_is_refused():
    with pytest.raises(StationError, match="verdict"):
        evaluated(0.45, calibrated_record.uncertainty(0.45, -0.5, 0.5, LINES, verdict="PASS"))
    with pytest.raises(StationError, match="accept_low"):
        evaluated(0.1, calibrated_record.uncertainty(0.1, -0.5, 0.5, LINES), limit=0.6)


def test_an_evaluation_of_what_was_never_measured_is_refused():
    def good(test: htf.TestApi) -> None:
        return

    for key in (("good", "x"), ("gone", "x")):
        with pytest.raises(StationError, match="does not measure"):
            record_from_openhtf(run(good), evaluations={key: {}})


@pytest.mark.parametrize("value", [math.nan, None])
def test_what_is_no_number_keeps_no_uncertainty(value: Any):
    _, entry, phase = evaluated(value, calibrated_record.uncertainty(0.1, -0.5, 0.5, LINES))
    assert "uncertainty" not in entry
    assert phase["outcome"] == "FAIL"


def test_an_evaluation_belongs_to_the_last_try_of_a_phase():
    tries: list[float] = [0.3, 0.1]

    @htf.PhaseOptions(repeat_limit=2)
    @htf.measures(htf.Measurement("x").in_range(-0.5, 0.5))
    def good(test: htf.TestApi) -> htf.PhaseResult | None:
        test.measurements.x = value = tries.pop(0)
        return htf.PhaseResult.REPEAT if value == 0.3 else None

    evaluations = {("good", "x"): calibrated_record.uncertainty(0.1, -0.5, 0.5, LINES)}
    record = record_from_openhtf(run(good), evaluations=evaluations)
    held = [
        "uncertainty" in phase["measurements"][0] for phase in record["phases"] if phase["name"] == "good"
    ]
    assert held == [False, True]


def test_each_phase_is_told_once_when_it_has_ended():
    def good(test: htf.TestApi) -> None:
        return

    def other(test: htf.TestApi) -> None:
        return

    test_record, reads = run(good, other), reader()
    whole = list(test_record.phases)
    del test_record.phases[-1]
    first = list(reads.ended(test_record, {}))
    assert first[-1]["name"] == "good"
    assert list(reads.ended(test_record, {})) == []
    test_record.phases[:] = whole
    assert [entry["name"] for entry in list(reads.ended(test_record, {}))] == ["other"]
    assert reads.phases(test_record, {})[: len(first)] == first


def test_the_record_holds_what_was_told_when_the_phase_ended():
    @htf.measures(htf.Measurement("x").in_range(-0.5, 0.5))
    def good(test: htf.TestApi) -> None:
        test.measurements.x = 0.1

    test_record, reads = run(good), reader()
    told = list(reads.ended(test_record, {}))
    late = test_record.phases[-1].measurements["x"].measured_value
    late.stored_value = 0.2  # as a thread that outlived its phase might
    assert reader().phases(test_record, {})[-1]["measurements"][0]["value"] == 0.2
    assert reads.phases(test_record, {}) == told


def test_a_phase_that_ended_otherwise_or_was_evaluated_since_is_read_again():
    @htf.measures(htf.Measurement("x").in_range(-0.5, 0.5))
    def good(test: htf.TestApi) -> None:
        test.measurements.x = 0.1

    test_record, reads = run(good), reader()
    assert "uncertainty" not in list(reads.ended(test_record, {}))[-1]["measurements"][0]
    evaluations = {("good", "x"): calibrated_record.uncertainty(0.1, -0.5, 0.5, LINES)}
    assert "uncertainty" in reads.phases(test_record, evaluations)[-1]["measurements"][0]
    test_record.phases[-1].outcome = htf_record.PhaseOutcome.ERROR
    assert [entry["outcome"] for entry in list(reads.ended(test_record, evaluations))] == ["ERROR"]


def test_the_facts_of_a_calibration_are_recorded_and_checked():
    def good(test: htf.TestApi) -> None:
        return

    facts = calibrated_record.calibration_facts()
    record = record_from_openhtf(run(good), replace(CONTEXT, calibration=facts))
    assert record["calibration"] == facts
    assert "calibration" not in record_from_openhtf(run(good))
    with pytest.raises(StationError, match="waivers"):
        record_from_openhtf(run(good), replace(CONTEXT, calibration=facts | {"waivers": "none"}))


def test_text_is_made_storable():
    assert clean_text("a\0b\ud800") == "a\\0b\\ud800"
    assert len(clean_text("x" * 10**6)) < 5000
