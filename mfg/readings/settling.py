"""Wait until a load has come to its current: by the power switch's own measurement, then by the reference.

The two are different instruments. What the switch measures and the reference does not show shortly after
is not the load's fault: the reference gives earlier readings, or the conductor does not pass through it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from mfg.calibration.pairing import mean, spread_pct
from mfg.clock import BenchClock, Deadline
from mfg.errors import FixtureError, StationError
from mfg.fixtures.hand_held_meter import HandHeldMeter
from mfg.fixtures.reference_meter import LATENCY_S, ReferenceReading
from mfg.fixtures.references import Reference, SelfReading

STABLE_SPAN_PCT = 0.15  # of the last readings before a load counts as settled
STABLE_READINGS = 5
NEAR = 2.0  # factor within which a current counts as the one that was asked for
SWITCH_POLL_S = 0.05

OnPoll = Callable[[int], None]


@dataclass(frozen=True)
class Change:
    """A load that was switched or set, as its switch measured it.

    Attributes:
        low_a, high_a: Between them a current counts as the new one; the old one was outside.
        at_s: Bench time by which the switch had measured the new one; infinite where nothing changed.
        measured_a: What it measured then.
    """

    low_a: float
    high_a: float
    at_s: float = math.inf
    measured_a: float = math.nan

    def reached(self, current_a: float) -> bool:
        """Return whether a current is the new one."""
        return self.low_a <= current_a <= self.high_a


def around(current_a: float) -> Change:
    """Return a change to a current that is known, in A, > 0."""
    return Change(current_a / NEAR, current_a * NEAR)


def wait_until_switched(
    measured_a: Callable[[], float], clock: BenchClock, change: Change, deadline: Deadline, on_poll: OnPoll
) -> Change:
    """Wait until the power switch measures the new current.

    Args:
        measured_a: Measures the load's current at the switch, in A.
        clock: The bench clock.
        change: What counts as the new current.
        deadline: By when.
        on_poll: Called after each measurement; keeps a watchdog fed.

    Returns:
        The change with its time.

    Raises:
        FixtureError: It does not by the deadline; names both currents.
    """
    while not change.reached(current_a := measured_a()):
        on_poll(0)
        if deadline.expired():
            high = f" to {change.high_a:.3g}" if math.isfinite(change.high_a) else " or more"
            raise FixtureError(
                f"The load draws {current_a:.3f} A by the power switch, {deadline.duration_s:g} s after it "
                f"was switched; {change.low_a:.3g}{high} A were expected.",
                "Check the load, its switch and its fuse.",
            )
        clock.sleep_s(SWITCH_POLL_S)
    return Change(change.low_a, change.high_a, clock.now_s(), current_a)


def wait_until_settled(
    meter: Reference,
    measured_a: Callable[[], float],
    clock: BenchClock,
    change: Change,
    update_s: float,
    deadline: Deadline,
    on_poll: OnPoll,
) -> float:
    """Wait until the new current is stable: by the reference, or by the power switch where a person reads.

    Args:
        meter: The reference, configured.
        measured_a: Measures the load's current at the switch, in A.
        clock: The bench clock.
        change, update_s, deadline, on_poll: As for `wait_until_stable`.

    Returns:
        The current, in A, mean of the last readings.

    Raises:
        FixtureError, StationError: As `wait_until_stable`.
    """
    if not isinstance(meter, HandHeldMeter):
        return wait_until_stable(meter, change, update_s, deadline, on_poll)
    currents_a: list[float] = []
    while not deadline.expired():
        currents_a = [*currents_a[-(STABLE_READINGS - 1) :], measured_a()]
        on_poll(0)
        if _stable(currents_a, change):
            meter.expect(mean(currents_a))
            return mean(currents_a)
        clock.sleep_s(update_s / STABLE_READINGS)
    last = ", ".join(f"{current_a:.3f}" for current_a in currents_a)
    raise FixtureError(
        f"The load's current did not become stable within {deadline.duration_s:g} s; last readings of the "
        f"power switch {last} A.",
        "Check the load and its switch.",
    )


def wait_until_stable(
    meter: SelfReading, change: Change, update_s: float, deadline: Deadline, on_poll: OnPoll
) -> float:
    """Wait until the reference shows the new current, stable.

    A reading that lies wholly after the change and still shows the old current is an earlier one. By how much
    a reading's time may be wrong bounds what is found: a lag below 2 updates and 0.2 s passes.

    Args:
        meter: The reference, configured.
        change: The load's change, by the power switch.
        update_s: Update interval of the reference, in s.
        deadline: By when.
        on_poll: Called after each reading; keeps a watchdog fed.

    Returns:
        The current at the reference, in A, mean of the last readings.

    Raises:
        FixtureError: The current or the mains is not stable by the deadline, or the reference never shows the
            load's current.
        StationError: The reference failed, or gives earlier readings.
    """
    whole_s = change.at_s + update_s / 2 + 2 * update_s + LATENCY_S
    readings: list[ReferenceReading] = []
    old: ReferenceReading | None = None
    while not deadline.expired():
        reading = meter.read()
        readings = [*readings[-(STABLE_READINGS - 1) :], reading]
        on_poll(0)
        if not change.reached(reading.current_a):
            old = reading if reading.t_s > whole_s else old
        elif old is not None:
            raise _lagging(old, change)
        elif _stable([kept.current_a for kept in readings], change):
            return mean([kept.current_a for kept in readings])
    raise _unstable(readings, change, deadline.duration_s)


def _stable(currents_a: list[float], change: Change) -> bool:
    return (
        len(currents_a) == STABLE_READINGS
        and all(map(change.reached, currents_a))
        and spread_pct(currents_a) < STABLE_SPAN_PCT
    )


def _lagging(old: ReferenceReading, change: Change) -> StationError:
    return StationError(
        f"The reference lags: it still showed {old.current_a:.3f} A {old.t_s - change.at_s:.2f} s after the "
        f"power switch had measured {change.measured_a:.3f} A. It gives earlier readings.",
        "Look for averaging, hold or a slow interface at the reference meter, then call the engineer.",
    )


def _unstable(readings: list[ReferenceReading], change: Change, duration_s: float) -> FixtureError:
    """Name the mains, the way of the current, or the load: whatever the last readings show."""
    last = ", ".join(f"{reading.current_a:.3f}" for reading in readings)
    voltages_v = [reading.voltage_v for reading in readings]
    if len(voltages_v) > 1 and min(voltages_v) > 0 and spread_pct(voltages_v) > STABLE_SPAN_PCT:
        return FixtureError(
            f"The mains voltage jumps: it varied by {spread_pct(voltages_v):.2f} % within the last "
            f"{len(readings)} readings, and {STABLE_SPAN_PCT:g} % are believable. Currents {last} A.",
            "Look for what switches on the same line; feed the bench from a quiet one.",
        )
    if readings and math.isfinite(change.measured_a) and not change.reached(readings[-1].current_a):
        return FixtureError(
            f"The load draws {change.measured_a:.3f} A by the power switch, but the reference shows "
            f"{readings[-1].current_a:.3f} A after {duration_s:g} s.",
            "Check the conductor through the reference meter, and that the meter does not hold its display.",
        )
    return FixtureError(
        f"The load's current did not become stable within {duration_s:g} s; last readings {last} A.",
        "Check the load, its switch and the conductor through the reference meter.",
    )
