"""`mfg bench`: the emulated bench by hand."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from mfg.emulator.control import ControlClient
from mfg.emulator.fault_catalogue import INSTRUMENT_NAMES, PLANT_NAMES
from mfg.errors import UsageError
from mfg.runner.emulated_bench import NewBench, bench_state
from mfg.station import EmulatedBench, Station, load_station

SETTABLE = {
    "supply": "power",
    "button": "button",
    "bootsel": "bootsel",
}


def up(console: Console, station_path: Path) -> int:
    """Start the bench and leave it running."""
    station, bench = _emulated(station_path)
    if bench_state(bench) is not None:
        raise UsageError("The bench is up already.", "Use `mfg bench status` or `mfg bench down`.")
    new = NewBench(station)
    new.start(with_parent=False)
    console.print(f"The bench is up: back end {new.backend}, folder {bench.folder}")
    return 0


def down(console: Console, station_path: Path) -> int:
    """Stop a running bench."""
    _station, bench = _emulated(station_path)
    if bench_state(bench) is None:
        raise UsageError("The bench is not up.")
    ControlClient(bench.control_port).call("down")
    console.print("The bench is down.")
    return 0


def status(console: Console, station_path: Path) -> int:
    """Print what every part of the bench says of itself."""
    station, bench = _emulated(station_path)
    state = bench_state(bench)
    if state is None:
        console.print("The bench is not up.")
        return 1
    console.print(f"back end {state['backend']}, clock {state['clock']}")
    for slot, port in zip(station.slots, bench.unit_control_ports, strict=True):
        reply = ControlClient(port).call("state")
        reply.pop("log", None)
        console.print(f"unit {slot.number}: {json.dumps(reply)}")
    console.print(f"instruments: {json.dumps(ControlClient(bench.instruments_control_port).call('state'))}")
    return 0


def set_value(console: Console, station_path: Path, slot_number: int, what: str, value: str) -> int:
    """Switch or break something: supply, button, bootsel, or a fault by its name."""
    station, bench = _emulated(station_path)
    if bench_state(bench) is None:
        raise UsageError("The bench is not up.", "Start it with `mfg bench up`.")
    if value not in ("on", "off"):
        raise UsageError(f"{what} can be set to on or off, not to {value!r}.")
    on = value == "on"
    if what in PLANT_NAMES:
        fault = {"name": what, "on": on}
        reply = ControlClient(bench.control_port).call("event", what="fault", value=fault, unit=0)
    elif what in INSTRUMENT_NAMES:
        reply = ControlClient(bench.instruments_control_port).call("fault", name=what, on=on)
    else:
        port = bench.unit_control_ports[station.slots.index(station.slot(slot_number))]
        arguments = {"supply": {"on": on}, "button": {"pressed": on}, "bootsel": {"held": on}}
        if what in arguments:
            reply = ControlClient(port).call(SETTABLE[what], **arguments[what])
        else:
            reply = ControlClient(port).call("fault", name=what, on=on)
    console.print(json.dumps(reply))
    return 0


def _emulated(station_path: Path) -> tuple[Station, EmulatedBench]:
    station = load_station(station_path)
    if station.emulated_bench is None:
        raise UsageError(f"{station_path} describes a real bench.")
    return station, station.emulated_bench
