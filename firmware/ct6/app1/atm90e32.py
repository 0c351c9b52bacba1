"""One ATM90E32AS metering chip on its SPI bus.

Every write is proved twice: by the chip's record of the last access and by reading the register back.

Source: CT6 interface description 7.1; ATM90E32AS data sheet (Atmel-46003B), SPI interface.
"""

from micropython import const

from . import registers

_WRITE_TRIES = const(3)


class ChipError(Exception):
    """The chip does not hold what was written."""


class Atm90e32:
    """The chip that `select` (a pin, active low) selects on `spi`."""

    def __init__(self, spi, select, name):
        self.name = name
        self._spi = spi
        self._select = select
        self._sent = bytearray(4)
        self._got = bytearray(4)
        self.gains = (0, 0, 0)  # current gains in force
        select.value(1)

    def _frame(self, address, value):
        # The chip wants 0.2 us between its select and the first clock; the interpreter takes longer.
        sent = self._sent
        sent[0] = address >> 8
        sent[1] = address & 0xFF
        sent[2] = value >> 8
        sent[3] = value & 0xFF
        self._select.value(0)
        self._spi.write_readinto(sent, self._got)
        self._select.value(1)
        return self._got[2] << 8 | self._got[3]

    def read(self, address):
        """Return a register."""
        return self._frame(0x8000 | address, 0)

    def write(self, address, value):
        """Write a register and prove it.

        Raises:
            ChipError: The chip does not hold the value after three tries.
        """
        for _ in range(_WRITE_TRIES):
            self._frame(address, value)
            if self.read(registers.LAST_DATA) != value:
                continue
            if address in registers.STATUS_CLEAR or address == registers.ACCESS:
                return
            if self.read(address) == value:
                return
        raise ChipError("%s does not keep register 0x%02X" % (self.name, address))

    def reset(self):
        """Reset the chip's logic; all its registers return to their reset values."""
        self._frame(registers.SOFT_RESET, registers.SOFT_RESET_KEY)

    def set_up(self, *settings):
        """Write everything that metering needs.

        Args:
            settings: The arguments of registers.start_up.

        Raises:
            ChipError: A write was not kept; the chip is partly set up.
        """
        self.gains = settings[3]
        for address, value in registers.start_up(*settings):
            self.write(address, value)

    def _pair(self, high):
        # The two words are separate frames: if the high word moved in between, the low word is read anew.
        # The chip updates three times a second, so it cannot move twice.
        first = self.read(high)
        lower = self.read(high + registers.LOW)
        second = self.read(high)
        if second != first:
            lower = self.read(high + registers.LOW)
        return second, lower

    def read_into(self, values, first):
        """Read the three phases into `values`, nine fields each, in the order of stats.FIELDS."""
        degc = registers.signed16(self.read(registers.TEMPERATURE))
        hz = registers.frequency_hz(self.read(registers.FREQUENCY))
        for phase in range(3):
            at = first + 9 * phase
            pair = self._pair(registers.CURRENT + phase)
            values[at] = registers.current_a(*pair)
            peak = self.read(registers.CURRENT_PEAK + phase)
            values[at + 1] = registers.current_peak_a(peak, self.gains[phase])
            pair = self._pair(registers.VOLTAGE + phase)
            values[at + 2] = registers.voltage_v(*pair)
            pair = self._pair(registers.ACTIVE + phase)
            values[at + 3] = registers.power_w(*pair)
            pair = self._pair(registers.REACTIVE + phase)
            values[at + 4] = registers.power_w(*pair)
            pair = self._pair(registers.APPARENT + phase)
            values[at + 5] = registers.power_w(*pair)
            values[at + 6] = registers.power_factor(self.read(registers.POWER_FACTOR + phase))
            values[at + 7] = degc
            values[at + 8] = hz
