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
OTHER_UNIT = "another unit: not touched"
MAC = "28:cd:c1:00:00:01"


def configuration(**keys):
    return json.dumps({"ASSY": "ASY0398_V003.200_SN00001823", "CT1_NAME": "oven", **keys}).encode()


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

    def remove_beside(self, path: str) -> None:
        self.files.pop(f"{path}.new", None)

    def mac(self) -> str:
        return MAC


def archived(files, *, storing=True, writing=False, mac=MAC, old=None, drive=None, error=None, **more):
    """Call the phase; return what it measured, what it kept, and what the unit holds."""
    held = {f"/{name}": content for name, content in files.items()}

    @contextlib.contextmanager
    def repl(_timeout_s):
        if error is not None:
            raise error
        yield Repl(held)

    sheet = traveller(
        writing_interrupted=storing or old is not None or writing,
        storing_interrupted=storing,
        mac=mac,
        serial_number="SN00001823",
        old_files=old,
        proved_files=more.get("proved"),
        old_settings=more.get("settings", {}),
    )
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
    assert (measured["factory_file"], measured["calibration_after"]) == ("put back", "old")
    assert kept == {"interrupted_factory.cfg": FACTORY}
    assert held == {"/factory.cfg": OLD}


def test_what_a_killed_job_wrote_on_an_uncalibrated_unit_is_removed():
    files = {"factory.cfg": FACTORY, "this.machine.cfg": configuration(CT1_IGAIN=42720)}
    settings = {"CT1_IGAIN": 42720}
    measured, _kept, held = archived(files, old={}, settings=settings)
    assert (measured["factory_file"], measured["calibration_after"]) == ("put back", "old")
    assert held == {"/this.machine.cfg": configuration(CT1_IGAIN=42720)}
    del files["factory.cfg"]
    assert archived(files, old={}, settings=settings)[0]["factory_file"] == "none"
    assert archived(files, old={})[0]["calibration_after"] == "unknown", "what it held is not known"


def test_what_a_killed_job_adjusted_on_an_uncalibrated_unit_is_taken_out_of_its_configuration():
    files = {"this.machine.cfg": configuration(CT1_IGAIN=40000, CT2_IGAIN=42720)}
    measured, _kept, held = archived(
        files, storing=False, old={}, settings={"CT1_IGAIN": 42720, "CT2_IGAIN": 42720}
    )
    assert (measured["factory_file"], measured["calibration_after"]) == ("none", "old")
    assert json.loads(held["/this.machine.cfg"]) == json.loads(
        configuration(CT1_IGAIN=42720, CT2_IGAIN=42720)
    )


def test_half_a_configuration_is_not_written_over_and_nothing_is_said_to_be_proved():
    files = {"this.machine.cfg": b'{"ASSY"'}
    measured, _kept, held = archived(files, storing=False, old={}, settings={"CT1_IGAIN": 42720})
    assert (measured["unit_state"], measured["calibration_after"]) == ("unreadable", "unknown")
    assert held == {"/this.machine.cfg": b'{"ASSY"'}


def test_half_a_configuration_beside_the_old_calibration_is_not_how_the_unit_came():
    files = {"factory.cfg": OLD, "this.machine.cfg": b""}
    measured, _kept, held = archived(files, old={"factory.cfg": OLD})
    assert (measured["factory_file"], measured["calibration_after"]) == ("whole", "between")
    assert held == {"/factory.cfg": OLD, "/this.machine.cfg": b""}


def test_what_a_write_left_beside_the_file_is_removed():
    files = {"factory.cfg": OLD, "factory.cfg.new": HALF, "this.machine.cfg.new": b"{"}
    assert archived(files, storing=False, writing=True)[2] == {"/factory.cfg": OLD}
    assert len(archived(files, storing=False)[2]) == 3, "nothing was begun"
    assert len(archived(files, mac="28:cd:c1:00:00:02", storing=False, writing=True)[2]) == 3


def test_the_calibration_that_was_proved_with_a_new_application_stays():
    old, new = {"factory.cfg": OLD}, {"factory.cfg": FACTORY}
    measured, _kept, held = archived(new, storing=False, old=old, proved=new)
    assert measured["calibration_after"] == "new"
    assert held == {"/factory.cfg": FACTORY}
    measured, _kept, held = archived(old, storing=False, old=old, proved=new)
    assert measured["calibration_after"] == "between"
    assert held == {"/factory.cfg": OLD}


def test_a_calibration_that_a_killed_job_had_not_touched_yet_stays():
    measured, _kept, held = archived({"factory.cfg": OLD}, old={"factory.cfg": OLD})
    assert (measured["factory_file"], measured["calibration_after"]) == ("whole", "old")
    assert held == {"/factory.cfg": OLD}


def test_the_old_calibration_of_another_unit_is_put_back_nowhere():
    measured, _kept, held = archived(
        {"factory.cfg": FACTORY}, old={"factory.cfg": OLD}, mac="28:cd:c1:00:00:02"
    )
    assert (measured["factory_file"], measured["calibration_after"]) == ("whole", OTHER_UNIT)
    assert held == {"/factory.cfg": FACTORY}


@pytest.mark.parametrize(
    ("label", "touched"),
    [("SN00001823", True), ("SN00000009", False), ("SN00000000", False), ("", False)],
)
def test_a_unit_of_which_no_mac_address_is_known_is_told_by_its_label(label, touched):
    files = {"factory.cfg": FACTORY.replace(b"SN00001823", label.encode())}
    measured, _kept, held = archived(files, old={"factory.cfg": OLD}, mac="")
    assert measured["calibration_after"] == ("old" if touched else OTHER_UNIT)
    assert (held == {"/factory.cfg": OLD}) is touched


def test_a_unit_that_was_given_a_new_label_is_told_by_the_old_one_too():
    old = {"factory.cfg": OLD.replace(b"SN00001823", b"SN00000007")}
    measured, _kept, _held = archived(dict(old), old=old, mac="")
    assert measured["calibration_after"] == "old"


def test_a_blank_unit_and_one_without_a_prompt_hold_nothing_to_keep():
    measured, kept, _held = archived({"factory.cfg": FACTORY}, drive="/media/RPI-RP2")
    assert (measured["unit_state"], kept) == ("blank", {})
    measured, kept, _held = archived({"factory.cfg": FACTORY}, error=DutError("no prompt"))
    assert (measured["unit_state"], measured["kept_files"], kept) == ("unreadable", 0, {})
    assert measured["calibration_after"] == "not concerned"


def test_the_calibration_of_a_unit_that_cannot_be_read_is_not_known():
    measured, _kept, _held = archived({}, old={"factory.cfg": OLD}, error=DutError("no prompt"))
    assert measured["calibration_after"] == "unknown"
