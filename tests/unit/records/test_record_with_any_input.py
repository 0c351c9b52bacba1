"""Whatever a record.json or an index holds is read or refused, and never leads out of the records folder."""

from __future__ import annotations

import copy
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from any_input import EVIL_TEXTS, broken_bytes, json_documents, one_in, read_or_refuse
from hypothesis import given
from hypothesis import strategies as st
from record_builder import build_calibrated_record, build_record

from mfg.errors import DutError, StationError, UsageError
from mfg.records.index import INDEX_FILE, RecordIndex, rebuild_index
from mfg.records.record import Record, failures, load_record, record_from_json, record_to_json
from mfg.records.run_folder import RECORD_FILE
from mfg.reporting.summary import summarize

RECORDS = (build_record(), build_calibrated_record())


def read(data: bytes) -> Record | None:
    return read_or_refuse(lambda: record_from_json(data), StationError, place=RECORD_FILE)


@one_in(2)
@given(json_documents(*RECORDS))
def test_a_record_with_something_wrong_is_read_and_written_again_or_refused(data):
    record = read(data)
    if record is not None:
        assert record_from_json(record_to_json(record)) == record
        assert all(failure.what is not None for failure in failures(record))


@given(broken_bytes(*(record_to_json(record) for record in RECORDS)))
def test_broken_bytes_of_a_record_are_read_or_refused(data):
    read(data)


def holders(tree: Any) -> list[Any]:
    """Every object and list in a record, one of each kind."""
    found: dict[str, Any] = {}

    def walk(item: Any, where: str) -> None:
        if isinstance(item, dict | list):
            found.setdefault(where, item)
            for place, inner in item.items() if isinstance(item, dict) else enumerate(item[:1]):
                walk(inner, f"{where}.{place if isinstance(item, dict) else ''}")

    walk(tree, "")
    return list(found.values())


def test_every_evil_value_at_every_key_of_a_record_is_read_or_refused():
    literals = (
        "null",
        "true",
        '"<b>"',
        "-1",
        "0.5",
        "1e300",
        "5e-324",
        "1" + "0" * 90,
        "[]",
        "{}",
        '{"a": [{}]}',
    )
    record: Any = copy.deepcopy(build_calibrated_record())
    record["phases"] = [phase for phase in record["phases"] if phase["name"] == "verify_no_load"]
    record["phases"][0]["measurements"] = record["phases"][0]["measurements"][:1]
    for holder in holders(record):
        for place in list(holder) if isinstance(holder, dict) else range(len(holder[:1])):
            kept = holder[place]
            holder[place] = "@here@"
            text = json.dumps(record)
            holder[place] = kept
            for literal in literals:
                read(text.replace('"@here@"', literal).encode())


UNCERTAIN = (
    "expanded",
    "k",
    "dof",
    "coverage_pct",
    "accept_low",
    "accept_high",
    "tur",
    "conformity_probability",
)
FAR = (0.0, -0.0, 5e-324, 1e-300, 1e-17, 1.0, 1e17, 1e150, 1e300, 1.7e308, 2**63 - 1, None)


@given(
    st.lists(
        st.tuples(st.sampled_from((*UNCERTAIN, "standard", "value", "low", "high")), st.sampled_from(FAR)),
        max_size=5,
    )
)
def test_any_figures_of_an_uncertainty_are_consistent_or_refused(changes):
    record: Any = copy.deepcopy(build_calibrated_record())
    phase = next(phase for phase in record["phases"] if phase["name"] == "verify_no_load")
    entry = phase["measurements"][0]
    for key, value in changes:
        holder = entry if key in entry else entry["uncertainty"]
        (holder if key in holder else holder["budget"][0])[key] = value
    phase["measurements"] = [entry]
    record["phases"] = [phase]
    read(json.dumps(record).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"expanded": 5e-324, "k": 1e300},
        {"expanded": 1.7e308, "k": 5e-324},
        {"budget": [{"name": "a", "kind": "B", "distribution": "n", "standard": 1.7e308, "dof": None}] * 2},
    ],
    ids=range(3),
)
def test_figures_that_once_ended_in_a_traceback_are_refused(changes):
    record: Any = copy.deepcopy(build_calibrated_record())
    phase = next(phase for phase in record["phases"] if phase["name"] == "verify_no_load")
    phase["measurements"][0]["uncertainty"].update(changes)
    with pytest.raises(StationError, match="uncertainty"):
        record_from_json(json.dumps(record).encode())


@pytest.mark.parametrize("time", ["9999-99-99T99:99:99Z", "2026-02-31T00:00:00Z", "2026-11-20T24:00:01Z"])
def test_a_time_that_does_not_exist_is_refused(time):
    data = json.dumps(build_record() | {"started_utc": time}).encode()
    with pytest.raises(StationError, match="started_utc"):
        record_from_json(data)


def test_a_record_that_is_too_large_or_a_pipe_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("mfg.records.record.MAX_RECORD_BYTES", 1000)
    (tmp_path / RECORD_FILE).write_bytes(record_to_json(build_record()))
    with pytest.raises(StationError, match="more than 1000 bytes"):
        load_record(tmp_path)
    (tmp_path / RECORD_FILE).unlink()
    (tmp_path / RECORD_FILE).symlink_to("/dev/zero")
    with pytest.raises(StationError, match="not a regular file"):
        load_record(tmp_path)


# ---- the index ----


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """A records folder with two runs and their index."""
    root = tmp_path_factory.mktemp("records")
    for number, record in enumerate(RECORDS):
        changed: Any = record | {"run_id": f"20261120T120354.12{number}Z-3f9a1c"}
        folder = root / "SN00001823" / changed["run_id"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD_FILE).write_bytes(record_to_json(changed))
    rebuild_index(root)
    return root


USES: dict[str, Callable[[RecordIndex], object]] = {
    "runs": lambda index: index.runs("SN00001823"),
    "latest": lambda index: index.latest_record(),
    "mac": lambda index: index.mac_of("SN00001823"),
    "claim": lambda index: index.claim_mac("28:cd:c1:00:00:01", "SN00001823", emulated=True),
    "add": lambda index: index.add(build_record(), index.root / "SN00001823" / build_record()["run_id"]),
    "summary": lambda index: summarize(index, include_emulated=True),
}


def use(root: Path, name: str) -> object:
    def opened() -> object:
        with RecordIndex(root) as index:
            return USES[name](index)

    return read_or_refuse(opened, StationError, DutError, place="")


@one_in(4)
@given(st.sampled_from(sorted(USES)), st.integers(0, 60_000), st.binary(min_size=1, max_size=60))
def test_any_damage_of_the_index_is_survived_or_named(store, name, at, noise):
    path = store / INDEX_FILE
    good = path.read_bytes()
    try:
        path.write_bytes(good[: at % len(good)] + noise + good[at % len(good) + len(noise) :])
        use(store, name)
    finally:
        for left in store.glob(f"{INDEX_FILE}-*"):
            left.unlink()
        path.write_bytes(good)


@pytest.mark.parametrize("folder", [text for text in EVIL_TEXTS if len(text) < 100])
def test_an_index_never_leads_out_of_the_records_folder(store, tmp_path, folder):
    """`..` in the index was followed to whatever record lay there."""
    shutil.copytree(store, tmp_path / "records")
    (tmp_path / RECORD_FILE).write_bytes(record_to_json(build_record()))
    connection = sqlite3.connect(tmp_path / "records" / INDEX_FILE)
    connection.execute("UPDATE runs SET folder = ?", (folder,))
    connection.commit()
    connection.close()
    with RecordIndex(tmp_path / "records") as index, pytest.raises(StationError, match="rebuild the index"):
        index.latest_record()


@given(st.text() | st.sampled_from(EVIL_TEXTS))
def test_any_text_for_a_serial_number_finds_nothing_or_is_refused(store, text):
    with RecordIndex(store) as index:
        rows = read_or_refuse(lambda: index.runs(text), UsageError)
        assert not rows or text.startswith("SN")
        read_or_refuse(lambda: index.serial_of_mac(text), StationError)


@pytest.mark.parametrize("version", ["\u0662", "9" * 5000, "-1", "", "2.0"])
def test_a_version_of_the_index_that_is_no_number_is_refused(store, tmp_path, version):
    shutil.copytree(store, tmp_path / "records")
    connection = sqlite3.connect(tmp_path / "records" / INDEX_FILE)
    connection.execute("UPDATE meta SET value = ?", (version,))
    connection.commit()
    connection.close()
    with pytest.raises(StationError, match="not an index of records"):
        RecordIndex(tmp_path / "records")


def test_records_that_are_no_records_are_listed_and_never_counted(store, tmp_path):
    shutil.copytree(store, tmp_path / "records")
    unit = tmp_path / "records" / "SN00001823"
    for number, data in enumerate((b"", b"[" * 100_000, b"{}", b"\xff", record_to_json(build_record()))):
        folder = unit / f"20261121T12035{number}.123Z-3f9a1c"
        folder.mkdir()
        (folder / RECORD_FILE).write_bytes(data)
    report = rebuild_index(tmp_path / "records")
    assert report.runs == 2
    assert len(report.unreadable) == 5
