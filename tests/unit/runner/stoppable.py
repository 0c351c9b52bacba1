"""A process with a tiny plan, for the tests of the signals: prints READY, then the verdict as JSON.

With the argument `blocked` its phase is one long call that nobody can interrupt.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import openhtf as htf
from plan_runner import measured, phase, plan_of, run_plan

from mfg.runner.signals import stop_requested


def busy(_test: Any) -> None:
    """Say that a phase runs, then go on for longer than any test waits."""
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    for _ in range(600 if "blocked" not in sys.argv else 1):
        time.sleep(0.05 if "blocked" not in sys.argv else 30.0)


def main() -> int:
    """Run the plan until somebody stops it."""
    off = phase("off", measurements=[measured()])
    group = htf.PhaseGroup(main=[phase("look", busy, timeout_s=40)], teardown=[off])
    with stop_requested() as stop:
        ran = run_plan(plan_of([group], teardowns=["off"]), stop)
    came = {"outcome": ran.verdict.outcome, "phases": ran.names(), "off": ran.phases[-1]["outcome"]}
    sys.stdout.write(json.dumps(came))
    return ran.verdict.exit_code


if __name__ == "__main__":
    sys.exit(main())
