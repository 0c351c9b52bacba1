"""A small records folder with a chain, as a station leaves it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mfg.records.chain import RecordChain
from mfg.records.links import Link
from mfg.records.record import Record, load_stored, write_record
from mfg.records.run_folder import PRIVATE, RunFolder, new_run_id

START = datetime.datetime(2026, 11, 20, 21, 0, tzinfo=datetime.UTC)
RUN_TIME = datetime.timedelta(minutes=75)


class ChainedRecords:
    """Puts synthetic runs on record, each a while after the one before."""

    def __init__(self, root: Path, make_record: Callable[..., Record], keys: Path | None = None) -> None:
        self.root = root
        self.keys = keys or root.parent / "keys"
        self.now = START
        self.chain = RecordChain(root, self.keys, lambda: self.now)
        self._make_record = make_record

    def store(self, serial: str = "SN00000001", **changes: Any) -> tuple[Record, RunFolder]:
        """Store a run's folder, which is not on record yet."""
        self.now += RUN_TIME
        run_id = new_run_id(self.now)
        folder = RunFolder.create(self.root, serial or None, run_id)
        record = self._make_record(run_id=run_id, serial_number=serial, phases=[], adjustments=[], **changes)
        folder.write("log.txt", f"log of {run_id}\n".encode(), mode=PRIVATE)
        folder.write("windows.csv", b"window,current_a\n1,9.0\n")
        folder.write("factory.cfg", b'{"ASSY": "ASY0398"}', mode=PRIVATE)
        write_record(folder, record)
        folder.write("report.html", b"<html></html>")
        return record, folder

    def run(self, serial: str = "SN00000001", **changes: Any) -> Link:
        """Store a run and put it on record."""
        _record, folder = self.store(serial, **changes)
        return self.chain.append(load_stored(folder.path))

    def withdraw(self, link: Link) -> Link:
        """Take a verdict back, as the runner does."""
        folder = RunFolder(self.root, self.root / link.folder, link.run_id)
        serial = {"serial_number": link.serial_number, "phases": [], "adjustments": []}
        record = self._make_record(run_id=link.run_id, outcome="ERROR", **serial)
        write_record(folder, record)
        return self.chain.append(load_stored(folder.path), reason="the report could not be stored")
