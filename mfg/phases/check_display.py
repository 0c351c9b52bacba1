"""Check the display: the operator compares what it shows."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import CameraPlug, TravellerPlug, UnitApiPlug
from mfg.readings.restarts import require_no_restart
from mfg.readings.stored import stored_files


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, operator=OperatorPlug, camera=CameraPlug)
def check_display(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    operator: OperatorPlug,
    camera: CameraPlug,
) -> None:
    """Ask whether the display shows the address that the console printed, and what it should beside it.

    That is the mains voltage of a calibrated unit, and the warning of another one, which shows no reading.

    Needs: the display on (within 60 s of power-up or of a short press). Leaves: nothing changed.
    """
    sheet = traveller.sheet
    beside = 'the words "Uncalibrated" and "unit"'
    if stored_files(unit.api, sheet.features):
        beside = f"a voltage of about {unit.api.stats().ports[0].voltage_v:.0f} V"
    question = (
        f'Does the display show the address "{sheet.require_address()}" and {beside}, upright and readable?'
    )
    right = operator.confirm(question, sheet.deadline_s("operator_s"))
    picture = camera.photograph()
    if picture is not None:
        sheet.keep("display.png", picture)
        test.attach("display.png", picture, mimetype="image/png")
    test.measurements["display_right"] = right
    require_no_restart(sheet, unit.api, unit.slot_context.clock)
