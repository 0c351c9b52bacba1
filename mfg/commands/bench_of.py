"""What every command that touches units needs: the bench of the station, and its operator."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from mfg.clock import BenchClock
from mfg.errors import UsageError
from mfg.fixtures.front_end import EmulatedFrontEnd, FrontEnd, TerminalFrontEnd
from mfg.runner.emulated_bench import running_bench
from mfg.station import Station

LIMITS_FILE = Path(__file__).resolve().parents[1] / "limits" / "ct6.toml"


@contextmanager
def bench_of(console: Console, station: Station) -> Iterator[tuple[Station, BenchClock, str]]:
    """Give the station as it is reached, its clock, its back end; an emulated bench is up meanwhile."""
    if not station.emulated:
        yield station, BenchClock(), ""
        return
    with running_bench(station) as bench:
        factor = f", clock x{bench.clock.factor:g}" if bench.clock.factor != 1 else ""
        console.print(f"Emulated bench: back end {bench.backend}{factor}, seed {bench.seed}")
        yield bench.station, bench.clock, bench.backend


@contextmanager
def front_end_of(console: Console, station: Station, clock: BenchClock) -> Iterator[FrontEnd]:
    """Give the operator's front end, and everybody else a standard input that cannot be read from."""
    if station.operator_front_end == "emulated":
        if station.emulated_bench is None:
            raise UsageError(f"{station.path}: operator.front_end is emulated, but the bench is not.")
        yield EmulatedFrontEnd(station.emulated_bench.operator, clock)
        return
    keyboard = sys.stdin
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        sys.stdin = nothing
        try:
            yield TerminalFrontEnd(console, keyboard)
        finally:
            sys.stdin = keyboard
