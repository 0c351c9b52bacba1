"""`mfg doctor`: is this station ready? Nothing is switched on."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from mfg.clock import BenchClock
from mfg.commands.firmware import image_problem, manifest
from mfg.errors import MfgError, StationError
from mfg.fixtures.bootsel_drive import BootselDrive
from mfg.fixtures.power_switch import PowerSwitch
from mfg.fixtures.reference_dialects import load_dialect
from mfg.fixtures.reference_meter import ReferenceMeter
from mfg.fixtures.serial_port import is_present
from mfg.fixtures.thermometer import Thermometer
from mfg.fixtures.visa_link import VisaLink
from mfg.limits import load_limits
from mfg.records.chain import RecordChain
from mfg.runner.credentials import wifi_credentials
from mfg.runner.emulated_bench import running_bench
from mfg.runner.locks import RunLocks
from mfg.station import Slot, Station, load_station

MIN_FREE_BYTES = 500_000_000  # a run leaves about 1 MB; this is a week of a busy line
LIMITS_FILE = Path(__file__).resolve().parents[1] / "limits" / "ct6.toml"


def doctor(console: Console, station_path: Path) -> int:
    """Check everything that a run needs; exit 3 when something is not right.

    Raises:
        UsageError: A run is under way: its reference would be set, and its load's watchdog disarmed.
    """
    station = load_station(station_path)
    with RunLocks(station.records_folder) as locks:
        for slot in station.slots:
            locks.claim_slot(slot.number)
        if not station.emulated:
            return _examine(console, station, BenchClock())
        with running_bench(station) as bench:
            console.print(f"Emulated bench: back end {bench.backend}")
            return _examine(console, bench.station, bench.clock)


def _examine(console: Console, station: Station, clock: BenchClock) -> int:
    checks: list[tuple[str, Callable[[], str]]] = [
        ("station file", lambda: f"{station.path}, sha256 {station.sha256[:12]}"),
        ("limits", _limits),
        ("WiFi credentials", lambda: f"for {wifi_credentials(station).ssid}"),
        ("erase image", lambda: _image(station, station.erase_image)),
        ("MicroPython image", lambda: _image(station, station.micropython_image)),
        ("reference meter", lambda: _meter(station, clock)),
        ("power switch and load watchdog", lambda: _switch(station, clock)),
        ("thermometer", lambda: _thermometer(station, clock)),
        ("disk", lambda: _disk(station)),
        ("chain of records", lambda: _chain(station)),
    ]
    checks += [(f"slot {slot.number}", _slot_check(slot, clock)) for slot in station.slots]
    wrong = 0
    for name, check in checks:
        try:
            console.print(f"[green]✔[/] {name}: {check()}", soft_wrap=True)
        except MfgError as error:
            wrong += 1
            console.print(f"[red]✘[/] {name}: {error}", soft_wrap=True)
    return 3 if wrong else 0


def _limits() -> str:
    limits = load_limits(LIMITS_FILE)
    return f"{limits.product} revision {limits.revision}, {sum(map(len, limits.phases.values()))} limits"


def _image(station: Station, name: str) -> str:
    problem = image_problem(station.images_folder, manifest().by_name(name))
    if problem:
        raise StationError(problem)
    return f"{name} is right"


def _meter(station: Station, clock: BenchClock) -> str:
    settings = station.reference_meter
    dialect = load_dialect(settings.dialect)
    link = VisaLink(
        settings.resource,
        clock,
        read_termination=dialect.read_termination,
        write_termination=dialect.write_termination,
        name="reference meter",
    )
    meter = ReferenceMeter(link, dialect, settings.identity, clock)
    try:
        identity = meter.open()
        meter.configure(settings.voltage_range_v, settings.current_range_a, settings.update_s)
        reading = meter.read()
    finally:
        meter.close()
    return f"{identity}; {reading.voltage_v:.2f} V, {reading.frequency_hz or math.nan:.2f} Hz"


def _switch(station: Station, clock: BenchClock) -> str:
    settings = station.power_switch
    if settings.watchdog_s == 0 and not station.emulated:
        raise StationError(
            f"{station.path}: power_switch.watchdog_s is 0; nothing switches a forgotten load off.",
            "Use a switch with an output watchdog and set its delay.",
        )
    switch = PowerSwitch(VisaLink(settings.resource, clock, name="power switch"), clock, settings.identity)
    try:
        identity = switch.open()
        switch.set_watchdog(settings.watchdog_s)
        switch.feed()
        switch.clear_watchdog()
    finally:
        switch.close()
    return f"{identity}; watchdog {settings.watchdog_s:g} s"


def _thermometer(station: Station, clock: BenchClock) -> str:
    if station.thermometer is None:
        raise StationError(f"{station.path} names no thermometer.")
    link = VisaLink(station.thermometer.resource, clock, name="thermometer")
    thermometer = Thermometer(link, station.thermometer.identity)
    try:
        identity = thermometer.open()
        return f"{identity}; {thermometer.read_degc():.1f} degC"
    finally:
        thermometer.close()


def _disk(station: Station) -> str:
    station.records_folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(station.records_folder).free
    if free < MIN_FREE_BYTES:
        raise StationError(f"{station.records_folder}: {free / 1e6:.0f} MB free.", "Make room.")
    return f"{station.records_folder}, {free / 1e9:.1f} GB free"


def _chain(station: Station) -> str:
    chain = RecordChain(station.records_folder, station.key_folder)
    chain.require_ready()
    return f"{chain.head().sequence} lines, signed"


def _slot_check(slot: Slot, clock: BenchClock) -> Callable[[], str]:
    def check() -> str:
        drive = BootselDrive(slot.drive_roots, clock).find()
        port = slot.serial_port.path and is_present(slot.serial_port.path)
        return f"drive {'there' if drive else 'not there'}, serial port {'there' if port else 'not there'}"

    return check
