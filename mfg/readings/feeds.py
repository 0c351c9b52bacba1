"""The reference while a dwell goes on: read again and again by a thread, or once by a person.

Both give samples of voltage, current and active power in bench time, between which a window of the DUT is
paired. What a person reads was so at some time from the question to the answer: the windows of that time are
compared with the one reading, and how far they wander is part of its uncertainty.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, Self

from mfg.calibration.pairing import Sample, mean
from mfg.calibration.windows import StopRule
from mfg.clock import BenchClock
from mfg.errors import FixtureError, MfgError, StationError
from mfg.fixtures.hand_held_meter import HandHeldMeter, TypedReading
from mfg.fixtures.references import Reference, SelfReading
from mfg.fixtures.shelly_meter import ShellyMeter

JOIN_WALL_S = 30.0
ANY_SCATTER_PPM = 1e6
SHELLY_WANTED_PPM = 100.0  # 0.01 % beside the 1 % of its class


class Feed(Protocol):
    """The reference's readings while a `with` block runs."""

    allowance_s: float

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exc: object) -> None: ...

    def rule(self, rule: StopRule) -> StopRule:
        """Return the stop rule that holds with this reference."""

    def check(self) -> None:
        """Raise what ended the feed, if anything did."""

    def samples(self) -> Sequence[Sample]:
        """Return the readings so far, in ascending time."""

    def frequency_hz(self) -> float | None:
        """Return the mean frequency of the readings so far, None where there is none."""

    def angle_deg(self) -> float | None:
        """Return the mean phase angle of the readings so far, None where there is none."""

    def typed(self) -> TypedReading | None:
        """Return the reading that a person took, None where nobody did."""


def feed_of(meter: Reference, clock: BenchClock) -> Feed:
    """Return the feed of a reference."""
    return TypedFeed(meter, clock) if isinstance(meter, HandHeldMeter) else ReferenceFeed(meter)


class ReferenceFeed:
    """Reads the reference in a thread while a `with` block runs."""

    allowance_s = 0.0

    def __init__(self, meter: SelfReading) -> None:
        self._meter = meter
        self._samples: list[Sample] = []
        self._frequencies: list[float] = []
        self._angles: list[float] = []
        self._failure: StationError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reference-feed", daemon=True)

    def __enter__(self) -> Self:
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
                if reading.frequency_hz is not None:
                    self._frequencies.append(reading.frequency_hz)
                if reading.angle_deg is not None:
                    self._angles.append(reading.angle_deg)
                self._samples.append(Sample(reading.t_s, values))
        except StationError as error:
            self._failure = error

    def rule(self, rule: StopRule) -> StopRule:
        """Return the rule as it is; a Shelly scatters more than it wants."""
        if isinstance(self._meter, ShellyMeter):
            return replace(rule, wanted_ppm=max(rule.wanted_ppm, SHELLY_WANTED_PPM))
        return rule

    def check(self) -> None:
        """Raise a StationError when the feed has ended."""
        if self._failure is not None:
            raise StationError(str(self._failure.args[0]), self._failure.action) from self._failure
        if not self._thread.is_alive():
            raise StationError("The reference meter's reading broke off.", "Call the engineer.")

    def samples(self) -> Sequence[Sample]:
        """Return the readings so far, in ascending time."""
        return list(self._samples)

    def frequency_hz(self) -> float | None:
        """Return the mean frequency of the readings so far, None where the meter gave none."""
        return mean(self._frequencies) if self._frequencies else None

    def angle_deg(self) -> float | None:
        """Return the mean phase angle of the readings so far, None where the meter gave none."""
        return mean(self._angles) if self._angles else None

    def typed(self) -> TypedReading | None:
        """Return None: nobody reads."""
        return None


class TypedFeed:
    """Has a person read the meter once while a `with` block runs.

    Power is what the load takes at its known angle of 0: it is paired, and never judged.
    """

    allowance_s = 180.0  # for the person, beside the time that the windows take

    def __init__(self, meter: HandHeldMeter, clock: BenchClock) -> None:
        self._meter = meter
        self._clock = clock
        self._typed: TypedReading | None = None
        self._failure: MfgError | None = None
        self._thread = threading.Thread(target=self._run, name="typed-reading", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Leave a question that nobody has answered: its thread ends with the answer, or with the run."""

    def _run(self) -> None:
        try:
            self._typed = self._meter.read()
        except MfgError as error:
            self._failure = error
        except (EOFError, OSError, ValueError) as error:  # of a terminal: closed, or no text
            self._failure = FixtureError(
                f"The question could not be asked: {error}.", "Start the unit again."
            )

    def rule(self, rule: StopRule) -> StopRule:
        """Take the least number of windows: against one reading the mains' own wander is all they show."""
        return replace(rule, wanted_ppm=ANY_SCATTER_PPM)

    def check(self) -> None:
        """Raise what the person or the front end did wrong."""
        if self._failure is not None:
            raise type(self._failure)(str(self._failure.args[0]), self._failure.action) from self._failure

    def samples(self) -> Sequence[Sample]:
        """Return the one reading from its question until now, nothing before the answer."""
        typed = self._typed
        if typed is None:
            return []
        pair = typed.pair
        values = (pair.voltage_v, pair.current_a, pair.voltage_v * pair.current_a)
        return [Sample(typed.asked_s, values), Sample(self._clock.now_s(), values)]

    def frequency_hz(self) -> float | None:
        """Return None: nobody asks for it."""
        return None

    def angle_deg(self) -> float | None:
        """Return None: nobody asks for it."""
        return None

    def typed(self) -> TypedReading | None:
        """Return what was typed, None before the answer."""
        return self._typed
