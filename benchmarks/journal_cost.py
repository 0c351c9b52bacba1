"""What journal, verdict guard and chain cost per phase, beside OpenHTF alone: `nox -s benchmarks`.

The same plan of measurements runs with and without the journal, in turn, in one process. Counted is the time
of the processor, without the disk's own time for a sync; what that is on this disk stands beside it. The plan
has about as many phases as the CT6's, so that what a run costs once weighs as much as there.

The fastest of the runs is what counts: whoever shares the processor can only make one slower. The median
stands beside it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.argv, _ARGUMENTS = sys.argv[:1], sys.argv[1:]  # importing OpenHTF parses the command line

import openhtf as htf  # noqa: E402

from mfg.plans.plan import Plan  # noqa: E402
from mfg.records.chain import RecordChain  # noqa: E402
from mfg.records.from_openhtf import PhaseReader, own_view  # noqa: E402
from mfg.records.journal import PHASE, STORED, Journal  # noqa: E402
from mfg.records.record import load_stored, write_record  # noqa: E402
from mfg.records.run_context import RunContext, build_record  # noqa: E402
from mfg.records.run_folder import RunFolder, new_run_id  # noqa: E402
from mfg.runner.execute import execute  # noqa: E402
from mfg.runner.guard import judge, judge_record, promise_facts  # noqa: E402
from mfg.runner.promise import expectation_of  # noqa: E402

COUNTS = (1, 10, 100, 1000, 10_000)
PHASES = 20
ALLOWED_MS = 2.0  # per phase at 100 measurements


def plan_of(count: int) -> Plan:
    """Make a plan of phases with `count` measurements each."""

    def phase(number: int) -> htf.PhaseDescriptor:
        names = [f"value_{number}_{index}" for index in range(count)]

        @htf.PhaseOptions(name=f"phase_{number}", timeout_s=300)
        def run(test: htf.TestApi) -> None:
            test.dut_id = "SN00000001"
            for name in names:
                test.measurements[name] = 1.0

        measured = [htf.Measurement(name).in_range(0.0, 2.0).doc("a benchmark's own limit") for name in names]
        return htf.measures(*measured)(run)

    nodes = [phase(number) for number in range(PHASES)]
    cases = {node.name: 1000 * number for number, node in enumerate(nodes, start=1)}
    return Plan("tiny", nodes, cases, (), "all")


def context_of(plan: Plan) -> RunContext:
    """Give the facts of a run."""
    now = datetime.datetime.now(datetime.UTC)
    return RunContext(
        run_id=new_run_id(now),
        mode="full",
        backend="",
        emulated=False,
        station={"id": "s", "file_sha256": "0" * 64, "software": "0", "git": ""},
        limits={"file": "tiny.toml", "revision": "1", "sha256": "0" * 64},
        started_utc=now,
        ended_utc=now,
        bench_seconds=0.0,
        wall_seconds=0.0,
        serial_number="SN00000001",
    )


def plain_ms(count: int) -> float:
    """Run the plan as OpenHTF does; return its time of the processor per phase, in ms."""
    plan = plan_of(count)
    begun_s = time.process_time()
    execution = execute(plan, threading.Event(), lambda _record, _running: None)
    assert execution.test_record is not None, execution.troubles
    return (time.process_time() - begun_s) / PHASES * 1000


@dataclass
class Stopwatch:
    """Adds up the processor's time of some parts."""

    spent_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of the block to a part."""
        begun_s = time.process_time()
        yield
        self.spent_s[name] = self.spent_s.get(name, 0.0) + time.process_time() - begun_s

    def ms_per_phase(self, name: str) -> float:
        """Return what a part took per phase, in ms."""
        return self.spent_s[name] / PHASES * 1000


def guarded_ms(count: int, root: Path) -> tuple[float, float]:
    """Return what the record costs per phase of the processor, and what the guard adds to it, in ms.

    The record is the making and writing of `record.json`; the journal holds the same entries. The guard is
    the journal, the verdict, reading the record back, deriving its verdict again, and the record's line in
    the chain.
    """
    plan = plan_of(count)
    chain = RecordChain(root, root.with_name("keys"))
    context = context_of(plan)
    execution = execute(plan, threading.Event(), lambda _record, _running: None)
    test_record = execution.test_record
    assert test_record is not None, execution.troubles
    watch = Stopwatch()
    reader = PhaseReader(1.0, plan.cases)
    with watch.part("record"):
        ended = list(reader.ended(test_record, {}))
    with watch.part("guard"):
        journal = Journal.begin(root, context.run_id, {})
        for entry in ended:
            journal.note(PHASE, phase=entry, unit={})
        phases = reader.phases(test_record, {})
        expected = expectation_of(plan)
        verdict = judge(phases, expected, "PASS", context.serial_number, aborted=False)
        assert verdict.outcome == "PASS", verdict.reasons
        promise = promise_facts(expected, "PASS", aborted=False, troubles=())
        journal.note(STORED, outcome="PASS")
    with watch.part("record"):
        final = replace(context, outcome="PASS", outcome_reasons=(), promise=promise)
        record = build_record(phases, final, own_view(test_record))
        folder = RunFolder.create(root, context.serial_number, context.run_id)
        write_record(folder, record)
    with watch.part("guard"):
        stored = load_stored(folder.path)
        assert stored.record == record
        assert judge_record(stored.record).outcome == "PASS"
        chain.append(stored)
        journal.move_to(folder.path)
    return watch.ms_per_phase("record"), watch.ms_per_phase("guard")


def sync_ms(folder: Path, times: int = 30) -> float:
    """Return the disk's own time for a sync of one short line, in ms."""
    took_ms = []
    with (folder / "line").open("ab") as file:
        for _ in range(times):
            file.write(b"x" * 200)
            file.flush()
            begun_s = time.perf_counter()
            os.fsync(file.fileno())
            took_ms.append((time.perf_counter() - begun_s) * 1000)
    return statistics.median(took_ms)


def main() -> int:
    """Print the table; 1 when a figure is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(_ARGUMENTS)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "records")
        folder.mkdir()
        disk_ms = sync_ms(folder)
        os_fsync = os.fsync
        os.fsync = lambda _handle: None
        try:
            for count in COUNTS:
                runs = 1 if count >= 10_000 else arguments.runs
                taken = [(plain_ms(count), *guarded_ms(count, folder)) for _ in range(runs)]
                plain, record, guard = (statistics.median(column) for column in zip(*taken, strict=True))
                fastest = min(guard for _plain, _record, guard in taken)
                row = {"measurements": count, "openhtf_ms": plain, "record_ms": record, "guard_ms": guard}
                rows.append(row | {"fastest_guard_ms": fastest})
        finally:
            os.fsync = os_fsync
    out = sys.stdout
    out.write(
        f"Time of the processor per phase, {PHASES} phases; a sync takes {disk_ms:.2f} ms on this disk\n"
    )
    out.write("measurements   OpenHTF ms   record ms   guard ms   fastest   guard per measurement us\n")
    for row in rows:
        each_us = row["guard_ms"] / row["measurements"] * 1000
        figures = f"{row['openhtf_ms']:>12.2f} {row['record_ms']:>11.2f} {row['guard_ms']:>10.2f} "
        figures += f"{row['fastest_guard_ms']:>9.2f}"
        out.write(f"{row['measurements']:>12} {figures} {each_us:>26.1f}\n")
    at_100 = next(row["fastest_guard_ms"] for row in rows if row["measurements"] == 100)
    thousand, most = (row["fastest_guard_ms"] / row["measurements"] for row in rows[-2:])
    kept = at_100 <= ALLOWED_MS and most <= 1.5 * thousand
    out.write(f"At 100 measurements {at_100:.2f} ms, allowed {ALLOWED_MS} ms; ")
    out.write(f"from 1,000 to 10,000 each costs {most / thousand:.2f} times as much, allowed 1.5\n")
    out.write("kept\n" if kept else "NOT KEPT\n")
    if arguments.json:
        arguments.json.write_text(json.dumps({"sync_ms": disk_ms, "rows": rows}, indent=1))
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
