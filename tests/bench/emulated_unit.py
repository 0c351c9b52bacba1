"""An emulated bench for tests of the unit process, and the hand of a person at it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import serial

from mfg.clock import BenchClock
from mfg.emulator import flash_files
from mfg.emulator.config import BenchConfig, InstrumentsConfig, UnitConfig
from mfg.emulator.control import ControlClient
from mfg.emulator.images import generate_images
from mfg.emulator.launch import BenchHandle, free_ports, start_bench

START_WALL_S = 30.0
FACTOR = 6.0
MPREMOTE = Path(sys.executable).parent / "mpremote"


def bench_config(folder: Path, factor: float = FACTOR, **unit: Any) -> BenchConfig:
    """Return a bench with one unit on ports that are free now."""
    ports = free_ports(9)
    return BenchConfig(
        folder=str(folder),
        clock=str(BenchClock(time.monotonic(), factor)),
        units=(UnitConfig(http_port=ports[0], discovery_port=ports[1], control_port=ports[2], **unit),),
        instruments=InstrumentsConfig(
            meter_port=ports[3], switch_port=ports[4], thermometer_port=ports[5], control_port=ports[6]
        ),
        operator_port=ports[7],
        control_port=ports[8],
    )


class UnitAtHand:
    """One emulated unit with its images, drive and port."""

    def __init__(self, folder: Path, factor: float = FACTOR, **unit: Any) -> None:
        self.config = bench_config(folder, factor, **unit)
        self.clock = BenchClock.parse(self.config.clock)
        self.unit = self.config.units[0]
        self.folder = folder / "unit1"
        self.drive = self.folder / "media" / "RPI-RP2"
        self.port = self.folder / "ttyACM0"
        self.erase_image, self.micropython_image = generate_images(folder / "images")
        self.handle: BenchHandle = start_bench(self.config, START_WALL_S, os.getpid())
        self.control = ControlClient(self.unit.control_port)

    def __enter__(self) -> UnitAtHand:
        return self

    def __exit__(self, *_: object) -> None:
        self.handle.stop()

    def call(self, op: str, **args: Any) -> dict[str, Any]:
        """Ask the unit process."""
        return self.control.call(op, **args)

    def state(self) -> str:
        """Return off, booting, bootsel or run."""
        return str(self.call("state")["state"])

    def wait(self, condition: Callable[[], bool], wall_s: float = 10.0) -> float:
        """Wait for a condition; return the wall time it took."""
        start_s = time.monotonic()
        while not condition():
            assert time.monotonic() - start_s < wall_s, self.call("state")
            time.sleep(0.005)
        return time.monotonic() - start_s

    def log(self) -> list[str]:
        """Return what the unit process said last, each line with its bench time before it."""
        return list(self.call("state")["log"])

    @contextlib.contextmanager
    def restart(self) -> Iterator[list[tuple[float, str]]]:
        """Wait at the end of the block until the port has gone in it and come back.

        It is away for too short to be looked for, so the unit process is asked.

        Yields:
            A list that holds bench time in s and text of each line logged since, after the block.
        """
        before, since = self.log(), []
        yield since
        self.wait(lambda: any("serial port up" in line for line in self.log() if line not in before))
        for line in self.log():
            if line not in before:
                at_s, text = line.split(" ", 1)
                since.append((float(at_s), text))

    def power(self, on: bool) -> None:
        """Switch the supply and wait until the unit has noticed."""
        self.call("power", on=on)
        self.wait(lambda: (self.state() == "off") != on)

    def copy(self, image: Path) -> None:
        """Copy an image to the drive."""
        shutil.copyfile(image, self.drive / image.name)

    def to_drive(self) -> None:
        """Bring the unit to its drive with the button held."""
        self.power(False)
        self.call("bootsel", held=True)
        self.power(True)
        self.wait(self.drive.exists)
        self.call("bootsel", held=False)

    def to_prompt(self) -> None:
        """Bring the unit to a bare prompt with an empty file system."""
        self.to_drive()
        self.copy(self.erase_image)
        self.wait(lambda: not self.drive.exists())
        self.wait(self.drive.exists)
        self.copy(self.micropython_image)
        self.wait(self.port.exists)

    def mpremote(self, *arguments: str, timeout_s: float = 20.0) -> str:
        """Run the real mpremote; return what it printed."""
        command = [str(MPREMOTE), "connect", str(self.port), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def exec(self, code: str) -> str:
        """Run code on the unit after a soft reset; return what it printed."""
        return self.mpremote("exec", code)

    def put(self, **files: str) -> None:
        """Write files on the unit; `main` becomes main.py and `boot` boot.py."""
        lines = []
        for name, text in files.items():
            path = f"{name}.py" if name in ("boot", "main") else name
            lines.append(f"with open({path!r}, 'w') as f: f.write({text!r})")
        self.exec("\n".join(lines))

    def stored(self, path: str) -> bytes | None:
        """Return a file as the flash holds it now, None when it is not there or is being written."""
        flash = (self.folder / "flash.bin").read_bytes()
        return flash_files.read_file(flash, path) if path in flash_files.list_files(flash) else None

    def serial(self) -> serial.Serial:
        """Open the port as a terminal does."""
        return serial.Serial(str(self.port), timeout=0.05)

    def read_until(self, port: serial.Serial, wanted: bytes, wall_s: float = 5.0) -> bytes:
        """Read until something has appeared; return all of it."""
        got = b""
        end_s = time.monotonic() + wall_s
        while wanted not in got:
            assert time.monotonic() < end_s, got
            got += port.read(max(1, port.in_waiting))
        return got
