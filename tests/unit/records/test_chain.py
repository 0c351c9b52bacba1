"""The chain: a run is on record from its line on, whatever fails in between."""

from __future__ import annotations

import datetime
import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import filelock
import pytest
from chained_records import ChainedRecords

from mfg.errors import StationError
from mfg.records import chain
from mfg.records.chain import RecordChain, read_heads
from mfg.records.links import START, read_link
from mfg.records.record import load_stored, write_record
from mfg.records.run_folder import sha256_hex
from mfg.records.verification import snapshot_of, verify


@pytest.fixture
def station(tmp_path, make_record):
    return ChainedRecords(tmp_path / "records", make_record)


def content(station: ChainedRecords) -> bytes:
    return station.chain.path.read_bytes()


def findings(station: ChainedRecords) -> list[str]:
    return verify(snapshot_of(station.root)).findings


class TestAppend:
    def test_each_line_holds_the_hash_of_the_line_before(self, station):
        links = [station.run(f"SN0000000{number}") for number in (1, 2, 3)]
        lines = content(station).splitlines()
        assert [read_link(line) for line in lines] == links
        assert [link.sequence for link in links] == [1, 2, 3]
        assert [link.previous for link in links] == [START, sha256_hex(lines[0]), sha256_hex(lines[1])]
        assert station.chain.head().sha256 == sha256_hex(lines[2])

    def test_a_line_covers_every_file_that_must_not_change(self, station):
        link = station.run()
        assert sorted(link.files) == ["factory.cfg", "log.txt", "windows.csv"]
        record = station.root / link.folder / "record.json"
        assert link.record_sha256 == sha256_hex(record.read_bytes())

    def test_a_unit_that_was_not_identified_is_on_record_too(self, station):
        assert station.run("").folder.startswith("unidentified/")
        assert findings(station) == []

    def test_a_run_is_on_record_from_its_line_on(self, station):
        record, folder = station.store()
        assert not station.chain.contains(record["run_id"])
        station.chain.append(load_stored(folder.path))
        assert station.chain.contains(record["run_id"])
        assert not station.chain.contains("20261120T120354.123Z-000000")

    def test_a_run_is_on_record_once(self, station):
        _record, folder = station.store()
        station.chain.append(load_stored(folder.path))
        before = content(station)
        with pytest.raises(StationError, match="on record already"):
            station.chain.append(load_stored(folder.path))
        assert content(station) == before

    def test_a_verdict_is_taken_back_by_a_second_line_with_its_reason(self, station):
        first, _other = station.run(), station.run("SN00000002")
        second = station.withdraw(first)
        assert (second.supersedes, second.outcome) == (first.sequence, "ERROR")
        assert second.reason == "the report could not be stored"
        assert station.chain.link_of(first.run_id) == second
        assert findings(station) == []

    def test_no_second_line_gives_a_verdict(self, station, make_record):
        link = station.run(outcome="FAIL")
        before = content(station)
        stored = load_stored(station.root / link.folder)
        with pytest.raises(StationError, match="may not give FAIL"):
            station.chain.append(stored, reason="better so")
        assert content(station) == before

    def test_a_reason_without_an_earlier_line_is_an_ordinary_run(self, station):
        _record, folder = station.store()
        link = station.chain.append(load_stored(folder.path), reason="the index is locked")
        assert (link.supersedes, link.reason) == (None, "")

    def test_a_folder_that_holds_another_record_is_refused(self, station, make_record):
        record, folder = station.store()
        stored = load_stored(folder.path)
        write_record(folder, record | {"operator": "somebody else"})
        with pytest.raises(StationError, match="does not hold the record"):
            station.chain.append(stored)

    def test_a_folder_that_is_not_the_runs_own_is_refused(self, station, tmp_path):
        _record, folder = station.store()
        copy = tmp_path / "copy"
        shutil.copytree(folder.path, copy)
        with pytest.raises(StationError, match="does not hold the record"):
            station.chain.append(load_stored(copy))

    def test_a_link_in_a_run_folder_is_refused(self, station):
        _record, folder = station.store()
        (folder.path / "other.txt").symlink_to(folder.path / "log.txt")
        with pytest.raises(StationError, match=r"no plain file: other\.txt"):
            station.chain.append(load_stored(folder.path))

    def test_two_processes_append_one_after_the_other(self, station):
        runs = [station.store(f"SN{number:08d}") for number in range(1, 13)]
        code = (
            "import sys, pathlib; from mfg.records.chain import RecordChain; "
            "from mfg.records.record import load_stored; "
            "root, keys, *folders = map(pathlib.Path, sys.argv[1:]); "
            "[RecordChain(root, keys).append(load_stored(folder)) for folder in folders]"
        )
        folders = [str(folder.path) for _record, folder in runs]
        started = [
            subprocess.Popen([sys.executable, "-c", code, str(station.root), str(station.keys), *half])
            for half in (folders[:6], folders[6:])
        ]
        assert [process.wait(60) for process in started] == [0, 0]
        assert verify(snapshot_of(station.root)).runs == 12
        assert findings(station) == []

    def test_a_chain_that_is_held_too_long_is_a_station_error(self, station, monkeypatch):
        _record, folder = station.store()
        monkeypatch.setattr(chain, "LOCK_TIMEOUT_S", 0.05)
        (station.root / ".locks").mkdir()
        with (
            filelock.FileLock(station.root / ".locks" / "chain.lock"),
            pytest.raises(StationError, match="held by another process"),
        ):
            station.chain.append(load_stored(folder.path))


class TestSignature:
    def test_the_last_line_of_each_day_is_signed(self, station):
        links = [station.run() for _ in range(4)]  # two before midnight, two after
        heads = read_heads(station.root)
        assert [(head.date, head.sequence) for head in heads] == [("2026-11-20", 2), ("2026-11-21", 4)]
        assert [head.head for head in heads] == [links[1].sha256, links[3].sha256]
        assert all(head.is_genuine and head.key == links[0].key for head in heads)

    def test_the_key_is_made_on_first_use_and_its_owners_alone(self, station):
        station.run()
        assert stat.S_IMODE((station.keys / "station-key.pem").stat().st_mode) == 0o600
        assert stat.S_IMODE(station.keys.stat().st_mode) == 0o700

    def test_a_key_that_others_can_read_is_refused(self, station):
        station.run()
        (station.keys / "station-key.pem").chmod(0o640)
        with pytest.raises(StationError, match="can be read by others"):
            station.run()

    def test_no_new_key_takes_the_place_of_a_lost_one(self, station):
        station.run()
        (station.keys / "station-key.pem").unlink()
        with pytest.raises(StationError, match="does not hold the key"):
            station.run()
        assert list(station.keys.glob("*.pem")) == []

    def test_the_key_of_another_station_is_refused(self, station, make_record, tmp_path):
        station.run()
        other = ChainedRecords(tmp_path / "elsewhere" / "records", make_record)
        other.run()
        (other.keys / "station-key.pem").replace(station.keys / "station-key.pem")
        with pytest.raises(StationError, match="does not hold the key"):
            station.run()

    @pytest.mark.parametrize(
        "text", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
    )
    def test_what_is_no_key_is_refused(self, station, text):
        station.keys.mkdir(parents=True)
        (station.keys / "station-key.pem").write_text(text)
        (station.keys / "station-key.pem").chmod(0o600)
        with pytest.raises(StationError, match="not a private key"):
            station.run()


class TestReadiness:
    def test_an_empty_folder_and_a_good_chain_are_ready(self, station):
        station.chain.require_ready()
        station.run()
        station.chain.require_ready()

    def test_a_clock_behind_the_last_line_is_refused(self, station):
        station.run()
        station.now -= datetime.timedelta(seconds=1)
        with pytest.raises(StationError, match="Set the clock"):
            station.chain.require_ready()

    def test_a_missing_key_is_found_before_a_unit_is_touched(self, station):
        station.run()
        (station.keys / "station-key.pem").unlink()
        with pytest.raises(StationError, match="does not hold the key"):
            station.chain.require_ready()

    @pytest.mark.parametrize("kept", [0, 1])
    def test_a_chain_that_was_cut_back_is_refused(self, station, kept):
        for _ in range(3):
            station.run()
        lines = content(station).splitlines(keepends=True)
        station.chain.path.write_bytes(b"".join(lines[:kept]))
        with pytest.raises(StationError, match="changed by someone else"):
            station.chain.require_ready()
        with pytest.raises(StationError, match="changed by someone else"):
            station.run()

    def test_a_last_line_that_was_edited_is_refused(self, station):
        station.run()
        station.run()
        station.chain.path.write_bytes(content(station).replace(b'"outcome":"PASS"', b'"outcome":"FAIL"'))
        with pytest.raises(StationError, match="changed by someone else"):
            station.run()


class TestCrash:
    @pytest.mark.parametrize("length", [1, 60, -1])
    def test_a_piece_of_a_line_is_moved_aside_and_said_so(self, station, length, caplog):
        first = station.run()
        before = content(station)
        _record, folder = station.store("SN00000002")
        lost = station.chain.append(load_stored(folder.path))
        torn = content(station)[len(before) :][:length]
        # Stopped in the middle of the append: the line is not whole, so nothing was signed.
        station.chain.path.write_bytes(before + torn)
        head = station.root / "heads" / "2026-11-20.json"
        head.write_bytes(chain.sign_head(first, first.utc, chain.load_key(station.keys)).content)
        assert any("no whole line" in sentence for sentence in findings(station))
        again = station.chain.append(load_stored(folder.path))
        assert (again.sequence, again.previous) == (2, first.sha256)
        (kept,) = station.root.glob("chain-torn-2-*.txt")
        assert kept.read_bytes() == torn
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert "cut short" in caplog.text
        assert again == lost
        assert findings(station) == []

    def test_a_first_line_that_was_cut_short_is_no_obstacle(self, station):
        _record, folder = station.store()
        station.chain.path.write_bytes(b'{"files":{"fac')
        assert station.chain.append(load_stored(folder.path)).sequence == 1
        assert findings(station) == []

    def test_a_signed_line_that_was_cut_short_is_refused(self, station):
        station.run()
        station.run()
        cut = content(station)[:-10]
        station.chain.path.write_bytes(cut)
        with pytest.raises(StationError, match="changed by someone else"):
            station.run()
        assert content(station) == cut

    def test_a_line_that_was_not_signed_yet_is_on_record_and_signed_by_the_next_run(self, station):
        station.run()
        head = station.root / "heads" / "2026-11-20.json"
        before = head.read_bytes()
        unsigned = station.run()
        head.write_bytes(before)
        assert station.chain.contains(unsigned.run_id)
        assert any("its next run signs the line" in sentence for sentence in findings(station))
        station.chain.require_ready()
        station.run()  # after midnight
        assert [item.sequence for item in read_heads(station.root)] == [2, 3]
        assert findings(station) == []

    def test_a_full_disk_leaves_the_chain_as_it_was(self, station, monkeypatch):
        station.run()
        before = content(station)
        _record, folder = station.store()
        real = os.write

        def full(handle: int, data: memoryview) -> int:
            if len(data) > 400:
                return real(handle, bytes(data)[:200])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(chain.os, "write", full)
            with pytest.raises(StationError, match="not put on record"):
                station.chain.append(load_stored(folder.path))
        assert content(station) == before
        station.chain.append(load_stored(folder.path))
        assert findings(station) == []

    def test_a_signature_that_cannot_be_written_leaves_the_chain_as_it_was(self, station, monkeypatch):
        station.run()
        before = content(station)
        _record, folder = station.store()

        def refused(path: Path, *_rest: object) -> None:
            raise StationError(f"{path} was not written.")

        with monkeypatch.context() as patch:
            patch.setattr(chain, "write_atomic", refused)
            with pytest.raises(StationError, match="not written"):
                station.chain.append(load_stored(folder.path))
        assert content(station) == before
        station.chain.append(load_stored(folder.path))
        assert findings(station) == []


def test_a_chain_that_does_not_exist_yet_has_no_end_and_no_runs(tmp_path):
    empty = RecordChain(tmp_path / "records")
    assert (empty.head().sequence, empty.head().sha256) == (0, START)
    assert not empty.contains("20261120T120354.123Z-3f9a1c")
