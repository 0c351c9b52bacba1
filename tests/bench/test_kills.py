"""A run that is killed leaves no live load, no lost record and no false PASS, and the unit passes afterwards.

`nox -s kills` kills a run at every line that its journal can end with; here it is a sample.
"""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from bench_station import LABELS, BenchStation
from killed_run import (
    FACTOR,
    OFF_WORST_S,
    Point,
    assert_clean,
    assert_soon_off,
    kill_at,
    killed_and_run_again,
    open_journal,
    records_of,
)

ADJUSTING = Point("act write the adjusted registers")
SAMPLE = [ADJUSTING, Point("stored")]


@pytest.mark.slow
def test_a_killed_runner_is_cleared_up_after_and_the_unit_passes_the_next_time(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(killed_and_run_again, [tmp_path / "a", tmp_path / "b"], SAMPLE))
    for point, run in zip(SAMPLE, runs, strict=True):
        assert_clean(point, *run)
    assert_soon_off([run[1] for run in runs])


def test_a_runner_that_hangs_is_killed_and_the_load_goes_off(tmp_path):
    station = BenchStation(tmp_path, factor=FACTOR)
    killed = kill_at(station, ADJUSTING, number=signal.SIGSTOP)
    assert killed.exit_code == 4, killed.output
    assert "The runner hung: it was not heard of for 5 s and was killed." in " ".join(killed.output.split())
    assert station.all_off()
    assert [run["outcome"] for run in records_of(station)] == ["INTERRUPTED"]


def test_a_runner_whose_supervisor_dies_stops_itself_and_stores_its_record(tmp_path):
    station = BenchStation(tmp_path, factor=FACTOR)
    with station.bench():
        killed = kill_at(station, ADJUSTING, who="supervisor")
        station.wait_for(station.all_off)
    assert killed.load_was_on
    assert killed.off_wall_s <= OFF_WORST_S, "an abort gives the phase two seconds first"
    (record,) = records_of(station)
    assert record["outcome"] == "ABORTED"
    assert {"switch_load_off", "switch_supply_off"} <= {phase["name"] for phase in record["phases"]}
    assert open_journal(station) is None


@pytest.mark.slow
def test_when_both_die_the_loads_own_watchdog_acts_and_the_run_is_closed_later(tmp_path):
    station = BenchStation(tmp_path, factor=FACTOR)
    with station.bench():
        killed = kill_at(station, ADJUSTING, who="supervisor", with_runner=True)
        assert killed.load_was_on
        assert not station.is_on("load")
        assert station.is_on("supply"), "only the loads hang on the watchdog"
        assert open_journal(station) is not None
        recovered = station.command("recover")
        assert recovered.returncode == 4, recovered.stdout
        assert station.all_off()
        assert station.command("recover").stdout == "No run was killed.\n"
    (record,) = records_of(station)
    assert record["outcome"] == "INTERRUPTED"
    assert "that began at" in record["outcome_reasons"][0]
    files = {entry["name"] for entry in record["attachments"]}
    assert "interrupted_this.machine.cfg" in files


def test_a_run_under_way_is_not_taken_for_a_killed_one(tmp_path):
    station = BenchStation(tmp_path, factor=FACTOR)
    with station.bench(), station.running(*LABELS, "--no-cal") as run:
        station.wait_for(lambda: open_journal(station) is not None)
        said = station.command("recover")
        assert said.returncode == 0
        assert "those that are open are under way" in said.stdout
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=60)
    assert [record["outcome"] for record in records_of(station)] == ["ABORTED"]
