"""A unit for 60 Hz is calibrated where the mains has 60 Hz, and refused where it has not."""

import pytest
from bench_station import BenchStation
from field_bench import ADDRESS, FACTORY, KINDS, MACHINE, field_station, values

from mfg.emulator.config import MainsConfig

pytestmark = pytest.mark.job

AMERICAN = MainsConfig(frequency_hz=60.0)


@pytest.fixture(scope="module", params=KINDS)
def station(request, tmp_path_factory):
    """A unit that was calibrated at 50 Hz, on mains of 60 Hz."""
    # A dwell of windows whose ends are polled needs a clock that a busy machine can follow.
    folder = tmp_path_factory.mktemp(f"american-{request.param}")
    made = field_station(folder, request.param, factor=3, mains=AMERICAN)
    with made.bench():
        yield made


@pytest.mark.parametrize("station", ["original"], indirect=True)
def test_a_voltage_calibration_leaves_the_frequency_of_a_unit_alone(station):
    before = station.unit_file(FACTORY)
    ended = station.run("--voltage-cal-only", "--ac60hz", *ADDRESS, labels=())
    assert (ended.outcome, ended.exit_code) == ("ERROR", 3), ended.output
    assert "The unit is set to 50.0 Hz, the run is for 60 Hz" in ended.record["outcome_reasons"][0]
    assert ended.value("settle_calibration", "calibration_after") == "old"
    assert station.unit_file(FACTORY) == before


def test_a_unit_on_mains_of_60_hz_is_calibrated_for_them(station):
    before = values(station)
    ended = station.run("--cal-only", "--ac_60hz", *ADDRESS, labels=())
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert ended.record["mode"] == "cal-only ac-60hz"
    assert ended.record["calibration"]["conditions"]["line_frequency_hz"] == 60
    assert abs(ended.value("check_mains", "mains_hz") - 60) < 0.1
    assert ended.value("settle_calibration", "calibration_after") == "new"
    after = values(station)
    assert (before["LINE_FREQ_HZ"], after["LINE_FREQ_HZ"]) == (50, 60)
    assert values(station, MACHINE)["LINE_FREQ_HZ"] == 60
    for key in after:
        if key.endswith("GAIN"):  # those of the field are right; the reference is 0.02 % off
            assert abs(after[key] / before[key] - 1) < 0.002, (key, before[key], after[key])
    assert station.all_off()


@pytest.mark.parametrize("arguments", [("--no-cal",), ("--test-only", *ADDRESS)])
def test_what_calibrates_nothing_is_not_asked_for_60_hz(tmp_path, arguments):
    done = BenchStation(tmp_path).command("run", "--ac-60hz", *arguments)
    assert done.returncode == 2
    assert "--ac-60hz does not go with" in " ".join(done.stdout.split())
    assert not (tmp_path / ".bench").exists()
