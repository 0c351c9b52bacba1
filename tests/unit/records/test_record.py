"""The record: its shape, its file, and how its values read."""

from __future__ import annotations

import copy
import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfg.errors import StationError
from mfg.records import run_folder
from mfg.records.record import (
    Record,
    failures,
    limit_text,
    load_record,
    record_from_json,
    record_to_json,
    validate_record,
    value_text,
    write_record,
)
from mfg.records.run_folder import RunFolder

Make = Callable[..., Record]
json_values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})
)


def entry(**changes: Any) -> Any:
    base = {"name": "x", "value": 1.0, "unit": "V", "low": None, "high": None, "expected": None}
    return base | {"outcome": "PASS", "limit_source": ""} | changes


def test_a_record_comes_back_from_its_folder_as_it_was(tmp_path: Path, make_record: Make):
    record = make_record()
    folder = RunFolder.create(tmp_path, record["serial_number"], record["run_id"])
    path = write_record(folder, record)
    assert path.name == "record.json"
    assert load_record(folder.path) == record
    assert folder.complete


def test_a_record_of_another_run_is_not_written_into_a_folder(tmp_path: Path, make_record: Make):
    folder = RunFolder.create(tmp_path, "SN1", "20261120T120355.123Z-000000")
    with pytest.raises(StationError, match="does not belong"):
        write_record(folder, make_record())
    assert not folder.complete


def test_a_full_disk_leaves_the_run_recognisable_as_incomplete(
    tmp_path: Path, make_record: Make, monkeypatch: pytest.MonkeyPatch
):
    record = make_record()
    folder = RunFolder.create(tmp_path, record["serial_number"], record["run_id"])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_folder.os, "fsync", full)
    with pytest.raises(StationError, match="No space left"):
        write_record(folder, record)
    assert not folder.complete
    assert list(folder.path.iterdir()) == []


def test_a_folder_without_a_record_says_that_its_run_did_not_end(tmp_path: Path):
    with pytest.raises(StationError, match="did not end"):
        load_record(tmp_path)


def test_keys_that_this_reader_does_not_know_are_kept(make_record: Make):
    record = json.loads(record_to_json(make_record()))
    record["certificate"] = {"number": 7}
    assert record_from_json(json.dumps(record).encode())["certificate"] == {"number": 7}


def test_a_newer_schema_is_refused_as_newer(make_record: Make):
    record = make_record() | {"schema": 2}
    with pytest.raises(StationError, match="schema 2"):
        record_from_json(json.dumps(record).encode())


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("outcome",), "GREAT", "outcome"),
        (("emulated",), 1, "emulated"),
        (("started_utc",), "2026-11-20 12:00", "started_utc"),
        (("bench_seconds",), -1, "bench_seconds"),
        (("station", "id"), None, "station.id"),
        (("phases", 0, "measurements", 1, "value"), [3.2], r"phases\[0\].measurements\[1\].value"),
        (("phases", 0, "measurements", 1, "low"), math.nan, r"measurements\[1\].low"),
        (("phases", 0, "measurements", 1, "high"), 2**63, r"measurements\[1\].high"),
        (("phases", 2, "outcome"), "UNSET", r"phases\[2\].outcome"),
        (("phases", 2, "error"), "bad", r"phases\[2\].error"),
        (("adjustments", 0, "gain_new"), 1.5, r"adjustments\[0\].gain_new"),
        (("operator",), "\ud800", "operator"),
    ],
)
def test_names_the_key_that_is_wrong(make_record: Make, path: tuple[Any, ...], value: Any, named: str):
    record: Any = copy.deepcopy(make_record())
    inner = record
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(StationError, match=named):
        validate_record(record)


def test_names_any_key_that_is_missing(make_record: Make):
    for key in make_record():
        record: Any = dict(make_record())
        del record[key]
        with pytest.raises(StationError, match=key):
            validate_record(record)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("reference", "due"), "2026-02-30", "calibration.reference.due"),
        (("reference", "overridden_by"), None, "calibration.reference.overridden_by"),
        (("instruments", 0, "certificate"), 7, r"calibration.instruments\[0\].certificate"),
        (("load_points", 1, "name"), "High!", r"calibration.load_points\[1\].name"),
        (("load_points", 1, "current_a"), 0, r"calibration.load_points\[1\].current_a"),
        (("registers", "CS4", "0x61"), 65536, "calibration.registers.CS4.0x61"),
        (("registers",), {"CS1": {}}, "calibration.registers key"),
        (("registers",), {"CS4": {"61": 1}}, "calibration.registers.CS4 key"),
        (("windows_file",), "../windows.csv", "calibration.windows_file"),
        (("not_done",), "nothing", "calibration.not_done"),
        (("conditions", "ambient_degc"), math.nan, "calibration.conditions.ambient_degc"),
        (("waivers",), [None], r"calibration.waivers\[0\]"),
    ],
)
def test_names_the_fact_of_a_calibration_that_is_wrong(
    make_calibrated_record: Make, path: tuple[Any, ...], value: Any, named: str
):
    record: Any = copy.deepcopy(make_calibrated_record())
    inner = record["calibration"]
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(StationError, match=named):
        validate_record(record)


def test_a_calibration_comes_back_as_it_was(make_calibrated_record: Make):
    record = make_calibrated_record()
    assert record_from_json(record_to_json(record)) == record


@given(st.binary(max_size=100) | json_values.map(lambda value: json.dumps(value).encode()))
def test_bytes_that_are_no_record_are_refused(data: bytes):
    with pytest.raises(StationError):
        record_from_json(data)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_value_in_any_place_is_accepted_or_refused_with_a_reason(
    make_record: Make, make_calibrated_record: Make, data: st.DataObject
):
    record: Any = data.draw(st.sampled_from((make_record, make_calibrated_record)))()
    inner: Any = record
    while True:
        key = data.draw(st.sampled_from(list(inner) if isinstance(inner, dict) else list(range(len(inner)))))
        if not inner[key] or not isinstance(inner[key], dict | list) or data.draw(st.booleans()):
            break
        inner = inner[key]
    inner[key] = data.draw(json_values)
    try:
        assert record_from_json(record_to_json(record)) == record
    except StationError as error:
        assert "must be" in str(error) or "schema" in str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize(
    ("measured", "value", "limit"),
    [
        (entry(value=231.42, low=200.0, high=260.0), "231.42 V", "200 … 260 V"),
        (entry(value=-0.0312345678, low=-0.5, high=0.5, unit="%"), "-0.0312346 %", "± 0.5 %"),
        (entry(value=True, expected=True, unit=""), "yes", "= yes"),
        (entry(value="YDEV", expected="YDEV", unit=""), "YDEV", "= YDEV"),
        (entry(value="SN1", expected="/SN\\d+/", unit=""), "SN1", "matches SN\\d+"),
        (entry(value=0, low=0, high=0, unit=""), "0", "= 0"),
        (entry(value=5, low=3), "5 V", "≥ 3 V"),
        (entry(value=5, high=3), "5 V", "≤ 3 V"),
        (entry(value=None), "not set", "–"),  # noqa: RUF001
        (entry(value="nan", low=0.0, high=1.0), "nan", "0 … 1 V"),
        (entry(value=10000000.0), "10000000 V", "–"),  # noqa: RUF001
    ],
)
def test_values_and_limits_read_as_a_person_writes_them(measured: Any, value: str, limit: str):
    assert value_text(measured) == value
    assert limit_text(measured) == limit


def test_failures_name_value_limit_and_error_and_leave_repeated_tries_out(make_record: Make):
    record = make_record()
    first, second, third = record["phases"][:3]
    first["measurements"][1].update(value=0.5, outcome="FAIL")
    second["outcome"] = "SKIP"
    second["measurements"][0].update(value=1.0, outcome="FAIL")
    third["error"] = {"kind": "DutError", "message": "No answer."}
    found = failures(record)
    assert [(item.phase, item.what) for item in found] == [
        ("identify_unit", "version"),
        ("archive_unit", "DutError"),
    ]
    assert (found[0].value, found[0].limit, found[0].case) == ("0.5", "1.6 … 99", 1000)
    assert found[1].message == "No answer."
