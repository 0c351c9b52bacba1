"""Prepare the calibration load, and switch it off, as measured."""

from __future__ import annotations

from functools import partial

import openhtf as htf

from mfg.calibration.windows import check_reach
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug
from mfg.readings.load_points import require_believable

OFF_TIMEOUT_S = 5.0
OFF_A = 0.010


@htf.PhaseOptions(timeout_s=60)
@htf.plug(power=PowerSwitchPlug, reference=ReferenceMeterPlug)
def prepare_load(test: htf.TestApi, power: PowerSwitchPlug, reference: ReferenceMeterPlug) -> None:
    """Open the reference meter and arm the load's output watchdog.

    Refuses a combination of load, turns and range that could saturate a port or the reference.

    Needs: nothing. Leaves: the load off, its watchdog armed, the reference meter configured.
    """
    station = power.slot_context.station
    turns = station.conductor.turns
    require_believable(
        [partial(check_reach, point.current_a, point.range_a, turns) for point in station.load_points]
    )
    reference.open()
    power.switch.off(power.load)
    power.switch.off(power.identification)
    power.switch.set_watchdog(station.power_switch.watchdog_s)
    test.measurements["load_before_a"] = _current_a(power)


@htf.PhaseOptions(timeout_s=60)
@htf.plug(power=PowerSwitchPlug)
def switch_load_off(test: htf.TestApi, power: PowerSwitchPlug) -> None:
    """Switch the load and the identification conductor off and measure that no current flows.

    The measurement is the power switch's own, on a link that the calibration does not use for reading.

    Needs: nothing. Leaves: both conductors off, as measured.
    """
    clock = power.slot_context.clock
    for channel in (power.load, power.identification):
        power.switch.off(channel)
    clock.wait_until(lambda: _current_a(power) < OFF_A, OFF_TIMEOUT_S)
    test.measurements["load_off_a"] = _current_a(power)


def _current_a(power: PowerSwitchPlug) -> float:
    return max(
        abs(power.switch.measured_current_a(channel)) for channel in (power.load, power.identification)
    )
