"""What the display shows, as a grid of characters. Pure; also runs under CPython.

15 columns by 20 rows. Only cells that differ from what is on the glass are drawn.
"""

from .stats import BOARD_TEMPERATURE, FIELDS_PER_PORT, IRMS, PORTS, PRMS, RSSI, VRMS

COLUMNS = 15
ROWS = 20
ADDRESS_ROW = 19
HIGHLIGHT = 0x80  # added to a character: warning colour
BLOCK = 0x01  # the red block
_BLOCK_CELL = 17 * COLUMNS + 14
_NOTHING = 0xFF  # no character: differs from every cell
_SPACE = 0x20


class Grid:
    """The characters to show and those on the glass."""

    def __init__(self):
        self.cells = bytearray(b" " * (COLUMNS * ROWS))
        self._glass = bytearray(len(self.cells))
        self.forget()

    def forget(self):
        """Take the glass as unknown: every cell will be drawn."""
        for index in range(len(self._glass)):
            self._glass[index] = _NOTHING

    def put(self, row, text, highlight=False):
        """Fill a row with `text`, cut or padded to its width; what is no ASCII becomes `?`."""
        start = row * COLUMNS
        for column in range(COLUMNS):
            code = ord(text[column]) if column < len(text) else _SPACE
            if not _SPACE <= code < 0x7F:
                code = 0x3F
            self.cells[start + column] = code | HIGHLIGHT if highlight and code != _SPACE else code

    def block(self, shown):
        """Show or remove the block that says that the button is pressed."""
        self.cells[_BLOCK_CELL] = BLOCK if shown else _SPACE

    def changes(self):
        """Yield (column, row, code) of each cell that differs; it then counts as drawn."""
        for index, code in enumerate(self.cells):
            if self._glass[index] != code:
                self._glass[index] = code
                yield index % COLUMNS, index // COLUMNS, code


def fill(grid, values, calibrated, in_amperes, bottom):
    """Fill a grid from a set of readings.

    Args:
        grid: The grid.
        values: A set of readings, or None before the first.
        calibrated: Whether there is a factory file; without one no reading is shown.
        in_amperes: Currents in place of powers.
        bottom: The bottom line: the address, or what is being done to get one.
    """
    for row in range(ADDRESS_ROW):
        if row != _BLOCK_CELL // COLUMNS:
            grid.put(row, "")
    grid.put(ADDRESS_ROW, bottom)
    if not calibrated:
        grid.put(4, " Uncalibrated", True)
        grid.put(6, " unit", True)
    if values is None or not calibrated:
        return
    _put_ports(grid, values, in_amperes)
    grid.put(12, "  %8.1f V" % values[VRMS])
    grid.put(14, "  %8d dBm" % round(values[RSSI]))
    grid.put(16, "  %8.1f C" % values[BOARD_TEMPERATURE])


def _put_ports(grid, values, in_amperes):
    for port in range(PORTS):
        first = port * FIELDS_PER_PORT
        if in_amperes:
            text = "CT%d %8.2f A" % (port + 1, values[first + IRMS])
        else:
            text = "CT%d %8.3f kW" % (port + 1, values[first + PRMS] / 1000)
        grid.put(2 * port, text)
