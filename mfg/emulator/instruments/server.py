"""Puts an SCPI instrument on a loopback TCP port; several clients at a time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from mfg.emulator.control import LOOPBACK
from mfg.emulator.instruments.scpi import Instrument

LINE_LIMIT_BYTES = 4096
CLIENT_LIMIT = 16
READ_BYTES = 4096


class _Lines:
    """Program messages from a stream: LF or CRLF ends one, an over-long one is dropped whole."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._buffer = bytearray()
        self._overrun = False

    async def next(self) -> bytes | None:
        """Return the next message without its terminator, None at the end of the stream.

        Raises:
            OverflowError: The message was longer than the input buffer and is lost.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LINE_LIMIT_BYTES:
                self._overrun = True
                self._buffer.clear()
            chunk = await self._reader.read(READ_BYTES)
            if not chunk:
                return None
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if self._overrun or end > LINE_LIMIT_BYTES:
            self._overrun = False
            raise OverflowError
        return line.removesuffix(b"\r")


class _Connection:
    """One client of an instrument."""

    def __init__(
        self, instrument: Instrument, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._instrument = instrument
        self._lines = _Lines(reader)
        self._writer = writer
        self._not_before_wall_s = 0.0

    async def run(self) -> None:
        """Serve until the client goes away or the instrument drops it."""
        arriving = asyncio.ensure_future(self._lines.next())
        try:
            while True:
                try:
                    line = await arriving
                except OverflowError:
                    self._instrument.push_error(-363)
                    arriving = asyncio.ensure_future(self._lines.next())
                    continue
                if line is None:
                    return
                arriving = asyncio.ensure_future(self._lines.next())
                link = self._instrument.link()
                if link.drops:
                    return
                if not link.silent:
                    await self._answer(line, arriving)
        finally:
            arriving.cancel()
            with contextlib.suppress(asyncio.CancelledError, OverflowError, ConnectionError):
                await arriving

    async def _answer(self, line: bytes, arriving: asyncio.Future[bytes | None]) -> None:
        if not line.isascii():
            self._instrument.push_error(-101)
            return
        message = line.decode("ascii")
        execution = asyncio.ensure_future(self._instrument.execute(message))
        try:
            await self._follow(execution, arriving, asks="?" in message)
            if execution.cancelled():
                return
            response = execution.result()
        finally:
            execution.cancel()
        if response is not None:
            await self._send((response + self._instrument.terminator).encode("latin-1"))

    async def _follow(
        self, execution: asyncio.Future[str | None], arriving: asyncio.Future[bytes | None], asks: bool
    ) -> None:
        """Wait for the execution; a client that goes away or interrupts its own query ends it."""
        either: set[asyncio.Future[Any]] = {execution, arriving}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if execution.done():
            return
        gone = not arriving.cancelled() and arriving.exception() is None and arriving.result() is None
        if not gone and not (asks and self._instrument.interruptible):
            await asyncio.wait({execution})
            return
        execution.cancel()
        await asyncio.wait({execution})
        if not gone:
            self._instrument.push_error(-410)

    async def _send(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        delay_s = self._instrument.link().delay_s
        due = max(loop.time() + self._instrument.clock.wall_s(delay_s), self._not_before_wall_s)
        if delay_s > 0 or due > loop.time():
            self._not_before_wall_s = due
            loop.call_at(due, self._writer.write, data)
            return
        self._writer.write(data)
        await self._writer.drain()


class InstrumentServer:
    """An instrument that listens on a port."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> int:
        """Listen on a loopback port, 0 for any; return the port."""
        self._server = await asyncio.start_server(self._connected, LOOPBACK, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= CLIENT_LIMIT:
            writer.close()
            return
        self._clients.add(task)
        try:
            await _Connection(self._instrument, reader, writer).run()
        except (ConnectionError, asyncio.CancelledError):
            pass  # The client went away or the process ends: nobody is left to answer.
        finally:
            self._clients.discard(task)
            writer.close()
