"""What a recovery goes by: what the killed run had kept of the unit, as it kept it."""

from __future__ import annotations

import datetime
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from chained_records import ChainedRecords
from rich.console import Console

import mfg.limits
from mfg.clock import BenchClock
from mfg.commands import recover as recover_command
from mfg.errors import StationError, UsageError
from mfg.limits import load_limits
from mfg.records.chain import RecordChain
from mfg.records.journal import Journal, Story
from mfg.records.record import load_record
from mfg.records.run_folder import PRIVATE, RunFolder
from mfg.records.verification import snapshot_of, verify
from mfg.runner.locks import RunLocks
from mfg.runner.recovery import kept_files, recover_run
from mfg.station import load_station

RUN_ID = "20261120T120354.123Z-3f9a1c"


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path, "SN00001823", RUN_ID)


def story_of(folder, **files):
    """Keep files as a run does; return what its journal would tell."""
    stored = [folder.write(f"{name}.cfg", data, f"{name}.cfg", PRIVATE) for name, data in files.items()]
    entries = [{"name": file.name, "file": file.file, "sha256": file.sha256} for file in stored]
    return Story(RUN_ID, files=entries)


def test_what_was_kept_is_given_back_and_a_unit_without_a_calibration_had_none(folder):
    story = story_of(folder, archive_factory=b"old", factory=b"new")
    assert kept_files(folder, story, prefix="archive_") == {"factory.cfg": b"old"}
    assert kept_files(folder, story) == {"factory.cfg": b"new"}
    assert kept_files(folder, story_of(folder, archive_other=b"x"), prefix="archive_") == {}


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"spoilt")])
def test_an_archive_that_is_missing_or_spoilt_is_not_taken_for_a_unit_that_had_no_calibration(folder, spoil):
    story = story_of(folder, archive_factory=b"old", archive_calibration=b"beside")
    spoil(folder.file("archive_factory.cfg"))
    assert kept_files(folder, story, prefix="archive_") is None


LIMITS = load_limits(Path(mfg.limits.__file__).with_name("ct6.toml"))
SHIPPED = Path(__file__).parents[3] / "station.yaml"


@pytest.fixture
def station(tmp_path):
    (tmp_path / "station.yaml").write_text(SHIPPED.read_text())
    return load_station(tmp_path / "station.yaml")


def killed(station, *lines, run_id=RUN_ID):
    """Leave the journal of a run that was killed, with further lines."""
    journal = Journal.begin(station.records_folder, run_id, {"slot": 1})
    journal.release()
    with journal.path.open("a") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)
    return journal.path


def close(station, journal):
    display = SimpleNamespace(working=lambda _seconds: None)
    return recover_run(
        station, BenchClock(), LIMITS, journal, "It was killed.", ["Not looked."], display, threading.Event()
    )


@pytest.mark.parametrize(
    "line",
    [
        {"event": "identified", "unit": {"instruments": 5}},
        {"event": "identified", "unit": {"mac": 5}},
        {"event": "identified", "unit": {"firmware": None}},
        {"event": "identified", "unit": {"serial_number": 7, "assembly": []}},
    ],
)
def test_facts_that_no_record_can_hold_do_not_keep_a_run_open_for_ever(station, line):
    journal = killed(station, line)
    folder = close(station, journal)
    record = load_record(folder)
    assert record["outcome"] == "INTERRUPTED"
    assert "The journal holds facts that cannot be believed" in " ".join(record["interruption"]["journal"])
    assert not journal.exists()
    assert verify(snapshot_of(station.records_folder)).findings == []


def test_an_act_that_is_half_a_character_is_told_all_the_same(station):
    record = load_record(close(station, killed(station, {"event": "act", "act": "write \ud800"})))
    assert record["interruption"]["acts"] == ["write \\ud800"]


def test_no_run_is_closed_with_a_clock_behind_the_last_one(station, make_record):
    ahead = ChainedRecords(station.records_folder, make_record, station.key_folder)
    ahead.now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    ahead.run()
    journal = killed(station)
    with pytest.raises(StationError, match="The clock shows"):
        close(station, journal)
    assert journal.exists()
    assert not RecordChain(station.records_folder).contains(RUN_ID)


def test_a_killed_run_waits_for_the_one_that_is_in_its_slot_now(station, monkeypatch):
    journal = killed(station)
    monkeypatch.setattr(
        recover_command, "Supervisor", lambda *_arguments: pytest.fail("it touched the bench")
    )
    with RunLocks(station.records_folder) as locks:
        locks.claim_slot(1)
        with pytest.raises(UsageError, match="Slot 1 of this station is in use"):
            recover_command.close_killed_runs(Console(), station, BenchClock(), "unix", threading.Event())
    assert journal.exists()
