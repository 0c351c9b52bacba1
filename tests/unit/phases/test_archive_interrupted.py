"""A unit whose run was killed keeps a whole calibration or none, and another unit is not touched."""

from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace

import pytest
from phase_fakes import call, traveller

from mfg.errors import DutError
from mfg.phases.archive_interrupted import archive_interrupted
from mfg.records.factory_file import FACTORY_KEYS

FACTORY = json.dumps(
    dict.fromkeys(FACTORY_KEYS, 7) | {"ASSY": "ASY0398_V003.200_SN00001823", "LINE_FREQ_HZ": 50}
).encode()
HALF = FACTORY[:60]
OLD = FACTORY.replace(b"7", b"8")
MAC = "28:cd:c1:00:00:01"


class Repl:
    """A prompt of a unit that is a dictionary of files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def exists(self, path: str) -> bool:
        return path in self.files

    def read_file(self, path: str, _limit_bytes: int) -> bytes:
        return self.files[path]

    def write_file(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def remove_file(self, path: str) -> None:
        del self.files[path]

    def mac(self) -> str:
        return MAC


def archived(files, *, storing=True, mac=MAC, old=None, drive=None, error=None):
    """Call the phase; return what it measured, what it kept, and what the unit holds."""
    held = {f"/{name}": content for name, content in files.items()}

    @contextlib.contextmanager
    def repl(_timeout_s):
        if error is not None:
            raise error
        yield Repl(held)

    sheet = traveller(storing_interrupted=storing, mac=mac, old_files=old)
    measured = call(
        archive_interrupted,
        traveller=sheet,
        drive=SimpleNamespace(drive=SimpleNamespace(find=lambda: drive)),
        port=SimpleNamespace(present=lambda: True, repl=repl),
    )
    return measured, sheet.sheet.kept, held


def test_a_whole_file_is_kept_and_stays():
    measured, kept, held = archived({"factory.cfg": FACTORY})
    assert measured["factory_file"] == "whole"
    assert kept == {"interrupted_factory.cfg": FACTORY}
    assert held == {"/factory.cfg": FACTORY}


def test_half_a_file_that_the_killed_run_wrote_is_kept_and_removed():
    measured, kept, held = archived({"factory.cfg": HALF})
    assert measured["factory_file"] == "removed"
    assert kept == {"interrupted_factory.cfg": HALF}
    assert held == {}


@pytest.mark.parametrize("why", [{"storing": False}, {"mac": "28:cd:c1:00:00:02"}])
def test_half_a_file_of_another_run_or_unit_is_not_touched(why):
    measured, _kept, held = archived({"factory.cfg": HALF}, **why)
    assert measured["factory_file"] == "half"
    assert held == {"/factory.cfg": HALF}


def test_what_a_killed_job_wrote_over_a_calibration_is_taken_back():
    measured, kept, held = archived({"factory.cfg": FACTORY}, old={"factory.cfg": OLD})
    assert measured["factory_file"] == "put back"
    assert kept == {"interrupted_factory.cfg": FACTORY}
    assert held == {"/factory.cfg": OLD}


def test_what_a_killed_job_wrote_on_an_uncalibrated_unit_is_removed():
    measured, _kept, held = archived({"factory.cfg": FACTORY}, old={})
    assert measured["factory_file"] == "put back"
    assert held == {}
    assert archived({}, old={})[0]["factory_file"] == "none"


def test_a_calibration_that_a_killed_job_had_not_touched_yet_stays():
    measured, _kept, held = archived({"factory.cfg": OLD}, old={"factory.cfg": OLD})
    assert measured["factory_file"] == "whole"
    assert held == {"/factory.cfg": OLD}


def test_the_old_calibration_of_another_unit_is_put_back_nowhere():
    measured, _kept, held = archived(
        {"factory.cfg": FACTORY}, old={"factory.cfg": OLD}, mac="28:cd:c1:00:00:02"
    )
    assert measured["factory_file"] == "whole"
    assert held == {"/factory.cfg": FACTORY}


def test_a_blank_unit_and_one_without_a_prompt_hold_nothing_to_keep():
    measured, kept, _held = archived({"factory.cfg": FACTORY}, drive="/media/RPI-RP2")
    assert (measured["unit_state"], kept) == ("blank", {})
    measured, kept, _held = archived({"factory.cfg": FACTORY}, error=DutError("no prompt"))
    assert (measured["unit_state"], measured["kept_files"], kept) == ("unreadable", 0, {})
