"""What a line did: units, first-pass yield, failures and time by phase, from the index of records.

First-pass yield is the share of units whose first run passed. A run whose unit was not identified counts as
a run and not as a unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mfg.records.index import RecordIndex
from mfg.records.record import ERROR, FAIL, INDETERMINATE, OUTCOMES, PASS
from mfg.records.run_folder import write_atomic
from mfg.reporting import charts
from mfg.reporting.render import render_page

SUMMARY_FILE = "summary.html"
TESTS = ("full", "no-cal")  # the modes that take a unit through its test, by their first word
_TOP_MEASUREMENTS = 15


@dataclass(frozen=True)
class PhaseSummary:
    """One phase over all runs, repeated tries left out; what is indeterminate counts as failed."""

    case: int | None
    name: str
    runs: int
    failed: int
    errors: int
    median_s: float
    p95_s: float

    @property
    def title(self) -> str:
        """The phase as a person reads it."""
        return charts.phase_title(self.case, self.name)


@dataclass(frozen=True)
class MeasurementSummary:
    """One measurement that failed at least once."""

    phase: str
    name: str
    failed: int
    runs: int


@dataclass(frozen=True)
class Summary:
    """What the index says about a set of runs.

    Attributes:
        runs: All runs.
        units: Units with at least one run of the full test; the next two and the median are of those too.
        first_pass: Units whose first run passed.
        passed_units: Units whose latest run passed.
        outcomes: Number of runs by outcome, outcomes that did not occur left out.
        phases: In the order of the plan.
        measurements: Those that failed, most often first.
        median_s: Median length of a run that passed, in bench seconds, None when none did.
        first_utc, last_utc: Start of the first and of the last run, empty without runs.
        include_emulated: Whether runs on an emulated bench are in it.
        emulated_runs: How many of `runs` are emulated.
    """

    runs: int
    units: int
    first_pass: int
    passed_units: int
    outcomes: dict[str, int]
    phases: list[PhaseSummary]
    measurements: list[MeasurementSummary]
    median_s: float | None
    first_utc: str
    last_utc: str
    include_emulated: bool
    emulated_runs: int

    @property
    def first_pass_yield_pct(self) -> float | None:
        """First-pass yield in %, None without units."""
        return 100 * self.first_pass / self.units if self.units else None


def summarize(index: RecordIndex, include_emulated: bool = False) -> Summary:
    """Summarize the runs of an index.

    Args:
        index: An open index.
        include_emulated: Whether runs on an emulated bench count.
    """
    where = "" if include_emulated else " WHERE runs.emulated = 0"
    runs = _frame(index, f"SELECT * FROM runs{where} ORDER BY started_utc, run_id")
    joined = f"JOIN runs USING (run_id){where}"
    phases = _frame(
        index,
        f"SELECT phases.*, runs.started_utc FROM phases {joined} ORDER BY started_utc, run_id, position",
    )
    measured = _frame(
        index,
        "SELECT measurements.run_id, measurements.position, measurements.phase, measurements.name, "
        f"measurements.outcome FROM measurements {joined}",
    )
    # A job on a unit that runs already says nothing about how it came out of production.
    tests = runs[runs["mode"].isin([mode for mode in runs["mode"] if mode.split(" ")[0] in TESTS])]
    units = tests[tests["serial_number"] != ""].groupby("serial_number")["outcome"]
    counts = runs["outcome"].value_counts()
    passed = tests.loc[tests["outcome"] == PASS, "bench_seconds"]
    return Summary(
        runs=len(runs),
        units=len(units),
        first_pass=int((units.first() == PASS).sum()),
        passed_units=int((units.last() == PASS).sum()),
        outcomes={outcome: int(counts[outcome]) for outcome in OUTCOMES if outcome in counts},
        phases=_phases(phases),
        measurements=_measurements(measured, phases),
        median_s=float(passed.median()) if len(passed) else None,
        first_utc=str(runs["started_utc"].iloc[0]) if len(runs) else "",
        last_utc=str(runs["started_utc"].iloc[-1]) if len(runs) else "",
        include_emulated=include_emulated,
        emulated_runs=int(runs["emulated"].sum()) if len(runs) else 0,
    )


def _frame(index: RecordIndex, query: str) -> pd.DataFrame:
    columns, rows = index.select(query)
    return pd.DataFrame(rows, columns=columns)


def _phases(phases: pd.DataFrame) -> list[PhaseSummary]:
    """Summarize by phase; the order is that of the middle position, which is the plan's."""
    last_tries = phases[phases["outcome"] != "SKIP"]
    found: list[tuple[float, PhaseSummary]] = []
    for name, group in last_tries.groupby("name"):
        numbers = group["number"].dropna()
        summary = PhaseSummary(
            case=int(numbers.iloc[0]) if len(numbers) else None,
            name=str(name),
            runs=int(group["run_id"].nunique()),
            failed=int(group["outcome"].isin((FAIL, INDETERMINATE)).sum()),
            errors=int((group["outcome"] == ERROR).sum()),
            median_s=float(group["seconds"].median()),
            p95_s=float(group["seconds"].quantile(0.95)),
        )
        found.append((float(group["position"].median()), summary))
    return [summary for _, summary in sorted(found, key=lambda item: (item[0], item[1].name))]


def _measurements(measured: pd.DataFrame, phases: pd.DataFrame) -> list[MeasurementSummary]:
    judged = measured.merge(
        phases[["run_id", "position", "outcome"]], on=["run_id", "position"], suffixes=("", "_phase")
    )
    judged = judged[judged["outcome_phase"] != "SKIP"]
    found = [
        MeasurementSummary(
            str(phase), str(name), int((group["outcome"] != PASS).sum()), int(group["run_id"].nunique())
        )
        for (phase, name), group in judged.groupby(["phase", "name"])
    ]
    failed = [item for item in found if item.failed]
    return sorted(failed, key=lambda item: (-item.failed, item.phase, item.name))[:_TOP_MEASUREMENTS]


def summary_table(summary: Summary) -> Group:
    """Lay a summary out for the terminal.

    Returns:
        A rich renderable.
    """
    head = Table(box=None, show_header=False, pad_edge=False)
    head.add_column(style="dim")
    head.add_column(justify="right")
    for name, value in _headline(summary):
        head.add_row(name, value)
    table = Table(box=box.SIMPLE_HEAD, title="By phase", title_justify="left")
    table.add_column("phase")
    for column in ("runs", "failed", "errors", "median s", "95 % s"):
        table.add_column(column, justify="right")
    for phase in summary.phases:
        style = "bold red" if phase.failed or phase.errors else ""
        numbers = (phase.runs, phase.failed, phase.errors, f"{phase.median_s:.1f}", f"{phase.p95_s:.1f}")
        table.add_row(Text(phase.title, style), *(Text(str(number), style) for number in numbers))
    parts: list[Table] = [head, table]
    if summary.measurements:
        failed = Table(box=box.SIMPLE_HEAD, title="Failed measurements", title_justify="left")
        failed.add_column("measurement")
        failed.add_column("phase")
        failed.add_column("failed", justify="right")
        for item in summary.measurements:
            failed.add_row(
                Text(item.name), Text(item.phase.replace("_", " ")), f"{item.failed} of {item.runs}"
            )
        parts.append(failed)
    return Group(*parts)


def _headline(summary: Summary) -> list[tuple[str, str]]:
    share = summary.first_pass_yield_pct
    lines = [
        ("runs", str(summary.runs)),
        ("units", str(summary.units)),
        (
            "first-pass yield",
            "-" if share is None else f"{share:.1f} % ({summary.first_pass} of {summary.units})",
        ),
        ("units passed by now", str(summary.passed_units)),
        ("median run that passed", "-" if summary.median_s is None else f"{summary.median_s:.1f} s"),
    ]
    lines += [(f"runs {outcome}", str(number)) for outcome, number in summary.outcomes.items()]
    if summary.include_emulated:
        lines.append(("emulated runs among them", str(summary.emulated_runs)))
    else:
        lines.append(("emulated runs", "left out"))
    return lines


def render_summary(summary: Summary) -> str:
    """Write a summary as one self-contained HTML page.

    Raises:
        StationError: A template is missing.
    """
    bars = [(phase.title, phase.median_s, f"{phase.median_s:.1f} s") for phase in summary.phases]
    failed = [
        (item.name, float(item.failed), f"{item.failed} of {item.runs} runs") for item in summary.measurements
    ]
    return render_page(
        "summary.html.j2",
        summary=summary,
        time_chart=charts.bar_chart(bars, "Median time of each phase, in bench seconds"),
        failure_chart=charts.bar_chart(failed, "How often each measurement failed") if failed else Markup(""),
    )


def write_summary(summary: Summary, folder: Path) -> Path:
    """Write `summary.html` into a folder, whole or not at all.

    Returns:
        The path written.

    Raises:
        StationError: A template is missing or the disk refuses.
    """
    path = folder / SUMMARY_FILE
    write_atomic(path, render_summary(summary).encode("utf-8"))
    return path
