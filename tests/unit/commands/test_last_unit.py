"""`r` repeats the last unit of a slot, and changes nothing else of what was asked for."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

from mfg.commands.run import with_last_unit
from mfg.plans.mode import Mode
from mfg.runner.request import RunRequest

REQUEST = RunRequest(
    mode=Mode(ports=(1, 2)),
    slot=2,
    scanned=("ASY0398V03.2", "SN00001823"),
    erase_calibrated=True,
    operator="op 3",
    firmware=Path("other"),
    past_due_by="A. Person",
    uncertainty_waived_by="B. Person",
)


def test_the_last_unit_is_added_and_every_other_wish_is_kept(tmp_path):
    last = {"assembly": "ASY0398V03.2", "serial": "SN00000007"}
    (tmp_path / "last-unit-slot2.json").write_text(json.dumps(last))
    request = with_last_unit(SimpleNamespace(records_folder=tmp_path), REQUEST)
    assert request == dataclasses.replace(REQUEST, last_scanned=("ASY0398V03.2", "SN00000007"))


def test_a_memory_that_is_not_there_or_broken_is_none(tmp_path):
    station = SimpleNamespace(records_folder=tmp_path)
    assert with_last_unit(station, REQUEST) == REQUEST
    for broken in ("{", "[" * 100_000, "[]", '{"assembly": "x", "serial": "SN00000007"}', " " * 10_000_000):
        (tmp_path / "last-unit-slot2.json").write_text(broken)
        assert with_last_unit(station, REQUEST) == REQUEST
