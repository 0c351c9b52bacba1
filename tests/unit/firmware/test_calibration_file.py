"""calibration.cfg: what the factory file has no room for, bound to the factory file by its hash."""

import hashlib
import json
from pathlib import Path

import pytest
from app1 import config, registers, schema
from test_config import Unit, cut_after_each_operation

KEYS = schema.keys(schema.CALIBRATION)
SET = {"CT1_PHASE": "32773", "CT6_PGAIN": "65530", "CS4_VOLTAGE_OFFSET": "12", "CT1_IGAIN": "42801"}
HELD = {key: int(value) for key, value in SET.items()}


class CalibratedUnit(Unit):
    """A unit with its third file."""

    def __init__(self, folder):
        super().__init__(folder)
        self.calibration = folder / "calibration.cfg"

    def calibrate(self, **values) -> config.Config:
        loaded = self.boot()
        loaded.set(SET | values)
        loaded.save_factory()
        return loaded


@pytest.fixture
def unit(tmp_path):
    return CalibratedUnit(tmp_path)


def of(loaded) -> dict:
    return {key: loaded[key] for key in HELD}


def are_defaults(loaded) -> bool:
    return all(loaded[key] == 0 for key in KEYS)


def test_saving_writes_the_fourteen_keys_and_the_hash_of_the_factory_file(unit):
    unit.calibrate()
    text = unit.calibration.read_text()
    assert text.startswith('{"')
    assert "\n" not in text
    stored = json.loads(text)
    assert stored.pop("FACTORY_SHA256") == hashlib.sha256(unit.factory.read_bytes()).hexdigest()
    assert set(stored) == set(KEYS)
    assert (stored["CT1_PHASE"], stored["CT6_PGAIN"], stored["CT2_PHASE"]) == (32773, 65530, 0)
    assert set(json.loads(unit.factory.read_text())) == set(schema.factory_keys())


def test_both_files_overlay_the_machine_file(unit, capsys):
    unit.calibrate().reset()
    assert unit.stored()["CT1_PHASE"] == 0
    capsys.readouterr()
    loaded = unit.boot()
    assert of(loaded) == HELD
    assert loaded.calibrated
    assert capsys.readouterr().out == ""
    assert unit.stored()["CT1_PHASE"] == 32773


def test_what_was_set_after_the_last_save_is_gone_after_a_boot(unit):
    unit.calibrate().set({"CT1_PHASE": "7", "CT1_IGAIN": "7"})
    assert of(unit.boot()) == HELD


def test_a_factory_file_from_elsewhere_is_not_mixed_with_foreign_phases(unit, capsys):
    unit.calibrate()
    unit.factory_file(CT1_IGAIN=41000)
    capsys.readouterr()
    loaded = unit.boot()
    assert (loaded["CT1_IGAIN"], loaded.calibrated) == (41000, True)
    assert are_defaults(loaded)
    assert "calibration.cfg does not belong to" in capsys.readouterr().out
    assert are_defaults(unit.stored())


def test_a_factory_file_that_came_alone_has_no_phases(unit, capsys):
    unit.boot().set(SET)
    unit.factory_file()
    loaded = unit.boot()
    assert are_defaults(loaded)
    assert "calibration.cfg is missing: phases, power gains and voltage offsets are 0" in (
        capsys.readouterr().out
    )


def test_without_a_factory_file_the_machine_file_says_all(unit, capsys):
    unit.calibrate()
    unit.factory.unlink()
    capsys.readouterr()
    assert of(unit.boot()) == HELD
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff", "x" * 9000, '{"a":' * 3000])
def test_a_calibration_file_that_is_none_gives_the_defaults(unit, text, capsys):
    unit.calibrate()
    unit.calibration.write_bytes(text.encode("latin-1"))
    loaded = unit.boot()
    assert are_defaults(loaded)
    assert loaded["CT1_IGAIN"] == 42801
    assert "calibration.cfg" in capsys.readouterr().out
    assert unit.calibration.read_bytes() == text.encode("latin-1")


@pytest.mark.parametrize(
    ("key", "value"),
    [("CT1_PHASE", 256), ("CT1_PGAIN", 65536), ("CS0_VOLTAGE_OFFSET", "x"), ("CT3_PHASE", None)],
)
def test_one_bad_value_makes_all_of_them_defaults(unit, key, value):
    unit.calibrate()
    stored = json.loads(unit.calibration.read_text()) | {key: value}
    unit.calibration.write_text(json.dumps(stored))
    assert are_defaults(unit.boot())
    del stored[key]
    unit.calibration.write_text(json.dumps(stored))
    assert are_defaults(unit.boot())


def test_a_calibration_file_brings_no_other_key(unit):
    unit.calibrate()
    stored = json.loads(unit.calibration.read_text()) | {"CT1_IGAIN": 1, "CT1_NAME": "x"}
    unit.calibration.write_text(json.dumps(stored))
    loaded = unit.boot()
    assert (loaded["CT1_IGAIN"], loaded["CT1_NAME"], loaded["CT1_PHASE"]) == (42801, "", 32773)


def test_a_power_cut_at_every_point_leaves_the_old_pair_the_new_pair_or_no_phases(unit, monkeypatch):
    old = {"CT1_IGAIN": 42700, "CT1_PHASE": 11}
    new = {"CT1_IGAIN": 42801, "CT1_PHASE": 22}

    def values(of_config):
        return {key: of_config[key] for key in old}

    def prepare():
        loaded = unit.boot()
        loaded.set({key: str(value) for key, value in old.items()})
        loaded.save_factory()
        loaded.set({key: str(value) for key, value in new.items()})
        return loaded

    seen = []
    for _ in cut_after_each_operation(monkeypatch, prepare, lambda loaded: loaded.save_factory()):
        loaded = unit.boot()
        assert loaded.calibrated
        assert not [path for path in unit.factory.parent.iterdir() if path.suffix == ".tmp"]
        seen.append(values(loaded))
    between = {"CT1_IGAIN": 42801, "CT1_PHASE": 0}
    assert len(seen) >= 9  # two files: open, two halves, rename
    assert (seen[0], seen[-1]) == (old, new)
    first_new = seen.index(between)
    assert seen == [old] * first_new + [between] * (len(seen) - first_new - 1) + [new]


def test_a_power_cut_when_only_phases_change_leaves_the_old_or_the_new_ones(unit, monkeypatch):
    def prepare():
        loaded = unit.calibrate(CT1_PHASE="11")
        loaded.set({"CT1_PHASE": "22"})
        return loaded

    seen = [
        unit.boot()["CT1_PHASE"]
        for _ in cut_after_each_operation(monkeypatch, prepare, lambda loaded: loaded.save_factory())
    ]
    assert set(seen) == {11, 22}
    assert seen == sorted(seen)


def test_a_full_disk_leaves_both_files_as_they_were(unit, monkeypatch):
    loaded = unit.calibrate()
    before = unit.factory.read_bytes(), unit.calibration.read_bytes()
    loaded.set({"CT1_PHASE": "5", "CT1_IGAIN": "42000"})

    def full(path, mode="r", **more):
        if "w" in mode and "calibration" in str(path):
            raise OSError(28, "ENOSPC")
        return Path(path).open(mode, **more)

    monkeypatch.setattr(config, "open", full, raising=False)
    with pytest.raises(OSError, match="ENOSPC"):
        loaded.save_factory()
    assert (unit.factory.read_bytes(), unit.calibration.read_bytes()) == before
    assert not [path for path in unit.factory.parent.iterdir() if path.suffix == ".tmp"]


@pytest.mark.parametrize("value", ["0", "255", "32768", "33023"])
def test_a_phase_is_what_its_register_holds(unit, value):
    assert unit.boot().set({"CT4_PHASE": value}) == {"CT4_PHASE": int(value)}


@pytest.mark.parametrize("value", ["256", "32767", "33024", "65535", "-1", "1.5"])
def test_a_phase_that_its_register_does_not_have_is_refused(unit, value):
    with pytest.raises(ValueError, match=r"CT4_PHASE is "):
        unit.boot().set({"CT4_PHASE": value})


def test_phases_and_power_gains_are_written_at_the_start_of_a_chip():
    table = list(registers.start_up(50, 55600, 0, (1, 2, 3), (4, 5, 6), (7, 8, 9), (10, 11, 0x800C)))
    values = dict(table)
    assert [values[address] for address in (0x47, 0x49, 0x4B)] == [7, 8, 9]
    assert [values[address] for address in (0x48, 0x4A, 0x4C)] == [10, 11, 0x800C]
    places = [address for address, _ in table]
    assert places[0] == places[-1] == 0x7F
