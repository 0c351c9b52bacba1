"""The wireless link: what is known of it, and what happens when it is lost.

Source: CT6 interface description 5.1.
"""

import asyncio
import time

from micropython import const

from . import board, log

_LOST_MS = const(10000)
_POLL_MS = const(500)


class Wifi:
    """The link that the configuration asks for; wifi_join.py brings it up."""

    def __init__(self, the_board, config, started_ms):
        self.board = the_board
        self.config = config
        self.started_ms = started_ms
        self.wlan = None
        self.address = ""

    async def watch(self):
        """Power-cycle the unit when a joined link is lost for 10 s; for ever."""
        if self.board.link != board.CONNECTED:
            return
        lost = None
        while True:
            await asyncio.sleep_ms(_POLL_MS)
            if self.wlan.isconnected():
                lost = None
                self.board.link = board.CONNECTED
                continue
            self.board.link = board.CONNECTING
            now = time.ticks_ms()
            if lost is None:
                lost = now
            down_ms = time.ticks_diff(now, lost)
            log.debug("WiFi down for %d milliseconds" % down_ms)
            if down_ms >= _LOST_MS:
                self.board.power_cycle()

    def name_server(self):
        """Return the address of the network's name server."""
        return self.wlan.ifconfig()[3]

    def rssi_dbm(self):
        """Return the strength of the received signal, in dBm; 0 without a link."""
        if self.board.link != board.CONNECTED:
            return 0
        return self.wlan.status("rssi")
