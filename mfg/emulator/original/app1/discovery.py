"""The answer to "are you there", over UDP. Source: CT6 interface description, section 4."""

import asyncio
import json
import socket
import time

from . import stats

REQUEST = "-!#8[dkG^v's!dRznE}6}8sP9}QoIR#?O&pg)Qra"
_REQUEST_MAX_BYTES = 1024
_POLL_MS = 100
_IDENTITY = ("OS", "UNIT_NAME", "PRODUCT_ID", "DEVICE_TYPE", "SERVICE_LIST", "GROUP_NAME")


class Discovery:
    """Answers on the configured port while ACTIVE is set."""

    def __init__(self, config, meter, wifi, version):
        self._config = config
        self._meter = meter
        self._wifi = wifi
        self._version = version
        self._socket = None

    def open(self):
        """Open the port."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(socket.getaddrinfo("0.0.0.0", self._config["YDEV_AYT_TCP_PORT_KEY"])[0][-1])

    async def serve(self):
        """Answer one question per turn, for ever."""
        while True:
            await asyncio.sleep_ms(_POLL_MS)
            try:
                data, sender = self._socket.recvfrom(_REQUEST_MAX_BYTES)
            except OSError:  # nothing there
                continue
            try:
                asked = json.loads(data).get("AYT") == REQUEST
            except (ValueError, AttributeError):
                asked = False
            if asked and self._config["ACTIVE"]:
                self._answer(sender)

    def _answer(self, sender):
        mean = self._meter.mean.take()  # shared by all who ask
        if mean is None:
            return
        shown = stats.to_dict(mean, self._config, self._version)
        shown["IP_ADDRESS"] = self._wifi.address
        for name in _IDENTITY:
            shown[name] = self._config["YDEV_" + name]
        shown["TIMESENT"] = list(time.gmtime()[:8])
        shown["TIMESENT"].append(time.time())
        self._socket.sendto(json.dumps(shown).encode(), sender)
