"""The answer to "are you there", over UDP.

Source: CT6 interface description, section 4.
"""

import asyncio
import gc
import json
import socket

from micropython import const

from . import log, stats

REQUEST = "-!#8[dkG^v's!dRznE}6}8sP9}QoIR#?O&pg)Qra"
_REQUEST_MAX_BYTES = const(128)
_POLL_MS = const(100)
_BURST_MAX = const(4)
# Names in the reply; YDEV_ before them gives the configuration key.
_IDENTITY = ("OS", "UNIT_NAME", "PRODUCT_ID", "DEVICE_TYPE", "SERVICE_LIST", "GROUP_NAME")


def is_request(data):
    """Return whether a datagram asks for an answer."""
    try:
        return json.loads(data).get("AYT") == REQUEST
    except (ValueError, AttributeError, TypeError, RuntimeError):
        return False


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
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setblocking(False)
        self._socket.bind(socket.getaddrinfo("0.0.0.0", self._config["YDEV_AYT_TCP_PORT_KEY"])[0][-1])

    def close(self):
        """Close the port."""
        if self._socket:
            self._socket.close()
            self._socket = None

    async def serve(self):
        """Answer, for ever."""
        while True:
            await asyncio.sleep_ms(_POLL_MS)
            for _ in range(_BURST_MAX):
                try:
                    data, sender = self._socket.recvfrom(_REQUEST_MAX_BYTES)
                except OSError:  # nothing there
                    break
                if is_request(data):
                    self._answer(sender)

    def _answer(self, sender):
        if not self._config["ACTIVE"]:
            return
        mean = self._meter.mean.take()
        if mean is None:
            return
        gc.collect()  # the answer needs a long piece of the heap
        shown = stats.to_dict(mean, self._config, self._version)
        shown["IP_ADDRESS"] = self._wifi.address
        for name in _IDENTITY:
            shown[name] = self._config["YDEV_" + name]
        shown["TIMESENT"] = stats.time_sent()
        try:
            self._socket.sendto(json.dumps(shown).encode(), sender)
        except OSError as exc:  # no buffer or no route: the poller asks again in a second
            log.debug("Discovery reply dropped: %s" % exc)
