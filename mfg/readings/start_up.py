"""Whether a unit's application has come through its start, as its console tells."""

from __future__ import annotations

from mfg.errors import DutError, FixtureError
from mfg.fixtures.plugs import UnitPortPlug
from mfg.fixtures.traveller import Traveller

# Printed after both files of the configuration were read and written back: original firmware writes in place,
# and whoever interrupts it then leaves half a file (ct6-interface 2.2 and 5.1).
THROUGH = r"wifiConfigDict: "


def await_start(sheet: Traveller, port: UnitPortPlug) -> bool:
    """Wait until the application has its configuration; bounded by the deadline "started_s".

    Returns:
        Whether it says so; a unit whose application fails, or restarts meanwhile, does not.

    Raises:
        FixtureError: The serial port is not there.
    """
    console = port.console(sheet.deadline_s("serial_port_s"))
    if any(THROUGH in line.text for line in console.lines()):
        return True
    try:
        console.wait_for(THROUGH, sheet.deadline_s("started_s"))
    except (DutError, FixtureError):
        return False
    return True
