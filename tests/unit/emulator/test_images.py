"""The project's own UF2 images pass the checks that a real image passes."""

from __future__ import annotations

import struct

import pytest

from mfg.emulator.bootrom import BootRom
from mfg.emulator.core import FLASH_ADDRESS, FLASH_BYTES, RAM_ADDRESS
from mfg.emulator.images import (
    boot2_crc,
    erase_image,
    generate_images,
    has_valid_boot2,
    is_erase_program,
    is_micropython,
    micropython_image,
)
from mfg.emulator.unix_vm import vm_identity

VERSION = "v1.29.0-preview.g0123456789"


def _loaded(image: bytes):
    flash = bytearray(b"\xff" * FLASH_BYTES)
    rom = BootRom(flash)
    arrived = [rom.sector(image[at : at + 512]) for at in range(0, len(image), 512)]
    assert all(one is None for one in arrived[:-1])
    assert arrived[-1] is not None
    return flash, arrived[-1]


def _binary_info(content: bytes, base: int, window: range) -> dict[int, str]:
    """Read picotool's binary info; written here from the SDK's headers, not from images.py."""

    def word(address: int) -> int:
        return struct.unpack_from("<I", content, address - base)[0]

    header = next(a for a in window if word(a) == 0x7188EBF2 and word(a + 16) == 0xE71AA390)
    facts = {}
    for pointer in range(word(header + 4), word(header + 8), 4):
        kind, tag, identifier, text = struct.unpack_from("<H2sII", content, word(pointer) - base)
        assert (kind, tag) == (6, b"RP")
        facts[identifier] = content[text - base :].partition(b"\0")[0].decode()
    assert word(word(header + 12)) == 0  # no address mapping
    return facts


def test_boot2_crc_is_the_one_of_the_boot_rom():
    """CRC-32/MPEG-2, whose published check value over "123456789" is 0376E6E7."""
    assert boot2_crc(b"123456789") == 0x0376E6E7


def test_micropython_image_makes_the_flash_bootable_and_names_itself():
    flash, arrived = _loaded(micropython_image(VERSION))
    assert arrived.ram_image is None
    assert has_valid_boot2(flash)
    assert is_micropython(flash)
    start = FLASH_ADDRESS + 0x100
    facts = _binary_info(bytes(flash[:0x1000]), FLASH_ADDRESS, range(start, start + 0x100, 4))
    assert facts[0x02031C86] == "MicroPython (emulator image)"
    assert facts[0x11A9BC3A] == VERSION
    assert facts[0xB63CFFBB] == "pico_w"


def test_micropython_image_leaves_the_file_system_alone():
    flash = bytearray(b"\x55" * FLASH_BYTES)
    rom = BootRom(flash)
    image = micropython_image(VERSION)
    for at in range(0, len(image), 512):
        rom.sector(image[at : at + 512])
    assert flash[0x12C000:] == b"\x55" * (FLASH_BYTES - 0x12C000)


def test_erase_image_is_a_ram_program_and_names_itself():
    flash, arrived = _loaded(erase_image())
    assert arrived.ram_image is not None
    assert arrived.ram_image.start == RAM_ADDRESS
    content = arrived.ram_image.content()
    assert is_erase_program(content)
    facts = _binary_info(content, RAM_ADDRESS, range(RAM_ADDRESS, RAM_ADDRESS + 0x100, 4))
    assert facts[0x02031C86] == "flash erase (emulator image)"
    assert flash == b"\xff" * FLASH_BYTES


@pytest.mark.parametrize("content", [b"\xff" * FLASH_BYTES, bytes(FLASH_BYTES)])
def test_blank_flash_is_not_bootable(content):
    assert not has_valid_boot2(bytearray(content))
    assert not is_micropython(bytearray(content))


def test_a_changed_bit_in_boot2_makes_the_flash_unbootable():
    flash, _ = _loaded(micropython_image(VERSION))
    flash[17] ^= 4
    assert not has_valid_boot2(flash)


def test_generated_images_carry_the_version_of_the_vm_and_are_written_once(tmp_path):
    erase, micropython = generate_images(tmp_path)
    assert vm_identity().version.encode() in micropython.read_bytes()
    before = erase.stat().st_mtime_ns, micropython.stat().st_mtime_ns
    assert generate_images(tmp_path) == (erase, micropython)
    assert (erase.stat().st_mtime_ns, micropython.stat().st_mtime_ns) == before
