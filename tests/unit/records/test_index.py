"""The index: what it answers, what it refuses, and that it can be made again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mfg.errors import DutError, StationError, UsageError
from mfg.records import index as index_module
from mfg.records.index import INDEX_FILE, RecordIndex, rebuild_index
from mfg.records.record import Record, write_record
from mfg.records.run_folder import RunFolder

Make = Callable[..., Record]


def store(root: Path, make_record: Make, minute: int, **changes: Any) -> tuple[Record, Path]:
    """Write a record into its folder, `minute` minutes past twelve."""
    facts = {
        "run_id": f"20261120T12{minute:02d}54.123Z-3f9a1c",
        "started_utc": f"2026-11-20T12:{minute:02d}:54.123Z",
        "emulated": False,
    }
    record = make_record(**facts | changes)
    folder = RunFolder.create(root, record["serial_number"] or None, record["run_id"])
    write_record(folder, record)
    return record, folder.path


def dump(root: Path) -> list[Any]:
    """Return all rows of all tables, in a fixed order."""
    with RecordIndex(root) as index:
        return [
            sorted(map(repr, index.select(f"SELECT * FROM {table}")[1]))
            for table in ("meta", "runs", "phases", "measurements", "macs")
        ]


def test_finds_the_runs_of_a_unit_oldest_first(tmp_path: Path, make_record: Make):
    with RecordIndex(tmp_path) as index:
        for minute in (7, 3, 5):
            index.add(*store(tmp_path, make_record, minute))
        index.add(*store(tmp_path, make_record, 9, serial_number="SN00000002", mac=""))
        assert [row.started_utc[14:16] for row in index.runs("SN1823")] == ["03", "05", "07"]
        assert len(index.runs()) == 4
        assert index.runs("SN00000003") == []
        assert index.runs()[0].folder.is_dir()
        with pytest.raises(UsageError):
            index.runs("'; DROP TABLE runs")


def test_leaves_emulated_runs_out_when_asked(tmp_path: Path, make_record: Make):
    with RecordIndex(tmp_path) as index:
        index.add(*store(tmp_path, make_record, 1, emulated=True))
        index.add(*store(tmp_path, make_record, 2))
        assert [row.emulated for row in index.runs()] == [True, False]
        assert [row.emulated for row in index.runs(include_emulated=False)] == [False]


def test_loads_the_latest_record(tmp_path: Path, make_record: Make):
    with RecordIndex(tmp_path) as index:
        assert index.latest_record() is None
        index.add(*store(tmp_path, make_record, 1))
        newest, folder = store(tmp_path, make_record, 2, outcome="FAIL")
        index.add(newest, folder)
        found = index.latest_record("SN00001823")
    assert found is not None
    assert (found.record, found.folder) == (newest, folder)


def test_a_record_added_twice_counts_once(tmp_path: Path, make_record: Make):
    stored = store(tmp_path, make_record, 1)
    with RecordIndex(tmp_path) as index:
        index.add(*stored)
        before = index.select("SELECT count(*) FROM measurements")
        index.add(*stored)
        assert index.select("SELECT count(*) FROM measurements") == before
        assert len(index.runs()) == 1


def test_a_mac_address_belongs_to_one_serial_number_and_the_other_way_round(tmp_path: Path):
    with RecordIndex(tmp_path) as index:
        index.claim_mac("28:CD:C1:00:00:01", "SN1", False)
        index.claim_mac("28:cd:c1:00:00:01", "SN00000001", False)
        assert index.mac_of("SN1") == "28:cd:c1:00:00:01"
        assert index.serial_of_mac("28:CD:C1:00:00:01") == "SN00000001"
        with pytest.raises(DutError, match="belongs to SN00000001, not to SN00000002"):
            index.claim_mac("28:cd:c1:00:00:01", "SN2", False)
        with pytest.raises(DutError, match="had MAC address 28:cd:c1:00:00:01 before"):
            index.claim_mac("28:cd:c1:00:00:02", "SN1", False)
        assert index.mac_of("SN2") is None


def test_an_emulated_unit_never_takes_a_real_address(tmp_path: Path):
    with RecordIndex(tmp_path) as index:
        index.claim_mac("28:cd:c1:00:00:01", "SN1", True)
        index.claim_mac("28:cd:c1:00:00:01", "SN2", False)
        assert index.serial_of_mac("28:cd:c1:00:00:01", emulated=True) == "SN00000001"


def test_a_released_address_can_be_replaced(tmp_path: Path):
    with RecordIndex(tmp_path) as index:
        index.claim_mac("28:cd:c1:00:00:01", "SN1", False)
        assert index.release_mac("SN1") == "28:cd:c1:00:00:01"
        assert index.release_mac("SN1") is None
        index.claim_mac("28:cd:c1:00:00:02", "SN1", False)


def test_a_run_with_a_foreign_address_stays_in_the_index(tmp_path: Path, make_record: Make):
    with RecordIndex(tmp_path) as index:
        index.add(*store(tmp_path, make_record, 1))
        with pytest.raises(DutError):
            index.add(*store(tmp_path, make_record, 2, serial_number="SN00000002"))
        assert len(index.runs("SN2")) == 1
        assert index.mac_of("SN2") is None


def test_a_rebuilt_index_equals_the_one_that_grew(tmp_path: Path, make_record: Make):
    with RecordIndex(tmp_path) as index:
        index.add(*store(tmp_path, make_record, 1, outcome="FAIL", retest=False))
        index.add(*store(tmp_path, make_record, 2, retest=True))
        index.add(*store(tmp_path, make_record, 3, serial_number="", mac=""))
    grown = dump(tmp_path)
    (tmp_path / INDEX_FILE).unlink()
    report = rebuild_index(tmp_path)
    assert (report.runs, report.incomplete, report.unreadable, report.conflicts) == (3, [], [], [])
    assert dump(tmp_path) == grown


def test_a_rebuild_reports_what_it_could_not_take(tmp_path: Path, make_record: Make):
    store(tmp_path, make_record, 1)
    store(tmp_path, make_record, 2, serial_number="SN00000002")
    cut = RunFolder.create(tmp_path, "SN3", "20261120T120354.123Z-000003")
    bad = RunFolder.create(tmp_path, "SN4", "20261120T120354.123Z-000004")
    bad.write("record.json", b'{"schema": 1')
    copied = RunFolder.create(tmp_path, "SN5", "20261120T120354.123Z-000005")
    copied.write("record.json", (store(tmp_path, make_record, 6)[1] / "record.json").read_bytes())
    report = rebuild_index(tmp_path)
    assert report.runs == 3
    assert report.incomplete == [cut.path]
    assert len(report.unreadable) == 2
    assert "not JSON" in report.unreadable[0]
    assert "holds the record of run" in report.unreadable[1]
    assert len(report.conflicts) == 1
    assert "SN00000002" in report.conflicts[0]


def test_a_rebuild_moves_a_file_aside_that_is_no_database(tmp_path: Path, make_record: Make):
    store(tmp_path, make_record, 1)
    (tmp_path / INDEX_FILE).write_bytes(b"not a database at all, but long enough" * 100)
    with pytest.raises(StationError, match="cannot be used"):
        RecordIndex(tmp_path)
    assert rebuild_index(tmp_path).runs == 1
    assert len(list(tmp_path.glob(f"{INDEX_FILE}.broken-*"))) == 1


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path):
    RecordIndex(tmp_path).close()
    with sqlite3.connect(tmp_path / INDEX_FILE) as connection:
        connection.execute("UPDATE meta SET value = '99'")
    connection.close()
    for attempt in (RecordIndex, rebuild_index):
        with pytest.raises(StationError, match="schema 99"):
            attempt(tmp_path)


def test_another_database_is_refused_and_left_alone(tmp_path: Path):
    connection = sqlite3.connect(tmp_path / INDEX_FILE)
    connection.execute("CREATE TABLE runs (x)")
    connection.commit()
    connection.close()
    with pytest.raises(StationError, match="not an index"):
        RecordIndex(tmp_path)


# What version 1 of the index made of a new file.
VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, folder TEXT NOT NULL, serial_number TEXT NOT NULL, assembly TEXT NOT NULL,
    product TEXT NOT NULL, mode TEXT NOT NULL, slot INTEGER NOT NULL, emulated INTEGER NOT NULL,
    backend TEXT NOT NULL, station TEXT NOT NULL, software TEXT NOT NULL, limits_revision TEXT NOT NULL,
    firmware TEXT NOT NULL, operator TEXT NOT NULL, started_utc TEXT NOT NULL, ended_utc TEXT NOT NULL,
    bench_seconds REAL NOT NULL, outcome TEXT NOT NULL, retest INTEGER NOT NULL
) STRICT;
CREATE INDEX runs_by_unit ON runs (serial_number, started_utc);
CREATE TABLE phases (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, position INTEGER NOT NULL, number INTEGER,
    name TEXT NOT NULL, outcome TEXT NOT NULL, seconds REAL NOT NULL, error TEXT NOT NULL,
    PRIMARY KEY (run_id, position)
) STRICT;
CREATE TABLE measurements (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, position INTEGER NOT NULL, phase TEXT NOT NULL,
    name TEXT NOT NULL, number REAL, text TEXT, unit TEXT NOT NULL, low REAL, high REAL, outcome TEXT NOT NULL
) STRICT;
CREATE INDEX measurements_by_run ON measurements (run_id);
CREATE INDEX measurements_by_name ON measurements (name);
CREATE TABLE macs (
    mac TEXT NOT NULL, serial_number TEXT NOT NULL, emulated INTEGER NOT NULL, run_id TEXT NOT NULL,
    PRIMARY KEY (mac, emulated), UNIQUE (serial_number, emulated)
) STRICT;
INSERT INTO meta VALUES ('schema_version', '1');
"""


def make_version_1(root: Path, record: Record, folder: Path) -> None:
    """Write an index as version 1 left it behind, with one run in it."""
    connection = sqlite3.connect(root / INDEX_FILE)
    connection.executescript(VERSION_1)
    columns = list(index_module._run_columns(record, f"{folder.parent.name}/{folder.name}").values())
    connection.execute(f"INSERT INTO runs VALUES ({', '.join('?' * len(columns))})", columns)
    for position, phase in enumerate(record["phases"]):
        row = (
            record["run_id"],
            position,
            phase["case"],
            phase["name"],
            phase["outcome"],
            phase["seconds"],
            "",
        )
        connection.execute("INSERT INTO phases VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        for entry in phase["measurements"]:
            measured = (record["run_id"], position, phase["name"], *index_module._measured(entry)[:7])
            connection.execute(f"INSERT INTO measurements VALUES ({', '.join('?' * 10)})", measured)
    mac = (record["mac"], record["serial_number"], int(record["emulated"]), record["run_id"])
    connection.execute("INSERT INTO macs VALUES (?, ?, ?, ?)", mac)
    connection.commit()
    connection.close()


def test_an_index_of_version_1_is_migrated_and_keeps_its_runs(
    tmp_path: Path, make_record: Make, make_calibrated_record: Make
):
    make_version_1(tmp_path, *store(tmp_path, make_record, 1))
    with RecordIndex(tmp_path) as index:
        assert index.select("SELECT value FROM meta")[1] == [("2",)]
        assert len(index.runs("SN1823")) == 1
        query = "SELECT count(*), count(verdict), count(k) FROM measurements"
        ((old, *judged),) = index.select(query)[1]
        assert (old > 50, judged) == (True, [0, 0])
        index.add(*store(tmp_path, make_calibrated_record, 2))
    migrated = dump(tmp_path)
    (tmp_path / INDEX_FILE).unlink()
    assert rebuild_index(tmp_path).runs == 2
    assert dump(tmp_path) == migrated
    assert _columns(tmp_path)[-5:] == [
        "expanded_uncertainty",
        "k",
        "dof",
        "conformity_probability",
        "verdict",
    ]


def _columns(root: Path) -> list[str]:
    with RecordIndex(root) as index:
        return index.select("SELECT * FROM measurements")[0]


def test_uncertainty_and_verdict_of_a_value_can_be_asked_for(tmp_path: Path, make_calibrated_record: Make):
    with RecordIndex(tmp_path) as index:
        index.add(*store(tmp_path, make_calibrated_record, 1))
        _, rows = index.select(
            "SELECT number, expanded_uncertainty, k, dof, conformity_probability, verdict FROM measurements"
            " WHERE name = 'port1_high_current_error_pct'"
        )
        ((least,),) = index.select("SELECT min(conformity_probability) FROM measurements")[1]
    ((number, expanded, k, dof, probability, verdict),) = rows
    assert (number, k, verdict) == (0.012, 2.0, "PASS")
    assert 0.2 < expanded < 0.33
    assert dof is None or dof > 1e5
    assert 0.97 < least <= probability <= 1


def test_an_older_schema_is_migrated_in_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    RecordIndex(tmp_path).close()
    newest, known = index_module.SCHEMA_VERSION, index_module._MIGRATIONS
    monkeypatch.setattr(index_module, "SCHEMA_VERSION", newest + 1)
    bad = "ALTER TABLE runs ADD COLUMN x TEXT;\nNONSENSE;"
    monkeypatch.setattr(index_module, "_MIGRATIONS", (*known, bad))
    with pytest.raises(StationError, match="syntax"):
        RecordIndex(tmp_path)
    monkeypatch.setattr(index_module, "_MIGRATIONS", (*known, "ALTER TABLE runs ADD COLUMN x TEXT;"))
    with RecordIndex(tmp_path) as index:
        assert "x" in index.select("SELECT * FROM runs")[0]
        assert index.select("SELECT value FROM meta")[1] == [(str(newest + 1),)]


def test_a_locked_index_is_waited_for_and_then_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    RecordIndex(tmp_path).close()
    monkeypatch.setattr(index_module, "BUSY_TIMEOUT_S", 0.05)
    other = sqlite3.connect(tmp_path / INDEX_FILE, isolation_level=None)
    with RecordIndex(tmp_path) as index:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StationError, match="locked"):
            index.claim_mac("28:cd:c1:00:00:01", "SN1", False)
        other.execute("ROLLBACK")
        index.claim_mac("28:cd:c1:00:00:01", "SN1", False)
    other.close()


def test_a_records_folder_that_cannot_be_made_is_a_station_error(tmp_path: Path):
    (tmp_path / "records").write_text("in the way")
    with pytest.raises(StationError, match="cannot be used"):
        RecordIndex(tmp_path / "records")
