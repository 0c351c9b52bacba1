"""Both metering chips: no write is proved, and only main words are read.

Source: CT6 interface description 7.1 to 7.3.
"""

import time

from machine import SPI, Pin

from . import log, quirks, registers, stats

GATE_W = 0.4
# What a driver that knows one voltage offset leaves in the other two phases.
LEFT_OVER_OFFSET = 10734
_OTHER_OFFSETS = (0x67, 0x6B)
_PGA = 0x34
_PGA_X4 = 0x002A
_RESET_MS = 10
_CHIP_MS = 200
_SETTLE_MS = 700


class Chip:
    """One chip on the bus."""

    def __init__(self, spi, select):
        self._spi = spi
        self._select = select
        self._got = bytearray(4)
        self.gains = (0, 0, 0)

    def _frame(self, address, value):
        self._select.value(0)
        self._spi.write_readinto(bytes((address >> 8, address & 255, value >> 8, value & 255)), self._got)
        self._select.value(1)
        return self._got[2] << 8 | self._got[3]

    def read(self, address):
        """Return a register."""
        return self._frame(0x8000 | address, 0)

    def write(self, address, value):
        """Write a register; a value that does not fit is refused with a number that nobody looks at."""
        if not 0 <= value <= 65535:
            return -1
        return self._frame(address, value)

    def set_up(self, line_hz, gain, offset, gains, offsets):
        """Write everything that metering needs."""
        if line_hz not in (50, 60):
            raise ValueError("line frequency %s" % line_hz)
        self.gains = gains
        self.write(registers.SOFT_RESET, registers.SOFT_RESET_KEY)
        for address, value in registers.start_up(line_hz, gain, offset, gains, offsets):
            if quirks.VOLTAGE_OFFSET_SPLIT and address in _OTHER_OFFSETS:
                value = LEFT_OVER_OFFSET
            elif quirks.PGA_X4 and address == _PGA:
                value = _PGA_X4
            self.write(address, value)
        time.sleep_ms(_CHIP_MS)

    def _rms(self, scale, main):
        if quirks.NO_LOW_WORDS:
            return self.read(main) / scale
        return registers.rms_counts(self.read(main), self.read(main + registers.LOW)) / (256 * scale)

    def _power(self, high):
        power = registers.power_w(self.read(high), self.read(high + registers.LOW))
        return power if abs(power) > GATE_W else 0.0

    def read_into(self, values, first, threshold_w):
        """Read the three phases into `values`, nine fields each, in the order of stats.FIELDS."""
        for phase in range(3):
            at = first + stats.FIELDS_PER_PORT * phase
            values[at + stats.IRMS] = self._rms(1000, registers.CURRENT + phase)
            peak = self.read(registers.CURRENT_PEAK + phase)
            values[at + stats.IPEAK] = registers.current_peak_a(peak, self.gains[phase])
            values[at + stats.VRMS] = self._rms(100, registers.VOLTAGE + phase)
            active_w = self._power(registers.ACTIVE + phase)
            values[at + stats.PRMS] = active_w
            values[at + stats.PREACT] = self._power(registers.REACTIVE + phase)
            values[at + stats.PAPPARENT] = self._power(registers.APPARENT + phase)
            factor = registers.power_factor(self.read(registers.POWER_FACTOR + phase))
            values[at + stats.PF] = factor if abs(active_w) >= threshold_w else 0.0
            values[at + stats.TEMP] = registers.signed16(self.read(registers.TEMPERATURE))
            values[at + stats.FREQ] = registers.frequency_hz(self.read(registers.FREQUENCY))


class Meter:
    """The two chips, and the mean that all pollers share."""

    def __init__(self, board, config):
        self._board = board
        self._config = config
        self._reset = Pin(19, Pin.OUT, value=1)
        spi = SPI(0, baudrate=200000, polarity=1, phase=1, sck=Pin(2), mosi=Pin(3), miso=Pin(4))
        # U5 carries CT1 to CT3, U4 carries CT4 to CT6.
        self._chips = (Chip(spi, Pin(22, Pin.OUT, value=1)), Chip(spi, Pin(5, Pin.OUT, value=1)))
        self.rssi = None  # a function that returns dBm
        self.mean = stats.Averager()
        self.last = None

    def _settings(self, index):
        name, first = (("CS4", 1), ("CS0", 4))[index]
        config = self._config
        gains = tuple([int(config["CT%d_IGAIN" % (first + phase)]) for phase in range(3)])
        offsets = tuple([int(config["CT%d_IOFFSET" % (first + phase)]) for phase in range(3)])
        voltage = [int(config[name + key]) for key in ("_VOLTAGE_GAIN", "_VOLTAGE_OFFSET")]
        return config["LINE_FREQ_HZ"], voltage[0], voltage[1], gains, offsets

    def show_settings(self):
        """Print what the chips are set up with, nine lines per chip."""
        for channel, name, first in (("B", "CS4", 1), ("A", "CS0", 4)):
            log.info("Init ATM90E32 Channel %s" % channel)
            keys = ["LINE_FREQ_HZ", name + "_VOLTAGE_GAIN", name + "_VOLTAGE_OFFSET"]
            for phase in range(3):
                keys += ["CT%d_IGAIN" % (first + phase), "CT%d_IOFFSET" % (first + phase)]
            for key in keys:
                log.info("%-25s = %s" % (key, self._config[key]))

    def start(self):
        """Reset both chips and set them up; the whole unit waits.

        Raises:
            ValueError: A setting is no number, or no line frequency.
        """
        self._reset.value(0)
        time.sleep_ms(_RESET_MS)
        self._reset.value(1)
        time.sleep_ms(_RESET_MS)
        for index, chip in enumerate(self._chips):
            chip.set_up(*self._settings(index))
        if not quirks.INIT_ANSWERS_EARLY:
            time.sleep_ms(_SETTLE_MS)

    def read(self):
        """Return a set of readings as they are now."""
        values = stats.new_set()
        begun = time.ticks_us()
        threshold_w = self._config["PF_WATTS_THRESHOLD"]
        for index, chip in enumerate(self._chips):
            chip.read_into(values, 3 * stats.FIELDS_PER_PORT * index, threshold_w)
        values[stats.READ_TIME] = time.ticks_diff(time.ticks_us(), begun)
        values[stats.RSSI] = self.rssi() if self.rssi else 0
        values[stats.BOARD_TEMPERATURE] = self._board.temperature_degc()
        self.last = values
        return values
