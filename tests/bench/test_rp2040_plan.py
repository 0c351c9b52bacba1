"""The whole plan with the real erase and MicroPython images on an emulated RP2040."""

import os

import pytest
from bench_station import BenchStation

from mfg.emulator.config import InstrumentsConfig

pytestmark = pytest.mark.skipif(
    not os.environ.get("MFG_UF2_DIR"), reason="MFG_UF2_DIR does not name a folder with the real UF2 images"
)


def test_the_plan_passes_with_the_real_images(tmp_path):
    perfect = InstrumentsConfig(meter_gain_error_pct=0.0, meter_noise_pct=0.0)
    station = BenchStation(tmp_path, backend="rp2040", instruments=perfect)
    with station.bench() as bench:
        ended = station.run()
        assert (ended.exit_code, ended.outcome) == (0, "PASS"), ended.output
        assert ended.record["backend"] == "rp2040"
        assert ended.value("load_micropython", "micropython_image").startswith(
            "firmware.uf2 MicroPython v1.26.1"
        )
        for port, reading in station.settled_readings(bench, wall_s=7.0).items():
            error_pct = (reading["registers"]["current_a"] / reading["truth"]["current_a"] - 1) * 100
            assert abs(error_pct) < 0.1, (port, reading)
