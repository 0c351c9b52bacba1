"""Collect the DUT's averaging windows, each with the reference interpolated to its centre.

The reference is read by a thread of its own, blocked until the meter has fresh data; the DUT's windows
come from a `WindowSource`. Both are stamped with one clock. The two chips have windows of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mfg.calibration.pairing import Sample, interpolated, mean
from mfg.calibration.windows import StopRule
from mfg.clock import BenchClock
from mfg.errors import DutError, StationError
from mfg.fixtures.reference_meter import ReferenceMeter
from mfg.limits.loader import PORTS
from mfg.readings.settling import OnPoll
from mfg.readings.window_sources import CHIP_PORTS, ChipWindow, WindowSource

JOIN_WALL_S = 30.0


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
        reference_frequency_hz: As the reference saw it.
        reference_angle_deg: By how much the current lags the voltage there; None where it does not say.
        current_step_a, voltage_step_v: Resolution of the unit's readings.
    """

    windows: dict[int, tuple[PortWindow, ...]]
    samples: tuple[Sample, ...]
    frequency_hz: float
    reference_frequency_hz: float
    current_step_a: float
    voltage_step_v: float
    reference_angle_deg: float | None = None

    def count(self) -> int:
        """Return the number of windows of the port that has fewest."""
        return min(len(windows) for windows in self.windows.values())

    def means(self, port: int) -> Means:
        """Return the means of a port."""
        windows = self.windows[port]
        names = Means.__dataclass_fields__
        return Means(**{name: mean([getattr(window, name) for window in windows]) for name in names})

    def current_ratios(self, port: int) -> list[float]:
        """Return the ratio of the port's current to the reference's, window by window."""
        return [window.current_a / window.reference_a for window in self.windows[port]]

    def voltage_ratios(self, port: int) -> list[float]:
        """Return the ratio of the port's voltage to the reference's, window by window."""
        return [window.voltage_v / window.reference_v for window in self.windows[port]]

    def power_ratios(self, port: int) -> list[float]:
        """Return the ratio of the port's active power to the reference's, window by window."""
        return [window.active_w / window.reference_w for window in self.windows[port]]


class ReferenceFeed:
    """Reads the reference in a thread while a `with` block runs."""

    def __init__(self, meter: ReferenceMeter) -> None:
        self._meter = meter
        self._samples: list[Sample] = []
        self._frequencies: list[float] = []
        self._angles: list[float] = []
        self._failure: StationError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reference-feed", daemon=True)

    def __enter__(self) -> ReferenceFeed:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join(timeout=JOIN_WALL_S)
        if self._thread.is_alive():
            raise StationError("The reference meter's reading did not end.", "Look at its link.")

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                reading = self._meter.read()
                values = (reading.voltage_v, reading.current_a, reading.active_w)
                self._frequencies.append(reading.frequency_hz)
                if reading.angle_deg is not None:
                    self._angles.append(reading.angle_deg)
                self._samples.append(Sample(reading.t_s, values))
        except StationError as error:
            self._failure = error

    def check(self) -> None:
        """Raise a StationError when the feed has ended."""
        if self._failure is not None:
            raise StationError(str(self._failure.args[0]), self._failure.action) from self._failure
        if not self._thread.is_alive():
            raise StationError("The reference meter's reading broke off.", "Call the engineer.")

    def samples(self) -> Sequence[Sample]:
        """Return the readings so far, in ascending time."""
        return list(self._samples)

    def frequency_hz(self) -> float:
        """Return the mean frequency of the readings so far."""
        return mean(self._frequencies)

    def angle_deg(self) -> float | None:
        """Return the mean phase angle of the readings so far, None where the meter gave none."""
        return mean(self._angles) if self._angles else None


def collect_windows(
    source: WindowSource,
    meter: ReferenceMeter,
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
        ports: The ports whose scatter the rule judges: those with a CT on the conductor.

    Returns:
        Windows that all have the reference on both sides.

    Raises:
        StationError: The reference failed, or gave no reading around the windows. FixtureError or
        DutError: The unit did not answer, or a chip gave too few windows within `timeout_s`. Nothing was
        written anywhere.
    """
    deadline = clock.deadline(timeout_s)
    seen: list[ChipWindow] = []
    with ReferenceFeed(meter) as feed:
        while not deadline.expired():
            seen += source.poll()
            feed.check()
            samples = feed.samples()
            paired = _paired(seen, samples)
            on_poll(min(len(windows) for windows in paired.values()))
            if _enough(paired, rule, ports):
                return Dwell(
                    {port: tuple(windows) for port, windows in paired.items()},
                    tuple(samples),
                    source.frequency_hz,
                    feed.frequency_hz(),
                    source.current_step_a,
                    source.voltage_step_v,
                    feed.angle_deg(),
                )
            clock.sleep_s(source.poll_s)
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


def _enough(paired: dict[int, list[PortWindow]], rule: StopRule, ports: Collection[int]) -> bool:
    if any(len(windows) < rule.least for windows in paired.values()):
        return False
    ratios = {
        port: [window.current_a / window.reference_a for window in windows if window.reference_a > 0]
        for port, windows in paired.items()
        if port in ports
    }
    if any(len(values) < rule.least or min(values) <= 0 for values in ratios.values()):
        # Without a current there is no ratio to judge: the least number of windows must do.
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
