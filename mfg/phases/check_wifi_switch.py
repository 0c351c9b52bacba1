"""Check the WiFi switch: a short press is seen on the console and changes no configuration."""

from __future__ import annotations

import re

import openhtf as htf

from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.readings.restarts import require_no_restart
from mfg.readings.window_sources import WINDOWS_FEATURE

MARKER = r"Button pressed for"
CHATTER_S = 1.5  # a contact that chatters does so after the press, too


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug, operator=OperatorPlug)
def check_wifi_switch(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    operator: OperatorPlug,
) -> None:
    """See a short press of the WiFi switch on the console, as one press.

    Our firmware prints a line as a press begins and every half second while it lasts, so a contact that
    chatters prints more of them than one short press can.

    Needs: the unit on the network, its console open. Leaves: the display on.
    """
    sheet = traveller.sheet
    clock = port.slot_context.clock
    before = unit.api.config()
    console = port.console(sheet.deadline_s("serial_port_s"))
    started_s = clock.now_s()
    pressed = operator.begin(
        "do",
        "Press the WiFi switch briefly, less than a second. Never hold it.",
        sheet.deadline_s("operator_s"),
    )
    line = console.wait_for(MARKER, sheet.deadline_s("operator_s"), since_s=started_s)
    pressed.wait()  # or the next question would get this one's answer
    clock.sleep_s(CHATTER_S)
    if WINDOWS_FEATURE in unit.api.features():
        lines = [seen for seen in console.lines() if seen.t_s >= started_s and re.search(MARKER, seen.text)]
        test.measurements["press_lines"] = len(lines)
    else:  # the original prints as often as it likes
        test.measurements.set_measurement_outcome_to_skipped("press_lines")
        sheet.left_out.add(("check_wifi_switch", "press_lines"))
    test.measurements["press_seen"] = True
    test.measurements["press_s"] = line.t_s - started_s
    test.measurements["configuration_unchanged"] = unit.api.config() == before
    require_no_restart(sheet, unit.api, clock)
