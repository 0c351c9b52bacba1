"""The ST7789 display controller with its 240 x 320 panel, as an SPI slave that is only written to.

The panel is mounted upright for MADCTL 0 and is of the kind that shows true colours with inversion on
(INVON). The order of red and blue in MADCTL is ignored.

Source: Sitronix ST7789V datasheet, section 9, system function command table 1.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

WIDTH = 240
HEIGHT = 320
BYTES_PER_PIXEL = 2

SWRESET = 0x01
SLPIN = 0x10
SLPOUT = 0x11
INVOFF = 0x20
INVON = 0x21
DISPOFF = 0x28
DISPON = 0x29
CASET = 0x2A
RASET = 0x2B
RAMWR = 0x2C
MADCTL = 0x36
COLMOD = 0x3A
RAMWRC = 0x3C

MADCTL_MY = 0x80
MADCTL_MX = 0x40
MADCTL_MV = 0x20

COLMOD_FORMAT_MASK = 0x07
COLMOD_16_BIT = 0x05
COLMOD_RESET = 0x66  # 18 bits per pixel in three bytes
WINDOW_PARAMETERS = 4


@dataclass(frozen=True)
class Frame:
    """What the panel shows: rows from the top, pixels from the left, RGB565 with the high byte first."""

    width: int
    height: int
    powered: bool  # the panel is lit: it has power, is awake and switched on
    rgb565: bytes


BLACK = bytes(WIDTH * HEIGHT * BYTES_PER_PIXEL)


class St7789:
    """The controller's state and its frame memory."""

    def __init__(self) -> None:
        self._memory = bytearray(BLACK)
        self.frozen = False  # a fault: new pixels do not arrive
        self.reset()

    def reset(self) -> None:
        """Take the state of a controller that just got its power; the picture is lost."""
        self._memory[:] = BLACK
        self._software_reset()

    def _software_reset(self) -> None:
        self._awake = False
        self._on = False
        self._inverted = False
        self._rotation = 0
        self._format = COLMOD_RESET
        self._columns = (0, WIDTH - 1)
        self._rows = (0, HEIGHT - 1)
        self._command = 0
        self._parameters = bytearray()
        self._pixel_rest = b""
        self._position = 0  # pixels written since the window's first

    # ---- SPI ------------------------------------------------------------------------------------

    def command(self, data: bytes) -> None:
        """Take bytes that came with D/C low: every one begins a command."""
        for code in data:
            self._begin(code)

    def _begin(self, code: int) -> None:
        self._command = code
        self._parameters.clear()
        self._pixel_rest = b""
        if code == SWRESET:
            self._software_reset()
        elif code in (SLPIN, SLPOUT):
            self._awake = code == SLPOUT
        elif code in (INVOFF, INVON):
            self._inverted = code == INVON
        elif code in (DISPOFF, DISPON):
            self._on = code == DISPON
        elif code == RAMWR:
            self._position = 0

    def data(self, data: bytes) -> None:
        """Take bytes that came with D/C high: parameters or pixels of the last command."""
        if self._command in (RAMWR, RAMWRC):
            self._pixels(data)
            return
        self._parameters += data
        if self._command in (CASET, RASET):
            self._set_window()
        elif self._command == MADCTL and self._parameters:
            self._rotation = self._parameters[0]
        elif self._command == COLMOD and self._parameters:
            self._format = self._parameters[0]

    def _set_window(self) -> None:
        if len(self._parameters) != WINDOW_PARAMETERS:
            return
        first = self._parameters[0] << 8 | self._parameters[1]
        last = self._parameters[2] << 8 | self._parameters[3]
        if self._command == CASET:
            self._columns = (first, last)
        else:
            self._rows = (first, last)

    # ---- pixels ---------------------------------------------------------------------------------

    def _pixels(self, data: bytes) -> None:
        data = self._pixel_rest + data
        size = 2 if self._format & COLMOD_FORMAT_MASK == COLMOD_16_BIT else 3
        whole = len(data) // size * size
        self._pixel_rest = data[whole:]
        pixels = data[:whole] if size == BYTES_PER_PIXEL else _from_666(data[:whole])
        width = self._columns[1] - self._columns[0] + 1
        height = self._rows[1] - self._rows[0] + 1
        if width <= 0 or height <= 0:
            return
        offset = 0
        while offset < len(pixels):
            row, column = divmod(self._position, width)
            row %= height  # past the last pixel the controller starts again at the first
            count = min(width - column, (len(pixels) - offset) // BYTES_PER_PIXEL)
            if not self.frozen:
                run = pixels[offset : offset + count * BYTES_PER_PIXEL]
                self._store(self._columns[0] + column, self._rows[0] + row, run)
            offset += count * BYTES_PER_PIXEL
            self._position += count

    def _store(self, column: int, row: int, run: bytes) -> None:
        """Store pixels that follow each other in one row of the addressed window."""
        if self._rotation & (MADCTL_MV | MADCTL_MX | MADCTL_MY):
            for index in range(len(run) // BYTES_PER_PIXEL):
                pixel = run[index * BYTES_PER_PIXEL : (index + 1) * BYTES_PER_PIXEL]
                self._store_rotated(column + index, row, pixel)
            return
        count = min(len(run) // BYTES_PER_PIXEL, WIDTH - column)
        if row < HEIGHT and count > 0:
            start = (row * WIDTH + column) * BYTES_PER_PIXEL
            self._memory[start : start + count * BYTES_PER_PIXEL] = run[: count * BYTES_PER_PIXEL]

    def _store_rotated(self, column: int, row: int, pixel: bytes) -> None:
        x, y = (row, column) if self._rotation & MADCTL_MV else (column, row)
        if self._rotation & MADCTL_MX:
            x = WIDTH - 1 - x
        if self._rotation & MADCTL_MY:
            y = HEIGHT - 1 - y
        if 0 <= x < WIDTH and 0 <= y < HEIGHT:
            start = (y * WIDTH + x) * BYTES_PER_PIXEL
            self._memory[start : start + BYTES_PER_PIXEL] = pixel

    # ---- what is seen ---------------------------------------------------------------------------

    def frame(self) -> Frame:
        """Return what the panel shows."""
        if not (self._awake and self._on):
            return Frame(WIDTH, HEIGHT, False, BLACK)
        shown = bytes(self._memory)
        if not self._inverted:
            shown = (int.from_bytes(shown, "big") ^ ((1 << 8 * len(shown)) - 1)).to_bytes(len(shown), "big")
        return Frame(WIDTH, HEIGHT, True, shown)


def dark_frame() -> Frame:
    """Return what a panel without power shows."""
    return Frame(WIDTH, HEIGHT, False, BLACK)


def mirrored(frame: Frame) -> Frame:
    """Return a frame with left and right exchanged."""
    pixels = array("H", frame.rgb565)
    turned = array("H")
    for start in range(0, len(pixels), frame.width):
        turned.extend(reversed(pixels[start : start + frame.width]))
    return Frame(frame.width, frame.height, frame.powered, turned.tobytes())


def _from_666(data: bytes) -> bytes:
    """Return RGB565 for pixels of three bytes with six valid bits each."""
    pixels = bytearray()
    for index in range(0, len(data), 3):
        red, green, blue = data[index : index + 3]
        value = (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3
        pixels += value.to_bytes(2, "big")
    return bytes(pixels)
