"""Prepare the calibration load: the reference, the CT jig, the watchdog."""

from __future__ import annotations

from functools import partial

import openhtf as htf

from mfg.calibration.windows import check_reach
from mfg.errors import FixtureError
from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug
from mfg.readings.load_points import OFF_A, require_believable

CLOSE_JIG = "Put the CTs of the unit in slot {slot} around the bundle and close the jig."


@htf.PhaseOptions(timeout_s=240, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, power=PowerSwitchPlug, reference=ReferenceMeterPlug, operator=OperatorPlug)
def prepare_load(
    test: htf.TestApi,
    traveller: TravellerPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
    operator: OperatorPlug,
) -> None:
    """Let the operator close the CT jig, open the reference meter, and arm the load's output watchdog.

    Refuses a combination of load, turns and range that could saturate a port or the reference. Closing the
    jig is the one act of the calibration; it is asked for only while the load is measured to be off. A bench
    that takes one CT at a time has no jig: each CT is asked for when its port is taken.

    Needs: nothing. Leaves: the load off, its watchdog armed, the jig closed, the reference meter configured.

    Raises:
        FixtureError: Current flows although nothing is switched on; nobody was asked to touch the jig.
    """
    sheet = traveller.sheet
    station = power.slot_context.station
    turns = station.conductor.turns
    require_believable(
        [partial(check_reach, point.current_a, point.range_a, turns) for point in station.load_points]
    )
    power.switch.off(power.load)
    power.switch.off(power.identification)
    load_a = max(
        abs(power.switch.measured_current_a(channel)) for channel in (power.load, power.identification)
    )
    test.measurements["load_before_a"] = load_a
    if load_a >= OFF_A:
        raise FixtureError(
            f"{load_a:.3f} A flow through a load that is switched off.",
            "Check the contacts of the load and of the identification conductor: one leaks or is welded.",
        )
    slot = power.slot_context.slot.number
    if station.conductor.one_at_a_time:
        reference.open()
    else:
        closed = operator.begin("do", CLOSE_JIG.format(slot=slot), sheet.deadline_s("operator_s"))
        reference.open()  # while the operator's hands are at the jig
        closed.wait()
        sheet.jig_cycles = sheet.count_jig_cycle()
    power.switch.set_watchdog(station.power_switch.watchdog_s)
