"""The CT jig's counter: split cores and contacts wear."""

from __future__ import annotations

import json

import pytest

from mfg.errors import StationError
from mfg.runner.jig import FILE_NAME, count_jig_cycle


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
    with pytest.raises(StationError, match="was not written"):
        count_jig_cycle(tmp_path / "none")
