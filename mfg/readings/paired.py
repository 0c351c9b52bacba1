"""Collect the DUT's averaging windows, each with the reference interpolated to its centre.

The reference's readings come from a feed (feeds.py); the DUT's windows come from a `WindowSource`. Both are
stamped with one clock. The two chips have windows of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mfg.calibration.pairing import Sample, away_pct, interpolated, mean, spread_pct
from mfg.calibration.windows import StopRule
from mfg.clock import BenchClock
from mfg.errors import DutError, StationError
from mfg.fixtures.hand_held_meter import TypedReading
from mfg.fixtures.reference_meter import ReferenceMeter
from mfg.fixtures.references import Reference
from mfg.limits.loader import PORTS
from mfg.readings.feeds import Feed, feed_of
from mfg.readings.settling import OnPoll
from mfg.readings.window_sources import CHIP_PORTS, ChipWindow, WindowSource

LEAST_RATIO = 0.5  # of a conductor that passes through a CT once, or of the mains


@dataclass(frozen=True)
class PortWindow:
    """One window of one port with the reference at its centre; the reference is that of one turn."""

    t_s: float
    voltage_v: float
    current_a: float
    active_w: float
    reactive_var: float
    reference_v: float
    reference_a: float
    reference_w: float


@dataclass(frozen=True)
class Means:
    """Means over the windows of one port."""

    voltage_v: float
    current_a: float
    active_w: float
    reactive_var: float
    reference_v: float
    reference_a: float
    reference_w: float


@dataclass(frozen=True)
class Dwell:
    """What one dwell gave.

    Attributes:
        windows: By port, in ascending time.
        samples: The reference's readings in the dwell: voltage, current, active power.
        frequency_hz: As the unit saw the mains.
        reference_frequency_hz: As the reference saw it; as the unit did where the reference does not say.
        reference_angle_deg: By how much the current lags the voltage there; None where it does not say.
        current_step_a, voltage_step_v: Resolution of the unit's readings.
        typed: The reading that a person took; None where the reference reads by itself.
    """

    windows: dict[int, tuple[PortWindow, ...]]
    samples: tuple[Sample, ...]
    frequency_hz: float
    reference_frequency_hz: float
    current_step_a: float
    voltage_step_v: float
    reference_angle_deg: float | None = None
    typed: TypedReading | None = None

    def count(self) -> int:
        """Return the number of windows of the port that has fewest."""
        return min(len(windows) for windows in self.windows.values())

    def means(self, port: int) -> Means:
        """Return the means of a port."""
        windows = self.windows[port]
        names = Means.__dataclass_fields__
        return Means(**{name: mean([getattr(window, name) for window in windows]) for name in names})

    def voltage_spread_pct(self, port: int) -> float:
        """Return by how much the port's voltage wandered over the windows, in percent; it must be above 0."""
        return spread_pct([window.voltage_v for window in self.windows[port]])

    def current_spread_pct(self, port: int) -> float:
        """Return by how much the port's current wandered over the windows, in percent; it must be above 0."""
        return spread_pct([window.current_a for window in self.windows[port]])

    def voltage_wander_pct(self, port: int) -> float:
        """Return by how much a window of the port's voltage is away from their mean at most, in percent."""
        return away_pct([window.voltage_v for window in self.windows[port]])

    def current_wander_pct(self, port: int) -> float:
        """Return by how much a window of the port's current is away from their mean at most, in percent."""
        return away_pct([window.current_a for window in self.windows[port]])

    def current_ratios(self, port: int) -> list[float]:
        """Return the ratio of the port's current to the reference's, window by window."""
        return [window.current_a / window.reference_a for window in self.windows[port]]

    def voltage_ratios(self, port: int) -> list[float]:
        """Return the ratio of the port's voltage to the reference's, window by window."""
        return [window.voltage_v / window.reference_v for window in self.windows[port]]

    def power_ratios(self, port: int) -> list[float]:
        """Return the ratio of the port's active power to the reference's, window by window."""
        return [window.active_w / window.reference_w for window in self.windows[port]]


def collect_windows(
    source: WindowSource,
    meter: Reference,
    clock: BenchClock,
    rule: StopRule,
    timeout_s: float,
    on_poll: OnPoll,
    ports: Collection[int] = PORTS,
) -> Dwell:
    """Collect paired windows of every port until the stop rule has enough.

    Args:
        source: The unit's windows.
        meter: The reference, configured.
        clock: The bench clock.
        rule: How many windows, by the scatter of their ratios.
        timeout_s: Bench time for all of it, in s.
        on_poll: Called after each poll with the number of windows so far; keeps a watchdog fed.
        ports: The ports whose scatter the rule judges: those with a CT on the conductor. Where there is none,
            it judges the voltages of all.

    Returns:
        Windows that all have the reference on both sides.

    Raises:
        StationError: The reference failed, gave no reading around the windows, or was set otherwise by
        somebody meanwhile. FixtureError or
        DutError: The unit did not answer, or a chip gave too few windows within `timeout_s`. Nothing was
        written anywhere.
    """
    seen: list[ChipWindow] = []
    found: Dwell | None = None
    with feed_of(meter, clock) as feed:
        deadline = clock.deadline(timeout_s + feed.allowance_s)
        rule = feed.rule(rule)
        while found is None and not deadline.expired():
            seen += source.poll()
            feed.check()
            samples = feed.samples()
            paired = _paired(seen, samples)
            on_poll(min(len(windows) for windows in paired.values()))
            if _enough(paired, rule, ports):
                # A typed reading may be of any moment since its question: all windows count.
                most = rule.most if feed.typed() is None else None
                kept = {port: windows[:most] for port, windows in paired.items()}
                found = _dwell(source, feed, kept, samples)
            else:
                clock.sleep_s(source.poll_s)
    if found is not None:
        if isinstance(meter, ReferenceMeter):
            meter.require_as_set()
        return found
    slow = [chip for chip in CHIP_PORTS if sum(window.chip == chip for window in seen) < rule.least]
    if not slow:
        raise StationError(
            f"The reference gave no readings around {rule.least} windows within {timeout_s:g} s.",
            "Look at the reference meter's update rate and its link.",
        )
    raise DutError(
        f"No {rule.least} fresh windows of {' and '.join(slow)} within {timeout_s:g} s.",
        "The chip is not measuring: look at its crystal, its supply and the mains.",
    )


def _dwell(
    source: WindowSource, feed: Feed, paired: dict[int, list[PortWindow]], samples: Sequence[Sample]
) -> Dwell:
    frequency_hz = feed.frequency_hz()
    return Dwell(
        {port: tuple(windows) for port, windows in paired.items()},
        tuple(samples),
        source.frequency_hz,
        source.frequency_hz if frequency_hz is None else frequency_hz,
        source.current_step_a,
        source.voltage_step_v,
        feed.angle_deg(),
        feed.typed(),
    )


def _enough(paired: dict[int, list[PortWindow]], rule: StopRule, ports: Collection[int]) -> bool:
    if any(len(windows) < rule.least for windows in paired.values()):
        return False
    if not ports:
        ratios = {
            port: [window.voltage_v / window.reference_v for window in windows if window.reference_v > 0]
            for port, windows in paired.items()
        }
    else:
        ratios = {
            port: [window.current_a / window.reference_a for window in windows if window.reference_a > 0]
            for port, windows in paired.items()
            if port in ports
        }
    if any(len(values) < rule.least or min(values) < LEAST_RATIO for values in ratios.values()):
        # Without a current, or a voltage, the ratio is noise: the least number of windows must do.
        return True
    return rule.progress(ratios).done


def _paired(seen: Sequence[ChipWindow], samples: Sequence[Sample]) -> dict[int, list[PortWindow]]:
    paired: dict[int, list[PortWindow]] = {port: [] for ports in CHIP_PORTS.values() for port in ports}
    for window in seen:
        reference = interpolated(samples, window.centre_s)
        if reference is None:
            continue
        for port, reading in zip(CHIP_PORTS[window.chip], window.ports, strict=True):
            paired[port].append(
                PortWindow(
                    window.centre_s,
                    reading.voltage_v,
                    reading.current_a,
                    reading.active_w,
                    reading.reactive_var,
                    *reference,
                )
            )
    return paired


def read_unpaired(
    source: WindowSource, clock: BenchClock, count: int, timeout_s: float
) -> dict[int, list[tuple[float, float]]]:
    """Read windows with no load on, when there is nothing to pair.

    Args:
        source: The unit's windows.
        clock: The bench clock.
        count: Windows wanted of every port, >= 1.
        timeout_s: Bench time for all of it, in s.

    Returns:
        Current in A and active power in W, `count` or more times by port.

    Raises:
        DutError: A chip gave too few windows within `timeout_s`.
    """
    deadline = clock.deadline(timeout_s)
    found: dict[int, list[tuple[float, float]]] = {
        port: [] for ports in CHIP_PORTS.values() for port in ports
    }
    while min(len(values) for values in found.values()) < count:
        for window in source.poll():
            for port, reading in zip(CHIP_PORTS[window.chip], window.ports, strict=True):
                found[port].append((reading.current_a, reading.active_w))
        if deadline.expired():
            raise DutError(
                f"No {count} fresh windows of both chips within {timeout_s:g} s with the load off.",
                "The chip is not measuring: look at its crystal, its supply and the mains.",
            )
        clock.sleep_s(source.poll_s)
    return found
