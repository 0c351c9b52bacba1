"""A unit small enough for a unit test: our firmware in the MicroPython VM on the emulated board.

No BOOTSEL drive, no unit process: the core of the unix back end runs in a thread of the test. A flash image
holds the byte-compiled firmware; the console is the serial port as a host that reads all the time sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import mmap
import os
import select
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from mfg.clock import BenchClock
from mfg.emulator import flash_files
from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.emulator.core import FLASH_BYTES, CoreContext, create_core
from mfg.emulator.ct6_board import Ct6Board
from mfg.emulator.events import Event, EventLog, append_event
from mfg.emulator.field_units import field_flash
from mfg.emulator.images import flash_with_micropython
from mfg.emulator.plant import Plant
from mfg.emulator.quirks import BLANK
from mfg.fixtures.firmware_build import FirmwareImage, build_firmware

FIRMWARE = Path(__file__).parents[3] / "firmware" / "ct6"
SSID = "mfg-bench"
PASSPHRASE = "bench-only-passphrase"
STA_CONFIG = {"WIFI": {"WIFI_CFG": 1, "MODE": "STA", "CHANNEL": 3, "SSID": SSID, "PASSWD": PASSPHRASE}}
READ_WALL_S = 0.02


def free_port(kind: socket.SocketKind) -> int:
    """Return a loopback port that is free now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@functools.cache
def built(app: str = "app1") -> FirmwareImage:
    """Return our firmware for a folder of the unit."""
    return build_firmware(FIRMWARE, None, app)


def flash_image(files: dict[str, bytes]) -> bytes:
    """Return a flash with MicroPython, the byte-compiled firmware and more files."""
    image = built()
    flash = bytearray(flash_with_micropython())
    own = {file.path_on_unit: file.data for file in image.files}
    flash_files.file_system_image(flash, own | files, image.folders)
    return bytes(flash)


class VmUnit:
    """One unit; `with` starts and ends it."""

    def __init__(self, folder: Path, files: dict[str, bytes], factor: float = 1.0, **unit: Any) -> None:
        """Prepare a unit.

        Args:
            folder: Empty folder for the flash and the event log.
            files: More files for the flash, by path.
            factor: Of the bench clock.
            unit: Fields of UnitConfig that differ from the default.
        """
        self.clock = BenchClock(time.monotonic(), factor)
        ports = {
            "http_port": free_port(socket.SOCK_STREAM),
            "discovery_port": free_port(socket.SOCK_DGRAM),
        }
        self.unit = UnitConfig(**ports | unit)
        self.folder = folder
        self.config = BenchConfig(folder=str(folder), clock=str(self.clock), units=(self.unit,))
        self.flash_path = folder / "flash.bin"
        self.flash_path.write_bytes(
            flash_image(files) if self.unit.profile == BLANK else field_flash(self.unit)
        )
        self._flash_file = self.flash_path.open("r+b")
        self._flash = mmap.mmap(self._flash_file.fileno(), FLASH_BYTES)
        self.events = EventLog(folder)
        self.board = Ct6Board(self.config, self.unit, Plant(self.config, self.events), self.clock)
        self.resets: list[str] = []
        self.complaints: list[str] = []
        self.heard: list[tuple[float, str]] = []  # bench time and text of everything the unit said
        self._console = ""
        self._console_lock = threading.Lock()
        self._port: int | None = None
        self._running = True
        self._loop = asyncio.new_event_loop()
        self._threads = [
            threading.Thread(target=self._loop.run_forever, daemon=True),
            threading.Thread(target=self._read, daemon=True),
        ]
        self.core = create_core(
            "unix",
            CoreContext(
                self.config,
                self.unit,
                self.clock,
                self.board,
                folder,
                self.flash_path,
                self._port_up,
                self._port_gone,
                self.resets.append,
                lambda: self.resets.append("bootloader"),
                self.complaints.append,
            ),
        )

    @property
    def console(self) -> str:
        """What the unit has said since this was set to an empty text."""
        return self._console

    @console.setter
    def console(self, text: str) -> None:
        with self._console_lock:
            self._console = text

    def __enter__(self) -> VmUnit:
        for thread in self._threads:
            thread.start()
        self.power_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.power_off()
        self._running = False
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join()
        self._loop.close()
        self.events.close()
        self._flash.close()
        self._flash_file.close()

    def _do(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def power_on(self) -> None:
        """Give the unit its supply."""
        self.console = ""
        self.resets.clear()
        self.board.power_on(self.clock.now_s())
        self._do(self.core.start(self._flash, None))

    def power_off(self) -> None:
        """Cut the supply; the flash stays."""
        self._do(self.core.stop())
        self.board.power_off(self.clock.now_s())

    @contextlib.contextmanager
    def handed_over(self) -> Iterator[str]:
        """Leave the serial port to another program while the block runs; gives its path."""
        port, self._port = self._port, None
        assert port is not None
        path = os.ttyname(port)
        time.sleep(2 * READ_WALL_S)  # the reading thread looks away
        os.close(port)
        yield path
        self._port_up(path)

    def _port_up(self, path: str) -> None:
        self._port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def _port_gone(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            os.close(port)

    def _read(self) -> None:
        while self._running:
            port = self._port
            if port is None:
                time.sleep(0.005)
                continue
            try:
                if select.select([port], [], [], READ_WALL_S)[0]:
                    said = os.read(port, 4096).decode(errors="replace")
                    with self._console_lock:
                        self._console += said
                        self.heard.append((self.clock.now_s(), said))
            except OSError:  # the port went
                time.sleep(0.005)

    def type(self, text: str) -> None:
        """Type at the prompt."""
        assert self._port is not None
        os.write(self._port, text.encode())

    def to_prompt(self, timeout_s: float = 5.0) -> None:
        """Press Control-C and wait for the prompt."""
        self.console = ""
        self.type("\x03")
        deadline = time.monotonic() + timeout_s
        while not self.console.rstrip(" ").endswith(">>>"):
            assert time.monotonic() < deadline, self.console
            time.sleep(0.01)

    def import_main(self) -> None:
        """Start the application from the prompt and wait until its services are up."""
        self.console = ""
        self.type("import main\r\n")
        self.ready()

    def press(self, pressed: bool) -> None:
        """Press or release the WiFi switch."""
        append_event(self.folder, Event(self.clock.now_s(), "button", int(pressed), self.unit.number))

    def fault(self, name: str, on: bool = True) -> None:
        """Switch a fault."""
        append_event(
            self.folder, Event(self.clock.now_s(), "fault", {"name": name, "on": on}, self.unit.number)
        )

    def switch(self, what: str, on: bool) -> None:
        """Switch a channel of the plant."""
        append_event(self.folder, Event(self.clock.now_s(), what, int(on)))

    def wait_for(self, text: str, timeout_s: float = 20.0) -> str:
        """Wait until the console shows `text`; return everything up to the end of its line."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            at = self.console.find(text)
            if at >= 0 and "\n" in self.console[at:]:
                return self.console[: self.console.index("\n", at)]
            time.sleep(0.01)
        raise AssertionError(f"no {text!r} in:\n{self.console}")

    def free_heap_bytes(self) -> int:
        """Return what is free of the heap when least is under way: the most that five answers say."""
        return max(self.get("/get_sys_stats")["RAM_FREE_BYTES"] for _ in range(5))

    def wait_reset(self, reason: str, timeout_s: float = 30.0) -> None:
        """Wait until the chip was reset in that way."""
        deadline = time.monotonic() + timeout_s
        while reason not in self.resets:
            assert time.monotonic() < deadline, (self.resets, self.console)
            time.sleep(0.01)

    def ready(self) -> None:
        """Wait until the network services are up."""
        self.wait_for("WiFi interface IP address: ")

    def exchange(self, request: bytes, timeout_s: float = 20.0) -> bytes:
        """Send bytes to the REST port and return everything that comes back."""
        with socket.create_connection(("127.0.0.1", self.unit.http_port), timeout_s) as link:
            link.sendall(request)
            reply = b""
            while data := link.recv(4096):
                reply += data
            return reply

    def get(self, target: str) -> Any:
        """Return the JSON reply to a GET."""
        return self.get_status(target)[1]

    def get_status(self, target: str) -> tuple[int, Any]:
        """Return the status and the JSON reply to a GET."""
        reply = self.exchange(f"GET {target} HTTP/1.1\r\nHost: unit\r\n\r\n".encode())
        head, _, body = reply.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), json.loads(body)

    def discover(self, request: bytes, timeout_s: float = 3.0) -> Any:
        """Return the JSON reply to a datagram, None if there is none in time."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.settimeout(timeout_s)
            link.sendto(request, ("127.0.0.1", self.unit.discovery_port))
            try:
                return json.loads(link.recv(8192))
            except TimeoutError:
                return None

    def file(self, path: str) -> bytes | None:
        """Return a file of the flash, None if there is none; call it while the unit is off."""
        flash = self.flash_path.read_bytes()
        return flash_files.read_file(flash, path) if path in flash_files.list_files(flash) else None
