"""A returned unit leaves the incoming test as it came, whatever happened in between.

What is judged is its flash after the run, file by file, against what it held when it came.
"""

import dataclasses
import functools
import hashlib
import json
import signal

import pytest
from bench_station import FLASH, BenchStation
from killed_run import Point, has_reached

from mfg.emulator import flash_files
from mfg.emulator.field_units import field_flash, machine_file
from mfg.emulator.typical import typical_unit

pytestmark = pytest.mark.job

ADDRESS = ("-a", "10.0.0.2")
LIMIT_WALL_S = 60.0
CHECKS = (
    "check_board_temperature",
    "check_leds",
    "check_wifi_switch",
    "check_power_cycle",
    "check_display",
    "verify_as_found",
)


def unit_of(kind, seed=7):
    return dataclasses.replace(typical_unit(seed, 1), profile=kind)


def station_of(folder, kind, **more):
    return BenchStation(folder, factor=5, unit=unit_of(kind), **more)


@functools.cache
def first_flash(kind):
    """Return what the flash of such a unit holds when it comes."""
    flash = field_flash(unit_of(kind))
    return {path: flash_files.read_file(flash, path) for path in flash_files.list_files(flash)}


def assert_as_it_came(station, kind):
    """Every file is as the unit hashed it when it came; applications and calibration as it was made."""
    (listed,) = station.folder.glob("records/*/*/snapshot_before.json")
    came = {path: sha256 for path, _size, sha256 in json.loads(listed.read_text()) if sha256}
    now = {path: station.unit_file(path) for path in station.unit_files() if path != "/bootlog.txt"}
    assert {path: hashlib.sha256(content).hexdigest() for path, content in now.items()} == came
    first = first_flash(kind)
    for path in set(first) - {"/this.machine.cfg", "/bootlog.txt"}:
        assert now[path] == first[path], path
    configuration = json.loads(now["/this.machine.cfg"])
    assert configuration | machine_file(unit_of(kind)) == configuration
    assert station.all_off()


@pytest.mark.parametrize(("kind", "how"), [("original", ()), ("ours", ADDRESS)])
def test_a_returned_unit_is_tested_and_leaves_as_it_came(tmp_path, kind, how):
    station = station_of(tmp_path, kind)
    ended = station.run("--test-only", *how, labels=())
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert ended.record["serial_number"] == "SN00001823"
    assert all(ended.phase(name)["outcome"] == "PASS" for name in CHECKS)
    assert ended.value("settle_returned_unit", "left") == "every file has its sha256"
    assert_as_it_came(station, kind)
    passphrase = unit_of(kind).passphrase.encode()
    assert all(passphrase not in path.read_bytes() for path in ended.folder.rglob("*"))


def test_a_unit_that_has_drifted_is_found_out_and_leaves_as_it_came(tmp_path):
    station = BenchStation(tmp_path, factor=5, unit=unit_of("ours", seed=8))
    (tmp_path / FLASH).parent.mkdir(parents=True)
    (tmp_path / FLASH).write_bytes(field_flash(unit_of("ours")))  # calibrated, before its parts changed
    ended = station.run("--test-only", *ADDRESS, labels=())
    assert (ended.outcome, ended.exit_code) == ("FAIL", 1), ended.output
    assert ended.bad_phases() == ["verify_as_found"]
    assert "_as_found_current_error_pct is" in ended.record["outcome_reasons"][0]
    assert_as_it_came(station, "ours")


def reached(station, run, point):
    station.wait_for(lambda: has_reached(station, point) or run.poll() is not None, LIMIT_WALL_S)
    assert run.poll() is None, run.stdout.read()


def test_a_press_that_wipes_the_configuration_is_undone(tmp_path):
    station = station_of(tmp_path, "ours")
    with station.running("--test-only", *ADDRESS) as run:
        reached(station, run, Point("phase identify_running_unit"))
        unit = station.unit
        unit.call("button", pressed=True)
        station.wait_for(lambda: wiped(unit))
        unit.call("button", pressed=False)
        output, _none = run.communicate(timeout=2 * LIMIT_WALL_S)
    ended = station.ended(run.returncode, output)
    assert ended.exit_code in (1, 3), ended.output
    assert ended.value("settle_returned_unit", "left") == "every file has its sha256"
    assert_as_it_came(station, "ours")


def wiped(unit):
    """Tell whether the unit's log has a reset since its start for the test."""
    return sum("MCU reset" in line for line in unit.call("state")["log"]) >= 2


def test_an_aborted_test_leaves_the_unit_as_it_came(tmp_path):
    station = station_of(tmp_path, "original")
    with station.running("--test-only") as run:
        reached(station, run, Point("phase configure_wifi"))
        run.send_signal(signal.SIGINT)
        output, _none = run.communicate(timeout=2 * LIMIT_WALL_S)
    ended = station.ended(run.returncode, output)
    assert (ended.outcome, ended.exit_code) == ("ABORTED", 4), ended.output
    assert_as_it_came(station, "original")
