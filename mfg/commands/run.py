"""`mfg run`: one unit from the scan to the verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from mfg.commands.bench_of import bench_of, front_end_of
from mfg.commands.recover import close_killed_runs
from mfg.errors import UsageError
from mfg.limits import load_limits
from mfg.records.labels import parse_bar_codes
from mfg.records.outcomes import EXIT_CODES
from mfg.records.run_folder import write_atomic
from mfg.runner.chosen_reference import with_reference
from mfg.runner.credentials import wifi_credentials
from mfg.runner.request import RunRequest
from mfg.runner.result import RunResult
from mfg.runner.signals import stop_requested
from mfg.runner.supervisor import Supervisor
from mfg.runner.terminal import TerminalDisplay, show_verdict
from mfg.station import Station, load_station
from mfg.untrusted import parse_json, read_bounded

_MEMORY_LIMIT_BYTES = 4096
LIMITS_FILE = Path(__file__).resolve().parents[1] / "limits" / "ct6.toml"


def run(console: Console, station_path: Path, request: RunRequest) -> int:
    """Run one unit; the exit code is the verdict's.

    Raises:
        MfgError: The run could not start, or its record could not be stored.
    """
    station = load_station(station_path)
    load_limits(LIMITS_FILE)  # a wrong limits file is no reason to start a bench
    slot = station.slot(request.slot)
    with_reference(station, request.mode.reference)  # nor is a reference that there is not
    if request.scanned:
        parse_bar_codes(*request.scanned)  # nor is a typing error
    with bench_of(console, station) as (station, clock, backend):
        request = with_last_unit(station, request)
        credentials = wifi_credentials(station)
        with front_end_of(console, station, clock) as front_end, stop_requested() as stop:
            display = TerminalDisplay(console)
            close_killed_runs(console, station, clock, backend, stop)
            chosen = with_reference(station, request.mode.reference)
            supervisor = Supervisor(chosen, slot, clock, backend, LIMITS_FILE, display, front_end, stop)
            result = supervisor.run(request, credentials)
            # Within the block: whoever pressed Ctrl-C ten times sees the verdict all the same.
            _remember(station, request.slot, result)
            show_verdict(console, result, backend)
    return EXIT_CODES[result.record["outcome"]]


def with_last_unit(station: Station, request: RunRequest) -> RunRequest:
    """Add the slot's last unit to a request, so that `r` can repeat it."""
    try:
        data = parse_json(read_bounded(_last_unit_file(station, request.slot), _MEMORY_LIMIT_BYTES))
        last = (str(data["assembly"]), str(data["serial"]))
        parse_bar_codes(*last)
    except FileNotFoundError:
        return request
    except (OSError, ValueError, KeyError, TypeError, UsageError):
        return request  # a memory aid that cannot be read is no reason to stop the line
    return replace(request, last_scanned=last)


def _remember(station: Station, slot: int, result: RunResult) -> None:
    record = result.record
    if record["serial_number"]:
        content = {"assembly": record["assembly"], "serial": record["serial_number"]}
        write_atomic(_last_unit_file(station, slot), json.dumps(content).encode())


def _last_unit_file(station: Station, slot: int) -> Path:
    return station.records_folder / f"last-unit-slot{slot}.json"
