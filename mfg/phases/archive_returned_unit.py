"""Have a returned unit list what it holds, before anything on it is tested."""

from __future__ import annotations

import json
from dataclasses import astuple

import openhtf as htf

from mfg.fixtures.plugs import TravellerPlug, UnitPortPlug
from mfg.fixtures.prompt_state import (
    COPIED,
    COPY_END,
    VOLATILE,
    keep_copies,
    machine_configuration,
    snapshot,
)
from mfg.readings.identity import take_identity
from mfg.readings.start_up import await_start
from mfg.readings.unit_files import held_files
from mfg.records.factory_file import ARCHIVE
from mfg.records.journal import COPY, SNAPSHOT_FILE
from mfg.records.run_folder import sha256_hex


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, port=UnitPortPlug)
def archive_returned_unit(test: htf.TestApi, traveller: TravellerPlug, port: UnitPortPlug) -> None:
    """Identify a unit over USB, and have it hash every file and copy those that a test may change.

    Copies stay on the unit: its configuration holds the customer's passwords. Calibration and masked
    configuration are archived here, too.

    Needs: supply on. Leaves: copies beside the files, the list of hashes in the run folder; the unit
    restarted.

    Raises:
        DutError: It has no prompt, or carries no label; nothing was changed.
        FixtureError: It is another unit; nothing was changed.
    """
    sheet = traveller.sheet
    test.measurements["application_starts"] = await_start(sheet, port)
    with port.repl(sheet.deadline_s("serial_port_s")) as repl:
        text = str(machine_configuration(repl).get("ASSY", ""))
        label = take_identity(sheet, text, "The unit in the slot")
        sheet.about_to(COPY)
        keep_copies(repl)
        everything = snapshot(repl)
        kept = held_files(repl)
        repl.reset()
    test.dut_id = label.serial_number
    test.measurements["assembly"] = label.assembly_text
    test.measurements["serial"] = label.serial_number
    copies = {path: everything.pop(path + COPY_END, None) for path in COPIED}
    test.measurements["copies_equal"] = all(everything.get(path) == copy for path, copy in copies.items())
    sheet.came_with = {path: proof for path, proof in everything.items() if path not in VOLATILE}
    entries = [[path, *(astuple(proof) if proof else (0, ""))] for path, proof in sheet.came_with.items()]
    listed = sheet.keep(SNAPSHOT_FILE, (json.dumps(entries, indent=1) + "\n").encode())
    for name, content in kept.items():
        sheet.keep(f"{ARCHIVE}{name}", content)
    test.measurements["files"] = sum(proof is not None for proof in sheet.came_with.values())
    test.measurements["snapshot_sha256"] = sha256_hex(listed)
    await_start(sheet, port)
