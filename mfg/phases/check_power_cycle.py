"""Check the unit's own power cycle, and that both chips meter again afterwards."""

from __future__ import annotations

import openhtf as htf

from mfg.calibration.windows import check_mains_in_range
from mfg.errors import DutError
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.readings.load_points import require_believable
from mfg.readings.restarts import note_start


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug)
def check_power_cycle(
    test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, port: UnitPortPlug
) -> None:
    """Let the unit cycle its power; measure how long it is off and when it answers again.

    Needs: the unit on the network. Leaves: the unit on the network again, its display on.
    """
    sheet = traveller.sheet
    clock = port.slot_context.clock
    timeout_s = sheet.deadline_s("power_cycle_s")
    uptime_before_s = unit.api.uptime_s()
    port.close_console()
    unit.api.power_cycle()
    started_s = clock.now_s()
    if not clock.wait_until(lambda: not port.present(), timeout_s):
        raise DutError(
            f"The unit did not switch itself off within {timeout_s:g} s of its power-cycle command.",
            "Look at the hold-off network (GPIO13, C22, R3). Is the +5 V wire of the USB cable cut?",
        )
    gone_s = clock.now_s()
    port.path(timeout_s)
    back_s = clock.now_s()
    test.measurements["off_s"] = back_s - gone_s
    port.console(sheet.deadline_s("serial_port_s"))
    unit.api.wait_ready(timeout_s)
    test.measurements["answers_s"] = clock.now_s() - started_s
    uptime_s = unit.api.uptime_s()
    elapsed_s = clock.now_s() - gone_s
    test.measurements["uptime_restarted"] = uptime_s <= elapsed_s and uptime_s < uptime_before_s + elapsed_s
    note_start(sheet, unit.api, clock)
    stats = unit.api.stats()
    voltages_v = {number: stats.ports[number - 1].voltage_v for number in sheet.ports}
    for number, voltage_v in voltages_v.items():
        test.measurements[f"port{number}_after_cycle_v"] = voltage_v
    limit = sheet.limits.limit("check_power_cycle", f"port{sheet.ports[0]}_after_cycle_v")
    require_believable([lambda: check_mains_in_range(voltages_v, limit.holds)])
