"""The wireless link: set-up access point, or a station that joins or power-cycles.

Source: CT6 interface description 2.2 and 5.1. The markers' timing: appendix B 2.
"""

import asyncio
import binascii
import time

import network
from micropython import const

from . import board, log

_JOIN_MS = const(60000)
_LOST_MS = const(10000)
_POLL_MS = const(500)
# Tools open the port up to 3 s after a reset and take the address from the last = of its burst.
_ANNOUNCE_MS = const(3200)
_QUIET_MS = const(500)
_AP_ADDRESS = "192.168.4.1"
_AP_NETMASK = "255.255.255.0"
_NO_POWER_SAVING = const(0xA11140)
_SCAN_MAX = const(32)
# The radio gives flags: 1 encrypted, 2 WPA, 4 WPA2.
_SECURITY = {0: "OPEN", 1: "WEP", 3: "WPA", 5: "WPA2", 7: "WPA/WPA2"}


class Wifi:
    """The link that the configuration asks for."""

    def __init__(self, the_board, config, started_ms):
        self._board = the_board
        self._config = config
        self._started_ms = started_ms
        self._wlan = None
        self.address = ""

    async def up(self):
        """Bring the link up; return whether the network services may start.

        A station that cannot join within 60 s power-cycles the unit.
        """
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
        mac = str(binascii.hexlify(self._wlan.config("mac")), "ascii")
        ssid = wifi["SSID"] if wifi["WIFI_CFG"] else wifi["SSID"] + mac[-6:]
        if len(wifi["PASSWD"]) >= 8:
            self._wlan.config(ssid=ssid, password=wifi["PASSWD"], channel=wifi["CHANNEL"])
        else:
            self._wlan.config(ssid=ssid, security=0, channel=wifi["CHANNEL"])
        self._wlan.active(True)
        self._wlan.ifconfig((_AP_ADDRESS, _AP_NETMASK, _AP_ADDRESS, _AP_ADDRESS))
        self.address = _AP_ADDRESS
        log.debug("Set AP mode (%s/%s)." % (_AP_ADDRESS, _AP_NETMASK))

    async def _join(self, wifi):
        self._board.link = board.CONNECTING
        wlan = self._wlan = network.WLAN(network.STA_IF)
        wlan.active(True)
        wlan.config(pm=_NO_POWER_SAVING)
        wlan.connect(wifi["SSID"], wifi["PASSWD"])
        begun = time.ticks_ms()
        while not wlan.isconnected():
            log.debug("wifi_status=%d" % wlan.status())
            if time.ticks_diff(time.ticks_ms(), begun) >= _JOIN_MS:
                log.error("WiFi did not join within %d s." % (_JOIN_MS // 1000))
                self._board.power_cycle()
            await asyncio.sleep_ms(_POLL_MS)
        log.debug("connected")
        wait_ms = _ANNOUNCE_MS - time.ticks_diff(time.ticks_ms(), self._started_ms)
        await asyncio.sleep_ms(max(0, wait_ms))
        self.address = wlan.ifconfig()[0]
        log.debug("ip = " + self.address)
        log.debug("Setup STA and connected to %s, IP Address=%s" % (wifi["SSID"], self.address))
        await asyncio.sleep_ms(_QUIET_MS)
        self._board.link = board.CONNECTED

    async def watch(self):
        """Power-cycle the unit when a joined link is lost for 10 s; for ever."""
        if self._board.link != board.CONNECTED:
            return
        lost = None
        while True:
            await asyncio.sleep_ms(_POLL_MS)
            if self._wlan.isconnected():
                lost = None
                self._board.link = board.CONNECTED
                continue
            self._board.link = board.CONNECTING
            now = time.ticks_ms()
            if lost is None:
                lost = now
            down_ms = time.ticks_diff(now, lost)
            log.debug("WiFi down for %d milliseconds" % down_ms)
            if down_ms >= _LOST_MS:
                self._board.power_cycle()

    def rssi_dbm(self):
        """Return the strength of the received signal, in dBm; 0 without a link."""
        if self._board.link != board.CONNECTED:
            return 0
        return self._wlan.status("rssi")

    def scan(self):
        """Return the networks in reach, at most 32."""
        found = []
        # The last field is 1 for every network on this radio; a hidden one has no name.
        for ssid, bssid, channel, rssi, security, _ in self._wlan.scan()[:_SCAN_MAX]:
            found.append(
                {
                    "SSID": _text(ssid),
                    "BSSID": ":".join(["%02x" % part for part in bssid]),
                    "CHANNEL": channel,
                    "RSSI": rssi,
                    "SECURITY": _SECURITY.get(security, str(security)),
                    "HIDDEN": not ssid.strip(b"\0"),
                }
            )
        return found


def _text(ssid):
    try:
        return str(ssid, "utf-8")
    except UnicodeError:
        return str(binascii.hexlify(ssid), "ascii")
