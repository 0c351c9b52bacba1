"""The CT6 application: start-up order, the tasks, and the watchdog."""

import asyncio
import gc
import os
import sys
import time

import machine
from micropython import const

from . import log, screen
from .atm90e32 import ChipError
from .board import CONNECTED, Board
from .config import Config
from .discovery import Discovery
from .display import Display
from .http_server import HttpServer
from .meter import Meter
from .rest import Rest
from .wifi import Wifi

VERSION = "4.0"

_PACKAGE = __name__[: __name__.rfind(".")]
_WATCHDOG_MS = const(8300)
_FEED_MS = const(500)
_TICK_MS = const(100)
_REPORT_S = const(5)
_REFRESH_MS = const(1000)
_DISPLAY_ON_MS = const(60000)
_BUTTON_RESET_MS = const(5000)
_BUTTON_LINE_MS = const(500)
_HTTP_PORT = const(80)


class App:
    """The running application."""

    def __init__(self, config_file, number):
        self.version = VERSION
        self.number = number
        self._started_ms = time.ticks_ms()
        self._uptime_ms = 0
        self._last_ms = self._started_ms
        self.config = Config(config_file, "/factory.cfg")
        self.config.load()
        self.trial = False  # whether this application has yet to prove itself
        trials = [name for name in os.listdir("/") if ".try" in name]
        if trials or self.config["APP"] != number:
            self.trial = self.load("apps").settle(self)
            self.unload("apps")
        self.board = Board()
        self.meter = Meter(self.board, self.config)
        self.wifi = Wifi(self.board, self.config, self._started_ms)
        self.meter.rssi = self.wifi.rssi_dbm
        self._grid = screen.Grid()
        self._display = Display(self._grid)
        self._display_until_ms = time.ticks_add(self._started_ms, _DISPLAY_ON_MS)
        self._in_amperes = False
        self._bottom = "Starting"
        self.http = HttpServer(Rest(self), _HTTP_PORT)
        self._discovery = Discovery(self.config, self.meter, self.wifi, VERSION)
        self._tasks = []
        self._publisher = None

    def load(self, name):
        """Return a module of this application that is not always there: what is rare takes no memory."""
        gc.collect()  # so that its parts lie close together and leave long pieces of the heap free
        name = _PACKAGE + "." + name
        __import__(name)
        return sys.modules[name]

    def unload(self, name):
        """Give the memory of a module back, and of `files`, which others load; what still runs goes on."""
        for each in (name, "files"):
            if sys.modules.pop(_PACKAGE + "." + each, None):
                delattr(sys.modules[_PACKAGE], each)

    def uptime_s(self):
        """Return the seconds since the application started; the watchdog's loop keeps count."""
        return self._uptime_ms // 1000

    def light(self):
        """Have the display on for a minute from now, as after a press; return whether it is on already."""
        self._display_until_ms = time.ticks_add(time.ticks_ms(), _DISPLAY_ON_MS)
        return self._display.is_on

    async def close(self):
        """Close the ports and leave the outputs quiet."""
        for task in self._tasks:
            task.cancel()
        if self._publisher:
            self._publisher.cancel()
        self._display.off()
        self._discovery.close()
        await self.http.close()

    async def run(self):
        """Run until a task fails.

        Raises:
            Exception: What the failed task raised.
        """
        watchdog = machine.WDT(timeout=_WATCHDOG_MS)
        for task in (self._start, self._indicate):
            self._tasks.append(asyncio.create_task(task()))
        while True:
            watchdog.feed()
            now = time.ticks_ms()
            self._uptime_ms += time.ticks_diff(now, self._last_ms)
            self._last_ms = now
            for task in self._tasks:
                if task.done():
                    await task  # raises what it raised
                    self._tasks.remove(task)
                    break
            await asyncio.sleep_ms(_FEED_MS)

    async def _start(self):
        log.info("CPU frequency %d MHz" % (machine.freq() // 1000000))
        state = os.statvfs("/")
        log.info("File system %d of %d bytes free" % (state[3] * state[1], state[2] * state[1]))
        log.info("Firmware Version = " + VERSION)
        await self._display.on()
        self._tasks.append(asyncio.create_task(self._show()))
        self.meter.show_settings()
        try:
            await self.meter.start()
            log.info("Initialised ATM90E32 devices.")
        except ChipError:  # the meter has said so; the unit must stay reachable
            self._bottom = "Chip fault"
        log.debug("wifiConfigDict: %s" % self.config.shown()["WIFI"])
        self._bottom = "Connecting WiFi"
        services = await self.load("wifi_join").up(self.wifi)
        self.unload("wifi_join")
        self._bottom = self.wifi.address
        self._tasks.append(asyncio.create_task(self.meter.sample()))
        if services:
            await self.http.start()
            self._discovery.open()
            self._tasks.append(asyncio.create_task(self._discovery.serve()))
            self._tasks.append(asyncio.create_task(self.wifi.watch()))
            if self.trial:
                self._tasks.append(asyncio.create_task(self.load("apps").prove(self)))
                self.unload("apps")
            log.debug("WiFi interface IP address: " + self.wifi.address)
        self._tasks.append(asyncio.create_task(self._report()))

    def _look_after_publishing(self):
        """Start to publish when the configuration asks for it; it ends by itself."""
        if self._publisher and self._publisher.done():
            self._publisher = None
            self.unload("mqtt")
        config = self.config
        wanted = config["ACTIVE"] and config["MQTT_SERVER_ADDRESS"] and config["MQTT_TOPIC"]
        if wanted and not self._publisher and self.board.link == CONNECTED:
            self._publisher = asyncio.create_task(self.load("mqtt").run(self))

    async def _report(self):
        while True:
            self._look_after_publishing()
            gc.collect()
            log.info("RAM %d bytes free, up %d s" % (gc.mem_free(), self.uptime_s()))
            await asyncio.sleep(_REPORT_S)

    async def _indicate(self):
        """Watch the button and drive the WiFi LED, for ever."""
        while True:
            if self.board.pressed():
                await self._held()
            self.board.show_link(False)
            await asyncio.sleep_ms(_TICK_MS)

    async def _held(self):
        begun = time.ticks_ms()
        line_ms = 0
        self._grid.block(True)
        while self.board.pressed():
            held_ms = time.ticks_diff(time.ticks_ms(), begun)
            if held_ms >= line_ms:
                log.debug(
                    "Button pressed for %d of %d seconds." % (held_ms // 1000, _BUTTON_RESET_MS // 1000)
                )
                line_ms += _BUTTON_LINE_MS
            if held_ms >= _BUTTON_RESET_MS:
                await self._reset_to_defaults()
            self.board.show_link(True)
            await asyncio.sleep_ms(_TICK_MS)
        self._grid.block(False)
        self._in_amperes = not self._in_amperes
        self.light()

    async def _reset_to_defaults(self):
        try:
            self.config.reset()
            log.info("The configuration has been reset to its defaults.")
        except OSError as exc:
            log.error("The configuration was not reset: %s" % exc)
        await self.board.reset()

    async def _show(self):
        """Keep the display up to date, for ever."""
        while True:
            if time.ticks_diff(self._display_until_ms, time.ticks_ms()) > 0:
                await self._display.on()
                values = None if self.meter.fault else self.meter.last
                screen.fill(self._grid, values, self.config.calibrated, self._in_amperes, self._bottom)
                await self._display.draw()
            else:
                self._display.off()
            await self._until_refresh()

    async def _until_refresh(self):
        """Wait a second, or until the button changes what is to be shown."""
        shown = self._in_amperes
        begun = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), begun) < _REFRESH_MS and shown == self._in_amperes:
            if self._display.is_on:
                await self._display.draw()
            await asyncio.sleep_ms(_TICK_MS)


app = None  # the running application, for stop()


async def start(config_file, _app_key, active_app):
    """Run the application; called by main.py.

    Args:
        config_file: Path of the machine file.
        active_app: 1 or 2, the folder this runs from.
    """
    global app
    gc.collect()
    app = App(config_file, active_app)
    await app.run()


async def stop():
    """Close what the application has open; the watchdog goes on."""
    global app
    stopped, app = app, None
    if stopped:
        await stopped.close()
