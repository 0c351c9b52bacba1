"""How fast firmware gets onto a unit: the station's stream against mpremote's own copy.

    python benchmarks/loader_speed.py --backend unix [--rounds 3] [--json FILE]
    MFG_UF2_DIR=... python benchmarks/loader_speed.py --backend rp2040

Both ways load the project's own firmware, in process, onto an empty file system, from opening the port to the
last sha256 computed on the unit; they take turns, and the best round of each counts, because another program
on the machine can only slow a round down. mpremote is used as its `fs cp` uses it: `fs_writefile` with its
own chunk of 256 bytes, then `fs_hashfile`. "link" is the port as the station has it, where mpremote polls as
on a real USB port; "pts" is the pseudo-terminal behind it, where mpremote reads blocking.
On the unix back end the port is throttled to 100 kB/s in each direction.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mpremote.transport_serial import SerialTransport

from mfg.clock import BenchClock
from mfg.data_files import data_folder
from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.emulator.control import ControlClient
from mfg.emulator.images import generate_images
from mfg.emulator.launch import free_ports
from mfg.errors import StationError
from mfg.fixtures.bootsel_drive import BootselDrive
from mfg.fixtures.firmware_build import FirmwareImage, build_firmware
from mfg.fixtures.image_manifest import ROLE_ERASE, ROLE_MICROPYTHON, read_manifest
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.serial_port import find_port
from mfg.fixtures.uf2 import Uf2Image, check_image, read_uf2

UNIX_RATE_BYTES_PER_S = 100_000
TARGET_RATIO = 3.0
START_WALL_S = 30.0
STOP_WALL_S = 10.0
DRIVE_TIMEOUT_S = 30.0
MPREMOTE_READ_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Comparison:
    """The best round of each way on one kind of port. Times in s, speeds in bytes per s."""

    backend: str
    port: str
    files: int
    bytes: int
    mpremote_s: float
    stream_s: float

    @property
    def ratio(self) -> float:
        """How many times as fast the stream is."""
        return self.mpremote_s / self.stream_s


@dataclass
class EmulatedUnit:
    """One emulated unit in a process of its own."""

    folder: Path
    control: ControlClient
    clock: BenchClock
    backend: str

    @property
    def port(self) -> str:
        """The serial port as the station has it."""
        return str(self.folder / "unit1" / "ttyACM0")

    def images(self, uf2_folder: str) -> tuple[Uf2Image, Uf2Image]:
        """Return the erase and the MicroPython image of the back end, checked."""
        manifest = read_manifest(data_folder("firmware") / "images" / "manifest.toml")
        emulator = self.backend == "unix"
        folder = Path(uf2_folder)
        if emulator:
            folder = self.folder
            generate_images(folder)
        found = []
        for role in (ROLE_ERASE, ROLE_MICROPYTHON):
            (entry,) = manifest.for_role(role, emulator)
            image = read_uf2(folder / entry.file)
            check_image(image, entry)
            found.append(image)
        return found[0], found[1]

    def bring_up(self, uf2_folder: str = "") -> None:
        """Power on, erase, load MicroPython: afterwards the port is there and the file system empty."""
        erase, micropython = self.images(uf2_folder)
        self.control.call("power", on=True)
        drive = BootselDrive([self.folder / "unit1" / "media"], self.clock)
        for image in (erase, micropython):
            drive.wait_present(DRIVE_TIMEOUT_S)
            drive.copy(image, DRIVE_TIMEOUT_S, lambda done, total: None)
        find_port(self.port, None, None, DRIVE_TIMEOUT_S, self.clock)


@contextlib.contextmanager
def emulated_unit(backend: str, folder: Path, clock: BenchClock | None = None) -> Iterator[EmulatedUnit]:
    """Run one emulated unit, without supply at first, while the block runs."""
    ports = free_ports(3)
    unit = UnitConfig(http_port=ports[0], discovery_port=ports[1], control_port=ports[2])
    clock = clock or BenchClock()
    config = BenchConfig(folder=str(folder), clock=str(clock), backend=backend, units=(unit,))
    path = folder / "bench-config.json"
    config.write(path)
    with (folder / "process.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mfg.emulator", "unit", str(path), "1", "--parent-pid", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    emulated = EmulatedUnit(folder, ControlClient(ports[2]), clock, backend)
    try:
        _wait_ready(emulated, process)
        yield emulated
    finally:
        process.terminate()
        try:
            process.wait(STOP_WALL_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(emulated: EmulatedUnit, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_WALL_S
    while True:
        try:
            emulated.control.call("state")
        except StationError:
            if process.poll() is not None or time.monotonic() > end:
                text = (emulated.folder / "process.txt").read_text(encoding="utf-8", errors="replace")
                raise StationError(f"The emulated unit did not start: {text[-500:]}") from None
            time.sleep(0.05)
        else:
            return


def load_by_mpremote(port: str, image: FirmwareImage) -> float:
    """Load by mpremote's own copy and return the wall time in s."""
    start = time.monotonic()
    transport: Any = SerialTransport(  # type: ignore[no-untyped-call]
        port, timeout=MPREMOTE_READ_TIMEOUT_S
    )
    try:
        transport.enter_raw_repl()
        for folder in image.folders:
            transport.fs_mkdir(folder)
        for file in image.files:
            transport.fs_writefile(file.path_on_unit, file.data)
            assert transport.fs_hashfile(file.path_on_unit, "sha256").hex() == file.sha256
        return time.monotonic() - start
    finally:
        transport.close()


def load_by_stream(port: str, image: FirmwareImage, clock: BenchClock) -> float:
    """Load by the station's stream and return the wall time in s."""
    start = time.monotonic()
    with MicroPythonRepl(port, clock) as repl:
        repl.enter()
        report = repl.load(image.files, lambda done, total: None, image.folders)
        assert not report.fallback
        return time.monotonic() - start


def wipe(port: str, clock: BenchClock) -> None:
    """Empty the unit's file system."""
    with MicroPythonRepl(port, clock) as repl:
        repl.enter()
        repl.wipe()


def compare(unit: EmulatedUnit, image: FirmwareImage, name: str, port: str, rounds: int) -> Comparison:
    """Load both ways in turn and keep the best round of each."""
    mpremote_s, stream_s = [], []
    for _ in range(rounds):
        wipe(port, unit.clock)
        mpremote_s.append(load_by_mpremote(port, image))
        wipe(port, unit.clock)
        stream_s.append(load_by_stream(port, image, unit.clock))
    return Comparison(unit.backend, name, len(image.files), image.bytes, min(mpremote_s), min(stream_s))


def measure(backend: str, uf2_folder: str, rounds: int, ports: tuple[str, ...]) -> list[Comparison]:
    """Bring an emulated unit up and compare on each kind of port, "link" or "pts"."""
    with (
        tempfile.TemporaryDirectory(prefix="mfg-loader-") as folder,
        emulated_unit(backend, Path(folder)) as unit,
    ):
        unit.bring_up(uf2_folder)
        with MicroPythonRepl(unit.port, unit.clock) as repl:
            repl.enter()
            abi = repl.identity()["mpy"]
        image = build_firmware(data_folder("firmware") / "ct6", abi)
        if backend == "unix":
            unit.control.call("throttle", bytes_per_s=UNIX_RATE_BYTES_PER_S)
        found = []
        for name in ports:
            port = unit.port if name == "link" else os.path.realpath(unit.port)
            found.append(compare(unit, image, name, port, rounds))
        return found


def main() -> int:
    """Print the table; return 1 if the station's own kind of port misses the target."""
    parser = argparse.ArgumentParser(description="Compare the stream loader with mpremote's own copy.")
    parser.add_argument("--backend", choices=("unix", "rp2040"), default="unix")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    uf2_folder = os.environ.get("MFG_UF2_DIR", "")
    if arguments.backend == "rp2040" and not uf2_folder:
        print("MFG_UF2_DIR is not set: no real UF2 images for the rp2040 back end, nothing was measured.")
        return 0
    found = measure(arguments.backend, uf2_folder, arguments.rounds, ("link", "pts"))
    print(f"{'back end':9} {'port':5} {'files':>5} {'bytes':>7} {'mpremote':>18} {'stream':>18} {'ratio':>6}")
    for row in found:
        slow, fast = f"{row.bytes / row.mpremote_s:.0f} B/s", f"{row.bytes / row.stream_s:.0f} B/s"
        print(
            f"{row.backend:9} {row.port:5} {row.files:5} {row.bytes:7} "
            f"{row.mpremote_s:6.2f} s {slow:>9} {row.stream_s:6.2f} s {fast:>9} {row.ratio:6.2f}"
        )
    if arguments.json:
        rows = [asdict(row) | {"ratio": row.ratio} for row in found]
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if found[0].ratio >= TARGET_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
