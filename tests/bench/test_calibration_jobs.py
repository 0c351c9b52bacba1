"""Calibrating and restoring a unit that runs: it ends with its new calibration or with its old one."""

import json

import pytest
from bench_station import BenchStation

pytestmark = pytest.mark.job

ADDRESS = ("-a", "10.0.0.2")
FACTORY = "/factory.cfg"


@pytest.fixture(scope="module")
def station(tmp_path_factory, calibrated):
    """A calibrated unit on the test network, in a slot of its own."""
    station = BenchStation(tmp_path_factory.mktemp("calibration-jobs"), factor=5).adopt(calibrated)
    ended = station.run("--setup-wifi")
    assert ended.exit_code == 0, ended.output
    return station


@pytest.fixture(scope="module")
def kept(station):
    """The factory file that the full test had kept."""
    (path,) = station.folder.glob("records/SN00001823/*/*_factory.cfg")
    return path


def test_a_restore_of_the_latest_calibration_is_proved_under_load(station, kept):
    ended = station.run("--restore", "latest", *ADDRESS, labels=())
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert ended.record["bench_seconds"] <= 40
    assert station.unit_file(FACTORY) == kept.read_bytes()
    assert ended.value("settle_calibration", "calibration_after") == "new"
    assert ended.value("archive_running_unit", "calibration_before") == "whole"
    errors = [
        entry["value"] for entry in ended.phase("verify_restored")["measurements"] if "error" in entry["name"]
    ]
    assert len(errors) == 18
    assert all(abs(error) < 0.5 for error in errors)
    assert station.all_off()


def written(tmp_path, kept, **changes):
    path = tmp_path / "factory.cfg"
    path.write_text(json.dumps(json.loads(kept.read_text()) | changes))
    return str(path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ASSY": "ASY0398_V003.200_SN00000009"}, "It is of SN00000009, the unit is SN00001823"),
        ({"CT3_IGAIN": 10680}, "belongs to PGA x4"),
        ({"LINE_FREQ_HZ": 60}, "It is for 60 Hz, the bench has 50 Hz"),
    ],
)
def test_a_file_that_is_not_the_units_is_refused_and_the_unit_keeps_its_own(
    station, kept, tmp_path, changes, sentence
):
    before = station.unit_file(FACTORY)
    ended = station.run("--restore", written(tmp_path, kept, **changes), *ADDRESS, labels=())
    assert (ended.outcome, ended.exit_code) == ("ERROR", 3), ended.output
    assert sentence in " ".join(ended.record["outcome_reasons"])
    assert station.unit_file(FACTORY) == before
    assert ended.value("settle_calibration", "calibration_after") == "old"


def test_a_restored_calibration_that_measures_wrong_is_taken_back(station, kept, tmp_path):
    before = station.unit_file(FACTORY)
    gain = json.loads(kept.read_text())["CT2_IGAIN"]
    path = written(tmp_path, kept, CT2_IGAIN=round(gain * 1.02))
    ended = station.run("--restore", path, *ADDRESS, labels=())
    assert (ended.outcome, ended.exit_code) == ("FAIL", 1), ended.output
    assert ended.record["outcome_reasons"][0].startswith(
        "12350 verify_restored: port2_restored_current_error_pct is "
    )
    assert ended.value("settle_calibration", "calibration_after") == "old"
    assert station.unit_file(FACTORY) == before


def test_a_running_unit_is_calibrated_over_the_network(station, kept):
    before = station.unit_file(FACTORY)
    ended = station.run("--cal-only", *ADDRESS, labels=())
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert ended.record["mode"] == "cal-only"
    assert ended.value("settle_calibration", "calibration_after") == "new"
    after = station.unit_file(FACTORY)
    (stored,) = ended.folder.glob("ASY*_factory.cfg")
    assert stored.read_bytes() == after
    gains = [json.loads(content)["CT1_IGAIN"] for content in (before, after)]
    assert abs(gains[1] / gains[0] - 1) < 0.001, "the same unit on the same bench"
    assert station.all_off()


def test_a_calibration_that_fails_leaves_the_old_one_on_the_unit(station):
    before = station.unit_file(FACTORY)
    with station.bench() as bench:
        bench.call("event", what="fault", value={"name": "load_not_settling", "on": True}, unit=0)
        ended = station.run("--cal-only", *ADDRESS, labels=())
        bench.call("event", what="fault", value={"name": "load_not_settling", "on": False}, unit=0)
    assert ended.exit_code == 3, ended.output
    assert ended.value("settle_calibration", "calibration_after") == "old"
    assert station.unit_file(FACTORY) == before
