"""Whatever stops a run, and however often: the teardown runs and the run is ABORTED."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mfg.runner.signals import stop_requested

PROGRAM = Path(__file__).with_name("stoppable.py")


@pytest.mark.parametrize(
    ("number", "times", "gap_s"),
    [
        (signal.SIGINT, 1, 0.0),
        (signal.SIGINT, 10, 0.002),
        (signal.SIGINT, 3, 0.03),
        (signal.SIGTERM, 1, 0.0),
        (signal.SIGHUP, 1, 0.0),
    ],
)
def test_a_signal_once_or_ten_times_aborts_with_the_bench_made_safe(number, times, gap_s):
    with subprocess.Popen(
        [sys.executable, str(PROGRAM)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        for _ in range(times):
            os.kill(process.pid, number)
            time.sleep(gap_s)
        output = process.stdout.read()
        assert process.wait(30) == 4
    assert json.loads(output) == {"outcome": "ABORTED", "phases": ["look", "off"], "off": "PASS"}


def test_a_blocked_phase_is_left_behind_and_the_bench_made_safe_beside_it():
    """In a process of its own: CPython 3.11 cannot end a blocked thread while coverage traces."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), "blocked"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        before_s = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        output = process.stdout.read()
        assert process.wait(30) == 4
    assert time.monotonic() - before_s < 15
    assert json.loads(output) == {"outcome": "ABORTED", "phases": ["look", "off"], "off": "PASS"}


def test_the_handlers_from_before_are_back_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with stop_requested() as stop:
        assert signal.getsignal(signal.SIGTERM) is not before
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)
    assert signal.getsignal(signal.SIGTERM) is before


def test_they_are_back_even_after_an_error():
    before = signal.getsignal(signal.SIGHUP)
    with pytest.raises(KeyError), stop_requested():
        raise KeyError
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_thread_that_may_not_install_handlers_gets_an_event_all_the_same():
    seen: list[bool] = []

    def run() -> None:
        with stop_requested() as stop:
            seen.append(stop.is_set())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5)
    assert seen == [False]
