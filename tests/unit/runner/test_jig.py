"""The CT jig's counter: split cores and contacts wear."""

from __future__ import annotations

import json
import subprocess
import sys

import filelock
import pytest

from mfg.errors import StationError
from mfg.runner import jig
from mfg.runner.jig import FILE_NAME, LOCK_NAME, count_jig_cycle


def test_the_first_calibration_is_number_1_and_each_adds_one(tmp_path):
    assert [count_jig_cycle(tmp_path) for _ in range(3)] == [1, 2, 3]


def test_the_number_is_kept_with_the_records(tmp_path):
    count_jig_cycle(tmp_path)
    assert json.loads((tmp_path / FILE_NAME).read_text()) == {"cycles": 1}
    (tmp_path / FILE_NAME).write_text('{"cycles": 4711}')
    assert count_jig_cycle(tmp_path) == 4712


@pytest.mark.parametrize(
    "content",
    [
        "",
        "cycles",
        "[]",
        "7",
        "{}",
        '{"cycles": null}',
        '{"cycles": "many"}',
        '{"cycles": NaN}',
        '{"cycles": 1e999}',
    ],
)
def test_a_counter_that_cannot_be_read_is_never_started_again(tmp_path, content):
    path = tmp_path / FILE_NAME
    path.write_text(content)
    with pytest.raises(StationError, match=r"counter .* cannot be read") as caught:
        count_jig_cycle(tmp_path)
    assert caught.value.action == "Restore or delete it."
    assert path.read_text() == content


def test_a_counter_that_is_no_text_is_refused(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(StationError, match="cannot be read"):
        count_jig_cycle(tmp_path)


def test_a_counter_that_cannot_be_written_is_the_stations_fault(tmp_path):
    (tmp_path / "records").write_text("a file, no folder")
    with pytest.raises(StationError, match="was not written"):
        count_jig_cycle(tmp_path / "records")


COUNT_25 = """
import sys
from pathlib import Path
from mfg.runner.jig import count_jig_cycle
for _ in range(25):
    count_jig_cycle(Path(sys.argv[1]))
"""


def test_slots_that_count_at_the_same_time_lose_no_closing(tmp_path):
    runs = [subprocess.Popen([sys.executable, "-c", COUNT_25, str(tmp_path)]) for _ in range(3)]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    assert count_jig_cycle(tmp_path) == 76


def test_a_counter_that_another_run_holds_is_named_and_not_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(jig, "LOCK_TIMEOUT_S", 0.05)
    with filelock.FileLock(tmp_path / LOCK_NAME), pytest.raises(StationError, match="held by another run"):
        count_jig_cycle(tmp_path)
    assert not (tmp_path / FILE_NAME).exists()
