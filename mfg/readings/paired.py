"""Collect the DUT's averaging windows, each with the reference interpolated to its centre.

The reference is read by a thread of its own, blocked until the meter has fresh data. The DUT is polled
over its REST interface; a window's end shows as a change of a chip's values, so its centre lies half a
window before the change. The two chips have windows of their own and are followed apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mfg.calibration.pairing import Sample, interpolated, mean, spread_pct, window_s
from mfg.clock import BenchClock
from mfg.errors import DutError, FixtureError, StationError
from mfg.fixtures.dut_api import DutApi, UnitStats
from mfg.fixtures.reference_meter import ReferenceMeter

CHIP_PORTS = {"CS4": (1, 2, 3), "CS0": (4, 5, 6)}
DISCARDED_WINDOWS = 2  # after any change of gain or load the chip's filter settles for two windows
POLL_S = 0.04
STABLE_SPAN_PCT = 0.15  # of the last readings before a load counts as settled
STABLE_READINGS = 5
MIN_LOAD_A = 0.2  # what "the load is on" means at the reference, before it is judged as stable


@dataclass(frozen=True)
class PortWindow:
    """One window of one port with the reference at its centre."""

    t_s: float
    voltage_v: float
    current_a: float
    active_w: float
    reference_v: float
    reference_a: float


@dataclass(frozen=True)
class Dwell:
    """What one dwell gave: windows by port, and the frequency that the reference and the DUT saw."""

    windows: dict[int, tuple[PortWindow, ...]]
    frequency_hz: float
    reference_frequency_hz: float

    def count(self) -> int:
        """Return the number of windows of the port that has fewest."""
        return min(len(windows) for windows in self.windows.values())

    def sums(self, port: int) -> tuple[float, float, float, float]:
        """Return means of a port: DUT voltage in V and current in A, reference voltage and current."""
        windows = self.windows[port]
        return (
            mean([window.voltage_v for window in windows]),
            mean([window.current_a for window in windows]),
            mean([window.reference_v for window in windows]),
            mean([window.reference_a for window in windows]),
        )


class ReferenceFeed:
    """Reads the reference in a thread while a `with` block runs."""

    def __init__(self, meter: ReferenceMeter) -> None:
        self._meter = meter
        self._samples: list[Sample] = []
        self._frequencies: list[float] = []
        self._failure: StationError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reference-feed", daemon=True)

    def __enter__(self) -> ReferenceFeed:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30.0)
        if self._thread.is_alive():
            raise StationError("The reference meter's reading did not end.", "Look at its link.")

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                reading = self._meter.read()
                self._samples.append(Sample(reading.t_s, (reading.voltage_v, reading.current_a)))
                self._frequencies.append(reading.frequency_hz)
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


@dataclass
class _Chip:
    """Follows the windows of one chip."""

    ports: tuple[int, ...]
    signature: tuple[float, ...] = ()
    polled_s: float = 0.0
    edges: int = 0
    ends: list[tuple[float, UnitStats]] = field(default_factory=list)

    def look(self, t_s: float, stats: UnitStats) -> None:
        ports = [stats.ports[port - 1] for port in self.ports]
        signature = tuple(
            value for port in ports for value in (port.voltage_v, port.current_a, port.active_w)
        )
        if self.signature and signature != self.signature:
            self.edges += 1
            if self.edges > DISCARDED_WINDOWS:
                self.ends.append(((self.polled_s + t_s) / 2, stats))
        self.signature, self.polled_s = signature, t_s


def collect_windows(
    api: DutApi,
    meter: ReferenceMeter,
    clock: BenchClock,
    count: int,
    timeout_s: float,
    on_poll: Callable[[int], None],
) -> Dwell:
    """Collect `count` paired windows of every port.

    Args:
        api: The unit.
        meter: The reference, configured.
        clock: The bench clock.
        count: Windows wanted of every port, >= 1.
        timeout_s: Bench time for all of it, in s.
        on_poll: Called after each poll with the number of windows so far; keeps a watchdog fed.

    Returns:
        Exactly `count` windows per port, all of which have the reference on both sides.

    Raises:
        StationError: The reference failed, or gave no reading around the windows. FixtureError or
        DutError: The unit did not answer, or a chip gave too few windows within `timeout_s`. Nothing was
        written anywhere.
    """
    deadline = clock.deadline(timeout_s)
    chips = {name: _Chip(ports) for name, ports in CHIP_PORTS.items()}
    frequencies: list[float] = []
    with ReferenceFeed(meter) as feed:
        while not deadline.expired():
            before_s = clock.now_s()
            stats = api.stats()
            t_s = (before_s + clock.now_s()) / 2
            for chip in chips.values():
                chip.look(t_s, stats)
            frequencies.append(mean([port.frequency_hz for port in stats.ports]))
            feed.check()
            paired = _paired(chips, feed.samples(), frequencies[-1])
            on_poll(min(len(windows) for windows in paired.values()))
            if all(len(windows) >= count for windows in paired.values()):
                kept = {port: tuple(windows[:count]) for port, windows in paired.items()}
                return Dwell(kept, mean(frequencies), feed.frequency_hz())
            clock.sleep_s(POLL_S)
    slow = [name for name, chip in chips.items() if len(chip.ends) < count]
    if not slow:
        raise StationError(
            f"The reference gave no readings around {count} windows within {timeout_s:g} s.",
            "Look at the reference meter's update rate and its link.",
        )
    raise DutError(
        f"No {count} fresh windows of {' and '.join(slow)} within {timeout_s:g} s.",
        "The chip is not measuring: look at its crystal, its supply and the mains.",
    )


def _paired(
    chips: dict[str, _Chip], samples: Sequence[Sample], frequency_hz: float
) -> dict[int, list[PortWindow]]:
    half_s = window_s(frequency_hz) / 2 if 40.0 <= frequency_hz <= 70.0 else window_s(50.0) / 2
    paired: dict[int, list[PortWindow]] = {port: [] for ports in CHIP_PORTS.values() for port in ports}
    for chip in chips.values():
        for end_s, stats in chip.ends:
            reference = interpolated(samples, end_s - half_s)
            if reference is None:
                continue
            for port in chip.ports:
                reading = stats.ports[port - 1]
                paired[port].append(
                    PortWindow(
                        end_s - half_s,
                        reading.voltage_v,
                        reading.current_a,
                        reading.active_w,
                        reference[0],
                        reference[1],
                    )
                )
    return paired


def read_zeros(api: DutApi, clock: BenchClock, frequency_hz: float, count: int) -> dict[int, float]:
    """Read every port's current with no current flowing.

    Args:
        api: The unit.
        clock: The bench clock.
        frequency_hz: Nominal mains frequency, in Hz.
        count: Readings to average, one per window, >= 1.

    Returns:
        Mean current by port, in A, from windows that began after this call.
    """
    one_s = window_s(frequency_hz)
    clock.sleep_s(DISCARDED_WINDOWS * one_s)
    readings: list[UnitStats] = []
    for _reading in range(count):
        clock.sleep_s(one_s)
        readings.append(api.stats())
    ports = [port for ports in CHIP_PORTS.values() for port in ports]
    return {port: mean([stats.ports[port - 1].current_a for stats in readings]) for port in ports}


def wait_until_stable(
    meter: ReferenceMeter, clock: BenchClock, timeout_s: float, on_poll: Callable[[int], None]
) -> float:
    """Wait until the reference current is on and stable.

    Returns:
        The current at the reference, in A, mean of the last readings.

    Raises:
        FixtureError: It did not become stable within `timeout_s`.
        StationError: The reference failed.
    """
    deadline = clock.deadline(timeout_s)
    readings: list[float] = []
    while not deadline.expired():
        readings = [*readings[-(STABLE_READINGS - 1) :], meter.read().current_a]
        on_poll(0)
        if (
            len(readings) == STABLE_READINGS
            and min(readings) > MIN_LOAD_A
            and spread_pct(readings) < STABLE_SPAN_PCT
        ):
            return mean(readings)
    last = ", ".join(f"{reading:.3f}" for reading in readings)
    raise FixtureError(
        f"The load's current did not become stable within {timeout_s:g} s; last readings {last} A.",
        "Check the load, its switch and the conductor through the reference meter.",
    )
