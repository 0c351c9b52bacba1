"""Where the DUT's averaging windows come from: numbered by the firmware, or seen by their change.

Our firmware numbers each completed window and says how old it is. A unit with the original interface
does not: there a window's end shows as a change of a chip's values while polling, between two polls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mfg.calibration.pairing import window_s
from mfg.clock import BenchClock
from mfg.errors import DutError
from mfg.fixtures.dut_api import DutApi, UnitStats

CHIP_PORTS = {"CS4": (1, 2, 3), "CS0": (4, 5, 6)}
DISCARDED_WINDOWS = 2  # after any change of gain or load the chip's filter settles for two windows
NUMBERED_POLL_S, CHANGING_POLL_S = 0.08, 0.04
FALLBACK_HZ = 50.0  # of a chip that reports no frequency; its windows are judged, not its length

WINDOWS_FEATURE = "windows"


@dataclass(frozen=True)
class PortReading:
    """What one window says of one port; truncation by the display step is undone."""

    voltage_v: float
    current_a: float
    active_w: float
    reactive_var: float


@dataclass(frozen=True)
class ChipWindow:
    """One completed window of one chip: `centre_s` is the bench time of its middle."""

    chip: str
    centre_s: float
    ports: tuple[PortReading, ...]


class WindowSource(Protocol):
    """Gives the windows of both chips as they complete."""

    current_step_a: float
    voltage_step_v: float
    frequency_hz: float

    @property
    def poll_s(self) -> float:
        """Pause before the next poll, in s."""

    def poll(self) -> list[ChipWindow]:
        """Ask the unit once; return the windows that are new."""


def window_source(api: DutApi, clock: BenchClock, features: frozenset[str], settled_s: float) -> WindowSource:
    """Choose the source that a unit offers.

    Args:
        api: The unit.
        clock: The bench clock.
        features: What the unit says it offers, empty for an original one.
        settled_s: Bench time from which on load and registers are as they stay.
    """
    if WINDOWS_FEATURE in features:
        return NumberedWindows(api, clock, settled_s)
    return ChangingValues(api, clock, settled_s)


class NumberedWindows:
    """Windows as our firmware numbers them, at the full resolution of the low words."""

    poll_s = NUMBERED_POLL_S
    current_step_a, voltage_step_v = 0.001 / 256, 0.01 / 256

    def __init__(self, api: DutApi, clock: BenchClock, settled_s: float) -> None:
        self._api = api
        self._settled_s = settled_s
        self._seen: dict[str, int] = {}
        self.frequency_hz = FALLBACK_HZ
        self._clock = clock

    def poll(self) -> list[ChipWindow]:
        """Return each window once, those that began before everything had settled left out.

        Raises:
            DutError: The unit counts from the start again, or cannot be read. FixtureError: No answer.
        """
        fresh: list[ChipWindow] = []
        for name, chip in self._api.windows().chips.items():
            if not chip.ports or chip.seq == self._seen.get(name):
                continue
            if chip.seq < self._seen.get(name, 0):
                raise DutError(
                    f"The windows of {name} went back from no. {self._seen[name]} to no. {chip.seq}: "
                    "the unit gave an old one, or restarted in the dwell.",
                    "Reject the unit if it repeats.",
                )
            self._seen[name] = chip.seq
            self.frequency_hz = chip.frequency_hz
            length_s = window_s(_plausible(chip.frequency_hz))
            if chip.t_end_s - length_s < self._settled_s:
                continue
            ports = tuple(
                PortReading(
                    _centred(port.voltage_v, self.voltage_step_v),
                    _centred(port.current_a, self.current_step_a),
                    port.active_w,
                    port.reactive_var,
                )
                for port in chip.ports
            )
            fresh.append(ChipWindow(name, chip.t_end_s - length_s / 2, ports))
        return fresh


class ChangingValues:
    """Windows of a unit with the original interface: a change of a chip's values ends one.

    The unit reads value after value, and a power in two words, so that an answer may be torn: some of it of
    the window before, or a power that never was. A window counts when two answers in a row show it alike,
    and when the one before it began after everything had settled, too.

    Source:
        CT6 interface notes, table of the original's parts: "torn 32-bit reads".
    """

    current_step_a, voltage_step_v = 0.001, 0.01

    def __init__(self, api: DutApi, clock: BenchClock, settled_s: float) -> None:
        self._api = api
        self._clock = clock
        self._settled_s = settled_s
        self._followed = {name: _Followed(name, ports) for name, ports in CHIP_PORTS.items()}
        self.frequency_hz = FALLBACK_HZ

    @property
    def poll_s(self) -> float:
        """Pause between two polls, in s: none while a window waits for its second answer."""
        waiting = any(followed.ended_s is not None for followed in self._followed.values())
        return 0.0 if waiting else CHANGING_POLL_S

    def poll(self) -> list[ChipWindow]:
        """Read the unit; return the windows whose values are there for the second time."""
        before_s = self._clock.now_s()
        stats = self._api.stats()
        t_s = (before_s + self._clock.now_s()) / 2
        self.frequency_hz = stats.ports[0].frequency_hz
        ends = [followed.look(t_s, stats) for followed in self._followed.values()]
        length_s = window_s(_plausible(self.frequency_hz))
        return [
            self._window(name, end_s - length_s / 2, stats)
            for name, end_s in ends
            if end_s is not None and end_s - 2 * length_s >= self._settled_s
        ]

    def _window(self, name: str, centre_s: float, stats: UnitStats) -> ChipWindow:
        ports = tuple(
            PortReading(
                _centred(reading.voltage_v, self.voltage_step_v),
                _centred(reading.current_a, self.current_step_a),
                reading.active_w,
                reading.reactive_var,
            )
            for reading in (stats.ports[port - 1] for port in CHIP_PORTS[name])
        )
        return ChipWindow(name, centre_s, ports)


@dataclass
class _Followed:
    """What was seen of one chip so far."""

    name: str
    ports: tuple[int, ...]
    signature: tuple[float, ...] = ()
    polled_s: float = 0.0
    ended_s: float | None = None  # when the window ended that was seen once
    windows: int = 0

    def look(self, t_s: float, stats: UnitStats) -> tuple[str, float | None]:
        """Return the end of the window that is proved now, None when none is or it is to be discarded."""
        readings = [stats.ports[port - 1] for port in self.ports]
        signature = tuple(
            value for r in readings for value in (r.voltage_v, r.current_a, r.active_w, r.reactive_var)
        )
        proved_s: float | None = None
        if self.signature and signature != self.signature:
            # A change right after a change: the answer between was torn, and lay on the window's end.
            self.ended_s = (self.polled_s + t_s) / 2 if self.ended_s is None else self.polled_s
        elif self.ended_s is not None:
            self.windows += 1
            proved_s = self.ended_s if self.windows > DISCARDED_WINDOWS else None
            self.ended_s = None
        self.signature, self.polled_s = signature, t_s
        return self.name, proved_s


def _centred(reading: float, step: float) -> float:
    """Undo the truncation of a display step; a reading of 0 stays 0, it may stand for anything below."""
    return reading + step / 2 if reading > 0 else reading


def _plausible(frequency_hz: float) -> float:
    return frequency_hz if 40.0 <= frequency_hz <= 70.0 else FALLBACK_HZ
