"""What a recovery goes by: what the killed run had kept of the unit, as it kept it."""

from __future__ import annotations

import pytest

from mfg.records.journal import Story
from mfg.records.run_folder import PRIVATE, RunFolder
from mfg.runner.recovery import kept_files

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
