"""The ST7789 display, 240 x 320, drawn cell by cell with the built-in 8x8 font at twice its size.

Source: Sitronix ST7789V data sheet; CT6 interface description 1.1 and 1.6.
"""

import asyncio

import framebuf
from machine import SPI, Pin
from micropython import const

from . import log
from .screen import BLOCK, HIGHLIGHT

_WIDTH = const(240)
_HEIGHT = const(320)
_CELL = const(16)
_CELL_BYTES = const(_CELL * _CELL * 2)
_CELLS_PER_TURN = const(8)

_SWRESET = const(0x01)
_SLPOUT = const(0x11)
_INVON = const(0x21)
_DISPON = const(0x29)
_CASET = const(0x2A)
_RASET = const(0x2B)
_RAMWR = const(0x2C)
_MADCTL = const(0x36)
_COLMOD = const(0x3A)
_WAKE_MS = const(120)

_WHITE, _YELLOW, _RED = b"\xff\xff", b"\xff\xe0", b"\xf8\x00"


class Display:
    """The display, its power and what is on its glass."""

    def __init__(self, grid):
        self._grid = grid
        self._power = Pin(7, Pin.OUT, value=0)
        self._spi = SPI(1, baudrate=31250000, sck=Pin(10), mosi=Pin(11))
        self._data = Pin(12, Pin.OUT, value=1)
        self._select = Pin(17, Pin.OUT, value=1)
        self._glyph = bytearray(8)
        self._font = framebuf.FrameBuffer(self._glyph, 8, 8, framebuf.MONO_HLSB)
        self._cell = bytearray(_CELL_BYTES)
        # For each colour: four dots of a glyph, twice as wide, for each of the 16 patterns.
        self._dots = (_dots(_WHITE), _dots(_YELLOW))
        self.is_on = False

    async def on(self):
        """Switch the display on; nothing happens if it is."""
        if self.is_on:
            return
        self._power.value(1)
        await asyncio.sleep_ms(_WAKE_MS)
        self._command(_SWRESET)
        await asyncio.sleep_ms(_WAKE_MS)
        self._command(_SLPOUT)
        await asyncio.sleep_ms(_WAKE_MS)
        self._command(_COLMOD, b"\x55")  # 16 bits per dot
        self._command(_MADCTL, b"\x00")  # upright, red first
        self._command(_INVON)  # this panel shows inverted otherwise
        self._clear()
        self._command(_DISPON)
        self._grid.forget()
        self.is_on = True
        log.info("Turned the display on.")

    def off(self):
        """Switch the display's supply off."""
        if self.is_on:
            self._power.value(0)
            self.is_on = False
            log.info("Turned the display off.")

    async def draw(self):
        """Draw the cells that changed, a few at a time."""
        drawn = 0
        for column, row, code in self._grid.changes():
            if not self.is_on:
                return
            self._draw_cell(column, row, code)
            drawn += 1
            if drawn % _CELLS_PER_TURN == 0:
                await asyncio.sleep_ms(0)

    def _command(self, command, data=b""):
        self._select.value(0)
        self._data.value(0)
        self._spi.write(bytes((command,)))
        if data:
            self._data.value(1)
            self._spi.write(data)
        self._select.value(1)

    def _window(self, left, top, width, height):
        right, bottom = left + width - 1, top + height - 1
        self._command(_CASET, bytes((left >> 8, left & 0xFF, right >> 8, right & 0xFF)))
        self._command(_RASET, bytes((top >> 8, top & 0xFF, bottom >> 8, bottom & 0xFF)))

    def _clear(self):
        self._window(0, 0, _WIDTH, _HEIGHT)
        self._fill(b"\x00\x00")
        self._select.value(0)
        self._data.value(0)
        self._spi.write(bytes((_RAMWR,)))
        self._data.value(1)
        for _ in range(_WIDTH * _HEIGHT * 2 // _CELL_BYTES):
            self._spi.write(self._cell)
        self._select.value(1)

    def _fill(self, colour):
        cell = self._cell
        for index in range(0, _CELL_BYTES, 2):
            cell[index] = colour[0]
            cell[index + 1] = colour[1]

    def _draw_cell(self, column, row, code):
        if code == BLOCK:
            self._fill(_RED)
        else:
            self._font.fill(0)
            self._font.text(chr(code & 0x7F), 0, 0, 1)
            dots = self._dots[1 if code & HIGHLIGHT else 0]
            cell = self._cell
            at = 0
            for line in self._glyph:
                high = (line >> 4) * 16
                low = (line & 15) * 16
                for _ in range(2):
                    cell[at : at + 16] = dots[high : high + 16]
                    cell[at + 16 : at + 32] = dots[low : low + 16]
                    at += 32
        self._window(column * _CELL, row * _CELL, _CELL, _CELL)
        self._command(_RAMWR, self._cell)


def _dots(colour):
    table = bytearray(16 * 16)
    for pattern in range(16):
        for dot in range(8):
            if pattern & (8 >> (dot // 2)):
                at = pattern * 16 + dot * 2
                table[at] = colour[0]
                table[at + 1] = colour[1]
    return memoryview(table)
