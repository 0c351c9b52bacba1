"""`mfg unit scan` and `mfg unit stats`: what units say, for as long as somebody watches."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mfg.clock import Deadline
from mfg.commands.unit_arguments import View, Wanted
from mfg.commands.unit_target import Place, Target, find_target, open_place
from mfg.errors import DutError, FixtureError
from mfg.fixtures.discovery import DISCOVERY_PORT, DiscoveredUnit, DiscoveryLink
from mfg.fixtures.dut_api import PORTS, UnitStats, parse_stats
from mfg.fixtures.sightings import Sighting, Sightings, shown
from mfg.fixtures.unit_config import finite_number
from mfg.runner.signals import stop_requested
from mfg.untrusted import printable

REFRESH_WALL_S = 0.25
POLL_S = 1.0
FOREVER_S = 10 * 365 * 24 * 3600.0

Show = Callable[[Table], None]


class _Watch:
    """Goes on until a signal comes, the time is up, or nobody reads any more."""

    def __init__(self, console: Console, stop: Event, deadline: Deadline) -> None:
        self._console = console
        self._stop = stop
        self._deadline = deadline

    def goes_on(self) -> bool:
        """Return whether to look once more."""
        return not self._stop.is_set() and not self._deadline.expired()

    def turn_ends(self) -> float:
        """Return when the display is due again, on the monotonic clock, in s."""
        clock = self._deadline.clock
        return time.monotonic() + min(REFRESH_WALL_S, clock.wall_s(self._deadline.remaining_s()))

    def wait(self, bench_s: float) -> None:
        """Let bench time pass; a signal ends it."""
        self._stop.wait(self._deadline.clock.wall_s(min(bench_s, self._deadline.remaining_s())))

    def line(self, data: dict[str, Any]) -> None:
        """Write one object on a line of its own; the watch ends when nobody reads any more."""
        self._console.file.write(json.dumps(data) + "\n")
        self._console.file.flush()
        if getattr(self._console.file, "gone", False):  # see LastingStream
            self._stop.set()


def scan(console: Console, station_path: Path, view: View) -> int:
    """Show every unit that answers discovery; with JSON one object per unit, at the end.

    Raises:
        UsageError: The emulated bench is not up. FixtureError: The question cannot be sent.
    """
    place = open_place(station_path)
    seen = Sightings()
    with _watching(console, place, view) as (watch, show), _asking(place) as link:
        while watch.goes_on():
            for found in link.listen(watch.turn_ends()):
                seen.take(found, link.asked)
            show(_scan_table(place, seen, link.ignored))
        if view.as_json:
            for sighting in seen.all():
                watch.line(_scan_entry(place, seen, sighting))
    return 0


def stats(console: Console, station_path: Path, wanted: Wanted, view: View) -> int:
    """Show what one unit measures now, or, without a name, what every unit that answers discovery says.

    Raises:
        UsageError: The emulated bench is not up, or the named slot has no address of its own.
        FixtureError: The discovery question cannot be sent.
    """
    place = open_place(station_path)
    if wanted == Wanted():
        return _stats_of_all(console, place, view)
    return _stats_of_one(console, place, find_target(place, wanted), view)


def _stats_of_all(console: Console, place: Place, view: View) -> int:
    seen = Sightings()
    with _watching(console, place, view) as (watch, show), _asking(place) as link:
        while watch.goes_on():
            for found in link.listen(watch.turn_ends()):
                if seen.take(found, link.asked) and view.as_json:
                    watch.line(_entry(*_where(place, found), dict(found.data)))
            show(_all_table(place, seen))
    return 0


def _stats_of_one(console: Console, place: Place, target: Target, view: View) -> int:
    slot = target.slot.number if target.slot else None
    with _watching(console, place, view) as (watch, show):
        while watch.goes_on():
            asked_s = place.clock.now_s()
            try:
                data = target.api.get("/get_stats")
                readings = parse_stats(data if isinstance(data, dict) else {}, asked_s, 0.0, target.address)
            except (FixtureError, DutError) as error:
                show(_fault_table(target.address, str(error)))
                if view.as_json:
                    watch.line(_entry(target.address, slot, {}) | {"error": str(error)})
            else:
                show(_one_table(target.address, readings))
                if view.as_json and isinstance(data, dict):
                    watch.line(_entry(target.address, slot, data))
            watch.wait(POLL_S - (place.clock.now_s() - asked_s))
    return 0


@contextmanager
def _watching(console: Console, place: Place, view: View) -> Iterator[tuple[_Watch, Show]]:
    """Give a watch and a way to show a table: live at a terminal, else the last one at the end."""
    tables: list[Table] = []
    deadline = place.clock.deadline(FOREVER_S if view.seconds is None else view.seconds)
    with stop_requested() as stop:
        watch = _Watch(console, stop, deadline)
        if view.as_json:
            yield watch, lambda table: None
        elif console.is_terminal:
            with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
                yield watch, lambda table: live.update(table, refresh=True)
        else:
            yield watch, lambda table: tables.__setitem__(slice(None), [table])
            console.print(*tables)


def _asking(place: Place) -> DiscoveryLink:
    return DiscoveryLink(place.targets(), place.clock)


def _where(place: Place, found: DiscoveredUnit) -> tuple[str, int | None]:
    """Return what a unit is called and its slot."""
    address, slot = place.unit_at(found.address)
    if slot is None and found.address[1] != DISCOVERY_PORT:
        address = f"{address}:{found.address[1]}"
    return address, slot.number if slot else None


def _entry(address: str, slot: int | None, data: dict[str, Any]) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    return {"received_utc": now, "address": address, "slot": slot, "stats": data}


def _scan_entry(place: Place, seen: Sightings, sighting: Sighting) -> dict[str, Any]:
    address, slot = _where(place, sighting.latest)
    return {
        "address": address,
        "slot": slot,
        "label": sighting.label,
        "name": sighting.latest.data.get("UNIT_NAME"),
        "firmware_version": sighting.latest.data.get("FIRMWARE_VERSION"),
        "answers": sighting.answers,
        "duplicates": sighting.duplicates,
        "notes": _notes(place, seen, sighting),
    }


def _notes(place: Place, seen: Sightings, sighting: Sighting) -> list[str]:
    return seen.conflicts(sighting, place.unit_at(sighting.latest.address)[0])


def _scan_table(place: Place, seen: Sightings, ignored: int) -> Table:
    senders = seen.all()
    refused = f", {seen.refused} answers of too many senders refused" if seen.refused else ""
    table = Table(
        *("address", "slot", "label", "name", "firmware", "CT1 V", "dBm", "answers", "age", "notes"),
        title=f"{len(senders)} units, {ignored} other datagrams ignored{refused}",
    )
    now_s = place.clock.now_s()
    for sighting in senders:
        data = sighting.latest.data
        address, slot = _where(place, sighting.latest)
        twice = [f"{sighting.duplicates} came twice"] if sighting.duplicates else []
        table.add_row(
            address,
            str(slot or ""),
            *(_shown(data.get(key)) for key in ("ASSY", "UNIT_NAME", "FIRMWARE_VERSION")),
            _value(_port(data, 1).get("VRMS"), 1),
            _value(data.get("RSSI"), 0),
            str(sighting.answers),
            f"{now_s - sighting.latest.t_s:.0f} s",
            Text("; ".join([*_notes(place, seen, sighting), *twice])),
        )
    return table


def _all_table(place: Place, seen: Sightings) -> Table:
    ports = range(1, PORTS + 1)
    table = Table("address", "name", "V", "Hz", *(f"CT{port} W" for port in ports), "°C", "age")
    now_s = place.clock.now_s()
    for sighting in seen.all():
        data = sighting.latest.data
        table.add_row(
            _where(place, sighting.latest)[0],
            _shown(data.get("UNIT_NAME")),
            _value(_port(data, 1).get("VRMS"), 2),
            _value(_port(data, 1).get("FREQ"), 2),
            *(_value(_port(data, port).get("PRMS"), 1) for port in ports),
            _value(data.get("BOARD_TEMPERATURE"), 1),
            f"{now_s - sighting.latest.t_s:.0f} s",
        )
    return table


def _one_table(address: str, readings: UnitStats) -> Table:
    table = Table(
        *("port", "name", "V", "A", "W", "var", "VA", "PF", "Hz", "chip °C"),
        title=Text(f"{address}  {shown(readings.assembly)}  firmware {readings.firmware_version}"),
        caption=f"board {readings.board_degc:.1f} °C, {readings.rssi_dbm:.0f} dBm",
    )
    for number, port in enumerate(readings.ports, start=1):
        table.add_row(
            f"CT{number}",
            _shown(port.name),
            f"{port.voltage_v:.2f}",
            f"{port.current_a:.4f}",
            *(f"{power:.1f}" for power in (port.active_w, port.reactive_var, port.apparent_va)),
            f"{port.power_factor:.3f}",
            f"{port.frequency_hz:.2f}",
            f"{port.chip_degc:.0f}",
        )
    return table


def _fault_table(address: str, text: str) -> Table:
    table = Table("address", "no readings")
    table.add_row(Text(address), Text(printable(text, 400)))
    return table


def _port(data: Any, number: int) -> dict[str, Any]:
    port = data.get(f"CT{number}")
    return port if isinstance(port, dict) else {}


def _shown(value: object) -> Text:
    return Text("" if value is None else shown(value))


def _value(value: object, decimals: int) -> str:
    number = finite_number(value)
    return "?" if number is None else f"{number:.{decimals}f}"
