"""The wireless link: a set-up access point, or a station that joins or power-cycles.

Source: CT6 interface description 2.2 and 5.1; the markers' timing: 2.4.
"""

import asyncio
import binascii
import time

import network

from . import board, log

_JOIN_MS = 60000
_LOST_MS = 10000
_POLL_MS = 500
_ANNOUNCE_MS = 3200
_QUIET_MS = 500
_AP_ADDRESS = "192.168.4.1"
_AP_NETMASK = "255.255.255.0"


class Wifi:
    """The link that the configuration asks for."""

    def __init__(self, the_board, config, started_ms):
        self._board = the_board
        self._config = config
        self._started_ms = started_ms
        self._wlan = None
        self.address = ""

    async def up(self):
        """Bring the link up; return whether the network services may start."""
        wifi = self._config["WIFI"]
        if wifi["WIFI_CFG"] and wifi["MODE"] == "STA":
            await self._join(wifi)
            return True
        self._access_point(wifi)
        return bool(wifi["WIFI_CFG"])

    def _access_point(self, wifi):
        self._board.link = board.SETUP
        log.info("Activating WiFi.")
        self._wlan = network.WLAN(network.AP_IF)
        mac = binascii.hexlify(self._wlan.config("mac")).decode()
        ssid = wifi["SSID"] if wifi["WIFI_CFG"] else wifi["SSID"] + mac[:6]
        self._wlan.config(ssid=ssid, password=wifi["PASSWD"], channel=wifi["CHANNEL"])
        self._wlan.active(True)
        self._wlan.ifconfig((_AP_ADDRESS, _AP_NETMASK, _AP_ADDRESS, _AP_ADDRESS))
        self.address = _AP_ADDRESS
        log.debug("Set AP mode (%s/%s)." % (_AP_ADDRESS, _AP_NETMASK))

    async def _join(self, wifi):
        self._board.link = board.CONNECTING
        self._wlan = network.WLAN(network.STA_IF)
        self._wlan.active(True)
        self._wlan.connect(wifi["SSID"], wifi["PASSWD"])
        begun = time.ticks_ms()
        while not self._wlan.isconnected():
            log.debug("wifi_status=%d" % self._wlan.status())
            if time.ticks_diff(time.ticks_ms(), begun) >= _JOIN_MS:
                self._board.power_cycle()
            await asyncio.sleep_ms(_POLL_MS)
        log.debug("connected")
        await asyncio.sleep_ms(max(0, _ANNOUNCE_MS - time.ticks_diff(time.ticks_ms(), self._started_ms)))
        self.address = self._wlan.ifconfig()[0]
        log.debug("ip = " + self.address)
        log.debug("Setup STA and connected to %s, IP Address=%s" % (wifi["SSID"], self.address))
        await asyncio.sleep_ms(_QUIET_MS)
        self._board.link = board.CONNECTED

    async def watch(self):
        """Power-cycle the unit when a joined link is lost for 10 s; for ever."""
        seen = time.ticks_ms()
        while self._board.link != board.SETUP:
            await asyncio.sleep_ms(_POLL_MS)
            if self._wlan.isconnected():
                seen = time.ticks_ms()
                self._board.link = board.CONNECTED
                continue
            self._board.link = board.CONNECTING
            down_ms = time.ticks_diff(time.ticks_ms(), seen)
            log.debug("WiFi down for %d milliseconds" % down_ms)
            if down_ms >= _LOST_MS:
                self._board.power_cycle()

    def rssi_dbm(self):
        """Return the strength of the received signal, in dBm; 0 without a link."""
        return self._wlan.status("rssi") if self._board.link == board.CONNECTED else 0

    def scan(self):
        """Return the networks in reach; the bytes of their addresses are joined by 0."""
        found = []
        for ssid, bssid, channel, rssi, security, hidden in self._wlan.scan():
            found.append(
                {
                    "SSID": ssid.decode(),
                    "BSSID": "0".join(["%02x" % part for part in bssid]),
                    "CHANNEL": channel,
                    "RSSI": rssi,
                    "SECURITY": security,
                    "HIDDEN": hidden,
                }
            )
        return found
