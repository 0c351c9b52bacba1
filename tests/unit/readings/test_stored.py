"""What a unit stored of its calibration is judged by its bytes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from mfg.errors import DutError
from mfg.readings.stored import holds, stored_files
from mfg.records.factory_file import CALIBRATION_KEYS, FACTORY_HASH_KEY, FACTORY_KEYS

LABEL = "ASY0398_V003.200_SN00001823"
ADJUSTED = {"CT1_IGAIN": 42711, "CS4_VOLTAGE_GAIN": 55512}
OWN = {**ADJUSTED, "CT1_PHASE": 0x8041}


def factory(**changes: Any) -> bytes:
    values: dict[str, Any] = dict.fromkeys(FACTORY_KEYS, 0) | {"ASSY": LABEL, "LINE_FREQ_HZ": 50}
    return json.dumps(values | ADJUSTED | changes).encode()


def calibration(of: bytes, **changes: Any) -> bytes:
    values: dict[str, Any] = dict.fromkeys(CALIBRATION_KEYS, 0) | {"CT1_PHASE": 0x8041}
    values[FACTORY_HASH_KEY] = hashlib.sha256(of).hexdigest()
    return json.dumps(values | changes).encode()


def files(**changes: Any) -> dict[str, bytes]:
    held = factory(**changes)
    return {"factory.cfg": held, "calibration.cfg": calibration(held)}


class Unit:
    """A unit with some files."""

    def __init__(self, **held: str) -> None:
        self.held = {f"/{name}.cfg": text for name, text in held.items()}

    def file_list(self) -> list[str]:
        return ["/app1/", "/app1/factory.cfg", *self.held]

    def get_file(self, path: str) -> str:
        return self.held[path]


class TestTheFilesOfAUnit:
    def test_are_those_in_its_root_that_hold_a_calibration(self):
        unit: Any = Unit(factory='{"ASSY": "\u00e4"}', calibration="{}", other="x")
        assert stored_files(unit, {"phase"}) == {
            "factory.cfg": '{"ASSY": "\u00e4"}'.encode(),
            "calibration.cfg": b"{}",
        }

    def test_may_be_one_alone_or_none(self):
        alone: Any = Unit(factory="{}")
        none: Any = Unit()
        assert stored_files(alone, {"phase"}) == {"factory.cfg": b"{}"}
        assert stored_files(none, {"phase"}) == {}

    def test_without_phases_are_the_factory_file_alone(self):
        unit: Any = Unit(factory="{}", calibration="left by another firmware")
        assert stored_files(unit, {"windows"}) == {"factory.cfg": b"{}"}


class TestFilesHoldACalibration:
    def test_with_the_label_and_every_adjusted_value(self):
        assert holds(files(), LABEL, OWN)

    def test_of_a_unit_with_the_original_interface_in_one_file(self):
        assert holds({"factory.cfg": factory()}, LABEL, ADJUSTED)

    @pytest.mark.parametrize(
        ("held", "label", "adjusted"),
        [
            ({}, LABEL, ADJUSTED),
            (files(), "ASY0398_V003.200_SN00001824", OWN),
            (files(CT1_IGAIN=42712), LABEL, OWN),
            (files(), LABEL, {**OWN, "CT2_PHASE": 3}),
            ({"factory.cfg": factory()}, LABEL, OWN),
        ],
        ids=["no file", "another unit's label", "another gain", "another phase", "phases nowhere"],
    )
    def test_not_with_anything_else(self, held, label, adjusted):
        assert not holds(held, label, adjusted)

    def test_not_cut_short(self):
        whole = factory()
        for length in range(len(whole)):
            with pytest.raises(DutError, match=r"factory\.cfg (is not JSON|lacks)"):
                holds({"factory.cfg": whole[:length]}, LABEL, ADJUSTED)

    def test_not_with_the_phases_of_another_factory_file(self):
        held = {"factory.cfg": factory(), "calibration.cfg": calibration(factory(CT6_IGAIN=1))}
        with pytest.raises(DutError, match=r"belongs to another factory\.cfg"):
            holds(held, LABEL, OWN)
