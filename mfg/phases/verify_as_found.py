"""Compare a returned unit with the reference, as it was found."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.readings.high_point import take_high_point
from mfg.readings.notes import NO_POWER, note_evaluated


@htf.PhaseOptions(timeout_s=300)
@htf.plug(
    traveller=TravellerPlug,
    unit=UnitApiPlug,
    power=PowerSwitchPlug,
    reference=ReferenceMeterPlug,
    operator=OperatorPlug,
)
def verify_as_found(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
    operator: OperatorPlug,
) -> None:
    """Judge voltage, current and power of every port at the high point by the limits of a unit in service.

    Needs: the unit on the network as it came, the load prepared. Leaves: nothing written; the load on.
    """
    sheet = traveller.sheet
    high = take_high_point(sheet, unit, power, reference, operator, "as found")
    for port in sheet.ports:
        if not sheet.has_power:
            sheet.note_not_done(NO_POWER)
            power_name = f"port{port}_as_found_power_error_pct"
            test.measurements.set_measurement_outcome_to_skipped(power_name)
            sheet.left_out.add(("verify_as_found", power_name))
        for quantity, evaluated in high.errors(port):
            name = f"port{port}_as_found_{quantity}_error_pct"
            test.measurements[name] = note_evaluated(sheet, "verify_as_found", name, evaluated)
