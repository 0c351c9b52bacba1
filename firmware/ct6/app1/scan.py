"""The networks in reach of the radio. Loaded while they are asked for."""

import binascii

from micropython import const

_SCAN_MAX = const(32)
# The radio gives flags: 1 encrypted, 2 WPA, 4 WPA2.
_SECURITY = {0: "OPEN", 1: "WEP", 3: "WPA", 5: "WPA2", 7: "WPA/WPA2"}


def _text(ssid):
    try:
        return str(ssid, "utf-8")
    except UnicodeError:
        return str(binascii.hexlify(ssid), "ascii")


# REST: the name of a function is do_ and its path.


def do_wifi_scan(app, _args):
    found = []
    # The last field is 1 for every network on this radio; a hidden one has no name.
    for ssid, bssid, channel, rssi, security, _ in app.wifi.wlan.scan()[:_SCAN_MAX]:
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
    return {"WIFI_SCAN_RESULTS": found}
