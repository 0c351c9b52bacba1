"""`mfg run`: one unit from the scan to the verdict."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from mfg.clock import BenchClock
from mfg.errors import UsageError
from mfg.fixtures.operator import EmulatedFrontEnd, FrontEnd, TerminalFrontEnd
from mfg.limits import load_limits
from mfg.records.labels import parse_bar_codes
from mfg.records.run_folder import write_atomic
from mfg.runner.credentials import wifi_credentials
from mfg.runner.emulated_bench import running_bench
from mfg.runner.session import RunRequest, RunResult, UnitRun
from mfg.runner.signals import stop_requested
from mfg.runner.terminal import TerminalDisplay, show_verdict
from mfg.station import Station, load_station

LIMITS_FILE = Path(__file__).resolve().parents[1] / "limits" / "ct6.toml"


def run(console: Console, station_path: Path, request: RunRequest) -> int:
    """Run one unit; the exit code is the verdict's.

    Raises:
        MfgError: The run could not start, or its record could not be stored.
    """
    station = load_station(station_path)
    limits = load_limits(LIMITS_FILE)
    station.slot(request.slot)
    if request.scanned:
        parse_bar_codes(*request.scanned)  # a typing error is no reason to start a bench
    with _bench(console, station) as (station, clock, backend):
        request = with_last_unit(station, request)
        credentials = wifi_credentials(station)
        with _front_end(console, station, clock) as front_end, stop_requested() as stop:
            unit_run = UnitRun(
                station, clock, limits, credentials, request, front_end, TerminalDisplay(console), backend
            )
            result = unit_run.run(stop)
            # Within the block: whoever pressed Ctrl-C ten times sees the verdict all the same.
            _remember(station, request.slot, result)
            show_verdict(console, result, backend)
    return result.verdict.exit_code


@contextmanager
def _bench(console: Console, station: Station) -> Iterator[tuple[Station, BenchClock, str]]:
    if not station.emulated:
        yield station, BenchClock(), ""
        return
    with running_bench(station) as bench:
        factor = f", clock x{bench.clock.factor:g}" if bench.clock.factor != 1 else ""
        console.print(f"Emulated bench: back end {bench.backend}{factor}, seed {bench.seed}")
        yield bench.station, bench.clock, bench.backend


@contextmanager
def _front_end(console: Console, station: Station, clock: BenchClock) -> Iterator[FrontEnd]:
    """Give the operator's front end, and OpenHTF a standard input that it cannot read from."""
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


def with_last_unit(station: Station, request: RunRequest) -> RunRequest:
    """Add the slot's last unit to a request, so that `r` can repeat it."""
    try:
        data = json.loads(_last_unit_file(station, request.slot).read_text(encoding="utf-8"))
        last = (str(data["assembly"]), str(data["serial"]))
    except FileNotFoundError:
        return request
    except (OSError, ValueError, KeyError, TypeError):
        return request  # a memory aid that cannot be read is no reason to stop the line
    return replace(request, last_scanned=last)


def _remember(station: Station, slot: int, result: RunResult) -> None:
    record = result.record
    if record["serial_number"]:
        content = {"assembly": record["assembly"], "serial": record["serial_number"]}
        write_atomic(_last_unit_file(station, slot), json.dumps(content).encode())


def _last_unit_file(station: Station, slot: int) -> Path:
    return station.records_folder / f"last-unit-slot{slot}.json"
