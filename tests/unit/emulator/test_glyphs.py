"""Reading a display frame by its pixels."""

import random
import struct
import zlib
from array import array

import pytest

from mfg.emulator.glyphs import CELL, FONT_8X8, GLYPHS, frame_png, read_text
from mfg.emulator.st7789 import HEIGHT, WIDTH, Frame, dark_frame, mirrored

BLUE, WHITE, RED, YELLOW, BLACK = 0x0010, 0xFFFF, 0xF800, 0xFFE0, 0x0000


class Picture:
    """A frame that a test draws on."""

    def __init__(self, background=BLACK):
        self.pixels = [background] * (WIDTH * HEIGHT)

    def box(self, left, top, width, height, colour):
        for y in range(top, top + height):
            self.pixels[y * WIDTH + left : y * WIDTH + left + width] = [colour] * width

    def text(self, text, x, y, scale, colour=WHITE, background=BLACK):
        for index, char in enumerate(text):
            glyph = FONT_8X8[(ord(char) - 0x20) * CELL :][:CELL]
            left = x + index * CELL * scale
            for row in range(CELL):
                for column in range(CELL):
                    lit = glyph[row] >> (CELL - 1 - column) & 1
                    self.box(
                        left + column * scale, y + row * scale, scale, scale, colour if lit else background
                    )
        return self

    def frame(self):
        words = array("H", self.pixels)
        words.byteswap()
        return Frame(WIDTH, HEIGHT, True, words.tobytes())

    def lines(self):
        return read_text(self.frame())


def test_the_table_has_96_different_characters():
    assert len(FONT_8X8) == 96 * CELL
    assert len(GLYPHS) == 96


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_every_printable_character_is_read_at_every_scale(scale):
    characters = [chr(code) for code in range(0x21, 0x7F) if chr(code) != "_"]
    per_line = WIDTH // (CELL * scale)
    per_frame = per_line * (HEIGHT // (CELL * scale))
    for first in range(0, len(characters), per_frame):
        lines = ["".join(characters[at : at + per_line]) for at in range(first, len(characters), per_line)]
        lines = lines[: per_frame // per_line]
        picture = Picture()
        for number, line in enumerate(lines):
            picture.text(line, 0, number * CELL * scale, scale)
        assert picture.lines() == lines


@pytest.mark.parametrize(("x", "y", "scale"), [(0, 0, 2), (3, 17, 2), (5, 101, 3), (1, 307, 1), (7, 2, 4)])
def test_text_is_found_at_any_place(x, y, scale):
    assert Picture().text("10.0.0", x, y, scale).lines() == ["10.0.0"]


@pytest.mark.parametrize(("colour", "background"), [(WHITE, BLACK), (BLACK, WHITE), (YELLOW, BLUE), (1, 2)])
def test_text_is_read_in_any_colours(colour, background):
    picture = Picture(background)
    assert picture.text("232.1 V", 8, 40, 3, colour, background).lines() == ["232.1 V"]


def test_a_bar_with_a_background_of_its_own_is_read():
    picture = Picture()
    picture.box(0, 20, WIDTH, 30, WHITE)
    picture.text("UNCALIBRATED", 5, 25, 2, BLACK, WHITE)
    picture.text("10.0.0.2", 0, 100, 3)
    assert picture.lines() == ["UNCALIBRATED", "10.0.0.2"]


def test_a_whole_screen_with_a_red_block_is_read_from_top_to_bottom():
    picture = Picture(BLUE)
    rows = [f"CT{port} {port * 1.234:8.3f} kW" for port in range(1, 7)]
    for index, row in enumerate(rows):
        picture.text(row, 0, index * 32, 2, WHITE, BLUE)
    picture.text("232.1", 0, 200, 4, YELLOW, BLUE)
    picture.text("V", 180, 216, 2, YELLOW, BLUE)
    picture.text("gypsy 10.0.0.2", 0, 280, 1, WHITE, BLUE)
    picture.box(224, 304, 16, 16, RED)
    assert picture.lines() == [*rows, "232.1", "V", "gypsy 10.0.0.2"]


def test_lines_without_a_gap_between_them_are_read():
    picture = Picture()
    lines = ["gjpqy", "ABCDE", "12,45"]
    for index, line in enumerate(lines):
        picture.text(line, 0, index * 16, 2)
    assert picture.lines() == lines


def test_spaces_inside_a_line_keep_their_number():
    assert Picture().text("A   B", 0, 0, 2).lines() == ["A   B"]


def test_a_mirrored_picture_is_unreadable():
    picture = Picture().text("CT1    1.234 kW", 0, 0, 2).text("10.0.0.2", 0, 100, 2)
    assert read_text(mirrored(picture.frame())) == []


def test_a_picture_upside_down_is_unreadable():
    frame = Picture().text("CT1    1.234 kW", 0, 0, 2).text("192.168.7.53", 0, 100, 2).frame()
    words = array("H", frame.rgb565)
    words.reverse()
    lines = read_text(Frame(WIDTH, HEIGHT, True, words.tobytes()))
    assert "192.168.7.53" not in " ".join(lines)


@pytest.mark.parametrize("colour", [BLACK, WHITE, RED])
def test_an_empty_picture_says_nothing(colour):
    assert Picture(colour).lines() == []


def test_a_dark_display_says_nothing():
    assert read_text(dark_frame()) == []


def test_noise_is_given_up():
    noise = random.Random(3)
    picture = Picture()
    picture.pixels = [noise.choice((BLACK, BLACK, BLACK, WHITE)) for _ in picture.pixels]
    assert "".join(picture.lines()) == ""


def test_the_png_holds_every_pixel_in_full_colour():
    picture = Picture()
    picture.pixels[0] = RED
    picture.pixels[-1] = WHITE
    png = frame_png(picture.frame())
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (WIDTH, HEIGHT)
    length = struct.unpack(">I", png[33:37])[0]
    rows = zlib.decompress(png[41 : 41 + length])
    assert len(rows) == HEIGHT * (1 + 3 * WIDTH)
    assert rows[1:4] == b"\xff\x00\x00"
    assert rows[-3:] == b"\xff\xff\xff"
