"""The summary over all runs."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import calibrated_record
import pytest
from rich.console import Console

from mfg.records.index import RecordIndex
from mfg.records.record import Record
from mfg.reporting.summary import render_summary, summarize, summary_table, write_summary

Make = Callable[..., Record]


@pytest.fixture
def index(tmp_path: Path) -> Any:
    with RecordIndex(tmp_path / "records") as opened:
        yield opened


def add(index: RecordIndex, make_record: Make, minute: int, unit: int, outcome: str, **changes: Any) -> None:
    facts = {
        "run_id": f"20261120T12{minute:02d}54.123Z-3f9a1c",
        "started_utc": f"2026-11-20T12:{minute:02d}:54.123Z",
        "serial_number": f"SN{unit:08d}" if unit else "",
        "mac": "",
        "emulated": False,
        "outcome": outcome,
    }
    record = copy.deepcopy(make_record(**facts | changes))
    if outcome == "FAIL":
        phase = next(phase for phase in record["phases"] if phase["name"] == "verify_gains")
        phase["outcome"] = "FAIL"
        phase["measurements"][0].update(value=0.9, outcome="FAIL")
    index.add(record, index.root / (record["serial_number"] or "unidentified") / record["run_id"])


def test_a_job_on_a_running_unit_is_no_test_of_it(index: RecordIndex, make_record: Make):
    add(index, make_record, 1, 1, "FAIL")
    add(index, make_record, 2, 1, "PASS", mode="power-cycle")
    add(index, make_record, 3, 2, "PASS", mode="restore")
    found = summarize(index)
    assert (found.runs, found.units, found.first_pass, found.passed_units) == (3, 1, 0, 0)
    assert found.median_s is None


def as_text(index: RecordIndex, include_emulated: bool = False) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(summary_table(summarize(index, include_emulated)))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_first_pass_yield_counts_units_whose_first_run_passed(index: RecordIndex, make_record: Make):
    add(index, make_record, 1, 1, "PASS")
    add(index, make_record, 2, 2, "FAIL")
    add(index, make_record, 3, 2, "PASS", retest=True)
    add(index, make_record, 4, 3, "PASS")
    add(index, make_record, 5, 3, "FAIL", retest=True)
    add(index, make_record, 6, 4, "NOT CALIBRATED")
    summary = summarize(index)
    assert (summary.runs, summary.units, summary.first_pass, summary.passed_units) == (6, 4, 2, 2)
    assert summary.first_pass_yield_pct == 50.0
    assert summary.outcomes == {"PASS": 3, "FAIL": 2, "NOT CALIBRATED": 1}


def test_emulated_runs_are_left_out_unless_asked_for(index: RecordIndex, make_record: Make):
    add(index, make_record, 1, 1, "PASS", emulated=True)
    assert summarize(index).runs == 0
    assert summarize(index, include_emulated=True).emulated_runs == 1
    assert "left out" in as_text(index)
    assert "EMULATED" in render_summary(summarize(index, include_emulated=True))
    assert "EMULATED" not in render_summary(summarize(index))


def test_a_run_without_a_unit_is_a_run_and_not_a_unit(index: RecordIndex, make_record: Make):
    add(index, make_record, 1, 0, "ABORTED")
    summary = summarize(index)
    assert (summary.runs, summary.units, summary.first_pass_yield_pct) == (1, 0, None)


def test_failures_and_time_are_counted_by_phase_in_the_order_of_the_plan(
    index: RecordIndex, make_record: Make
):
    add(index, make_record, 1, 1, "FAIL")
    add(index, make_record, 2, 2, "PASS")
    summary = summarize(index)
    assert [phase.name for phase in summary.phases] == [phase["name"] for phase in make_record()["phases"]]
    verify = next(phase for phase in summary.phases if phase.name == "verify_gains")
    assert (verify.case, verify.runs, verify.failed, verify.errors, verify.median_s) == (12000, 2, 1, 0, 6.3)
    assert [(item.name, item.failed, item.runs) for item in summary.measurements] == [
        ("port1_current_error_pct", 1, 2)
    ]


def test_what_is_indeterminate_is_counted_with_what_failed(index: RecordIndex, make_calibrated_record: Make):
    record: Any = copy.deepcopy(make_calibrated_record())
    phase = next(phase for phase in record["phases"] if phase["name"] == "verify_points")
    lines = calibrated_record.budget("current", "high")
    name = phase["measurements"][0]["name"]
    phase["measurements"][0] = calibrated_record.judged(name, 0.4, "%", -0.5, 0.5, lines)
    phase["outcome"] = "INDETERMINATE"
    add(index, make_calibrated_record, 1, 1, "INDETERMINATE", phases=record["phases"])
    summary = summarize(index)
    assert summary.outcomes == {"INDETERMINATE": 1}
    assert [(item.name, item.failed) for item in summary.measurements] == [(name, 1)]
    assert next(phase for phase in summary.phases if phase.name == "verify_points").failed == 1


def test_a_repeated_try_does_not_count_as_a_failure(index: RecordIndex, make_record: Make):
    record = make_record()
    again = copy.deepcopy(record["phases"][7])
    again["outcome"] = "SKIP"
    again["measurements"][0].update(value=False, outcome="FAIL")
    phases = [*record["phases"][:7], again, *record["phases"][7:]]
    add(index, make_record, 1, 1, "PASS", phases=phases)
    summary = summarize(index)
    assert summary.measurements == []
    assert all(phase.failed == 0 for phase in summary.phases)


def test_an_empty_store_has_a_summary(index: RecordIndex):
    summary = summarize(index)
    assert (summary.runs, summary.median_s, summary.phases) == (0, None, [])
    assert "runs" in as_text(index)
    assert "No run is in the store." in render_summary(summary)


def test_the_table_names_what_failed(index: RecordIndex, make_record: Make):
    add(index, make_record, 1, 1, "FAIL")
    text = as_text(index)
    assert "0.0 % (0 of 1)" in text
    assert "12000 verify gains" in text
    assert "port1_current_error_pct" in text


def test_the_page_escapes_names_and_needs_nothing_from_outside(
    index: RecordIndex, make_record: Make, tmp_path: Path
):
    record = make_record()
    phases = copy.deepcopy(record["phases"][:1])
    phases[0]["name"] = "<script>x</script>"
    phases[0]["measurements"][0].update(name="<img src=http://evil>", outcome="FAIL")
    add(index, make_record, 1, 1, "ERROR", phases=phases, adjustments=[])
    text = write_summary(summarize(index), tmp_path).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<img" not in text
    assert "[bold]" not in as_text(index)
