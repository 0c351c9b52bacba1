"""The pty plays a USB serial port: absent hosts hear nothing, a port that goes is gone, speed is limited."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

import pytest

from mfg.emulator.pty_port import PtyPort


class _Host:
    """Something that opens the port without blocking."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def read(self) -> bytes:
        try:
            return os.read(self.descriptor, 1 << 16)
        except BlockingIOError:
            return b""

    async def collect(self, count: int, timeout_s: float = 5.0) -> bytes:
        end_s = time.monotonic() + timeout_s
        got = b""
        while len(got) < count and time.monotonic() < end_s:
            got += self.read()
            await asyncio.sleep(0.001)
        return got


async def _present(port: PtyPort, present: bool) -> None:
    end_s = time.monotonic() + 2
    while port.host_present != present:
        assert time.monotonic() < end_s
        await asyncio.sleep(0.005)


def test_what_is_said_while_no_host_listens_is_lost():
    async def story() -> None:
        port = PtyPort(lambda data: None)
        port.write(b"nobody hears this")
        host = _Host(port.path)
        await _present(port, True)
        port.write(b"hello")
        assert await host.collect(5) == b"hello"
        os.close(host.descriptor)
        await _present(port, False)
        port.write(b"nor this")
        again = _Host(port.path)
        await _present(port, True)
        port.write(b"back")
        assert await again.collect(4) == b"back"
        os.close(again.descriptor)
        port.close()

    asyncio.run(story())


def test_what_the_host_sends_arrives_and_no_byte_is_special():
    async def story() -> None:
        got = bytearray()
        port = PtyPort(got.extend)
        host = _Host(port.path)
        data = bytes(range(256)) * 8
        os.write(host.descriptor, data)
        end_s = time.monotonic() + 2
        while len(got) < len(data) and time.monotonic() < end_s:
            await asyncio.sleep(0.005)
        assert bytes(got) == data
        os.close(host.descriptor)
        port.close()

    asyncio.run(story())


def test_a_closed_port_fails_for_the_host_that_has_it_open():
    async def story() -> None:
        port = PtyPort(lambda data: None)
        host = _Host(port.path)
        await _present(port, True)
        port.close()
        with pytest.raises(OSError, match=r"Errno 5|Input/output"):
            os.write(host.descriptor, b"x")
        os.close(host.descriptor)

    asyncio.run(story())


def test_a_deaf_port_takes_nothing_until_it_hears_again():
    async def story() -> None:
        got = bytearray()
        port = PtyPort(got.extend)
        port.deafen(True)
        host = _Host(port.path)
        os.write(host.descriptor, b"anybody?")
        await asyncio.sleep(0.1)
        assert not got
        port.deafen(False)
        await asyncio.sleep(0.1)
        assert bytes(got) == b"anybody?"
        os.close(host.descriptor)
        port.close()

    asyncio.run(story())


def test_the_speed_limit_holds_in_both_directions():
    async def story() -> None:
        got = bytearray()
        port = PtyPort(got.extend)
        port.throttle(50_000)
        host = _Host(port.path)
        await _present(port, True)
        start_s = time.monotonic()
        sent = 0
        while len(got) < 15_000:
            if sent < 15_000:
                with contextlib.suppress(BlockingIOError):
                    sent += os.write(host.descriptor, bytes(min(1000, 15_000 - sent)))
            await asyncio.sleep(0.001)
            assert time.monotonic() - start_s < 5
        assert 0.24 < time.monotonic() - start_s < 0.9
        start_s = time.monotonic()
        port.write(bytes(15_000))
        assert len(await host.collect(15_000)) == 15_000
        assert 0.24 < time.monotonic() - start_s < 0.9
        os.close(host.descriptor)
        port.close()

    asyncio.run(story())
