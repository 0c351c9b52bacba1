"""An upgrade over the air leaves a unit with its new application or with its old one, never between.

What is judged is the unit's flash after the run, with its supply off, and what the record says of it.
"""

import contextlib
import dataclasses
import functools
import json
import socket
import threading

import pytest
from bench_station import BenchStation

from mfg.data_files import data_folder
from mfg.emulator import flash_files
from mfg.emulator.field_units import factory_file, field_flash, machine_file
from mfg.emulator.quirks import USUAL
from mfg.emulator.typical import typical_unit
from mfg.fixtures.firmware_build import build_firmware

pytestmark = pytest.mark.job

ADDRESS = ("-a", "10.0.0.2")
KINDS = {"ours": ("ours", ()), "original": ("original", USUAL), "x4": ("original", (*USUAL, "pga_x4"))}
VERSIONS = {"ours": "4.0", "original": "3.1", "x4": "2.7"}
ORIGINAL_VOLTAGE_OFFSET = 61440  # ct6-interface 5.1
KILLED_WALL_S = 60.0
LOADING = "act load an application into /app2 beside /app1"  # a line of the journal


def unit_of(kind):
    profile, quirks = KINDS[kind]
    return dataclasses.replace(typical_unit(7, 1), profile=profile, quirks=quirks)


def station_of(folder, kind):
    return BenchStation(folder, factor=5, unit=unit_of(kind))


@functools.cache
def first_flash(kind):
    """Return what the flash of such a unit holds when it comes."""
    flash = field_flash(unit_of(kind))
    return {path: flash_files.read_file(flash, path) for path in flash_files.list_files(flash)}


@functools.cache
def built(folder):
    """Return our application as it must lie in a folder of the unit."""
    image = build_firmware(data_folder("firmware") / "ct6", None, folder.lstrip("/"))
    return {file.path_on_unit: file.data for file in image.files if file.path_on_unit != "/main.py"}


def held(station):
    return {path: station.unit_file(path) for path in station.unit_files()}


def below(files, folder):
    return {path: content for path, content in files.items() if path.startswith(f"{folder}/")}


def trials(files):
    return [path for path in files if ".try" in path]


def settings(files):
    return json.loads(files["/this.machine.cfg"])


def assert_settings_are_those_of_before(station, kind):
    """The unit's user finds what he had set; a number is a number, however it is written."""
    now = settings(held(station))
    before = machine_file(unit_of(kind)) | {
        key: value for key, value in factory_file(unit_of(kind)).items() if key in now
    }
    assert {key: now[key] for key in before} == before


def assert_new(station, kind, ended):
    files = held(station)
    assert below(files, "/app2") == built("/app2")
    assert settings(files)["APP"] == 2
    assert trials(files) == []
    assert files["/main.py"] == first_flash(kind)["/main.py"]
    assert ended.value("settle_application", "application_after") == "new"
    assert station.all_off()


def assert_old(station, kind, ended):
    """The old application alone, its settings and its calibration, and the record says so."""
    files = held(station)
    first = first_flash(kind)
    assert below(files, "/app1") == below(first, "/app1")
    assert below(files, "/app2") == {}
    assert settings(files)["APP"] == 1
    assert trials(files) == []
    assert files["/factory.cfg"] == first["/factory.cfg"]
    assert "/calibration.cfg" not in files
    assert_settings_are_those_of_before(station, kind)
    if kind != "ours":
        assert settings(files)["CS0_VOLTAGE_OFFSET"] == ORIGINAL_VOLTAGE_OFFSET
    if ended is not None:
        assert ended.value("settle_application", "application_after") == "old"
        assert ended.value("settle_application", "settings_after") == "unchanged"
    assert station.all_off()


@pytest.mark.parametrize("kind", ["ours", "original"])
def test_a_running_unit_gets_this_firmware_and_keeps_everything_else(tmp_path, kind):
    station = station_of(tmp_path, kind)
    ended = station.run("--upgrade", *ADDRESS, labels=())
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert_new(station, kind, ended)
    assert held(station)["/factory.cfg"] == first_flash(kind)["/factory.cfg"]
    assert_settings_are_those_of_before(station, kind)
    assert ended.value("load_application", "old_version") == VERSIONS[kind]
    assert ended.value("verify_application", "running_version") == "4.0"
    assert ended.value("verify_application", "wrong_files") == 0
    proof = ended.value("load_application", "proof_before_start")
    assert proof.endswith("its flash" if kind == "ours" else "before its first start")
    archived = json.loads((ended.folder / "archive_this.machine.cfg").read_text())
    assert archived["WIFI"]["PASSWD"] == "****"
    assert (ended.folder / "archive_factory.cfg").read_bytes() == first_flash(kind)["/factory.cfg"]


class Relay:
    """Stands between network and unit; a certain request gets through no more the first time."""

    def __init__(self, port, lost_at):
        self._unit_port, self._lost_at = port, lost_at
        self.lost = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                link, _address = self._server.accept()
                threading.Thread(target=self._pass_on, args=(link,), daemon=True).start()

    def _pass_on(self, link):
        with link, contextlib.suppress(OSError):
            request = link.recv(65536)
            if not self.lost and request.startswith(self._lost_at):
                self.lost = True
                return
            with socket.create_connection(("127.0.0.1", self._unit_port), timeout=30) as unit:
                unit.sendall(request)
                threading.Thread(target=copied, args=(link, unit), daemon=True).start()
                copied(unit, link)


def copied(source, sink):
    """Pass on what one side sends, and its end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def test_a_request_that_is_lost_in_mid_upload_leaves_the_old_application_alone(tmp_path):
    station = station_of(tmp_path, "ours")
    (route,) = station.content["slots"][0]["address_map"].values()
    port = int(route["http"].split(":")[1])
    with station.bench(), Relay(port, b"FILE files.mpy ") as relay:
        route["http"] = f"127.0.0.1:{relay.port}"
        station.write()
        ended = station.run("--upgrade", *ADDRESS, labels=())
        assert relay.lost, ended.output
    assert ended.exit_code in (1, 3), ended.output
    assert ended.bad_phases() == ["load_application"]
    assert ended.value("settle_application", "application_proof") == "it runs and answers"
    assert_old(station, "ours", ended)


def test_an_upgrade_across_the_amplifier_or_of_another_unit_is_refused_and_touches_nothing(tmp_path):
    station = station_of(tmp_path, "x4")
    foreign = ("--assembly", "ASY0398V03.2", "--serial", "SN00000009")
    with station.bench():
        for labels, sentence in (((), "Use --upgrade-and-cal"), (foreign, "not what was scanned")):
            ended = station.run("--upgrade", *ADDRESS, labels=labels)
            assert (ended.outcome, ended.exit_code) == ("ERROR", 3), ended.output
            assert sentence in " ".join([*ended.record["outcome_reasons"], ended.record["next_action"]])
            assert below(held(station), "/app1") == below(first_flash("x4"), "/app1")
            assert held(station)["/factory.cfg"] == first_flash("x4")["/factory.cfg"]
            assert below(held(station), "/app2") == {}
    assert station.all_off()


@pytest.mark.parametrize("kind", ["ours", "x4"])
def test_an_upgrade_and_cal_ends_with_a_new_application_that_measures_right(tmp_path, kind):
    station = station_of(tmp_path, kind)
    with station.bench() as bench:
        ended = station.run("--upgrade_and_cal", *ADDRESS, labels=())
        assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
        assert_new(station, kind, ended)
        readings = station.settled_readings(bench, wall_s=3.0)
    for port, reading in readings.items():
        ratio = reading["registers"]["current_a"] / reading["truth"]["current_a"]
        assert abs(ratio - 1) < 0.0005, (port, reading)
    (stored,) = ended.folder.glob("ASY*_factory.cfg")
    assert stored.read_bytes() == held(station)["/factory.cfg"] != first_flash(kind)["/factory.cfg"]
    assert (below(held(station), "/app1") == {}) == (kind == "x4"), "the old one would read four times low"


def test_a_calibration_that_fails_takes_the_new_application_back_too(tmp_path):
    station = BenchStation(tmp_path, factor=5, unit=unit_of("x4"), plant_faults=("load_not_settling",))
    ended = station.run("--upgrade-and-cal", *ADDRESS, labels=())
    assert ended.exit_code == 3, ended.output
    assert ended.value("settle_calibration", "calibration_after") == "old"
    assert ended.value("verify_application", "new_application_runs") is True
    assert_old(station, "x4", ended)
