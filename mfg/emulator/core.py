"""The seam between the unit process and the two MCU back ends.

The unit process (unit.py) owns the supply, the flash, the BOOTSEL drive, the serial symlink and the
board. A core is what runs in the MCU while the supply is on and the chip is not in BOOTSEL. All methods
and all hooks are called in the unit's event loop.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mfg.clock import BenchClock
from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.errors import UsageError

if TYPE_CHECKING:
    from mfg.emulator.ct6_board import Ct6Board

FLASH_BYTES = 2 << 20
FLASH_ADDRESS = 0x1000_0000
RAM_ADDRESS = 0x2000_0000
RAM_END_ADDRESS = 0x2004_2000
FILE_SYSTEM_OFFSET = 0x12C000  # littlefs of the Pico W: 212 blocks of 4096 bytes
FILE_SYSTEM_BLOCKS = 212
FILE_SYSTEM_BLOCK_BYTES = 4096

# The 2 MiB flash file, mapped and shared: what is stored in it survives the process.
Flash = mmap.mmap | bytearray


@dataclass(frozen=True)
class RamImage:
    """A program that the boot ROM received for RAM: its blocks by address and where it starts."""

    start: int  # lowest address; the boot ROM jumps here
    blocks: dict[int, bytes]

    def content(self) -> bytes:
        """Return the image as one piece from `start`; holes are 0."""
        end = max(address + len(data) for address, data in self.blocks.items())
        image = bytearray(end - self.start)
        for address, data in self.blocks.items():
            image[address - self.start : address - self.start + len(data)] = data
        return bytes(image)


@dataclass(frozen=True)
class CoreContext:
    """What a core is given: the bench, its board and whom to tell.

    `on_reset` is for information: the core restarts itself from the flash, with the port gone and back.
    After `on_bootloader` the core has stopped itself; the unit shows the drive.
    """

    config: BenchConfig
    unit: UnitConfig
    clock: BenchClock
    board: Ct6Board
    folder: Path  # of the unit
    flash_path: Path  # the file behind the Flash that start() gets
    on_port_up: Callable[[str], None]  # path of the pty the host opens; the unit links ttyACM0 to it
    on_port_gone: Callable[[], None]
    on_reset: Callable[[str], None]  # cause: "machine.reset", "watchdog", "control"
    on_bootloader: Callable[[], None]  # machine.bootloader() or reset_usb_boot()
    log: Callable[[str], None]


class Core(Protocol):
    """One MCU back end."""

    def __init__(self, context: CoreContext) -> None: ...

    @property
    def running(self) -> bool:
        """Return whether the chip is powered and executes."""
        ...

    async def start(self, flash: Flash, ram_image: RamImage | None) -> None:
        """Run from the flash, or run a program that was loaded into RAM.

        A core that keeps a copy of the flash writes it back into `flash` in stop(), before it calls
        `on_bootloader`, and from time to time.
        """
        ...

    async def stop(self) -> None:
        """Cut the power: the port is gone, `flash` holds what was written so far."""
        ...

    async def reset(self) -> None:
        """Reset the chip as its RUN pin does: the port goes and returns."""
        ...

    def throttle(self, bytes_per_s: float | None) -> None:
        """Limit the serial port in each direction; None takes the limit away."""
        ...

    def deafen(self, deaf: bool) -> None:
        """Leave what the host sends unread, as a hung REPL does."""
        ...

    def unplug(self, away_s: float | None) -> None:
        """Take the serial port off the host while the chip runs on; None: for good, until a reset."""
        ...


def create_core(backend: str, context: CoreContext) -> Core:
    """Return the core of a back end, `unix` or `rp2040`.

    Raises:
        UsageError: There is no such back end.
        StationError: The package behind it is not installed.
    """
    if backend == "unix":
        from mfg.emulator.unix_core import UnixCore

        return UnixCore(context)
    if backend == "rp2040":
        from mfg.emulator.rp2040_core import Rp2040Core

        return Rp2040Core(context)
    raise UsageError(f"The emulator has no back end {backend!r}.", "Use unix or rp2040.")
