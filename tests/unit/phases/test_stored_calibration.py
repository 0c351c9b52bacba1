"""Phases that archive, keep and leave a unit's calibration, on a unit that is a dictionary of files."""

from __future__ import annotations

import contextlib
import hashlib
import json
from types import SimpleNamespace
from typing import Any

import pytest
from phase_fakes import call, traveller

from mfg.clock import BenchClock
from mfg.errors import FixtureError
from mfg.fixtures.unit_config import HeldValues
from mfg.phases.archive_unit import archive_unit
from mfg.phases.reset_to_factory_defaults import reset_to_factory_defaults
from mfg.phases.store_calibration import store_calibration
from mfg.records.factory_file import CALIBRATION_KEYS, FACTORY_HASH_KEY, FACTORY_KEYS

FACTORY = json.dumps(
    dict.fromkeys(FACTORY_KEYS, 7) | {"ASSY": "ASY0398_V003.200_SN00001823", "LINE_FREQ_HZ": 50}
).encode()
CALIBRATION = json.dumps(
    dict.fromkeys(CALIBRATION_KEYS, 3) | {FACTORY_HASH_KEY: hashlib.sha256(FACTORY).hexdigest()}
).encode()
BOTH = {"factory.cfg": FACTORY, "calibration.cfg": CALIBRATION}


class Unit:
    """A unit on the network, with files and a configuration."""

    def __init__(self, files: dict[str, bytes], **config: Any) -> None:
        self.files = dict(files)
        self.values = {
            "WIFI": {"WIFI_CFG": 1, "SSID": "bench"},
            "ACTIVE": 0,
            "YDEV_UNIT_NAME": "",
            **{f"CT{port}_NAME": "" for port in range(1, 7)},
        } | config

    def config(self) -> HeldValues:
        return HeldValues(self.values, "the unit")

    def file_list(self) -> list[str]:
        return [f"/{name}" for name in self.files]

    def get_file(self, path: str) -> str:
        return self.files[path[1:]].decode()

    def uptime_s(self) -> float:
        return 30.0

    def reset_wifi(self) -> None:
        self.values["WIFI"] = {"WIFI_CFG": 0, "SSID": "YDEV"}


def api(unit: Any) -> Any:
    return SimpleNamespace(api=unit, slot_context=SimpleNamespace(clock=BenchClock()))


class TestStoringACalibration:
    def store(self, unit: Unit, stored_files: dict[str, bytes], **sheet: Any) -> tuple[Any, Any]:
        plug = traveller(stored_files=stored_files, **sheet)
        return call(store_calibration, traveller=plug, unit=api(unit)), plug.sheet

    def test_keeps_both_files_as_they_were_after_the_power_cycle(self):
        measured, sheet = self.store(Unit(BOTH), BOTH)
        assert {name: sheet.kept[name] for name in BOTH} == BOTH
        assert measured["files_equal"] is True
        assert measured["factory_sha256"] == hashlib.sha256(FACTORY).hexdigest()

    @pytest.mark.parametrize(("waived_by", "proved"), [("", None), ("A. Person", BOTH)])
    def test_takes_no_undecided_calibration_for_proved_unless_somebody_lets_it_pass(self, waived_by, proved):
        undecided = {
            ("verify_stored", "x"): {"verdict": "PASS"},
            ("verify_points", "y"): {"verdict": "INDETERMINATE"},
        }
        _measured, sheet = self.store(
            Unit(BOTH), BOTH, evaluations=undecided, uncertainty_waived_by=waived_by
        )
        assert sheet.proved_files == proved

    @pytest.mark.parametrize(
        "now",
        [
            {},
            {"factory.cfg": FACTORY},
            {**BOTH, "factory.cfg": FACTORY + b" "},
            {**BOTH, "calibration.cfg": CALIBRATION[:-1]},
        ],
        ids=["none", "one is gone", "another factory file", "another calibration file"],
    )
    def test_says_when_the_unit_no_longer_holds_what_was_verified(self, now):
        measured, _sheet = self.store(Unit(now), BOTH)
        assert measured["files_equal"] is False

    def test_says_when_the_disk_does_not_give_back_what_it_was_given(self):
        measured, _sheet = self.store(Unit(BOTH), BOTH, keep=lambda _name, data: data + b"\n")
        assert measured["files_equal"] is False

    def test_is_nothing_without_a_calibration(self):
        measured, _sheet = self.store(Unit({}), {})
        assert measured["files_equal"] is False


class TestTheShippingState:
    def reset(self, unit: Unit, **sheet: Any) -> Any:
        return call(reset_to_factory_defaults, traveller=traveller(**sheet), unit=api(unit))

    def test_has_its_calibration_untouched(self):
        unit = Unit(BOTH, CT1_IGAIN=42700.0)
        measured = self.reset(unit, stored_files=BOTH, adjusted={"CT1_IGAIN": 42700})
        assert measured["calibration_unchanged"] is True
        assert (measured["wifi_configured"], measured["wifi_ssid"]) == (0, "YDEV")

    def test_of_an_uncalibrated_unit_is_to_have_none(self):
        assert self.reset(Unit({}))["calibration_unchanged"] is True
        assert self.reset(Unit(BOTH))["calibration_unchanged"] is False

    def test_tells_a_file_that_changed_and_a_value_that_is_not_in_force(self):
        changed = Unit({**BOTH, "calibration.cfg": b"{}"}, CT1_IGAIN=42700)
        sheet = {"stored_files": BOTH, "adjusted": {"CT1_IGAIN": 42700}}
        assert self.reset(changed, **sheet)["calibration_unchanged"] is False
        assert self.reset(Unit(BOTH, CT1_IGAIN=42720), **sheet)["calibration_unchanged"] is False


class Port:
    """A serial port with a prompt behind it."""

    slot_context = SimpleNamespace(slot=SimpleNamespace(number=1))

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = {f"/{name}": content for name, content in files.items()}

    def present(self) -> bool:
        return True

    @contextlib.contextmanager
    def repl(self, _timeout_s: float) -> Any:
        yield self

    def identity(self) -> dict[str, str]:
        return {"python": "MicroPython"}

    def exists(self, path: str) -> bool:
        return path in self.files

    def read_file(self, path: str, _limit: int) -> bytes:
        return self.files[path]


class TestArchiving:
    def archive(self, files: dict[str, bytes], answer: bool = True) -> tuple[Any, Any, list[str]]:
        asked: list[str] = []
        operator = SimpleNamespace(confirm=lambda text, _timeout_s: asked.append(text) or answer)
        plug = traveller(erase_calibrated=False)
        measured = call(
            archive_unit,
            traveller=plug,
            drive=SimpleNamespace(drive=SimpleNamespace(find=lambda: None)),
            port=Port(files),
            operator=operator,
        )
        return measured, plug.sheet, asked

    def test_keeps_the_calibration_file_beside_the_factory_file(self):
        measured, sheet, asked = self.archive({**BOTH, "this.machine.cfg": b'{"WIFI": {"PASSWD": "p"}}'})
        assert (measured["unit_state"], measured["kept_files"]) == ("calibrated", 3)
        assert sheet.kept["archive_factory.cfg"] == FACTORY
        assert sheet.kept["archive_calibration.cfg"] == CALIBRATION
        assert b'"p"' not in sheet.kept["archive_this.machine.cfg"]
        assert len(asked) == 1

    def test_erases_no_calibration_that_the_operator_wants_to_keep(self):
        with pytest.raises(FixtureError, match="was not erased"):
            self.archive(BOTH, answer=False)

    @pytest.mark.parametrize(
        "files",
        [
            {"factory.cfg": FACTORY[: len(FACTORY) // 2]},
            {"factory.cfg": b""},
            {**BOTH, "calibration.cfg": CALIBRATION[:40]},
            {"factory.cfg": FACTORY.replace(b"7", b"8", 1), "calibration.cfg": CALIBRATION},
        ],
        ids=["half a factory file", "an empty one", "half a calibration file", "two that do not belong"],
    )
    def test_calls_a_half_written_calibration_damaged_and_keeps_it_all_the_same(self, files):
        measured, sheet, asked = self.archive(files)
        assert measured["unit_state"] == "damaged"
        assert {name: sheet.kept[f"archive_{name}"] for name in files} == files
        assert asked == []

    def test_tells_uncalibrated_from_bare(self):
        assert self.archive({"this.machine.cfg": b"{}"})[0]["unit_state"] == "uncalibrated"
        assert self.archive({})[0]["unit_state"] == "bare"
