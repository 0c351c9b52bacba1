"""One archive of all that is on record, read back and verified before it has its name."""

from __future__ import annotations

import contextlib
import gzip
import io
import shutil
import sqlite3
import stat
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from chained_records import ChainedRecords
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mfg.errors import StationError, UsageError
from mfg.records import backup as backup_module
from mfg.records.backup import check_backup, write_backup
from mfg.records.index import RecordIndex
from mfg.records.journal import Journal
from mfg.records.record import load_stored
from mfg.records.verification import snapshot_of, verify


def _unpacked(data: bytes) -> bytes | None:
    """Return what an archive unpacks to, None when it does not."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None


@pytest.fixture
def station(tmp_path, make_record):
    made = ChainedRecords(tmp_path / "records", make_record)
    for serial in ("SN00000001", "SN00000002", ""):
        record, folder = made.store(serial)
        made.chain.append(load_stored(folder.path))
        with RecordIndex(made.root) as index:
            index.add(record | {"mac": ""}, folder.path)
    made.withdraw(made.run("SN00000004"))
    (made.root / "jig-cycles.json").write_text('{"cycles": 4}')
    return made


@pytest.fixture
def archive(station, tmp_path):
    return write_backup(station.root, tmp_path / "backup.tar.gz").path


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder


def repacked(archive: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Write an archive again with some of its files changed or left out."""
    target = archive.with_name("other.tar.gz")
    with tarfile.open(archive) as old, tarfile.open(target, "w:gz") as new:
        for entry in old:
            data = change(entry.name, old.extractfile(entry).read())
            if data is not None:
                entry.size = len(data)
                new.addfile(entry, io.BytesIO(data))
    return target


class TestWriting:
    def test_holds_everything_on_record_and_no_key(self, station, archive, tmp_path):
        copy = unpacked(archive, tmp_path / "unpacked")
        assert verify(snapshot_of(copy)).findings == []
        left_out = {"index.sqlite", ".locks", "chain.lock"}
        expected = {
            path.relative_to(station.root) for path in station.root.rglob("*") if path.name not in left_out
        }
        found = {path.relative_to(copy) for path in copy.rglob("*") if path.name not in left_out}
        assert found == expected
        for path in copy.rglob("*"):
            assert not path.is_file() or b"PRIVATE KEY" not in path.read_bytes()

    def test_the_index_is_a_copy_that_can_be_used(self, archive, tmp_path):
        with RecordIndex(unpacked(archive, tmp_path / "unpacked")) as index:
            assert len(index.runs()) == 3

    def test_only_its_owner_can_read_it(self, archive):
        assert stat.S_IMODE(archive.stat().st_mode) == 0o600

    def test_an_index_in_the_middle_of_a_transaction_is_copied_as_it_was(self, station, tmp_path):
        with contextlib.closing(
            sqlite3.connect(station.root / "index.sqlite", isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("DELETE FROM runs")
            made = write_backup(station.root, tmp_path / "backup.tar.gz")
            other.execute("ROLLBACK")
        with RecordIndex(unpacked(made.path, tmp_path / "unpacked")) as index:
            assert len(index.runs()) == 3

    def test_a_run_that_goes_on_is_left_out_and_spoils_nothing(self, station, tmp_path):
        record, stored = station.store("SN00000005")  # its record is there, its line is not yet
        Journal.begin(station.root, record["run_id"], {}).release()
        made = write_backup(station.root, tmp_path / "backup.tar.gz")
        assert made.verification.runs == 4
        assert not (unpacked(made.path, tmp_path / "unpacked") / "SN00000005").exists()
        assert stored.path.exists()

    def test_a_run_that_is_put_on_record_meanwhile_spoils_nothing(self, station, tmp_path, monkeypatch):
        real = backup_module._write

        def slow(*arguments: object) -> None:
            real(*arguments)
            station.run("SN00000006")

        monkeypatch.setattr(backup_module, "_write", slow)
        made = write_backup(station.root, tmp_path / "backup.tar.gz")
        assert made.verification.runs == 4

    def test_a_verdict_that_is_taken_back_meanwhile_is_in_the_next_try(self, station, tmp_path, monkeypatch):
        link = station.run("SN00000006")
        real, tries = backup_module._write, []

        def withdrawn_meanwhile(*arguments: object) -> None:
            tries.append(1)
            if len(tries) == 1:
                station.withdraw(link)  # after the chain was looked at, before the folder was read
            real(*arguments)

        monkeypatch.setattr(backup_module, "_write", withdrawn_meanwhile)
        made = write_backup(station.root, tmp_path / "backup.tar.gz")
        assert len(tries) == 2
        assert made.verification.lines == 7

    def test_a_journal_that_has_not_moved_yet_is_in_its_place(self, station, tmp_path):
        record, folder = station.store("SN00000006")
        journal = Journal.begin(station.root, record["run_id"], {})
        station.chain.append(load_stored(folder.path))
        made = write_backup(station.root, tmp_path / "backup.tar.gz")
        copy = unpacked(made.path, tmp_path / "unpacked")
        kept = copy / "SN00000006" / record["run_id"] / "journal.jsonl"
        assert kept.read_bytes() == journal.path.read_bytes()
        assert not (copy / ".journal").exists()
        journal.move_to(folder.path)
        assert verify(snapshot_of(station.root)).findings == []

    def test_changed_records_give_no_backup(self, station, tmp_path):
        (path,) = (station.root / "SN00000001").glob("*/windows.csv")
        path.write_text("window,current_a\n1,9.1\n")
        with pytest.raises(StationError, match=r"windows\.csv was changed"):
            write_backup(station.root, tmp_path / "backup.tar.gz")
        assert [entry.name for entry in tmp_path.iterdir() if "backup" in entry.name] == []

    def test_a_backup_never_replaces_a_file(self, station, tmp_path):
        (tmp_path / "old.tar.gz").write_text("the old one")
        with pytest.raises(UsageError, match="exists already"):
            write_backup(station.root, tmp_path / "old.tar.gz")
        assert (tmp_path / "old.tar.gz").read_text() == "the old one"

    def test_a_backup_beside_the_runs_or_in_a_folder_that_is_not_there_is_refused(self, station, tmp_path):
        with pytest.raises(UsageError, match="lies in the records folder"):
            write_backup(station.root, station.root / "backup.tar.gz")
        with pytest.raises(UsageError, match="is no folder"):
            write_backup(station.root, tmp_path / "nowhere" / "backup.tar.gz")

    def test_a_disk_that_refuses_leaves_no_archive(self, station, tmp_path, monkeypatch):
        def full(_handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(backup_module.os, "fsync", full)
        with pytest.raises(StationError, match="No space left"):
            write_backup(station.root, tmp_path / "backup.tar.gz")
        assert [entry.name for entry in tmp_path.iterdir() if "backup" in entry.name] == []

    def test_a_folder_without_runs_gives_an_empty_archive(self, tmp_path):
        (tmp_path / "records").mkdir()
        assert write_backup(tmp_path / "records", tmp_path / "backup.tar.gz").verification.runs == 0


class TestChecking:
    def test_a_good_archive_is_right_and_its_heads_are_proved(self, station, archive):
        head = station.chain.head().sha256
        result = check_backup(archive, kept_head=head)
        assert (result.findings, result.proved, result.head) == ([], 5, head)
        assert check_backup(archive, kept_head="ab" * 32).findings

    def test_any_changed_or_missing_file_is_found(self, station, archive):
        with tarfile.open(archive) as opened:
            names = opened.getnames()
        for victim in names:
            if victim.endswith(("report.html", "jig-cycles.json", "index.sqlite")):
                continue
            changed = repacked(archive, lambda name, data, v=victim: data + b" " if name == v else data)
            assert check_backup(changed).findings, victim
            missing = repacked(archive, lambda name, data, v=victim: None if name == v else data)
            assert check_backup(missing).findings, victim

    def test_a_damaged_copy_of_the_index_is_found(self, archive):
        changed = repacked(archive, lambda name, data: b"x" * 8192 if name == "index.sqlite" else data)
        assert check_backup(changed).findings == ["The copy of the index is damaged: file is not a database."]

    @settings(derandomize=True, deadline=None, max_examples=40)
    @given(place=st.integers(10, 10**6), change=st.integers(1, 255))
    def test_one_changed_byte_of_the_archive_is_found(self, one_archive, place, change):
        data = bytearray(one_archive.read_bytes())
        data[place % (len(data) - 10) + 10] ^= change  # the first ten bytes say nothing about the content
        # Where a block of deflate ends, some bits fill its last byte and say nothing either.
        assume(_unpacked(data) != _unpacked(one_archive.read_bytes()))
        damaged = one_archive.with_name("damaged.tar.gz")
        damaged.write_bytes(data)
        with pytest.raises(StationError, match="damaged or no backup"):
            check_backup(damaged)

    @settings(derandomize=True, deadline=None, max_examples=40)
    @given(length=st.integers(0, 10**6))
    def test_an_archive_that_was_cut_short_is_found(self, one_archive, length):
        data = one_archive.read_bytes()
        damaged = one_archive.with_name("damaged.tar.gz")
        damaged.write_bytes(data[: length % len(data)])
        with pytest.raises(StationError, match="damaged or no backup"):
            check_backup(damaged)

    @pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a//b", "a/../b", "a\\b", "", "chain.jsonl"])
    def test_a_name_that_no_backup_gives_is_refused_and_nothing_is_written(self, one_archive, name):
        archive, target = one_archive, one_archive.with_name("other.tar.gz")
        with tarfile.open(archive) as old, tarfile.open(target, "w:gz") as new:
            for entry in old:
                new.addfile(entry, old.extractfile(entry))
            new.addfile(tarfile.TarInfo(name), io.BytesIO())
        with pytest.raises(StationError, match="no backup holds such a name"):
            check_backup(target)

    def test_a_link_in_an_archive_is_refused(self, tmp_path):
        target = tmp_path / "other.tar.gz"
        entry = tarfile.TarInfo("SN00000001/x/record.json")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        with tarfile.open(target, "w:gz") as new:
            new.addfile(entry)
        with pytest.raises(StationError, match="no plain file"):
            check_backup(target)

    def test_what_is_no_archive_is_refused(self, tmp_path):
        with pytest.raises(UsageError, match="is no file"):
            check_backup(tmp_path / "none.tar.gz")
        (tmp_path / "text.tar.gz").write_text("not an archive")
        with pytest.raises(StationError, match="no backup"):
            check_backup(tmp_path / "text.tar.gz")
        (tmp_path / "zeros.tar.gz").write_bytes(gzip.compress(b"zeros"))
        with pytest.raises(StationError, match="no backup"):
            check_backup(tmp_path / "zeros.tar.gz")


@pytest.fixture(scope="module")
def one_archive(tmp_path_factory, make_record):
    folder = tmp_path_factory.mktemp("archive")
    made = ChainedRecords(folder / "records", make_record)
    made.run()
    archive = write_backup(made.root, folder / "backup.tar.gz").path
    shutil.rmtree(made.root)
    return archive
