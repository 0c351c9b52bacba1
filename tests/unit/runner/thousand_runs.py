"""A thousand runs of a tiny plan in one process; prints what was left behind as JSON.

A process of its own: what a test runner keeps is not the station's.
"""

from __future__ import annotations

import datetime
import gc
import json
import os
import pty
import resource
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import openhtf as htf
from plan_runner import SERIAL, SHA, measured, phase, plan_of, wait_for_openhtf

from mfg.records.from_openhtf import PhaseReader, own_view
from mfg.records.journal import PHASE, Journal
from mfg.records.record import load_record, write_record
from mfg.records.run_context import RunContext, build_record
from mfg.records.run_folder import RunFolder, new_run_id
from mfg.runner.execute import execute
from mfg.runner.guard import judge, judge_record, promise_facts
from mfg.runner.promise import expectation_of

RUNS, SETTLED_AFTER = 1000, 100
FILE_HANDLES = Path("/proc/self/fd") if sys.platform == "linux" else Path("/dev/fd")


class PortPlug(htf.BasePlug):
    """Holds a pseudo-terminal, as the plug of a unit's port does."""

    def __init__(self) -> None:
        self.ends = pty.openpty()

    def tearDown(self) -> None:
        for end in self.ends:
            os.close(end)


@htf.PhaseOptions(timeout_s=20)
@htf.measures(measured("echo_v"))
@htf.plug(port=PortPlug)
def echo(test: htf.TestApi, port: PortPlug) -> None:
    os.write(port.ends[0], b"1\n")
    test.measurements["echo_v"] = float(os.read(port.ends[1], 10))


def run_once(root: Path) -> str:
    identify = phase("identify", lambda test: setattr(test, "dut_id", SERIAL))
    plan = plan_of([identify, echo, phase("off", measurements=[measured()])])
    now = datetime.datetime.now(datetime.UTC)
    context = RunContext(
        run_id=new_run_id(now),
        mode="full",
        backend="",
        emulated=False,
        station={"id": "s", "file_sha256": SHA, "software": "0", "git": ""},
        limits={"file": "tiny.toml", "revision": "1", "sha256": SHA},
        started_utc=now,
        ended_utc=now,
        bench_seconds=0.0,
        wall_seconds=0.0,
        serial_number=SERIAL,
    )
    journal = Journal.begin(root, context.run_id, {})
    reader = PhaseReader(1.0, plan.cases)

    def changed(record, _running):
        for entry in reader.ended(record, {}):
            journal.note(PHASE, phase=entry, unit={})

    execution = execute(plan, threading.Event(), changed)
    phases = reader.phases(execution.test_record, {})
    expected = expectation_of(plan)
    verdict = judge(phases, expected, "PASS", SERIAL, False, execution.troubles)
    promise = promise_facts(expected, "PASS", False, execution.troubles)
    final = replace(context, outcome=verdict.outcome, outcome_reasons=verdict.reasons, promise=promise)
    folder = RunFolder.create(root, SERIAL, context.run_id)
    write_record(folder, build_record(phases, final, own_view(execution.test_record)))
    journal.move_to(folder.path)
    return judge_record(load_record(folder.path)).outcome


def resident_bytes() -> int:
    gc.collect()
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, and never less than now


def left() -> dict[str, int]:
    """Return memory, threads and file handles of this process."""
    wait_for_openhtf()
    handles = len(list(FILE_HANDLES.iterdir()))
    return {"bytes": resident_bytes(), "threads": threading.active_count(), "handles": handles}


def main() -> int:
    """Run, and compare what is there after the first hundred with what is there at the end."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        outcomes = [run_once(root) for _ in range(SETTLED_AFTER)]
        before = left()
        outcomes += [run_once(root) for _ in range(RUNS - SETTLED_AFTER)]
        after = left()
        records = len(list(root.glob(f"{SERIAL}/*/record.json")))
        journals = len(list((root / ".journal").iterdir()))
    found = {"passed": outcomes.count("PASS"), "records": records, "journals": journals}
    sys.stdout.write(json.dumps(found | {"before": before, "after": after}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
