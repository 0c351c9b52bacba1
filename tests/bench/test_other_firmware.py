"""Another firmware than the station's own: loaded on request, and on record."""

from __future__ import annotations

from pathlib import Path

from bench_station import BenchStation

from mfg.emulator.field_units import write_sources
from mfg.emulator.quirks import USUAL
from mfg.fixtures.firmware_build import build_firmware


def test_a_run_loads_the_named_firmware_and_its_record_says_which(tmp_path: Path):
    # Of the original interface all that the plan does not reject a unit for.
    quirks = set(USUAL) - {"default_gains", "bluetooth_led_blinks"}
    firmware = write_sources(tmp_path / "firmware", quirks, version="4.0")
    ended = BenchStation(tmp_path, factor=3).run("--no-cal", "--firmware", str(firmware))
    assert ended.exit_code == 5, ended.output
    assert ended.record["firmware"]["source"] == str(firmware)
    loaded = ended.value("load_firmware", "firmware_sha256")
    assert loaded == build_firmware(firmware, None).sha256


def test_a_folder_without_firmware_is_refused_before_anything_is_touched(tmp_path: Path):
    station = BenchStation(tmp_path)
    done = station.command("run", "--firmware", str(tmp_path))
    assert done.returncode == 2
    assert "no firmware is there" in done.stdout
    assert not (tmp_path / "records").exists()
