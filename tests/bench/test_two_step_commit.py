"""A calibration is kept only where the unit holds it: written, read back, power-cycled, read back, measured.

The units that break this run a changed copy of our firmware.
"""

from __future__ import annotations

import json

import pytest
from bench_station import BenchStation
from changed_firmware import copied_firmware, with_addition

FACTOR = 5
HALF_WRITTEN = """

_write_whole = write_together


def _write_half(contents):
    if len(contents) == 1:
        return _write_whole(contents)
    path, parts = contents[0]
    text = "".join(parts)
    with open(path, "w") as file:
        file.write(text[: len(text) // 2])


globals()["write_together"] = lambda contents: _write_half(contents)
"""
FORGOTTEN = """

def _forget(self, _factory_sha256):
    for key in schema.keys(schema.CALIBRATION):
        self.values[key] = schema.find(key)[1]


Config._load_calibration = _forget
"""


def reasons(ended):
    return " ".join(ended.record["outcome_reasons"])


@pytest.mark.parametrize(
    ("addition", "words"),
    [
        (HALF_WRITTEN, "factory.cfg is not JSON"),
        (FORGOTTEN, "registers_lost is 6, allowed = 0"),
    ],
    ids=["the file is half there", "the phases are lost in the power cycle"],
)
def test_what_the_unit_does_not_hold_is_rejected_and_never_kept(tmp_path, addition, words):
    firmware = with_addition(copied_firmware(tmp_path), "config.py", addition)
    ended = BenchStation(tmp_path, factor=FACTOR).run("--firmware", str(firmware))
    assert (ended.outcome, ended.exit_code) == ("FAIL", 1), ended.output
    assert ended.bad_phases() == ["verify_stored"]
    assert words in reasons(ended)
    assert ended.phase("switch_load_off")["outcome"] == "PASS"
    assert not list(ended.folder.glob("ASY*_factory.cfg"))


def test_what_is_kept_is_what_the_unit_holds(calibrated):
    (record,) = calibrated.folder.glob("records/*/*/record.json")
    entries = {entry["name"]: entry for entry in json.loads(record.read_text())["attachments"]}
    for name in ("factory.cfg", "calibration.cfg"):
        kept = record.parent / entries[name]["file"]
        assert kept.read_bytes() == calibrated.unit_file(f"/{name}")
        assert kept.name.endswith(f"_{name}")
