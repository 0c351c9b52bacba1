"""Switch the unit's supply, and measure that it is on, or off."""

from __future__ import annotations

import openhtf as htf

from mfg.errors import FixtureError
from mfg.fixtures.plugs import DrivePlug, PowerSwitchPlug, TravellerPlug, UnitPortPlug

RAMP_TIMEOUT_S = 3.0  # an adaptor's output follows its mains within tenths of a second
ON_V, OFF_V = 9.0, 5.0  # when the wait ends; what is judged is the measurement


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, power=PowerSwitchPlug, drive=DrivePlug, port=UnitPortPlug)
def switch_supply_on(
    test: htf.TestApi,
    traveller: TravellerPlug,
    power: PowerSwitchPlug,
    drive: DrivePlug,
    port: UnitPortPlug,
) -> None:
    """Switch the unit's supply on and wait until the unit shows its drive or its serial port.

    A unit that shows neither may hold a broken program: erasing it by the BOOTSEL button mends that, so it
    is not judged here.

    Needs: the unit in the slot, its supply off. Leaves: supply on.

    Raises:
        FixtureError: A drive is there before the supply is: it is not the unit's, and the unit's own could
            not be told from it. Nothing was switched. Or the supply is not what it must be; it is on.
    """
    clock = power.slot_context.clock
    foreign = drive.drive.find()
    if foreign is not None:
        raise FixtureError(
            f"There is an RPI-RP2 drive although the unit's supply is off: {foreign}.",
            "Take the other unit in BOOTSEL off this host, or give each slot its own drive root.",
        )
    power.switch.on(power.supply)
    clock.wait_until(lambda: power.switch.measured_voltage_v(power.supply) >= ON_V, RAMP_TIMEOUT_S)
    supply_v = power.switch.measured_voltage_v(power.supply)
    test.measurements["supply_on_v"] = supply_v
    limit = traveller.sheet.limits.limit("switch_supply_on", "supply_on_v")
    if not limit.holds(supply_v):
        raise FixtureError(
            f"The unit's supply gives {supply_v:.1f} V after it was switched on: "
            f"allowed {limit.low} to {limit.high} V.",
            "Check the adaptor, the contact of its switch and the mains. Is the unit shorted?",
        )
    timeout_s = traveller.sheet.deadline_s("unit_appears_s")
    appeared = clock.wait_until(lambda: drive.drive.find() is not None or port.present(), timeout_s)
    if not appeared:
        test.logger.warning("neither a drive nor a serial port within %g s of the supply", timeout_s)


@htf.PhaseOptions(timeout_s=60)
@htf.plug(power=PowerSwitchPlug, port=UnitPortPlug)
def switch_supply_off(test: htf.TestApi, power: PowerSwitchPlug, port: UnitPortPlug) -> None:
    """Switch the unit's supply off and measure that it is off.

    Needs: nothing. Leaves: supply off, as measured.
    """
    port.close_console()
    clock = power.slot_context.clock
    power.switch.off(power.supply)
    clock.wait_until(lambda: power.switch.measured_voltage_v(power.supply) < OFF_V, RAMP_TIMEOUT_S)
    test.measurements["supply_off_v"] = power.switch.measured_voltage_v(power.supply)
