"""Scripted units on UDP: each answers the discovery question with recorded datagrams, at once."""

import json
import selectors
import socket
import threading

REQUEST_KEY = b'"AYT"'


class Responders:
    """Many sockets on the loopback interface, served by one thread; `with` starts and ends them."""

    def __init__(self, scripts):
        """Bind a port for each script.

        Args:
            scripts: For each responder the datagrams with which it answers every question.
        """
        self._stop = threading.Event()
        self._selector = selectors.DefaultSelector()
        self.ports = []
        self.asked = 0
        self.asker = None
        for script in scripts:
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            link.bind(("127.0.0.1", 0))
            self.ports.append(link.getsockname()[1])
            self._selector.register(link, selectors.EVENT_READ, tuple(script))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    def _serve(self):
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.05):
                question, sender = key.fileobj.recvfrom(2000)
                if REQUEST_KEY not in question:
                    continue
                self.asked += 1
                self.asker = sender
                for datagram in key.data:
                    key.fileobj.sendto(datagram, sender)


def recorded(answer, number, **changes):
    """Return a recorded answer as that of another unit on the loopback interface."""
    own = {
        "IP_ADDRESS": "127.0.0.1",
        "ASSY": f"ASY0398_V003.200_SN{9000 + number:08d}",
        "UNIT_NAME": f"recorded{number}",
    }
    return json.dumps({**answer, **own, **changes}).encode()
