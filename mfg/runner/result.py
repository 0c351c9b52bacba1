"""What a run tells while it goes on, and what it leaves; known to both sides of the line.

Nothing here knows OpenHTF: the supervisor starts without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mfg.records.record import Record

WATCHED_WALL_S = 5.0  # a run that is not heard of for this long hangs
STORING_WALL_S = 60.0  # a slow disk may take its time: the bench is off by then


class Display(Protocol):
    """What the runner tells the person at the station while a unit runs."""

    def phase_started(self, case: int, name: str) -> None:
        """A phase began."""

    def phase_ended(self, case: int, name: str, outcome: str, seconds: float) -> None:
        """A phase ended."""

    def progress(self, what: str, done: int, total: int) -> None:
        """Something lengthy advanced."""

    def run_began(self, run_id: str) -> None:
        """The journal of the run is open."""

    def working(self, within_s: float) -> None:
        """The run is alive, and will be heard of again within this much wall time."""


@dataclass(frozen=True)
class RunResult:
    """A finished run: its record as stored, and where its evidence lies."""

    record: Record
    folder: Path
    bench_s: float
