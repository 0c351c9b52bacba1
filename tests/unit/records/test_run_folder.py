"""Run folders: safe names and writes that are whole or not at all."""

from __future__ import annotations

import datetime
import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.errors import StationError, UsageError
from mfg.records import run_folder
from mfg.records.run_folder import PRIVATE, RunFolder, new_run_id, safe_file_name, write_atomic

RUN = "20261120T120354.123Z-3f9a1c"
STARTED = datetime.datetime(2026, 11, 20, 12, 3, 54, 123456, tzinfo=datetime.UTC)


def test_a_run_id_sorts_by_time_and_is_never_twice_the_same():
    ids = [new_run_id(STARTED + datetime.timedelta(milliseconds=step)) for step in range(50)]
    assert ids == sorted(ids)
    assert len({new_run_id(STARTED) for _ in range(50)}) == 50
    with pytest.raises(ValueError, match="time zone"):
        new_run_id(STARTED.replace(tzinfo=None))


def test_a_run_lies_in_the_folder_of_its_unit(tmp_path: Path):
    folder = RunFolder.create(tmp_path / "records", "SN1823", RUN)
    assert folder.path == tmp_path / "records" / "SN00001823" / RUN
    assert folder.path.is_dir()


def test_a_run_without_a_unit_lies_apart(tmp_path: Path):
    assert RunFolder.create(tmp_path, None, RUN).path == tmp_path / "unidentified" / RUN


@pytest.mark.parametrize(
    "serial",
    [
        "",
        "..",
        "../evil",
        "SN1/../..",
        "SN1\n",
        "SN1\0",
        "SN1/x",
        "/etc",
        "SN123456789",
        "sn1",
        "SN\uff11",
        "unidentified",
    ],
)
def test_a_serial_number_never_leads_out_of_the_records_folder(tmp_path: Path, serial: str):
    root = tmp_path / "records"
    with pytest.raises(UsageError):
        RunFolder.create(root, serial, RUN)
    assert not root.exists()


@pytest.mark.parametrize("run_id", ["", "..", "../x", RUN + "/..", RUN + "\n", "20261120"])
def test_a_run_id_never_leads_out_of_the_unit_folder(tmp_path: Path, run_id: str):
    with pytest.raises(UsageError):
        RunFolder.create(tmp_path, "SN1", run_id)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a\0", "x\n", "ä", "x" * 121]
)
def test_a_file_name_never_leads_out_of_the_run_folder(tmp_path: Path, name: str):
    folder = RunFolder.create(tmp_path, "SN1", RUN)
    with pytest.raises(UsageError):
        folder.write(name, b"")


def test_a_link_in_place_of_a_unit_folder_is_refused(tmp_path: Path):
    outside, root = tmp_path / "outside", tmp_path / "records"
    outside.mkdir()
    root.mkdir()
    (root / "SN00000001").symlink_to(outside)
    with pytest.raises(StationError, match="link"):
        RunFolder.create(root, "SN1", RUN)
    assert list(outside.iterdir()) == []


def test_a_run_folder_is_never_used_twice(tmp_path: Path):
    RunFolder.create(tmp_path, "SN1", RUN)
    with pytest.raises(StationError):
        RunFolder.create(tmp_path, "SN1", RUN)


@given(st.text(max_size=200))
def test_any_text_becomes_a_safe_file_name(text: str):
    name = safe_file_name(text)
    assert Path(name).name == name
    assert 0 < len(name) <= 120
    assert name.isascii()
    assert name[0].isalnum()


def test_a_written_file_is_listed_with_its_hash(tmp_path: Path):
    folder = RunFolder.create(tmp_path, "SN1", RUN)
    stored = folder.write("display.png", b"abc", "display frame")
    assert stored.name == "display frame"
    assert stored.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert folder.file("display.png").read_bytes() == b"abc"


def test_configuration_of_a_unit_is_for_its_owner_only(tmp_path: Path):
    folder = RunFolder.create(tmp_path, "SN1", RUN)
    folder.write("unit_factory.cfg", b"{}", mode=PRIVATE)
    assert stat.S_IMODE(folder.file("unit_factory.cfg").stat().st_mode) == 0o600


def test_a_long_content_is_written_in_parts_without_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = os.write
    monkeypatch.setattr(run_folder.os, "write", lambda handle, data: real(handle, bytes(data)[:7]))
    write_atomic(tmp_path / "x", bytes(range(256)))
    assert (tmp_path / "x").read_bytes() == bytes(range(256))


@pytest.mark.parametrize("call", ["write", "fsync", "open"])
def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
):
    path = tmp_path / "record.json"
    write_atomic(path, b"old")

    def full(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_folder.os, call, full)
    with pytest.raises(StationError, match="No space left"):
        write_atomic(path, b"new and longer")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, calls = os.write, []

    def fills_up(handle: int, data: Any) -> int:
        calls.append(handle)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, bytes(data)[:10])

    monkeypatch.setattr(run_folder.os, "write", fills_up)
    with pytest.raises(StationError):
        write_atomic(tmp_path / "x", b"y" * 100)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_a_station_error(tmp_path: Path):
    with pytest.raises(StationError, match="not written"):
        write_atomic(tmp_path / "gone" / "x", b"")


def test_a_records_folder_in_place_of_a_file_is_a_station_error(tmp_path: Path):
    (tmp_path / "records").write_text("not a folder")
    with pytest.raises(StationError):
        RunFolder.create(tmp_path / "records", "SN1", RUN)


def test_a_run_without_a_record_is_recognised_as_incomplete(tmp_path: Path):
    done = RunFolder.create(tmp_path, "SN1", RUN)
    cut = RunFolder.create(tmp_path, "SN2", "20261120T120355.123Z-000000")
    done.write("record.json", b"{}")
    (tmp_path / "SN1" / "not a run").mkdir(parents=True)
    assert done.complete
    assert not cut.complete
    assert run_folder.incomplete_runs(tmp_path) == [cut.path]
    assert list(run_folder.run_folders(tmp_path)) == [done.path, cut.path]


def test_a_store_that_does_not_exist_yet_has_no_runs(tmp_path: Path):
    assert list(run_folder.run_folders(tmp_path / "records")) == []
