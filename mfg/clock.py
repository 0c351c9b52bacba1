"""The bench clock: the one time that the station, the plant, the chips and the firmware share.

On a real bench it is the monotonic clock. On an emulated bench it may run `factor` times as fast, so
that a test need not wait for wall time; every figure a run reports is bench time. Bench time equals the
monotonic clock at `epoch_s`, in every process of the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from mfg.errors import UsageError

# The operating system's scheduling does not run faster with the bench clock: a link that waits for
# another process never gives up before this much wall time, whatever the factor.
LINK_FLOOR_WALL_S = 1.0


@dataclass(frozen=True)
class BenchClock:
    """A clock that runs `factor` times as fast as the monotonic clock since `epoch_s`."""

    epoch_s: float = 0.0
    factor: float = 1.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.factor <= 100.0:
            raise UsageError(f"The bench clock's factor is {self.factor}, outside 1..100.")

    @classmethod
    def parse(cls, text: str) -> BenchClock:
        """Read the form that `str()` gives, `<epoch_s>x<factor>`, as passed to child processes."""
        epoch, _, factor = text.partition("x")
        return cls(float(epoch), float(factor))

    def __str__(self) -> str:
        return f"{self.epoch_s!r}x{self.factor!r}"

    def now_s(self) -> float:
        """Return the bench time, in s."""
        return self.epoch_s + (time.monotonic() - self.epoch_s) * self.factor

    def sleep_s(self, duration_s: float) -> None:
        """Let `duration_s` of bench time pass."""
        if duration_s > 0:
            time.sleep(duration_s / self.factor)

    def wall_s(self, duration_s: float) -> float:
        """Return the wall time, in s, in which `duration_s` of bench time pass."""
        return duration_s / self.factor

    def link_timeout_wall_s(self, duration_s: float) -> float:
        """Return the wall time, in s, after which a link to another process has failed."""
        return max(duration_s / self.factor, min(duration_s, LINK_FLOOR_WALL_S))

    def deadline(self, duration_s: float) -> Deadline:
        """Start a deadline of `duration_s` bench seconds."""
        return Deadline(self, self.now_s() + duration_s, duration_s)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float, poll_s: float = 0.02) -> bool:
        """Poll `condition` until it holds.

        Returns:
            True as soon as it holds, False when `timeout_s` of bench time have passed without it.
        """
        deadline = self.deadline(timeout_s)
        while not condition():
            if deadline.expired():
                return False
            self.sleep_s(poll_s)
        return True


@dataclass(frozen=True)
class Deadline:
    """A point in bench time by which something must have happened."""

    clock: BenchClock
    at_s: float
    duration_s: float

    def remaining_s(self) -> float:
        """Return the bench time left, in s, 0 when it has passed."""
        return max(0.0, self.at_s - self.clock.now_s())

    def expired(self) -> bool:
        """Return whether the deadline has passed."""
        return self.clock.now_s() >= self.at_s
