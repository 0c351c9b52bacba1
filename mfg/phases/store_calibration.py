"""Store what the unit was adjusted to: on the unit, and in the run folder."""

from __future__ import annotations

import hashlib
import json

import openhtf as htf

from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug
from mfg.fixtures.traveller import Traveller
from mfg.records.factory_file import masked_machine_config, parse_factory_file
from mfg.records.journal import STORE

FACTORY_FILE = "/factory.cfg"


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def store_calibration(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Let the unit write factory.cfg, keep it byte for byte, and keep the configuration key by key.

    Needs: adjusted and verified gains in force. Leaves: factory.cfg on the unit and in the run folder.
    """
    sheet = traveller.sheet
    sheet.about_to(STORE)
    unit.api.save_factory()
    first = unit.api.get_file(FACTORY_FILE).encode()
    parse_factory_file(first)
    stored = sheet.keep("factory.cfg", first)
    second = unit.api.get_file(FACTORY_FILE).encode()
    test.measurements["factory_sha256"] = hashlib.sha256(stored).hexdigest()
    test.measurements["factory_equal"] = first == stored == second
    test.measurements["machine_equal"] = _keep_configuration(sheet, unit.api)


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def store_configuration(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Keep the configuration of a unit that was not calibrated.

    Needs: the unit on the network. Leaves: no factory.cfg, on the unit or in the run folder.
    """
    test.measurements["machine_equal"] = _keep_configuration(traveller.sheet, unit.api)


def _keep_configuration(sheet: Traveller, api: DutApi) -> bool:
    configuration = masked_machine_config(api.config())
    stored = sheet.keep("this.machine.cfg", configuration)
    now = json.loads(masked_machine_config(api.config()))
    return bool(json.loads(stored) == json.loads(configuration) == now)
