"""A web server that answers one connection after the other with bytes that a test has written down."""

import socket
import threading
from contextlib import contextmanager

HEADER = (
    b"HTTP/1.1 200 OK\r\nServer: ShellyHTTP/1.0.0\r\nContent-Length: %d\r\n"
    b"Content-Type: application/json\r\nConnection: close\r\n\r\n"
)


def whole(body):
    """Return a whole answer with a body."""
    return HEADER % len(body) + body


@contextmanager
def answering(*answers):
    """Serve the answers in turn, None for silence; gives the port and the list of requests as they came."""
    requests = []
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve():
            for answer in answers:
                with listener.accept()[0] as link:
                    link.settimeout(10)
                    request = b""
                    while not request.endswith(b"\r\n\r\n"):
                        request += link.recv(4096)
                    requests.append(request)
                    if answer is None:
                        done.wait(10)
                    else:
                        link.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], requests
        finally:
            done.set()
            thread.join(10)
    assert not thread.is_alive(), "an answer was not asked for"
