"""Take a unit's supply away and give it back: what it stored is what it has afterwards.

It also brings back a serial port that has gone, and a unit that hangs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from mfg.errors import DutError, FixtureError
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.plugs import PowerSwitchPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller

OFF_TIMEOUT_S = 5.0
POLL_S = 0.2
OFF_V = 5.0
VERSION_LINE = r"Firmware Version = (\d{1,4}(?:\.\d{1,4})?)$"  # ct6-interface 2.2, line 4

Result = TypeVar("Result")
_LOG = logging.getLogger("mfg.readings")


def cycle_supply(
    sheet: Traveller,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
    feed: Callable[[], None] = lambda: None,
    within: str = "power_cycle_s",
) -> float:
    """Take the unit's supply away, give it back, and wait until it answers over the network.

    Args:
        sheet: Of the run.
        unit, port, power: The slot's plugs.
        feed: Called while waiting, so that a load that is on stays on.
        within: Name of the deadline for the answer.

    Returns:
        Bench time, in s, from the supply to the first valid answer.

    Raises:
        FixtureError: The supply did not go off, or the serial port did not come back; the supply is off.
        DutError: The unit did not answer in time; its supply is on.
    """
    clock = unit.slot_context.clock
    restart_supply(port, power)
    started_s = clock.now_s()
    port.console(sheet.deadline_s("serial_port_s"))
    deadline = clock.deadline(sheet.deadline_s(within))
    while not unit.answers():
        feed()
        if deadline.expired():
            raise DutError(
                f"The unit did not answer within {deadline.duration_s:g} s of getting its supply back.",
                "Reject the unit.",
            )
        clock.sleep_s(POLL_S)
    return clock.now_s() - started_s


def restart_supply(port: UnitPortPlug, power: PowerSwitchPlug) -> None:
    """Take the unit's supply away, measure that, and give it back.

    Raises:
        FixtureError: The supply did not go off.
    """
    clock = port.slot_context.clock
    port.close_console()
    power.switch.off(power.supply)
    off = clock.wait_until(
        lambda: power.switch.measured_voltage_v(power.supply) < OFF_V and not port.present(), OFF_TIMEOUT_S
    )
    if not off:
        raise FixtureError(
            f"The unit is still powered {OFF_TIMEOUT_S:g} s after its supply was switched off.",
            "Check the supply's contact. Is the +5 V wire of the USB cable cut?",
        )
    power.switch.on(power.supply)


def at_prompt(
    sheet: Traveller, port: UnitPortPlug, power: PowerSwitchPlug, act: Callable[[MicroPythonRepl], Result]
) -> Result:
    """Do something at the unit's prompt; after a failure once more, on a unit that was switched off and on.

    Args:
        sheet: Of the run.
        port, power: The slot's plugs.
        act: What is done; it begins anew when it is repeated.

    Returns:
        What `act` returns.

    Raises:
        DutError, FixtureError: The second attempt failed too.
    """
    try:
        with port.repl(sheet.deadline_s("serial_port_s")) as repl:
            return act(repl)
    except (DutError, FixtureError) as error:
        _LOG.warning("once more after a restart of the unit: %s", error)
    restart_supply(port, power)
    with port.repl(sheet.deadline_s("serial_port_s")) as repl:
        return act(repl)
