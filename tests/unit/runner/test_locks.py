"""A slot and a serial number belong to one run at a time, and to none after it."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from mfg.errors import StationError, UsageError
from mfg.runner.locks import RunLocks

OTHER = """
import sys
from pathlib import Path
from mfg.runner.locks import RunLocks
with RunLocks(Path(sys.argv[1])) as locks:
    locks.claim_slot(1)
    print(locks.claim_serial("SN1"), flush=True)
    sys.stdin.readline()
"""


def test_a_slot_in_use_by_another_run_is_refused_by_number(tmp_path):
    with RunLocks(tmp_path) as first, RunLocks(tmp_path) as second:
        first.claim_slot(1)
        with pytest.raises(UsageError, match="Slot 1 of this station is in use"):
            second.claim_slot(1)
        second.claim_slot(2)


def test_a_serial_number_under_test_is_refused_to_others_and_kept_by_its_own(tmp_path):
    with RunLocks(tmp_path) as first, RunLocks(tmp_path) as second:
        assert first.claim_serial("SN1")
        assert first.claim_serial("SN1")
        assert not second.claim_serial("SN1")
        assert second.claim_serial("SN2")


def test_what_a_phase_claimed_in_its_thread_is_free_after_the_run(tmp_path):
    with RunLocks(tmp_path) as first:
        thread = threading.Thread(target=first.claim_serial, args=("SN1",))
        thread.start()
        thread.join(5)
        with RunLocks(tmp_path) as second:
            assert not second.claim_serial("SN1")
    with RunLocks(tmp_path) as third:
        assert third.claim_serial("SN1")


def test_a_run_that_ends_in_an_error_leaves_no_lock(tmp_path):
    first = RunLocks(tmp_path)
    first.claim_slot(1)
    with pytest.raises(KeyError), first:
        raise KeyError
    with RunLocks(tmp_path) as second:
        second.claim_slot(1)


def test_another_process_is_kept_out_until_it_is_gone_however_it_went(tmp_path):
    command = [sys.executable, "-c", OTHER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with RunLocks(tmp_path) as locks:
            assert not locks.claim_serial("SN1")
        other.kill()
    with RunLocks(tmp_path) as locks:
        locks.claim_slot(1)
        assert locks.claim_serial("SN1")


def test_a_folder_that_cannot_be_written_is_an_error_of_the_station(tmp_path):
    (tmp_path / "records").write_text("a file, not a folder")
    with RunLocks(tmp_path / "records") as locks, pytest.raises(StationError, match="cannot be written"):
        locks.claim_slot(1)


def test_the_locks_lie_in_the_records_folder(tmp_path):
    with RunLocks(tmp_path / "records") as locks:
        locks.claim_slot(7)
        assert [path.name for path in (tmp_path / "records" / ".locks").iterdir()] == ["slot-7.lock"]
