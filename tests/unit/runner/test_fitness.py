"""A run on a changed station, or by a clock that was set, is not judged."""

import datetime
import hashlib
from types import SimpleNamespace

import pytest

from mfg.errors import StationError
from mfg.records.index import RecordIndex
from mfg.runner.fitness import changed_meanwhile, require_clock

STARTED = datetime.datetime(2026, 11, 20, 12, 0, 0, tzinfo=datetime.UTC)


@pytest.fixture
def station(tmp_path):
    path = tmp_path / "station.yaml"
    path.write_text("station: {}")
    return SimpleNamespace(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def after(seconds):
    return STARTED + datetime.timedelta(seconds=seconds)


def test_an_undisturbed_run_has_no_troubles(station):
    assert changed_meanwhile(station, STARTED, after(70.5), 71.9) == []


def test_a_station_file_that_was_edited_is_named(station):
    station.path.write_text("station: {id: other}")
    (trouble,) = changed_meanwhile(station, STARTED, after(70), 70)
    assert trouble == f"The station file {station.path} was changed during the run."


def test_so_is_one_that_is_gone(station):
    station.path.unlink()
    assert len(changed_meanwhile(station, STARTED, after(70), 70)) == 1


@pytest.mark.parametrize(("by_s", "text"), [(3600, "+3600.0 s"), (-3, "-3.0 s"), (-7200, "-7200.0 s")])
def test_a_clock_that_was_set_is_said_with_its_jump(station, by_s, text):
    (trouble,) = changed_meanwhile(station, STARTED, after(70 + by_s), 70)
    assert trouble == f"The computer's clock was set by {text} during the run."


def test_a_clock_behind_the_newest_record_is_refused_before_anything_is_touched(tmp_path, make_record):
    record = make_record()
    ended = datetime.datetime.fromisoformat(record["ended_utc"])
    require_clock(tmp_path, STARTED)
    folder = tmp_path / "SN00001823" / record["run_id"]
    folder.mkdir(parents=True)
    with RecordIndex(tmp_path) as index:
        index.add(record, folder)
    require_clock(tmp_path, ended + datetime.timedelta(seconds=1))
    with pytest.raises(StationError, match="but a run on record ended at"):
        require_clock(tmp_path, ended - datetime.timedelta(seconds=1))
