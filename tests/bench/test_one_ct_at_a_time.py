"""Calibrating on a bench whose conductor passes through one CT at a time, which the operator moves.

Judged by the plant: what the unit's chips hold against what a perfect meter would have shown.
"""

import csv
import dataclasses
import itertools
import json
import time

import pytest
from bench_station import BenchStation
from field_bench import ADDRESS, FACTORY, HAND_HELD, SPLIT_V_PCT, WAIVED, field_station

from mfg.emulator.operator import GOES_BACK, WRONG_CT
from mfg.emulator.typical import typical_unit

pytestmark = pytest.mark.job

FACTOR, ORIGINAL_FACTOR = 6, 3  # windows of an original unit are seen by polling
QUICK = {"operator_answer_s": 0.2}  # 18 moves are long enough
CALIBRATE = ("--cal-only", *ADDRESS)
PORTS = (1, 2, 3, 4, 5, 6)
SETTLED_S = 5.0
RIGHT_PCT = 0.02  # a window scatters by 0.004 %; an unadjusted port is off by percents


def single(made):
    """Take the jig away from a station, and all of its loads but the first."""
    made.content["conductor"] |= {"ct_jig": "single"}
    made.all_loads = made.content["load_points"]
    made.content["load_points"] = made.all_loads[:1]
    made.content["hand_held_meter"] = HAND_HELD
    made.write()
    return made


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """A calibrated unit with our firmware, on a bench without a jig that sets one load point."""
    made = single(field_station(tmp_path_factory.mktemp("one-ct"), "ours", factor=FACTOR, **QUICK))
    with made.bench() as bench:
        made.at_hand = bench
        yield made


def errors_pct(station, bench, ports=PORTS, factor=FACTOR):
    """Put each port's CT around the conductor by hand; return how far its registers are from the truth."""
    station.settled_readings(bench, wall_s=2 * SETTLED_S / factor)
    errors = {}
    for port in ports:
        station.switch(bench, "ct", port, unit=1)
        time.sleep(SETTLED_S / factor)
        reading = station.unit.call("readings", port=port)
        assert reading["truth"]["current_a"] > 50, "the CT is on the conductor"
        for quantity in ("voltage_v", "current_a"):
            error = reading["registers"][quantity] / reading["truth"][quantity] - 1
            errors[port, quantity] = error * 100
    station.switch(bench, "load", 0)
    station.switch(bench, "supply", 0, unit=1)
    return errors


def run(station, *arguments, slip=""):
    """Run a job on the running bench; return how it ended and which CTs were moved in it."""
    moved = len(station.events("ct"))
    station.switch(station.at_hand, "slip", slip, unit=1)
    ended = station.run(*arguments, labels=())
    assert station.all_off()
    return ended, station.events("ct")[moved:]


@pytest.mark.parametrize(
    ("slip", "phase", "moves"),
    [
        (f"{WRONG_CT} adjust", "identify_ports", [1, 1]),
        (f"{WRONG_CT} verify", "verify_points", [1, 2, 1, 1]),
    ],
)
def test_a_wrong_ct_is_named_and_the_unit_keeps_its_calibration(station, slip, phase, moves):
    before = station.unit_file(FACTORY)
    ended, moved = run(station, *CALIBRATE, "--ports", "1,2", slip=slip)
    assert (ended.outcome, ended.exit_code) == ("ERROR", 3), ended.output
    assert ended.bad_phases() == [phase]
    (reason,) = ended.record["outcome_reasons"]
    assert "Port 1 reads" in reason
    assert "the CT of port 2 was asked for: the wrong CT is around the conductor" in reason
    assert moved == moves
    assert ended.value("settle_calibration", "calibration_after") == "old"
    assert station.unit_file(FACTORY) == before


def test_six_ports_are_calibrated_each_alone_and_one_again_after_going_back(station):
    ended, moved = run(station, *CALIBRATE, slip=f"{GOES_BACK} adjust")
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert moved == [1, 1, 2, 3, 4, 5, 6, *PORTS, *PORTS]
    assert ended.value("identify_ports", "port_order") == "1 2 3 4 5 6"
    assert ended.value("settle_calibration", "calibration_after") == "new"
    conditions = ended.record["calibration"]["conditions"]
    assert conditions["jig_cycles"] is None
    rounds = {"adjust": [1, *PORTS], "verify": list(PORTS), "verify stored": list(PORTS)}
    assert conditions["ct_rounds"] == rounds
    assert "One CT at a time, adjust" in (ended.folder / "report.html").read_text()
    assert "CT 1, 1, 2, 3, 4, 5, 6" in (ended.folder / "report.html").read_text()
    assert_later_windows_count(station, ended, ports=(1, 2))
    errors = errors_pct(station, station.at_hand)
    assert max(map(abs, errors.values())) < RIGHT_PCT, errors


def assert_later_windows_count(station, ended, ports):
    """Each port's windows of the adjustment are from after the last time that its CT was put there for it."""
    lines = (station.folder / ".bench" / "plant-events.jsonl").read_text().splitlines()
    events = [event for event in map(json.loads, lines) if event["what"] == "ct"]
    first = len(events) - sum(map(len, ended.record["calibration"]["conditions"]["ct_rounds"].values()))
    adjust = events[first : first + 7]
    assert [event["value"] for event in adjust] == [1, *PORTS]
    placed_s = {event["value"]: event["t_s"] for event in adjust}
    with (ended.folder / "windows.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["dwell"] == "adjust"]
    for port in ports:
        windows_s = [float(row["t_s"]) for row in rows if row["port"] == str(port)]
        assert placed_s[port] < min(windows_s) < max(windows_s) < placed_s[port + 1]


def test_a_restored_calibration_is_proved_port_by_port(station, tmp_path):
    before = station.unit_file(FACTORY)
    (tmp_path / "factory.cfg").write_bytes(before)
    ended, moved = run(station, "--restore", str(tmp_path / "factory.cfg"), *ADDRESS)
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert moved == [*PORTS]
    assert station.unit_file(FACTORY) == before
    found = [entry for entry in ended.phase("verify_restored")["measurements"] if "error" in entry["name"]]
    assert len(found) == 18
    assert all(abs(entry["value"]) < 0.2 for entry in found)


def test_a_port_is_calibrated_by_what_a_person_types_after_moving_its_ct(station):
    ended, moved = run(station, *CALIBRATE, "--ports", "5", "--reference", "manual", *WAIVED)
    assert (ended.outcome, ended.exit_code) == ("INDETERMINATE", 1), ended.output
    assert moved == [5, 5, 5]
    assert ended.value("settle_calibration", "calibration_after") == "new"
    errors = errors_pct(station, station.at_hand, ports=(5,))
    assert max(map(abs, errors.values())) < 0.3, errors


def test_three_ports_at_three_loads_leave_a_unit_partly_calibrated(station):
    ports, station.content["load_points"] = (1, 2, 4), station.all_loads
    station.write()
    ended, moved = run(station, *CALIBRATE, "--ports", "1,2,4")
    assert (ended.outcome, ended.exit_code) == ("PARTLY CALIBRATED", 5), ended.output
    assert moved == [*ports, *ports, *ports], "all loads are taken while a port's CT is in place"
    for port, point in itertools.product(ports, ("high", "mid", "low")):
        assert abs(ended.value("verify_points", f"port{port}_{point}_current_error_pct")) < 0.5


def test_an_original_unit_is_calibrated_port_by_port(tmp_path):
    ports = (1, 4)
    unit = dataclasses.replace(typical_unit(7, 1), profile="original")
    station = single(BenchStation(tmp_path, factor=ORIGINAL_FACTOR, unit=unit, **QUICK))
    with station.bench() as station.at_hand:
        ended, moved = run(station, *CALIBRATE, "--ports", "1,4")
        assert (ended.outcome, ended.exit_code) == ("PARTLY CALIBRATED", 5), ended.output
        assert moved == [*ports, *ports, *ports]
        errors = errors_pct(station, station.at_hand, ports, ORIGINAL_FACTOR)
    assert all(abs(errors[port, "current_a"]) < RIGHT_PCT for port in ports), errors
    assert all(abs(errors[port, "voltage_v"]) < RIGHT_PCT + SPLIT_V_PCT for port in ports), errors
