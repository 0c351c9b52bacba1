"""The application: start-up order, the tasks, and the watchdog.

Source: CT6 interface description 1.6, 2.2 and 2.3.
"""

import asyncio
import gc
import os
import time

import machine

from . import log, quirks, screen
from .board import Board
from .config import Config
from .discovery import Discovery
from .display import Display
from .meter import Meter
from .rest import Rest
from .server import Server
from .wifi import Wifi

_WATCHDOG_MS = 8300
_TICK_MS = 100
_SAMPLE_MS = 200
_BUTTON_RESET_MS = 5000
_BUTTON_LINE_MS = 500
_DISPLAY_ON_MS = 60000
_REPORT_S = 5


class App:
    """The running application."""

    def __init__(self, config_file, number):
        self.number = number
        self._started_ms = time.ticks_ms()
        self.config = Config(config_file)
        self.config.load()
        self.board = Board()
        self.meter = Meter(self.board, self.config)
        self.wifi = Wifi(self.board, self.config, self._started_ms)
        self.meter.rssi = self.wifi.rssi_dbm
        self._grid = screen.Grid()
        self._display = Display(self._grid)
        self._display_until_ms = time.ticks_add(self._started_ms, _DISPLAY_ON_MS)
        self._in_amperes = False
        self._bottom = "Connecting WiFi"
        self._tasks = []

    def uptime_s(self):
        """Return the seconds since the application started."""
        return time.ticks_diff(time.ticks_ms(), self._started_ms) // 1000

    async def run(self):
        """Run until something fails."""
        watchdog = machine.WDT(timeout=_WATCHDOG_MS) if quirks.WATCHDOG_AT_PROMPT else None
        self._begin(self._start())
        self._begin(self._indicate())
        if quirks.BLUETOOTH_LED_BLINKS:
            self._begin(self._blink())
        while True:
            if watchdog:
                watchdog.feed()
            for task in self._tasks:
                if task.done():
                    await task  # raises what it raised
            await asyncio.sleep_ms(_TICK_MS)

    def _begin(self, work):
        self._tasks.append(asyncio.create_task(work))

    async def _start(self):
        log.info("CPU frequency %d MHz" % (machine.freq() // 1000000))
        state = os.statvfs("/")
        log.info("File system %d of %d bytes free" % (state[3] * state[1], state[2] * state[1]))
        log.info("Firmware Version = " + quirks.VERSION)
        await self._display.on()
        self.meter.show_settings()
        self.meter.start()
        log.info("Initialised ATM90E32 devices.")
        log.debug("wifiConfigDict: %s" % self.config.shown()["WIFI"])
        services = await self.wifi.up()
        self._bottom = self.wifi.address
        self._begin(self._sample())
        if services:
            await Server(Rest(self)).start()
            discovery = Discovery(self.config, self.meter, self.wifi, quirks.VERSION)
            discovery.open()
            self._begin(discovery.serve())
            self._begin(self.wifi.watch())
            log.debug("WiFi interface IP address: " + self.wifi.address)
        self._begin(self._show())
        while True:
            gc.collect()
            log.info("RAM %d bytes free, up %d s" % (gc.mem_free(), self.uptime_s()))
            await asyncio.sleep(_REPORT_S)

    async def _sample(self):
        while True:
            await asyncio.sleep_ms(_SAMPLE_MS)
            self.meter.mean.add(self.meter.read())

    async def _blink(self):
        on = False
        while True:
            on = not on
            self.board.set_bluetooth_led(on)
            await asyncio.sleep_ms(_TICK_MS)

    async def _indicate(self):
        while True:
            if self.board.pressed():
                await self._held()
            self.board.show_link(False)
            await asyncio.sleep_ms(_TICK_MS)

    async def _held(self):
        begun = time.ticks_ms()
        line_ms = 0
        while self.board.pressed():
            held_ms = time.ticks_diff(time.ticks_ms(), begun)
            if held_ms >= line_ms:
                log.debug("Button pressed for %d of 5 seconds." % (held_ms // 1000))
                line_ms += _BUTTON_LINE_MS
            if held_ms >= _BUTTON_RESET_MS:
                self.config.reset()
                await self.board.reset()
            self.board.show_link(True)
            await asyncio.sleep_ms(_TICK_MS)
        self._in_amperes = not self._in_amperes
        self._display_until_ms = time.ticks_add(time.ticks_ms(), _DISPLAY_ON_MS)

    async def _show(self):
        while True:
            if time.ticks_diff(self._display_until_ms, time.ticks_ms()) > 0:
                await self._display.on()
                values = self.meter.last
                screen.fill(self._grid, values, self.config.calibrated, self._in_amperes, self._bottom)
                await self._display.draw()
            else:
                self._display.off()
            await asyncio.sleep(1)


async def start(config_file, _app_key, active_app):
    """Run the application; called by main.py.

    Args:
        config_file: Path of the machine file.
        active_app: 1 or 2, the folder this runs from.
    """
    gc.collect()
    await App(config_file, active_app).run()
