"""The RPI-RP2 drive that the RP2040's boot ROM shows, as a folder.

The real one is a USB disk that stores nothing: the boot ROM looks at every sector written to it and takes
what is a UF2 block for the RP2040. Here the sectors of every file in the folder are looked at as the file
grows. What is not a good block is ignored without a word, and a copy that is cut short leaves the drive
where it is. When all blocks of an image have arrived the drive vanishes.

Source: pico-bootrom, virtual_disk.c, as summed up in RP2040 datasheet 2.8.4.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path

from mfg.emulator.core import FLASH_ADDRESS, RAM_ADDRESS, RAM_END_ADDRESS, Flash, RamImage

LABEL = "RPI-RP2"
SECTOR_BYTES = 512
PAYLOAD_BYTES = 256
ERASE_BYTES = 4096
FLASH_WINDOW_BYTES = 1 << 24
UF2_MAGIC_0, UF2_MAGIC_1, UF2_MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
FLAG_NOT_MAIN_FLASH, FLAG_FAMILY = 0x0001, 0x2000
RP2040_FAMILY = 0xE48BFF56
SECTORS_PER_LOOK = 8192  # more than any image has; the rest waits for the next look

INFO_NAME, INDEX_NAME = "INFO_UF2.TXT", "INDEX.HTM"
INFO_TEXT = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n"
OTHER_CHIP_INFO_TEXT = "UF2 Bootloader v1.0\nModel: Raspberry Pi RP2350\nBoard-ID: RP2350\n"
_PAGE = "https://raspberrypi.com/device/RP2?version=E0C9125B0D9B"
INDEX_TEXT = (
    f'<html><head><meta http-equiv="refresh" content="0;URL=\'{_PAGE}\'"/></head>'
    f"<body>Redirecting to <a href='{_PAGE}'>{_PAGE}</a></body></html>\n"
)


@dataclass(frozen=True)
class Block:
    """One UF2 block that the boot ROM accepts."""

    address: int
    number: int
    total: int
    data: bytes

    @property
    def is_ram(self) -> bool:
        """Return whether the block goes to RAM."""
        return RAM_ADDRESS <= self.address < RAM_END_ADDRESS


def parse_block(sector: bytes) -> Block | None:
    """Return the block in a sector, or None where the boot ROM ignores it.

    Args:
        sector: 512 bytes.
    """
    first, second, flags, address, size, number, total, family = struct.unpack_from("<8I", sector)
    (end,) = struct.unpack_from("<I", sector, SECTOR_BYTES - 4)
    if (first, second, end) != (UF2_MAGIC_0, UF2_MAGIC_1, UF2_MAGIC_END):
        return None
    if not flags & FLAG_FAMILY or flags & FLAG_NOT_MAIN_FLASH or family != RP2040_FAMILY:
        return None
    if size != PAYLOAD_BYTES:
        return None
    return Block(address, number, total, sector[32 : 32 + PAYLOAD_BYTES])


@dataclass
class _Loading:
    """An image on its way."""

    total: int = 0
    is_ram: bool = False
    arrived: set[int] = field(default_factory=set)
    erased: set[int] = field(default_factory=set)
    ram: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Arrived:
    """A whole image has arrived; a flash image is in the flash already."""

    blocks: int
    ram_image: RamImage | None


class BootRom:
    """Takes sectors as the boot ROM does."""

    def __init__(self, flash: Flash) -> None:
        self._flash = flash
        self._loading = _Loading()

    @property
    def received_blocks(self) -> int:
        """Return how many distinct blocks of the present image have arrived."""
        return len(self._loading.arrived)

    def sector(self, sector: bytes) -> Arrived | None:
        """Look at one sector; return what arrived once it is complete."""
        block = parse_block(sector)
        if block is None:
            return None
        in_flash = FLASH_ADDRESS <= block.address < FLASH_ADDRESS + FLASH_WINDOW_BYTES
        if not block.total or not (block.is_ram or in_flash) or (in_flash and block.address % PAYLOAD_BYTES):
            self._loading = _Loading()
            return None
        if block.total != self._loading.total:
            self._loading = _Loading(block.total, block.is_ram)
        if block.is_ram != self._loading.is_ram or block.number >= block.total:
            self._loading = _Loading()
            return None
        if block.number not in self._loading.arrived:
            self._store(block)
        return self._complete()

    def _store(self, block: Block) -> None:
        loading = self._loading
        loading.arrived.add(block.number)
        if block.is_ram:
            loading.ram[block.address] = block.data
            return
        offset = block.address - FLASH_ADDRESS
        if offset + PAYLOAD_BYTES > len(self._flash):
            return  # Beyond the chip: there is nothing to write to.
        start = offset - offset % ERASE_BYTES
        if start not in loading.erased:
            loading.erased.add(start)
            self._flash[start : start + ERASE_BYTES] = b"\xff" * ERASE_BYTES
        self._flash[offset : offset + PAYLOAD_BYTES] = block.data

    def _complete(self) -> Arrived | None:
        loading = self._loading
        if len(loading.arrived) < loading.total:
            return None
        image = RamImage(min(loading.ram), loading.ram) if loading.is_ram else None
        return Arrived(len(loading.arrived), image)


class Drive:
    """The folder that plays the drive; one life from `appear` to `vanish`."""

    def __init__(self, mount_root: Path, scratch: Path, flash: Flash) -> None:
        """Prepare a drive that is not there yet.

        Args:
            mount_root: Where removable media appear, as /media/<user> on Linux.
            scratch: A folder on the same file system, out of the host's sight.
            flash: The unit's flash.
        """
        self._root = mount_root
        self._scratch = scratch
        self._flash = flash
        self._rom = BootRom(flash)
        self._read: dict[int, int] = {}  # inode -> bytes looked at
        self._folder: Path | None = None
        self._neighbour: Path | None = None
        self._lives = 0

    @property
    def present(self) -> bool:
        """Return whether the host can see the drive."""
        return self._folder is not None

    @property
    def received_blocks(self) -> int:
        """Return how many distinct blocks of the present image have arrived."""
        return self._rom.received_blocks

    def clean(self) -> None:
        """Remove what a process that was killed left behind."""
        self._root.mkdir(parents=True, exist_ok=True)
        for path in (*self._root.glob(f"{LABEL}*"), *self._scratch.glob(".drive-*")):
            shutil.rmtree(path, ignore_errors=True)

    def appear(self, other_chip: bool = False) -> None:
        """Show the drive, ready for a new image.

        Args:
            other_chip: The drive is one of an RP2350.
        """
        self._rom = BootRom(self._flash)
        self._read.clear()
        self._folder = self._show(LABEL, OTHER_CHIP_INFO_TEXT if other_chip else INFO_TEXT)

    def vanish(self) -> None:
        """Take the drive away, as when its USB device leaves the bus."""
        folder, self._folder = self._folder, None
        self._hide(folder)

    def show_neighbour(self, there: bool) -> None:
        """Let another unit in BOOTSEL hang on the same host, or not; it has a supply of its own."""
        if there and self._neighbour is None:
            self._neighbour = self._show(f"{LABEL}1", INFO_TEXT)
        elif not there:
            neighbour, self._neighbour = self._neighbour, None
            self._hide(neighbour)

    def _show(self, label: str, info: str) -> Path:
        self._root.mkdir(parents=True, exist_ok=True)
        hidden = self._hidden()
        hidden.mkdir(parents=True)
        (hidden / INFO_NAME).write_text(info, encoding="ascii")
        (hidden / INDEX_NAME).write_text(INDEX_TEXT, encoding="ascii")
        return hidden.rename(self._root / label)

    def _hide(self, shown: Path | None) -> None:
        if shown is None:
            return
        hidden = self._hidden()
        with contextlib.suppress(FileNotFoundError):  # Somebody removed the folder by hand.
            shown.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)

    def look(self, budget: int = SECTORS_PER_LOOK) -> Arrived | None:
        """Look at what was written since the last look, at most `budget` sectors; return a complete image."""
        for path in self._written_files():
            try:
                with path.open("rb") as file:
                    inode = os.fstat(file.fileno()).st_ino
                    file.seek(self._read.get(inode, 0))
                    while budget and (sector := file.read(SECTOR_BYTES)):
                        if len(sector) < SECTOR_BYTES or not any(sector):
                            break  # Not written yet: a host may reserve the space first.
                        budget -= 1
                        self._read[inode] = file.tell()
                        if (arrived := self._rom.sector(sector)) is not None:
                            return arrived
            except OSError:
                continue  # Removed or renamed while we looked: the next look sees what is there.
        return None

    def _written_files(self) -> list[Path]:
        if self._folder is None:
            return []
        try:
            paths = sorted(self._folder.iterdir())
        except FileNotFoundError:
            return []
        return [path for path in paths if path.name not in (INFO_NAME, INDEX_NAME) and path.is_file()]

    def _hidden(self) -> Path:
        self._lives += 1
        return self._scratch / f".drive-{os.getpid()}-{self._lives}"
