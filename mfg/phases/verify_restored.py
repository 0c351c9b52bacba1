"""Verify a restored calibration under load."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.readings.high_point import take_high_point
from mfg.readings.notes import NO_POWER, is_proved, note_evaluated
from mfg.readings.restarts import require_no_restart


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(
    traveller=TravellerPlug,
    unit=UnitApiPlug,
    power=PowerSwitchPlug,
    reference=ReferenceMeterPlug,
    operator=OperatorPlug,
)
def verify_restored(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
    operator: OperatorPlug,
) -> None:
    """Judge voltage, current and power of every port at the high point, with their uncertainty.

    Needs: the restored calibration in force, the load prepared. Leaves: the load on; the files proved.
    """
    sheet = traveller.sheet
    high = take_high_point(sheet, unit, power, reference, operator, "verify restored")
    for port in sheet.ports:
        if not sheet.has_power:
            sheet.note_not_done(NO_POWER)
            power_name = f"port{port}_restored_power_error_pct"
            test.measurements.set_measurement_outcome_to_skipped(power_name)
            sheet.left_out.add(("verify_restored", power_name))
        for quantity, evaluated in high.errors(port):
            name = f"port{port}_restored_{quantity}_error_pct"
            test.measurements[name] = note_evaluated(sheet, "verify_restored", name, evaluated)
    require_no_restart(sheet, unit.api, unit.slot_context.clock)
    sheet.proved_files = sheet.stored_files if is_proved(sheet) else None
