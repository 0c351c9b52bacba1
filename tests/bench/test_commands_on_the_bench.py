"""Every other command on an emulated station: exit code and content."""

import dataclasses
import hashlib
import json
import sys
from pathlib import Path

from bench_station import BenchStation

from mfg.cli import main
from mfg.commands import firmware
from mfg.emulator.images import ERASE_FILE, generate_images
from mfg.fixtures.image_manifest import ImageManifest
from mfg.runner.locks import RunLocks


def said(done, exit_code=0):
    output = done.stdout + done.stderr
    assert done.returncode == exit_code, output
    assert "Traceback" not in output
    return " ".join(output.split())


def test_the_bench_is_started_looked_at_broken_and_stopped_by_hand(tmp_path):
    station = BenchStation(tmp_path)
    assert "The bench is not up." in said(station.command("bench", "status"), 1)
    assert "not up" in said(station.command("bench", "set", "supply", "on"), 2)
    assert "The bench is up: back end unix" in said(station.command("bench", "up"))
    try:
        assert "The bench is up already" in said(station.command("bench", "up"), 2)
        said(station.command("bench", "set", "two_drives", "on"))
        said(station.command("bench", "set", "supply", "on"))
        said(station.command("bench", "set", "meter_nan", "on"))
        assert "supply can be set to on or off" in said(station.command("bench", "set", "supply", "1"), 2)
        assert "colour" in said(station.command("bench", "set", "colour", "on"), 3)
        station.wait_for(lambda: station.unit.call("state")["state"] == "bootsel")
        status = said(station.command("bench", "status"))
        assert "back end unix" in status
        assert '"state": "bootsel"' in status
        assert "meter_nan" in status
        doctor = said(station.command("doctor"), 3)
        assert "✘ reference meter" in doctor
        assert "There are 2 RPI-RP2 drives" in doctor
        assert station.events("supply") == [1]
    finally:
        down = station.command("bench", "down")
    assert "The bench is down." in said(down)
    station.wait_for(lambda: "not up" in station.command("bench", "status").stdout)


def test_the_doctor_finds_a_good_station_good_and_switches_nothing(tmp_path):
    station = BenchStation(tmp_path)
    output = said(station.command("doctor"))
    for check in ("station file", "limits", "WiFi credentials", "erase image", "reference meter", "disk"):
        assert f"✔ {check}" in output
    assert "power switch and load watchdog: EMU-BENCH" in output
    assert "✘" not in output
    assert "bench-only-passphrase" not in output
    assert not any(station.events(channel) for channel in ("supply", "load", "identification"))
    with RunLocks(station.folder / "records") as locks:
        locks.claim_slot(1)
        assert "Slot 1 of this station is in use by another run" in said(station.command("doctor"), 2)
    listed = said(station.command("firmware", "list"))
    assert "emulator-erase" in listed
    assert "flash-nuke" in listed
    assert "emulator-erase: right" in said(station.command("firmware", "verify"))
    image = tmp_path / ".bench" / "images" / ERASE_FILE
    kept = tmp_path / "kept.uf2"
    image.replace(kept)
    assert "emulator-erase:" in said(station.command("firmware", "verify"), 3)
    kept.with_suffix(".txt").write_text("no image")
    assert "kept.txt" in said(station.command("firmware", "add", str(kept.with_suffix(".txt"))), 3)
    assert "is not in the image manifest" in said(station.command("firmware", "add", str(kept)), 3)
    assert not image.exists()


def test_an_image_of_the_manifest_is_taken_over(tmp_path, monkeypatch):
    station = BenchStation(tmp_path)
    erase, _micropython = generate_images(tmp_path / "elsewhere")
    entry = firmware.manifest().by_name("emulator-erase")
    known = dataclasses.replace(entry, sha256=hashlib.sha256(erase.read_bytes()).hexdigest())
    monkeypatch.setattr(firmware, "manifest", lambda: ImageManifest(Path("manifest.toml"), (known,)))
    monkeypatch.setattr(sys, "argv", sys.argv)  # main() shortens it
    assert main(["firmware", "add", str(erase), "--station", str(station.path)]) == 0
    assert (tmp_path / ".bench" / "images" / ERASE_FILE).read_bytes() == erase.read_bytes()


def test_what_is_on_record_is_listed_shown_reported_and_summed_up(tmp_path, calibrated):
    station = BenchStation(tmp_path)
    assert "has no record of any unit" in said(station.command("report"), 2)
    for path in sorted((tmp_path / "records").rglob("*"), reverse=True):
        path.unlink()
    (tmp_path / "records").rmdir()
    station.adopt(calibrated)
    listed = said(station.command("list"))
    assert "SN00001823" in listed
    assert "PASS" in listed
    shown = said(station.command("show", "SN00001823"))
    assert "SN00001823 ASY0398V03.2: PASS (emulated, unix)" in shown
    assert "port6_igain" in shown
    assert "has no record of SN00009999" in said(station.command("show", "SN00009999"), 2)
    assert "serial" in said(station.command("show", "../../etc"), 2)
    (record,) = station.folder.glob("records/*/*/record.json")
    report = record.parent / "report.html"
    report.unlink()
    assert str(report) in said(station.command("report", "SN00001823"))
    assert json.loads(record.read_text())["run_id"] in report.read_text()
    real = said(station.command("summary"))
    assert "emulated" in real
    both = said(station.command("summary", "--emulated"))
    assert "100" in both
    assert "summary" in both
    assert real != both
