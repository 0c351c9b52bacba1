"""The project's own UF2 images for the unix back end, generated, never committed.

They hold no RP2040 instructions: the unix back end knows them by a mark. All the rest is as in a real
image, so that the checks of the station and the rules of the boot ROM have something to bite on: blocks,
family, boot2 with its CRC, picotool's binary info. Their names say that they are emulator images.

Source: UF2 file format (microsoft/uf2); RP2040 datasheet 2.8.1.3.1 (boot2 CRC32); picotool binary info
(pico-sdk, pico/binary_info/structure.h and defs.h).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from mfg.emulator.core import FLASH_ADDRESS, FLASH_BYTES, RAM_ADDRESS, RAM_END_ADDRESS, Flash
from mfg.emulator.unix_vm import vm_identity

ERASE_FILE = "emulator-erase.uf2"
MICROPYTHON_FILE = "emulator-micropython.uf2"
ERASE_NAME = "flash erase (emulator image)"
ERASE_VERSION = "1"
MICROPYTHON_NAME = "MicroPython (emulator image)"
BOARD = "pico_w"
SDK_VERSION = "2.1.1"
FEATURE = "emulator image"

UF2_MAGIC_0, UF2_MAGIC_1, UF2_MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
UF2_FAMILY_PRESENT = 0x2000
RP2040_FAMILY = 0xE48BFF56
BLOCK_BYTES, HEADER_BYTES, PAYLOAD_BYTES = 512, 32, 256
BOOT2_BYTES, BOOT2_CODE_BYTES = 256, 252

ERASE_MARK = b"mfg emulator: erase the flash\0"
MICROPYTHON_MARK = b"mfg emulator: run MicroPython\0"
MARK_OFFSET = 0x20  # from the start of the program

INFO_BEGIN, INFO_END = 0x7188EBF2, 0xE71AA390
INFO_OFFSET = 0xD4
INFO_TYPE_STRING = 6
INFO_TAG = b"RP"
INFO_NAME, INFO_VERSION, INFO_BOARD = 0x02031C86, 0x11A9BC3A, 0xB63CFFBB
INFO_SDK, INFO_FEATURE = 0x5360B3AB, 0xA1F4B453


@dataclass(frozen=True)
class ProgramInfo:
    """What picotool would show of an image."""

    name: str
    version: str
    board: str = BOARD
    sdk_version: str = SDK_VERSION
    feature: str = FEATURE


def boot2_crc(code: bytes) -> int:
    """Return the CRC32 that the boot ROM compares: polynomial 04C11DB7, not reflected, not inverted.

    Args:
        code: The first 252 bytes of the flash.
    """
    crc = 0xFFFFFFFF
    for byte in code:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def has_valid_boot2(flash: Flash) -> bool:
    """Return whether the boot ROM would run this flash rather than show its drive."""
    stored = int.from_bytes(flash[BOOT2_CODE_BYTES:BOOT2_BYTES], "little")
    return boot2_crc(bytes(flash[:BOOT2_CODE_BYTES])) == stored


def is_micropython(flash: Flash) -> bool:
    """Return whether the flash holds the project's MicroPython image."""
    at = BOOT2_BYTES + MARK_OFFSET
    return bytes(flash[at : at + len(MICROPYTHON_MARK)]) == MICROPYTHON_MARK


def is_erase_program(content: bytes) -> bool:
    """Return whether a RAM program is the project's erase image."""
    return content[MARK_OFFSET : MARK_OFFSET + len(ERASE_MARK)] == ERASE_MARK


def micropython_image(version: str) -> bytes:
    """Return the UF2 file that makes the unix back end run its VM.

    Args:
        version: What the VM calls itself, as after "MicroPython " in its banner.
    """
    code = b"mfg emulator boot2".ljust(BOOT2_CODE_BYTES, b"\0")
    boot2 = code + struct.pack("<I", boot2_crc(code))
    program = _program(FLASH_ADDRESS + BOOT2_BYTES, MICROPYTHON_MARK, ProgramInfo(MICROPYTHON_NAME, version))
    return uf2(FLASH_ADDRESS, boot2 + program)


def erase_image() -> bytes:
    """Return the UF2 file whose program erases the flash and returns to the drive."""
    return uf2(RAM_ADDRESS, _program(RAM_ADDRESS, ERASE_MARK, ProgramInfo(ERASE_NAME, ERASE_VERSION)))


def flash_with_micropython() -> bytes:
    """Return a flash that holds the MicroPython image and is blank otherwise.

    Raises:
        StationError: The VM, whose version goes into the image, is not installed.
    """
    flash = bytearray(b"\xff" * FLASH_BYTES)
    image = micropython_image(vm_identity().version)
    for at in range(0, len(image), BLOCK_BYTES):
        address = int.from_bytes(image[at + 12 : at + 16], "little") - FLASH_ADDRESS
        start = at + HEADER_BYTES
        flash[address : address + PAYLOAD_BYTES] = image[start : start + PAYLOAD_BYTES]
    return bytes(flash)


def generate_images(folder: Path) -> tuple[Path, Path]:
    """Write both images, if they are not there in this form already.

    Returns:
        The paths of the erase image and of the MicroPython image.

    Raises:
        StationError: The VM, whose version goes into the image, is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    erase, micropython = folder / ERASE_FILE, folder / MICROPYTHON_FILE
    for path, content in ((erase, erase_image()), (micropython, micropython_image(vm_identity().version))):
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    return erase, micropython


def uf2(address: int, content: bytes, family: int = RP2040_FAMILY) -> bytes:
    """Return a UF2 file that loads `content`, padded to whole pages, to an address."""
    count = -(-len(content) // PAYLOAD_BYTES)
    blocks = []
    for number in range(count):
        data = content[number * PAYLOAD_BYTES : (number + 1) * PAYLOAD_BYTES]
        head = struct.pack(
            "<8I",
            UF2_MAGIC_0,
            UF2_MAGIC_1,
            UF2_FAMILY_PRESENT,
            address + number * PAYLOAD_BYTES,
            PAYLOAD_BYTES,
            number,
            count,
            family,
        )
        body = (head + data).ljust(BLOCK_BYTES - 4, b"\0")
        blocks.append(body + struct.pack("<I", UF2_MAGIC_END))
    return b"".join(blocks)


def _program(base: int, mark: bytes, info: ProgramInfo) -> bytes:
    """Return a program of one page and its binary info; `base` is the address it is loaded to."""
    image = bytearray(0x100)
    struct.pack_into("<2I", image, 0, RAM_END_ADDRESS, base + 0x101)  # stack and entry, as a vector table has
    image[MARK_OFFSET : MARK_OFFSET + len(mark)] = mark
    facts = (
        (INFO_NAME, info.name),
        (INFO_VERSION, info.version),
        (INFO_BOARD, info.board),
        (INFO_SDK, info.sdk_version),
        (INFO_FEATURE, info.feature),
    )
    pointers = []
    for identifier, text in facts:
        at = len(image)
        entry = struct.pack("<H2sII", INFO_TYPE_STRING, INFO_TAG, identifier, base + at + 12)
        image += entry + _padded(text.encode() + b"\0")
        pointers.append(base + at)
    table = len(image)
    image += struct.pack(f"<{len(pointers)}I", *pointers)
    mapping = len(image)
    image += struct.pack("<I", 0)
    struct.pack_into(
        "<5I", image, INFO_OFFSET, INFO_BEGIN, base + table, base + mapping, base + mapping, INFO_END
    )
    return bytes(image)


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // 4) * 4, b"\0")
