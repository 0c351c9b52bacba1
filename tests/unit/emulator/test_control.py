"""The control link answers every request, also a wrong one, and gives up in time."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mfg.emulator.control import ControlClient, serve_control
from mfg.emulator.launch import free_ports
from mfg.errors import StationError, UsageError


async def _handler(request: dict[str, Any]) -> dict[str, Any]:
    if request["op"] == "echo":
        return {"got": request}
    if request["op"] == "big":
        return {"data": "x" * 300_000}
    raise UsageError("No such operation.", "Use echo.")


@contextmanager
def _served() -> Iterator[int]:
    (port,) = free_ports(1)
    ready = threading.Event()
    end: list[Callable[[], object]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        server = await serve_control(port, _handler)
        end.append(lambda: loop.call_soon_threadsafe(stop.set))
        ready.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(5)
    try:
        yield port
    finally:
        end[0]()
        thread.join()


def test_a_request_is_answered():
    with _served() as port:
        assert ControlClient(port).call("echo", value=3) == {"got": {"op": "echo", "value": 3}}


def test_a_long_reply_arrives_whole():
    with _served() as port:
        assert len(ControlClient(port).call("big")["data"]) == 300_000


def test_a_refused_request_says_why():
    with _served() as port, pytest.raises(StationError, match=r"No such operation.*Use echo"):
        ControlClient(port).call("dance")


@pytest.mark.parametrize("line", [b"not json\n", b"[1]\n", b'{"no": "op"}\n'])
def test_nonsense_is_answered_with_an_error(line):
    with _served() as port, socket.create_connection(("127.0.0.1", port), 5) as link:
        link.sendall(line)
        assert b'"error"' in link.makefile("rb").readline()


def test_nobody_on_the_port_is_a_station_error():
    (port,) = free_ports(1)
    with pytest.raises(StationError, match=str(port)):
        ControlClient(port).call("state", timeout_s=0.5)


def test_a_process_that_does_not_answer_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(StationError, match="timed out"):
        ControlClient(silent.getsockname()[1]).call("state", timeout_s=0.2)
