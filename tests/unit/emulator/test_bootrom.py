"""The RPI-RP2 drive follows the boot ROM's rules."""

from __future__ import annotations

import random
import struct

import pytest

from mfg.emulator.bootrom import Drive
from mfg.emulator.core import FLASH_ADDRESS, FLASH_BYTES, RAM_ADDRESS
from mfg.emulator.images import uf2

RP2350_FAMILY = 0xE48BFF59
CONTENT = bytes(random.Random(1).randrange(256) for _ in range(9 * 4096 + 700))


@pytest.fixture
def flash():
    return bytearray(b"\x5a" * FLASH_BYTES)


@pytest.fixture
def drive(tmp_path, flash):
    drive = Drive(tmp_path / "media", tmp_path, flash)
    drive.clean()
    drive.appear()
    return drive


@pytest.fixture
def folder(tmp_path, drive):
    return tmp_path / "media" / "RPI-RP2"


def _word(image: bytes, block: int, offset: int, value: int) -> bytes:
    changed = bytearray(image)
    struct.pack_into("<I", changed, block * 512 + offset, value)
    return bytes(changed)


def test_drive_shows_what_the_host_looks_for(folder):
    info = (folder / "INFO_UF2.TXT").read_text().splitlines()
    assert info == ["UF2 Bootloader v3.0", "Model: Raspberry Pi RP2", "Board-ID: RPI-RP2"]
    assert "RP2" in (folder / "INDEX.HTM").read_text()


def test_a_whole_image_ends_up_in_the_flash(drive, folder, flash):
    (folder / "image.uf2").write_bytes(uf2(FLASH_ADDRESS, CONTENT))
    arrived = drive.look()
    assert arrived is not None
    assert arrived.ram_image is None
    assert flash[: len(CONTENT)] == CONTENT
    # The last page is padded with 0, the rest of the last sector is erased, the next sector is untouched.
    end = -(-len(CONTENT) // 256) * 256
    assert flash[end : 10 * 4096] == b"\xff" * (10 * 4096 - end)
    assert flash[10 * 4096 :] == b"\x5a" * (FLASH_BYTES - 10 * 4096)


def test_a_sector_is_erased_at_its_first_touch_only(drive, folder, flash):
    (folder / "image.uf2").write_bytes(uf2(FLASH_ADDRESS + 8192 + 256, b"\x11" * 512))
    assert drive.look() is not None
    assert flash[8192:12288] == b"\xff" * 256 + b"\x11" * 512 + b"\xff" * (4096 - 768)


def test_a_copy_is_followed_as_it_grows(drive, folder):
    image = uf2(FLASH_ADDRESS, CONTENT)
    with (folder / "image.uf2").open("wb") as file:
        for at in range(0, len(image) - 700, 700):
            file.write(image[at : at + 700])
            file.flush()
            assert drive.look() is None
        file.write(image[at + 700 :])
        file.flush()
        assert drive.look() is not None


def test_a_truncated_copy_leaves_the_drive_and_a_second_copy_completes_it(drive, folder):
    image = uf2(FLASH_ADDRESS, CONTENT)
    (folder / "image.uf2").write_bytes(image[: 512 * 40 + 100])
    assert drive.look() is None
    assert drive.received_blocks == 40
    (folder / "again.uf2").write_bytes(image)
    assert drive.look() is not None


def test_the_order_of_the_blocks_does_not_matter(drive, folder, flash):
    image = uf2(FLASH_ADDRESS, CONTENT)
    blocks = [image[at : at + 512] for at in range(0, len(image), 512)]
    random.Random(2).shuffle(blocks)
    (folder / "image.uf2").write_bytes(b"".join(blocks))
    assert drive.look() is not None
    assert flash[: len(CONTENT)] == CONTENT


def test_space_that_the_host_reserved_is_looked_at_again(drive, folder):
    image = uf2(FLASH_ADDRESS, CONTENT)
    with (folder / "image.uf2").open("wb") as file:
        file.truncate(len(image))
        file.flush()
        assert drive.look() is None
        file.write(image)
        file.flush()
        assert drive.look() is not None


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0, 0x0A324656),
        (4, 0),
        (8, 0),  # no family
        (8, 0x2001),  # not for the main flash
        (16, 476),  # payload size
        (28, RP2350_FAMILY),
        (508, 0),
    ],
)
def test_a_block_that_is_not_for_this_chip_is_ignored(drive, folder, offset, value):
    image = uf2(FLASH_ADDRESS, CONTENT)
    (folder / "image.uf2").write_bytes(_word(image, 3, offset, value))
    assert drive.look() is None
    assert drive.received_blocks == len(image) // 512 - 1


def test_an_image_for_another_chip_changes_nothing(drive, folder, flash):
    (folder / "image.uf2").write_bytes(uf2(FLASH_ADDRESS, CONTENT, RP2350_FAMILY))
    (folder / "letter.txt").write_bytes(b"Dear sir, " * 500)
    assert drive.look() is None
    assert flash == b"\x5a" * FLASH_BYTES


def test_another_number_of_blocks_starts_over(drive, folder):
    image = uf2(FLASH_ADDRESS, CONTENT)
    (folder / "a.uf2").write_bytes(image[:-512])
    assert drive.look() is None
    (folder / "b.uf2").write_bytes(uf2(FLASH_ADDRESS, CONTENT[:4096])[:-512])
    assert drive.look() is None
    assert drive.received_blocks == 15


def test_ram_and_flash_blocks_do_not_mix(drive, folder):
    image = uf2(FLASH_ADDRESS, CONTENT[:1024])
    (folder / "image.uf2").write_bytes(_word(image, 2, 12, RAM_ADDRESS))
    assert drive.look() is None


def test_a_flash_block_off_the_page_grid_starts_over(drive, folder):
    image = uf2(FLASH_ADDRESS, CONTENT[:1024])
    (folder / "image.uf2").write_bytes(_word(image, 3, 12, FLASH_ADDRESS + 0x310))
    assert drive.look() is None
    assert drive.received_blocks == 0


def test_a_ram_image_starts_at_its_lowest_address(drive, folder, flash):
    (folder / "image.uf2").write_bytes(uf2(RAM_ADDRESS + 0x400, CONTENT[:1000]))
    arrived = drive.look()
    assert arrived is not None
    assert arrived.ram_image is not None
    assert arrived.ram_image.start == RAM_ADDRESS + 0x400
    assert arrived.ram_image.content() == CONTENT[:1000].ljust(1024, b"\0")
    assert flash == b"\x5a" * FLASH_BYTES


def test_blocks_beyond_the_flash_are_counted_but_go_nowhere(drive, folder, flash):
    image = uf2(FLASH_ADDRESS + FLASH_BYTES - 256, CONTENT[:512])
    (folder / "image.uf2").write_bytes(image)
    assert drive.look() is not None
    assert flash[-256:] == CONTENT[:256]
    assert len(flash) == FLASH_BYTES


def test_a_new_life_of_the_drive_forgets_the_half_image(drive, folder):
    image = uf2(FLASH_ADDRESS, CONTENT)
    (folder / "image.uf2").write_bytes(image[:5120])
    assert drive.look() is None
    drive.vanish()
    assert not folder.exists()
    assert not drive.present
    drive.appear()
    assert sorted(path.name for path in folder.iterdir()) == ["INDEX.HTM", "INFO_UF2.TXT"]
    (folder / "image.uf2").write_bytes(image[5120:])
    assert drive.look() is None


def test_another_chip_can_be_shown(tmp_path, flash):
    drive = Drive(tmp_path / "media", tmp_path, flash)
    drive.appear(other_chip=True)
    assert "RP2350" in (tmp_path / "media" / "RPI-RP2" / "INFO_UF2.TXT").read_text()


def test_a_neighbours_drive_is_there_whatever_the_units_own_does(tmp_path, flash):
    media = tmp_path / "media"
    drive = Drive(media, tmp_path, flash)
    drive.show_neighbour(there=True)
    drive.show_neighbour(there=True)
    assert [path.name for path in media.iterdir()] == ["RPI-RP21"]
    assert not drive.present
    drive.appear()
    assert sorted(path.name for path in media.iterdir()) == ["RPI-RP2", "RPI-RP21"]
    drive.vanish()
    assert [path.name for path in media.iterdir()] == ["RPI-RP21"]
    drive.show_neighbour(there=False)
    assert list(media.iterdir()) == []


def test_what_a_killed_process_left_behind_is_removed(tmp_path, flash):
    Drive(tmp_path / "media", tmp_path, flash).appear()
    fresh = Drive(tmp_path / "media", tmp_path, flash)
    fresh.clean()
    assert list((tmp_path / "media").iterdir()) == []
