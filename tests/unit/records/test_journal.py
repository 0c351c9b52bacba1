"""The journal: on the disk before the run goes on, and readable as far as it is whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.errors import StationError
from mfg.records import journal as journal_module
from mfg.records.journal import (
    ACT,
    EVENTS,
    IDENTIFIED,
    KEPT,
    PHASE,
    STORED,
    Journal,
    open_journals,
    read_journal,
)

RUN_ID = "20261120T120354.123Z-3f9a1c"
ENTRY = {
    "case": 1000,
    "name": "look",
    "outcome": "PASS",
    "start_s": 0.0,
    "seconds": 1.5,
    "measurements": [],
    "error": None,
}


def begun(root: Path) -> Journal:
    return Journal.begin(root, RUN_ID, {"slot": 1, "mode": "full"})


def written(root: Path) -> Path:
    journal = begun(root)
    journal.note(IDENTIFIED, unit={"serial_number": "SN00000001"})
    journal.note(ACT, act="erase the flash")
    journal.note(PHASE, phase=ENTRY, unit={"mac": "28:cd:c1:00:00:01"})
    journal.note(KEPT, name="log", file="log.txt", sha256="0" * 64)
    journal.note(STORED, outcome="PASS")
    journal.release()
    return journal.path


def test_what_was_written_is_read_back(tmp_path):
    story = read_journal(written(tmp_path))
    assert story.run_id == RUN_ID
    assert story.facts == {"slot": 1, "mode": "full"}
    assert story.unit == {"serial_number": "SN00000001", "mac": "28:cd:c1:00:00:01"}
    assert story.phases == [ENTRY]
    assert story.acts == ["erase the flash"]
    assert story.files == [{"name": "log", "file": "log.txt", "sha256": "0" * 64}]
    assert story.last_event == "the record was being stored as PASS"
    assert story.wrong == []


def test_every_line_is_on_the_disk_when_it_was_noted(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(journal_module.os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    journal = begun(tmp_path)
    journal.note(ACT, act="erase the flash")
    assert journal.path.stat().st_size in synced


def test_a_journal_is_for_its_owner_alone(tmp_path):
    journal = begun(tmp_path)
    assert journal.path.stat().st_mode & 0o077 == 0


def test_a_second_run_of_the_same_id_is_refused(tmp_path):
    begun(tmp_path)
    with pytest.raises(StationError, match="was not written"):
        begun(tmp_path)


def test_after_a_refusal_nothing_more_is_written(tmp_path, monkeypatch):
    journal = begun(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(journal_module.os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(StationError, match="full"):
            journal.note(ACT, act="erase the flash")
    with pytest.raises(StationError, match="full"):
        journal.note(ACT, act="erase the flash")
    assert read_journal(journal.path).acts == []


def test_a_released_journal_refuses_to_be_written(tmp_path):
    journal = begun(tmp_path)
    journal.release()
    journal.release()
    with pytest.raises(StationError, match="closed"):
        journal.note(ACT, act="erase the flash")


def test_a_journal_moves_into_the_folder_of_its_run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    journal = begun(tmp_path)
    assert open_journals(tmp_path) == [journal.path]
    journal.move_to(folder)
    assert open_journals(tmp_path) == []
    assert (folder / "journal.jsonl").exists()


def test_files_that_are_no_journals_are_left_alone(tmp_path):
    assert open_journals(tmp_path) == []
    path = written(tmp_path)
    (path.parent / "notes.txt").write_text("mine")
    (path.parent / "..jsonl").write_text("mine")
    assert open_journals(tmp_path) == [path]


@pytest.mark.parametrize("cut", range(1, 36, 7))
def test_a_last_line_that_was_cut_short_is_left_out_and_said(tmp_path, cut):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    story = read_journal(path)
    assert story.acts == ["erase the flash"]
    assert story.wrong == ["Line 6 of the journal was cut short."]
    assert not story.damaged, "the line was to precede what it names"


def test_what_stands_after_damage_is_not_used(tmp_path):
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"{\n", *lines[2:]]))
    story = read_journal(path)
    assert (story.unit, story.acts) == ({"serial_number": "SN00000001"}, [])
    assert story.wrong == ["Line 3 of the journal is no JSON."]
    assert story.damaged


def test_a_cut_line_is_ended_before_a_reopened_journal_goes_on(tmp_path):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    journal = Journal.reopen(path)
    journal.note(STORED, outcome="INTERRUPTED")
    journal.release()
    assert json.loads(path.read_bytes().splitlines()[-1]) == {"event": "stored", "outcome": "INTERRUPTED"}


def test_a_cut_line_stays_no_damage_when_the_run_that_closed_it_was_killed_too(tmp_path):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    before = read_journal(path)
    for _ in range(2):
        Journal.reopen(path).release()
        after = read_journal(path)
        assert (after.wrong, after.damaged, after.acts) == (before.wrong, False, before.acts)


def test_a_journal_of_any_size_is_reopened(tmp_path):
    path = written(tmp_path)
    with path.open("r+b") as file:
        file.truncate(1 << 32)  # a hole: it takes no room
    Journal.reopen(path).release()
    assert path.stat().st_size > 1 << 32


def test_a_run_whose_first_line_the_disk_refuses_leaves_nothing_to_close(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module.os, "write", full)
        with pytest.raises(StationError, match="No space left"):
            Journal.begin(tmp_path, RUN_ID, {})
    assert open_journals(tmp_path) == []


def test_a_cut_line_that_a_full_disk_does_not_let_end_is_a_station_error(tmp_path, monkeypatch):
    path = written(tmp_path)
    cut = path.read_bytes()[:-5]
    path.write_bytes(cut)

    def full(*_arguments):
        raise OSError(27, "File too large")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module.os, "write", full)
        with pytest.raises(StationError, match="File too large"):
            Journal.reopen(path)
    assert path.read_bytes() == cut


def test_a_journal_that_is_gone_cannot_be_reopened_or_read(tmp_path):
    for use in (Journal.reopen, read_journal):
        with pytest.raises(StationError):
            use(tmp_path / f"{RUN_ID}.jsonl")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LINE = st.builds(
    lambda event, rest: json.dumps({**rest, "event": event}).encode() + b"\n",
    st.sampled_from([*EVENTS, "other"]),
    st.dictionaries(
        st.sampled_from(["run_id", "facts", "unit", "act", "phase", "name", "file", "sha256", "outcome"]),
        JSON | st.just(RUN_ID) | st.just(ENTRY),
    ),
)


@given(st.lists(LINE | st.binary(max_size=60), max_size=6))
def test_any_bytes_are_read_as_far_as_they_make_sense(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("journal") / f"{RUN_ID}.jsonl"
    path.write_bytes(b"".join(pieces))
    story = read_journal(path)
    for phase in story.phases:
        assert phase["outcome"] in ("PASS", "FAIL", "INDETERMINATE", "ERROR", "SKIP")
    assert all(isinstance(act, str) for act in story.acts)
    assert all(isinstance(text, str) for file in story.files for text in file.values())
    assert len(story.wrong) <= 1


def test_deep_nesting_is_damage_and_no_crash(tmp_path):
    path = tmp_path / f"{RUN_ID}.jsonl"
    path.write_bytes(b'{"event":' + b"[" * 100_000 + b"\n")
    assert read_journal(path).wrong == ["Line 1 of the journal is no JSON."]


def test_a_journal_without_an_end_is_read_up_to_a_limit(tmp_path, monkeypatch):
    path = written(tmp_path)
    monkeypatch.setattr(journal_module, "FILE_LIMIT_BYTES", 100)
    story = read_journal(path)
    assert story.wrong[0] == "The journal is longer than 100 bytes."
    assert story.damaged
