"""Whole plans on the emulated bench, judged against the plant's truth.

That every fault is caught is proved by the coverage run in tests/faults.
"""

import hashlib
import json
import stat

import pytest
from bench_station import FLASH
from secret_search import PROCESSES, files_with, forms_in

from mfg.records.chain import RecordChain
from mfg.records.run_folder import sha256_hex

GOOD_ERROR_PCT = 0.1


def test_a_good_unit_passes_with_every_planned_phase(passed):
    ended = passed.ended
    assert ended.outcome == "PASS"
    cases = [phase["case"] for phase in ended.record["phases"]]
    assert {1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000, 11000, 12000, 13000, 14000} <= set(
        cases
    )
    assert "PASS" in ended.output
    assert str(ended.folder / "report.html") in ended.output.replace("\n", "")


def test_a_full_run_takes_at_most_75_s_of_bench_time(passed):
    assert passed.ended.record["bench_seconds"] <= 75.0


def test_each_port_of_a_calibrated_unit_reads_the_plants_truth(passed):
    for port, reading in passed.readings.items():
        assert reading["truth"] is not None, port
        for quantity in ("voltage_v", "current_a"):
            error_pct = (reading["registers"][quantity] / reading["truth"][quantity] - 1) * 100
            assert abs(error_pct) < GOOD_ERROR_PCT, (port, quantity, reading)
        assert reading["truth"]["current_a"] > 40


def test_the_factory_file_is_the_units_own_with_sixteen_keys(passed):
    ended = passed.ended
    (path,) = ended.folder.glob("ASY0398_V03.2000_SN00001823_*_factory.cfg")
    content = json.loads(path.read_text())
    assert len(content) == 16
    assert content["ASSY"] == "ASY0398_V003.200_SN00001823"
    assert content["LINE_FREQ_HZ"] == 50
    assert hashlib.sha256(path.read_bytes()).hexdigest() == ended.value("store_calibration", "factory_sha256")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_that_a_run_wrote_or_showed_holds_the_wifi_passphrase(passed):
    station, ended = passed.station, passed.ended
    # Where it must be: at the station, in the emulated access point and in the memory of the emulated unit.
    known = {".bench/wifi.toml", ".bench/bench-config.json", "plant.json", FLASH.as_posix()}
    found = files_with(station.folder, passed.passphrase)
    assert set(found) <= known, found
    assert "JSON" in found[".bench/wifi.toml"]
    assert forms_in(ended.output.encode(), passed.passphrase) == []


@pytest.mark.skipif(not PROCESSES.is_dir(), reason="this system shows no process's argv and environment")
def test_no_process_of_a_run_shows_the_wifi_passphrase(passed):
    shown = b"\n".join(passed.processes)
    assert b"mfg\0run\0--assembly" in shown
    assert b"mfg.emulator\0unit" in shown
    assert forms_in(shown, passed.passphrase) == []


def test_only_its_owner_can_read_what_holds_a_units_configuration(passed):
    station, ended = passed.station, passed.ended
    private = [
        path
        for pattern in ("*.cfg", "*log*", "*journal*", "*.pem")
        for folder in (ended.folder, station.folder / "records", station.folder / "keys")
        for path in folder.glob(pattern)
        if path.is_file()
    ]
    assert {path.suffix for path in private} >= {".cfg", ".txt", ".pem"}
    for path in private:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_run_is_on_record_and_its_pages_print_head_and_key(passed):
    station, ended = passed.station, passed.ended
    records = station.folder / "records"
    link = RecordChain(records).link_of(ended.folder.name)
    assert link.record_sha256 == sha256_hex((ended.folder / "record.json").read_bytes())
    assert {path.name for path in ended.folder.iterdir()} == {
        *link.files,
        "record.json",
        "report.html",
        "certificate.html",
    }
    verified = station.command("verify", "--head", link.sha256, "--key", link.key)
    assert verified.returncode == 0, verified.stdout
    for name in ("report.html", "certificate.html"):
        page = (ended.folder / name).read_text()
        assert link.sha256 in page
        assert link.key in page


def test_the_report_is_self_contained_and_marked_as_emulated(passed):
    report = (passed.ended.folder / "report.html").read_text()
    assert "EMULATED" in report.upper()
    assert "<script" not in report.lower()
    assert 'src="http' not in report
    assert "data:image/png" in report


def test_the_display_frame_is_kept_as_png(passed):
    assert (passed.ended.folder / "display.png").read_bytes().startswith(b"\x89PNG")


def test_supply_and_load_are_off_in_the_plants_log(passed):
    assert passed.all_off
    assert all(passed.station.events(channel) for channel in ("supply", "load", "identification"))
