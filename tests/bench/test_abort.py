"""A signal during a run: the load and the supply go off, the record says so, and nothing is left running."""

import fcntl
import os
import pty
import signal
import subprocess
import termios
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from bench_station import ADJUST, LABELS, VERIFY, BenchStation
from killed_run import alive

AGAIN_S, ENDED_S = 0.1, 40.0  # wall time


def descendants(pid):
    """Return the pids of every process below one, by the operating system's own list."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found, grown = {pid}, True
    while grown:
        below = {child for child, parent in pairs if parent in found}
        grown = not below <= found
        found |= below
    return found - {pid}


@pytest.mark.parametrize(
    "batch",
    [
        {"once": [signal.SIGINT], "terminated": [signal.SIGTERM]},
        {"often": [signal.SIGINT] * 5, "hung up": [signal.SIGHUP]},
    ],
    ids=" and ".join,
)
def test_a_run_that_is_aborted_with_the_load_on_leaves_the_bench_off(tmp_path, batch):
    with ThreadPoolExecutor() as pool:  # mostly they wait: two at a time take little longer than one
        runs = [pool.submit(abort, tmp_path / name, signals) for name, signals in batch.items()]
        for run in runs:
            assert_aborted(*run.result())


def abort(folder, signals):
    """Run a unit until the load is on, send the signals; return what is left."""
    folder.mkdir()
    station = BenchStation(folder, factor=5)
    with station.running(*LABELS) as run:
        station.wait_for(lambda: station.is_on("load"))
        processes = descendants(run.pid)
        for number in signals:
            run.send_signal(number)
            time.sleep(AGAIN_S)
        output, _none = run.communicate(timeout=ENDED_S)
    return station, station.ended(run.returncode, output), processes


def assert_aborted(station, ended, processes):
    assert (ended.outcome, ended.exit_code) == ("ABORTED", 4), ended.output
    assert "ABORTED" in ended.output
    names = [phase["name"] for phase in ended.record["phases"]]
    assert ADJUST in names
    assert VERIFY not in names
    for teardown in ("switch_load_off", "switch_supply_off"):
        assert ended.phase(teardown)["outcome"] == "PASS"
    assert (ended.folder / "report.html").exists()
    assert (station.events("load")[-1], station.events("supply")[-1]) == (0, 0)
    assert station.all_off()
    assert "/factory.cfg" not in station.unit_files()
    assert len(processes) >= 5, "bench, unit, its virtual machine, instruments and operator"
    assert [pid for pid in processes if alive(pid)] == []


def in_a_terminal(folder, arguments):
    """Start a command as the leader of a terminal's session; returns it and the terminal's other end."""
    ours, theirs = pty.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    pipes = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    # PLW1509 warns of threads: this process has none that hold a lock when it forks.
    process = subprocess.Popen(arguments, cwd=folder, preexec_fn=take_terminal, **pipes)  # noqa: PLW1509
    os.close(theirs)
    return process, ours


def test_a_run_whose_terminal_is_closed_is_aborted_and_recorded(tmp_path):
    station = BenchStation(tmp_path, factor=10)
    process, terminal = in_a_terminal(tmp_path, station.command_line("run", *LABELS, "--no-cal"))
    try:
        station.wait_for(lambda: station.is_on("supply"))
        os.close(terminal)
        assert process.wait(timeout=ENDED_S) == 4
    finally:
        process.kill()
    assert station.ended(4, "").outcome == "ABORTED"
    assert station.all_off()
