"""Kill a run at a chosen line of its journal, and look at what is left."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import statistics
import subprocess
import time

from bench_station import LABELS, BenchStation

from mfg.clock import BenchClock

FACTOR = 5
OFF_MEDIAN_S, OFF_WORST_S = 2.0, 5.0  # wall time
SEEN_WALL_S = 0.005
ENDED_WALL_S = 120.0


@dataclasses.dataclass(frozen=True)
class Point:
    """A line of the journal, and which one of those that read like it; counted from 1."""

    event: str  # as `event_of` names it
    count: int = 1

    def __str__(self):
        return f"{self.event} {self.count}" if self.count > 1 else self.event


def event_of(line):
    """Name a line of a journal: its event, and what tells it from others of that event."""
    held = json.loads(line)
    detail = held.get("act") or held.get("name") or (held.get("phase") or {}).get("name") or ""
    return f"{held['event']} {detail}".strip()


def points_of(journal):
    """List every line of a journal as a point to kill at."""
    seen, points = {}, []
    for line in journal.read_text().splitlines():
        event = event_of(line)
        seen[event] = seen.get(event, 0) + 1
        points.append(Point(event, seen[event]))
    return points


def open_journal(station):
    found = list((station.folder / "records" / ".journal").glob("*.jsonl"))
    return found[0] if found else None


def has_reached(station, point):
    """Tell whether the run under way has written a line; a torn last line is not yet one."""
    journal = open_journal(station)
    try:
        lines = journal.read_text().split("\n")[:-1] if journal else []
    except FileNotFoundError:
        return False  # the run ended meanwhile
    return sum(event_of(line) == point.event for line in lines) >= point.count


def runner_of(supervisor_pid):
    """Return the pid of the runner below a supervisor, None when there is none."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        pid, parent, arguments = line.split(None, 2)
        if int(parent) == supervisor_pid and "mfg.runner" in arguments:
            return int(pid)
    return None


@dataclasses.dataclass
class Killed:
    """What came of a run that was killed.

    Attributes:
        off_wall_s: How long after the kill the load was off in the plant, 0 when it was not on.
    """

    exit_code: int
    output: str
    off_wall_s: float
    load_was_on: bool


def now_on(station):
    """Return the bench clock of the station's bench."""
    config = json.loads((station.folder / ".bench" / "bench-config.json").read_text())
    return BenchClock.parse(config["clock"])


def load_off_s(station, since_s):
    """Return when the plant's log has the load off after a moment, in bench s; None while it is on."""
    lines = (station.folder / ".bench" / "plant-events.jsonl").read_text().splitlines()
    events = [event for event in map(json.loads, lines) if event["what"] in ("load", "identification")]
    on = {}
    for event in events:
        on[event["what"]] = bool(event["value"])
        if event["t_s"] >= since_s and not any(on.values()):
            return event["t_s"]
    return None if any(on.values()) else since_s


def kill_at(station, point, *, arguments=LABELS, who="runner", with_runner=False, number=signal.SIGKILL):
    """Run a unit and kill its runner or its supervisor as soon as a line is in the journal."""
    with station.running(*arguments) as run:
        end_s = time.monotonic() + ENDED_WALL_S
        station.wait_for(lambda: open_journal(station) is not None)
        runner = runner_of(run.pid)
        assert runner is not None, "the runner is not below the supervisor"
        while not has_reached(station, point):
            assert run.poll() is None, (str(point), run.stdout.read())
            assert time.monotonic() < end_s, f"{point} did not come"
            time.sleep(SEEN_WALL_S)
        clock = now_on(station)
        load_was_on = station.is_on("load") or station.is_on("identification")
        killed_s = clock.now_s()
        if who == "runner" or with_runner:
            os.kill(runner, number)
        if who == "supervisor":
            os.kill(run.pid, number)
        output, _none = run.communicate(timeout=ENDED_WALL_S)
        station.wait_for(lambda: not alive(runner), ENDED_WALL_S)
        station.wait_for(lambda: load_off_s(station, killed_s) is not None, ENDED_WALL_S)
        off_s = load_off_s(station, killed_s)
    return Killed(run.returncode, output, clock.wall_s(off_s - killed_s), load_was_on)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return not state.stdout.startswith("Z") and bool(state.stdout.strip())


def records_of(station):
    """Return every record on the disk, oldest run first."""
    paths = sorted((station.folder / "records").glob("*/*/record.json"), key=lambda path: path.parent.name)
    return [json.loads(path.read_text()) for path in paths]


def killed_and_run_again(folder, point):
    folder.mkdir()
    station = BenchStation(folder, factor=FACTOR)
    killed = kill_at(station, point)
    after_kill = records_of(station)
    held = station.unit_files()
    again = station.run()
    return station, killed, after_kill, held, again


def assert_clean(point, station, killed, after_kill, held, again):
    (record,) = after_kill
    if point.event == "stored" and killed.exit_code == 0:
        assert record["outcome"] == "PASS"  # it was on record before the signal came
        return
    assert killed.exit_code == 4, killed.output
    assert record["outcome"] == "INTERRUPTED"
    assert "PASS" not in killed.output.split("The runner died")[1]
    assert record["outcome_reasons"][0] == "The runner died (SIGKILL)."
    assert all(phase["outcome"] in ("PASS", "SKIP") for phase in record["phases"])
    assert held.get("/factory.cfg") is None or held["/factory.cfg"] > 100, "half a factory file was left"
    assert station.all_off()
    assert open_journal(station) is None
    assert again.exit_code == 0, again.output
    runs = records_of(station)
    assert [run["outcome"] for run in runs] == ["INTERRUPTED", "PASS"]
    assert len({run["run_id"] for run in runs}) == 2
    listed = station.command("list").stdout
    assert listed.count("INTERRUPTED") == 1
    assert listed.count("PASS") == 1


def assert_soon_off(runs):
    """The load was off in the plant soon after each kill that met it on."""
    loaded = sorted(killed.off_wall_s for killed in runs if killed.load_was_on)
    assert loaded, "no kill met the load on"
    assert statistics.median(loaded) <= OFF_MEDIAN_S, loaded
    assert loaded[-1] <= OFF_WORST_S, loaded
    return loaded
