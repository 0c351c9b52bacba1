# `network` of the Pico W: the unit process knows which network can be joined.
import os

import picow_link as _l

STA_IF = 0
AP_IF = 1
STAT_IDLE = 0
STAT_CONNECTING = 1
STAT_GOT_IP = 3
STAT_CONNECT_FAIL = -1
STAT_NO_AP_FOUND = -2
STAT_WRONG_PASSWORD = -3

_host = "PicoW"
_country = "XX"


def hostname(name=None):
    global _host
    if name is None:
        return _host
    _host = name


def country(code=None):
    global _country
    if code is None:
        return _country
    _country = code


class WLAN:
    IF_STA = 0
    IF_AP = 1
    PM_NONE = 0x10
    PM_PERFORMANCE = 0xA11142
    PM_POWERSAVE = 0xA11C82
    SEC_OPEN = 0
    SEC_WPA_WPA2 = 4194310

    _on = [False, False]
    _ap = {"ssid": "PICO", "channel": 3, "security": 4194310}

    def __init__(self, interface=0):
        self.i = interface

    def active(self, on=None):
        if on is None:
            return self._on[self.i]
        self._on[self.i] = bool(on)
        if not self.i:
            _l.send(_l.WLAN_ACTIVE, 1 if on else 0)

    def connect(self, ssid=None, key=None, **kw):
        _l.send(_l.WLAN_JOIN, 0, (ssid + "\0" + (key or "")).encode())

    def disconnect(self):
        _l.send(_l.WLAN_LEAVE)

    def _link(self):
        # status, signal in dBm
        b = _l.call(_l.WLAN_STATUS, 0, b"", bytearray(2))
        return b[0] - 256 if b[0] > 127 else b[0], b[1] - 256 if b[1] > 127 else b[1]

    def isconnected(self):
        return self._on[1] if self.i else self._link()[0] == 3

    def status(self, what=None):
        if what == "rssi":
            return self._link()[1]
        if what == "stations":
            return []
        return (3 if self._on[1] else 0) if self.i else self._link()[0]

    def ifconfig(self, new=None):
        if new is not None:
            return
        if self.i:
            return ("192.168.4.1", "255.255.255.0", "192.168.4.1", "8.8.8.8")
        if self._link()[0] != 3:
            return ("0.0.0.0", "255.255.255.0", "0.0.0.0", "0.0.0.0")
        me = os.getenv("PICOW_ADDRESS")
        router = me[: me.rfind(".") + 1] + "1"
        return (me, "255.255.255.0", router, router)

    def ipconfig(self, what=None, **kw):
        if what == "addr4":
            return self.ifconfig()[:2]
        if what == "gw4":
            return self.ifconfig()[2]

    def config(self, what=None, **kw):
        if what == "mac":
            return bytes.fromhex(os.getenv("PICOW_MAC"))
        if what is None:
            if self.i:
                self._ap.update(kw)
            return
        if what == "hostname":
            return _host
        return self._ap.get("ssid" if what == "essid" else what, 0)

    def scan(self):
        import json

        n = _l.call(_l.WLAN_SCAN, 0, b"", bytearray(2))
        text = _l.call(_l.WLAN_SCAN, 1, b"", bytearray(n[0] | n[1] << 8))
        return [
            (s.encode(), bytes.fromhex(b.replace(":", "")), c, r, w, 1) for s, b, c, r, w in json.loads(text)
        ]
