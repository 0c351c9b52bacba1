"""Store what the unit was adjusted to: on the unit, and in the run folder."""

from __future__ import annotations

import hashlib
import json

import openhtf as htf

from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.notes import is_proved
from mfg.readings.restarts import require_no_restart
from mfg.readings.stored import stored_files
from mfg.records.factory_file import FACTORY_NAME, masked_machine_config


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def store_calibration(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Keep the verified files of the unit byte for byte, and its configuration key by key.

    The unit writes nothing any more: what is kept was read back after the power cycle and measured.

    Needs: the calibration stored on the unit and verified. Leaves: its files in the run folder, equal.
    """
    sheet = traveller.sheet
    held = stored_files(unit.api, sheet.features)
    kept = {name: sheet.keep(name, content) for name, content in held.items()}
    test.measurements["factory_sha256"] = hashlib.sha256(kept.get(FACTORY_NAME, b"")).hexdigest()
    equal = bool(held) and sheet.stored_files == held == kept
    test.measurements["files_equal"] = equal
    test.measurements["machine_equal"] = _keep_configuration(sheet, unit.api)
    require_no_restart(sheet, unit.api, unit.slot_context.clock)
    let_pass = bool(sheet.uncertainty_waived_by)  # whoever takes a coarse reference wants what it gives
    sheet.proved_files = held if equal and (is_proved(sheet) or let_pass) else None


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def store_configuration(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Keep the configuration of a unit that was not calibrated.

    Needs: the unit on the network. Leaves: no factory.cfg, on the unit or in the run folder.
    """
    test.measurements["machine_equal"] = _keep_configuration(traveller.sheet, unit.api)
    require_no_restart(traveller.sheet, unit.api, unit.slot_context.clock)


def _keep_configuration(sheet: Traveller, api: DutApi) -> bool:
    configuration = masked_machine_config(api.config())
    stored = sheet.keep("this.machine.cfg", configuration)
    now = json.loads(masked_machine_config(api.config()))
    return bool(json.loads(stored) == json.loads(configuration) == now)
