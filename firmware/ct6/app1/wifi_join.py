"""Brings the wireless link up: set-up access point, or a station that joins or power-cycles.

Loaded while the unit starts.

Source: CT6 interface description 2.2 and 5.1. The markers' timing: appendix B 2.
"""

import asyncio
import binascii
import time

import network
from micropython import const

from . import board, log

_JOIN_MS = const(60000)
_POLL_MS = const(500)
# Tools open the port up to 3 s after a reset and take the address from the last = of its burst.
_ANNOUNCE_MS = const(3200)
_QUIET_MS = const(500)
_AP_ADDRESS = "192.168.4.1"
_AP_NETMASK = "255.255.255.0"
_NO_POWER_SAVING = const(0xA11140)


async def up(link):
    """Bring the link up; return whether the network services may start.

    A station that cannot join within 60 s power-cycles the unit.
    """
    wifi = link.config["WIFI"]
    if wifi["WIFI_CFG"] and wifi["MODE"] == "STA":
        await _join(link, wifi)
        return True
    _access_point(link, wifi)
    return bool(wifi["WIFI_CFG"])


def _access_point(link, wifi):
    link.board.link = board.SETUP
    log.info("Activating WiFi.")
    link.wlan = network.WLAN(network.AP_IF)
    mac = str(binascii.hexlify(link.wlan.config("mac")), "ascii")
    ssid = wifi["SSID"] if wifi["WIFI_CFG"] else wifi["SSID"] + mac[-6:]
    if len(wifi["PASSWD"]) >= 8:
        link.wlan.config(ssid=ssid, password=wifi["PASSWD"], channel=wifi["CHANNEL"])
    else:
        link.wlan.config(ssid=ssid, security=0, channel=wifi["CHANNEL"])
    link.wlan.active(True)
    link.wlan.ifconfig((_AP_ADDRESS, _AP_NETMASK, _AP_ADDRESS, _AP_ADDRESS))
    link.address = _AP_ADDRESS
    log.debug("Set AP mode (%s/%s)." % (_AP_ADDRESS, _AP_NETMASK))


async def _join(link, wifi):
    link.board.link = board.CONNECTING
    wlan = link.wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.config(pm=_NO_POWER_SAVING)
    wlan.connect(wifi["SSID"], wifi["PASSWD"])
    begun = time.ticks_ms()
    while not wlan.isconnected():
        log.debug("wifi_status=%d" % wlan.status())
        if time.ticks_diff(time.ticks_ms(), begun) >= _JOIN_MS:
            log.error("WiFi did not join within %d s." % (_JOIN_MS // 1000))
            link.board.power_cycle()
        await asyncio.sleep_ms(_POLL_MS)
    log.debug("connected")
    wait_ms = _ANNOUNCE_MS - time.ticks_diff(time.ticks_ms(), link.started_ms)
    await asyncio.sleep_ms(max(0, wait_ms))
    link.address = wlan.ifconfig()[0]
    log.debug("ip = " + link.address)
    log.debug("Setup STA and connected to %s, IP Address=%s" % (wifi["SSID"], link.address))
    await asyncio.sleep_ms(_QUIET_MS)
    link.board.link = board.CONNECTED
