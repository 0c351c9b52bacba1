"""Both metering chips of the board: start-up from the configuration, and sets of readings."""

import asyncio
import time

from machine import SPI, Pin
from micropython import const

from . import log, stats
from .atm90e32 import Atm90e32, ChipError

_RESET_MS = const(10)
# After a reset: one whole window of 16 line cycles (320 ms at 50 Hz) may already have begun when the last
# gain is written, so the first window of the new values ends within two, and the filters need the rest.
_SETTLE_MS = const(700)
# The chips have new values every 320 ms. While nobody may ask for the mean, the display is the only reader.
_SAMPLE_MS = const(320)
_IDLE_SAMPLE_MS = const(1000)


class Meter:
    """The two chips. `lock` is held while they start; no reading is taken then."""

    def __init__(self, board, config):
        self._board = board
        self._config = config
        self._reset = Pin(19, Pin.OUT, value=1)
        spi = SPI(0, baudrate=200000, polarity=1, phase=1, sck=Pin(2), mosi=Pin(3), miso=Pin(4))
        # U5 carries CT1 to CT3, U4 carries CT4 to CT6.
        self._chips = (
            Atm90e32(spi, Pin(22, Pin.OUT, value=1), "CS4"),
            Atm90e32(spi, Pin(5, Pin.OUT, value=1), "CS0"),
        )
        self.lock = asyncio.Lock()
        self.rssi = None  # a function that returns dBm
        self._calibration = None
        self.mean = stats.Averager()
        self.published = None  # another mean, while something is published
        self.last = stats.new_set()
        self.fault = "The metering chips are not set up"  # empty once they are

    def _settings(self, index):
        name, first = (("CS4", 1), ("CS0", 4))[index]
        config = self._config
        settings = [config["LINE_FREQ_HZ"], config[name + "_VOLTAGE_GAIN"], config[name + "_VOLTAGE_OFFSET"]]
        for key in ("IGAIN", "IOFFSET", "PGAIN", "PHASE"):
            settings.append(tuple([config["CT%d_%s" % (first + phase, key)] for phase in range(3)]))
        return tuple(settings)

    def show_settings(self):
        """Print what the chips are set up with, nine lines per chip."""
        for index, (channel, name, first) in enumerate((("B", "CS4", 1), ("A", "CS0", 4))):
            hz, gain, offset, gains, offsets = self._settings(index)[:5]
            log.info("Init ATM90E32 Channel %s" % channel)
            lines = [("LINE_FREQ_HZ", hz), (name + "_VOLTAGE_GAIN", gain), (name + "_VOLTAGE_OFFSET", offset)]
            for phase in range(3):
                lines.append(("CT%d_IGAIN" % (first + phase), gains[phase]))
                lines.append(("CT%d_IOFFSET" % (first + phase), offsets[phase]))
            for key, value in lines:
                log.info("%-25s = %s" % (key, value))

    async def start(self):
        """Reset both chips, set them up and wait until their first readings are whole.

        Raises:
            ChipError: A chip does not keep its settings; no reading is given out until a start succeeds.
        """
        async with self.lock:
            self.forget()
            try:
                await self._start()
            except ChipError as exc:
                self.fault = str(exc)
                log.error(self.fault)
                raise
            self.fault = ""
            if self._calibration:
                self._calibration.restart()
            self._take_in()

    async def _start(self):
        self._reset.value(0)
        await asyncio.sleep_ms(_RESET_MS)
        self._reset.value(1)
        await asyncio.sleep_ms(_RESET_MS)
        for index, chip in enumerate(self._chips):
            chip.reset()
            await asyncio.sleep_ms(_RESET_MS)
            chip.set_up(*self._settings(index))
        await asyncio.sleep_ms(_SETTLE_MS)

    def _read(self):
        values = stats.new_set()
        begun = time.ticks_us()
        self._chips[0].read_into(values, 0)
        self._chips[1].read_into(values, 27)
        values[stats.READ_TIME] = time.ticks_diff(time.ticks_us(), begun)
        values[stats.RSSI] = self.rssi() if self.rssi else 0
        values[stats.BOARD_TEMPERATURE] = self._board.temperature_degc()
        self.last = values
        return values

    def _take_in(self):
        values = self._read()
        self.mean.add(values)
        if self.published:
            self.published.add(values)

    def forget(self):
        """Drop what was read so far: it belongs to other settings."""
        self.mean.take()
        if self.published:
            self.published.take()

    async def read(self):
        """Return a set of readings, as soon as the chips have whole ones.

        Raises:
            ChipError: The chips are not set up.
        """
        async with self.lock:
            if self.fault:
                raise ChipError(self.fault)
            return self._read()

    async def calibrate(self, what, *args):
        """Answer a request of a calibration.

        Args:
            what: Name of a method of calibration.Calibration.
            args: Its arguments.

        Raises:
            ValueError: The arguments cannot be used; nothing was written.
            ChipError: The chips are not set up, or a write was not kept.
        """
        async with self.lock:
            if self.fault:
                raise ChipError(self.fault)
            if not self._calibration:
                from .calibration import Calibration  # not before: in normal use it would only take memory

                self._calibration = Calibration(self._chips, self)
            return getattr(self._calibration, what)(*args)

    async def sample(self):
        """Feed the running mean and the display, for ever."""
        while True:
            if not self.fault and not self.lock.locked():
                self._take_in()
            await asyncio.sleep_ms(_SAMPLE_MS if self._config["ACTIVE"] else _IDLE_SAMPLE_MS)
