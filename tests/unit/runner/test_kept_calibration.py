"""Which calibration `--restore latest` finds."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
from chained_records import ChainedRecords
from record_builder import build_record

from mfg.errors import UsageError
from mfg.records.index import RecordIndex
from mfg.records.record import write_record
from mfg.runner.kept_calibration import latest_calibration

SERIAL = "SN00001823"
FULL, VOLTAGE, FIELD = b'{"ASSY": "full"}', b'{"ASSY": "voltage"}', b'{"ASSY": "from elsewhere"}'


class Store:
    """A store with runs of one unit."""

    def __init__(self, root: Any) -> None:
        self._records = ChainedRecords(root / "records", build_record)
        self.station: Any = SimpleNamespace(records_folder=root / "records", emulated=True)

    def run(
        self,
        mode: str,
        left: bytes,
        *,
        found: bytes = b"",
        serial: str = SERIAL,
        label_before: str = "",
        **changes: Any,
    ) -> None:
        """Put a run on record that found one factory file on the unit and left another."""
        started = f"2026-11-20T{len(list(self._records.root.glob('*/*'))) + 1:02d}:00:00.000Z"
        held = {"left.cfg": ("factory.cfg", left), "found.cfg": ("archive_factory.cfg", found)}
        attachments = [
            {"name": name, "file": file, "sha256": hashlib.sha256(content).hexdigest()}
            for file, (name, content) in held.items()
            if content
        ]
        changes = {"ended_utc": "2026-11-21T00:00:00.000Z"} | changes
        record, folder = self._records.store(
            serial, mode=mode, attachments=attachments, started_utc=started, mac="", **changes
        )
        if label_before:
            phases: Any = build_record()["phases"]
            label = next(phase for phase in phases if phase["name"] == "write_label")
            label["name"] = "identify_relabelled_unit"
            label["measurements"][0] |= {"name": "label_before", "value": label_before}
            write_record(folder, record | {"phases": [label]})
        for file, (_name, content) in held.items():
            folder.write(file, content)
        with RecordIndex(self._records.root) as index:
            index.add(record, folder.path)

    def latest(self, serial: str = SERIAL) -> bytes:
        return latest_calibration(self.station, serial).factory


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_the_newest_of_all_ports_is_found_and_a_partial_one_never(store):
    store.run("full", FULL)
    store.run("full ports-12", FIELD, outcome="PARTLY CALIBRATED")
    store.run("cal-only", VOLTAGE, outcome="FAIL")
    assert store.latest() == FULL
    store.run("cal-only ac-60hz", FIELD)
    assert store.latest() == FIELD


def test_new_voltage_gains_beside_currents_that_are_on_record_are_complete(store):
    store.run("full", FULL)
    store.run("voltage-cal-only", VOLTAGE, found=FULL)
    assert store.latest() == VOLTAGE
    store.run("voltage-cal-only", FIELD, found=VOLTAGE)
    assert store.latest() == FIELD


def test_new_voltage_gains_beside_currents_that_nobody_proved_here_are_not(store):
    store.run("voltage-cal-only", VOLTAGE, found=FIELD)
    with pytest.raises(UsageError, match="no complete calibration of SN00001823"):
        store.latest()
    store.run("full", FULL)
    store.run("voltage-cal-only", VOLTAGE, found=FIELD)
    store.run("voltage-cal-only", VOLTAGE)
    assert store.latest() == FULL


def test_a_unit_with_new_labels_keeps_the_complete_calibration_of_its_old_ones(store):
    before = {"found": FULL, "label_before": "ASY0398_V003.200_SN00001823"}
    store.run("set-labels", FIELD, serial="SN00000007", **before)
    with pytest.raises(UsageError, match="no complete calibration of SN00000007"):
        store.latest("SN00000007")
    store.run("full", FULL)
    store.run("set-labels", VOLTAGE, serial="SN00000007", **before)
    assert store.latest("SN00000007") == VOLTAGE
    assert store.latest() == FULL
