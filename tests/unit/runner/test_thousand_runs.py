"""A station runs for months: a thousand runs in one process leave nothing behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("thousand_runs.py")
GROWTH_BYTES = 20e6


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_runs_leave_no_memory_thread_or_handle_behind():
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, timeout=590)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert (found["passed"], found["records"], found["journals"]) == (1000, 1000, 0)
    before, after = found["before"], found["after"]
    assert after["bytes"] - before["bytes"] < GROWTH_BYTES
    assert (after["threads"], after["handles"]) == (before["threads"], before["handles"])
