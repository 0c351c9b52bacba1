"""The verdict can be derived again from a stored record alone."""

from __future__ import annotations

import datetime
import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from plan_runner import SERIAL, SHA, measured, phase, plan_of, setting

from mfg.errors import StationError
from mfg.records.from_openhtf import PhaseReader, own_view
from mfg.records.record import Record, validate_record
from mfg.records.run_context import RunContext, build_record
from mfg.runner.execute import execute
from mfg.runner.guard import judge, judge_record, promise_facts
from mfg.runner.promise import expectation_of

NOW = datetime.datetime(2026, 11, 20, 12, 0, 0, tzinfo=datetime.UTC)


def recorded(level_v: float = 1.0, troubles: tuple[str, ...] = ()) -> Record:
    """Run a tiny plan and build its record as the session does."""
    look = phase("look", setting(level_v=level_v), [measured()])
    plan = plan_of([phase("identify", lambda test: setattr(test, "dut_id", SERIAL)), look])
    execution = execute(plan, threading.Event(), lambda _record, _running: None)
    assert execution.test_record is not None
    context = RunContext(
        run_id="20261120T120354.123Z-3f9a1c",
        mode="full",
        backend="",
        emulated=False,
        station={"id": "s", "file_sha256": SHA, "software": "0", "git": ""},
        limits={"file": "tiny.toml", "revision": "1", "sha256": SHA},
        started_utc=NOW,
        ended_utc=NOW,
        bench_seconds=0.0,
        wall_seconds=0.0,
        serial_number=SERIAL,
    )
    phases = PhaseReader(1.0, plan.cases).phases(execution.test_record, {})
    expected = expectation_of(plan)
    verdict = judge(phases, expected, "PASS", SERIAL, False, troubles)
    final = replace(
        context,
        outcome=verdict.outcome,
        outcome_reasons=verdict.reasons,
        next_action=verdict.next_action,
        promise=promise_facts(expected, "PASS", False, troubles),
    )
    record = build_record(phases, final, own_view(execution.test_record))
    return validate_record(json.loads(json.dumps(record)))


@pytest.mark.parametrize(
    ("level_v", "troubles", "outcome"),
    [(1.0, (), "PASS"), (9.0, (), "FAIL"), (1.0, ("The clock was set.",), "ERROR")],
)
def test_it_is_the_one_that_was_given(level_v, troubles, outcome):
    record = recorded(level_v, troubles)
    verdict = judge_record(record)
    assert verdict.outcome == record["outcome"] == outcome
    assert list(verdict.reasons) == record["outcome_reasons"]


def test_a_pass_that_somebody_wrote_over_a_failure_is_found():
    record = recorded(9.0)
    record["outcome"] = "PASS"
    assert judge_record(record).outcome == "FAIL"


def dropped_phase(record: Any) -> None:
    record["phases"] = record["phases"][:1]


def dropped_value(record: Any) -> None:
    record["phases"][1]["measurements"] = []


def not_identified(record: Any) -> None:
    record["serial_number"] = ""


@pytest.mark.parametrize("damage", [dropped_phase, dropped_value, not_identified])
def test_a_pass_whose_evidence_is_missing_is_none(damage):
    record = recorded()
    damage(record)
    assert judge_record(record).outcome == "ERROR"


def test_a_record_without_a_promise_cannot_be_judged_again():
    record = recorded()
    del record["promise"]
    with pytest.raises(StationError, match="does not say what its plan promised"):
        judge_record(record)


def test_an_interrupted_run_has_no_other_verdict():
    record = recorded()
    record["interruption"] = {"cause": "killed", "last_event": "look", "acts": [], "journal": []}
    assert judge_record(record).outcome == "INTERRUPTED"
