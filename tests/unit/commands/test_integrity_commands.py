"""`mfg verify` and `mfg backup` as they are typed: what they print and their exit codes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from chained_records import ChainedRecords

from mfg.cli import main

SHIPPED = Path(__file__).parents[3] / "station.yaml"


@pytest.fixture
def station(tmp_path, make_record):
    shutil.copyfile(SHIPPED, tmp_path / "station.yaml")
    made = ChainedRecords(tmp_path / "records", make_record)
    made.run()
    made.run("SN00000002")
    return made


@pytest.fixture
def mfg(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["mfg"])  # the command empties it for OpenHTF

    def typed(*words: str) -> tuple[int, str]:
        code = main([*words, "--station", str(tmp_path / "station.yaml")])
        return code, capsys.readouterr().out

    return typed


def test_untouched_records_are_exit_0_with_the_head_to_keep(station, mfg):
    code, output = mfg("verify")
    assert code == 0
    assert "2 runs in 2 lines: nothing was changed" in output
    assert f"Head, line 2: {station.chain.head().sha256}" in output
    assert "--head" in output


def test_a_head_and_a_key_that_were_kept_elsewhere_are_taken_as_printed(station, mfg):
    link = station.chain.link_of(station.run().run_id)
    code, output = mfg("verify", "--head", link.sha256.upper(), "--key", link.key)
    assert code == 0
    assert "that of line 3: all up to it is proved" in output


def test_each_verdict_that_was_taken_back_is_named_with_its_reason(station, mfg):
    """Whoever has the folder can make a station take one back; then this line is all that tells of it."""
    failed = station.run("SN00000003", outcome="FAIL")
    station.withdraw(failed)
    code, output = mfg("verify")
    assert code == 0
    told = "ERROR takes back the FAIL of line 3: the report could not be stored"
    assert f"! Line 4, run {failed.folder}: {told}" in output


def test_a_changed_record_is_exit_3_and_says_which_run_and_what(station, mfg):
    (path,) = station.root.glob("SN00000002/*/log.txt")
    path.write_text("nothing happened")
    code, output = mfg("verify")
    assert code == 3
    assert f"✘ run SN00000002/{path.parent.name}: log.txt was changed after the run was on record." in output


def test_a_head_or_key_of_another_station_is_exit_3(station, mfg):
    assert mfg("verify", "--head", "ab" * 32)[0] == 3
    assert mfg("verify", "--key", "ab" * 32)[0] == 3


@pytest.mark.parametrize("words", [("verify", "--head", "12"), ("verify", "--key", "x" * 64)])
def test_a_head_or_key_of_another_form_is_exit_2(station, mfg, words):
    code, output = mfg(*words)
    assert code == 2
    assert "64 hexadecimal digits" in output


def test_a_station_without_records_is_exit_2(station, mfg):
    shutil.rmtree(station.root)
    assert mfg("verify")[0] == 2


def test_a_backup_is_written_and_checked(station, mfg, tmp_path):
    target = str(tmp_path / "backup.tar.gz")
    code, output = mfg("backup", target)
    assert code == 0
    assert "read back and verified" in output
    code, output = mfg("backup", "--check", target, "--head", station.chain.head().sha256)
    assert code == 0
    assert "2 runs in 2 lines: nothing was changed" in output
    assert mfg("backup", target)[0] == 2
    assert mfg("backup", "--check", target, "--head", "ab" * 32)[0] == 3
    assert mfg("backup", "--check", str(tmp_path / "none"))[0] == 2


def test_a_head_belongs_to_a_check_and_not_to_the_writing_of_a_backup(station, mfg, tmp_path):
    code, output = mfg("backup", str(tmp_path / "backup.tar.gz"), "--head", "ab" * 32)
    assert code == 2
    assert "--check" in output
    assert not (tmp_path / "backup.tar.gz").exists()
