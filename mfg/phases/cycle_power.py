"""Cycle a unit's power many times, and measure how it takes it."""

from __future__ import annotations

import statistics

import openhtf as htf

from mfg.errors import DutError
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug, UnitPortPlug

METERING_V = 50.0  # a chip that does not meter reads 0; ct6-interface 1.4, ECO 1 and 2


@htf.PhaseOptions(timeout_s=900)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug)
def cycle_power(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, port: UnitPortPlug) -> None:
    """Let the unit cycle its own power as often as asked for; every time both chips must meter again.

    Needs: the unit on the network, its serial port there. Leaves: the unit on the network again.
    """
    sheet = traveller.sheet
    clock = port.slot_context.clock
    timeout_s = sheet.deadline_s("power_cycle_s")
    off_s: list[float] = []
    returned_s: list[float] = []
    metering = 0
    for cycle in range(sheet.cycles):
        port.close_console()
        unit.api.power_cycle()
        started_s = clock.now_s()
        if not clock.wait_until(lambda: not port.present(), timeout_s):
            raise DutError(
                f"In cycle {cycle + 1} of {sheet.cycles} the unit did not switch itself off within "
                f"{timeout_s:g} s.",
                "Look at the hold-off network (GPIO13, C22, R3). Is the +5 V wire of the USB cable cut?",
            )
        gone_s = clock.now_s()
        port.path(timeout_s)
        off_s.append(clock.now_s() - gone_s)
        port.console(sheet.deadline_s("serial_port_s"))
        unit.api.wait_ready(timeout_s)
        returned_s.append(clock.now_s() - started_s)
        metering += all(reading.voltage_v > METERING_V for reading in unit.api.stats().ports)
        sheet.report_progress("power cycle", cycle + 1, sheet.cycles)
    test.measurements["cycles"] = len(off_s)
    test.measurements["shortest_off_s"] = min(off_s)
    test.measurements["median_off_s"] = statistics.median(off_s)
    test.measurements["longest_off_s"] = max(off_s)
    test.measurements["median_returned_s"] = statistics.median(returned_s)
    test.measurements["longest_returned_s"] = max(returned_s)
    test.measurements["not_metering"] = len(off_s) - metering
