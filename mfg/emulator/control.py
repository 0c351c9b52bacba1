"""The control link of every emulator process: JSON lines over loopback TCP.

One object per request, `{"op": "power", "on": true}`, one object per reply; a request that fails is
answered with `{"error": "..."}`. This link is for tests and for the hand of a person at the bench. The
station never uses it.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from mfg.errors import MfgError, StationError

LOOPBACK = "127.0.0.1"
REQUEST_LIMIT_BYTES = 1 << 20
REPLY_LIMIT_BYTES = 16 << 20  # a display frame is 0.2 MB, a reply never comes near

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class ControlClient:
    """Calls one emulator process; opens a connection per call, so it may be kept for ever."""

    def __init__(self, port: int) -> None:
        self._port = port

    def call(self, op: str, timeout_s: float = 5.0, **args: Any) -> dict[str, Any]:
        """Send one request and return the reply.

        Args:
            op: What to do, see the process's own list.
            timeout_s: Wall time for the connection and again for each part of the reply, in s.
            args: The other keys of the request.

        Raises:
            StationError: Nobody answers on the port, or the process answered with an error.
        """
        request = json.dumps({"op": op, **args}).encode() + b"\n"
        try:
            with socket.create_connection((LOOPBACK, self._port), timeout=timeout_s) as link:
                link.sendall(request)
                reply = json.loads(self._line(link))
        except (OSError, ValueError) as error:
            raise StationError(
                f"The emulated bench does not answer {op!r} on port {self._port}: {error}.",
                "Look at the log in the bench folder, then start the bench again.",
            ) from error
        if not isinstance(reply, dict):
            raise StationError(f"The emulated bench answered {op!r} with {reply!r}, not with an object.")
        if "error" in reply:
            raise StationError(f"The emulated bench refused {op!r}: {reply['error']}")
        return reply

    @staticmethod
    def _line(link: socket.socket) -> bytes:
        received = bytearray()
        while not received.endswith(b"\n"):
            chunk = link.recv(65536)
            if not chunk or len(received) > REPLY_LIMIT_BYTES:
                raise OSError("the reply ended early or is too long")
            received += chunk
        return bytes(received)


async def serve_control(port: int, handler: Handler) -> asyncio.Server:
    """Serve requests on a loopback port until the returned server is closed.

    Args:
        port: Loopback TCP port, 1 to 65535.
        handler: Gets the request with its "op" and returns the reply; an MfgError, KeyError, TypeError
            or ValueError that it raises becomes the "error" of the reply.
    """

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                reply = await _answer(line, handler)
                writer.write(json.dumps(reply).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # The caller went away, or its line is longer than the limit: nobody is left to answer.
        finally:
            writer.close()

    return await asyncio.start_server(connected, LOOPBACK, port, limit=REQUEST_LIMIT_BYTES)


async def _answer(line: bytes, handler: Handler) -> dict[str, Any]:
    try:
        request = json.loads(line)
        if not isinstance(request, dict) or not isinstance(request.get("op"), str):
            return {"error": 'A request is an object with an "op".'}
        return await handler(request)
    except KeyError as error:
        return {"error": f"The request lacks {error}, or names something that does not exist."}
    except (MfgError, TypeError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
