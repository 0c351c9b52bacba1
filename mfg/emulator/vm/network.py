# `network` of the Pico W: the unit process knows which network can be joined.
import os

from picow_link import call, send

STA_IF = 0
AP_IF = 1
STAT_IDLE = 0
STAT_CONNECTING = 1
STAT_GOT_IP = 3
STAT_CONNECT_FAIL = -1
STAT_NO_AP_FOUND = -2
STAT_WRONG_PASSWORD = -3


def hostname(name=None):
    return "PicoW"


def country(code=None):
    return "XX"


class WLAN:
    IF_STA = 0
    IF_AP = 1
    PM_NONE = 0x10

    _on = bytearray(2)

    def __init__(self, interface=0):
        self.i = interface

    def active(self, on=None):
        if on is None:
            return bool(self._on[self.i])
        self._on[self.i] = on = 1 if on else 0
        if not self.i:
            send(11, on)

    def connect(self, ssid=None, key=None, **kw):
        send(12, 0, (ssid + "\0" + (key or "")).encode())

    def disconnect(self):
        send(13)

    def status(self, what=None):
        if what == "stations":
            return []
        if self.i:
            return 3 * self._on[1]
        # Status and signal strength in dBm, both signed.
        n = call(14, 0, b"", bytearray(2))[what == "rssi"]
        return n - 256 if n > 127 else n

    def isconnected(self):
        return self.status() == 3

    def ifconfig(self, new=None):
        me = "0.0.0.0"
        if self.i:
            me = "192.168.4.1"
        elif self.isconnected():
            me = os.getenv("PICOW_ADDRESS")
        router = me[: me.rfind(".") + 1] + "1"
        return (me, "255.255.255.0", router, router)

    def config(self, what=None, **kw):
        if what == "mac":
            return bytes.fromhex(os.getenv("PICOW_MAC"))
        if what == "hostname":
            return hostname()
        return 0 if what else None

    def scan(self):
        import json

        n = call(15, 0, b"", bytearray(2))
        text = call(15, 1, b"", bytearray(n[0] | n[1] << 8))
        # Name, address, channel, dBm, security, hidden.
        return [(e[0].encode(), bytes.fromhex(e[1]), e[2], e[3], e[4], 1) for e in json.loads(text)]
