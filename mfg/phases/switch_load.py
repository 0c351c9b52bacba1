"""Switch the calibration load off, as measured."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug
from mfg.readings.load_points import OFF_A, OFF_TIMEOUT_S


@htf.PhaseOptions(timeout_s=60)
@htf.plug(power=PowerSwitchPlug, reference=ReferenceMeterPlug)
def switch_load_off(test: htf.TestApi, power: PowerSwitchPlug, reference: ReferenceMeterPlug) -> None:
    """Switch the load and the identification conductor off and measure that no current flows.

    The measurement is the power switch's own, on a link that the calibration does not use for reading.

    Needs: nothing. Leaves: both conductors off, as measured; the relay of a reference that has one open.
    """
    clock = power.slot_context.clock
    for channel in (power.load, power.identification):
        power.switch.off(channel)
    clock.wait_until(lambda: _current_a(power) < OFF_A, OFF_TIMEOUT_S)
    test.measurements["load_off_a"] = _current_a(power)
    reference.open_relay()


def _current_a(power: PowerSwitchPlug) -> float:
    return max(
        abs(power.switch.measured_current_a(channel)) for channel in (power.load, power.identification)
    )
