"""What lies between the network and a unit on the unix back end whose radio or whose RAM is faulty.

A sound unit needs none of this: its VM listens on the loopback port itself. Where one of the faults below
holds as the chip starts, the VM gets a port of its own, and every byte passes here, as the fault lets it:

    rest_garbage           every seventh byte behind the headers is wrong
    rest_slow              40 bytes per second of bench time arrive
    rest_half              the connection breaks off after 150 bytes
    rest_oversize          what the unit sent last is sent again and again
    wifi_lost_in_write     nothing gets through once the unit was told to write; of a file half arrives
    wifi_lost_in_readings  nothing gets through after half a dozen answers with readings
    reset_in_write         the chip is reset at that moment, once
    reset_when_asked       the chip is reset, once, as it is asked how long it has been running
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

from mfg.clock import BenchClock
from mfg.emulator.control import LOOPBACK
from mfg.emulator.wifi import Wifi

FAULTS = (
    "rest_garbage",
    "rest_slow",
    "rest_half",
    "rest_oversize",
    "wifi_lost_in_write",
    "wifi_lost_in_readings",
    "reset_in_write",
    "reset_when_asked",
)
WRITE_PATHS = (b"/save_factory_cfg", b"/reset_wifi_config")
READING_PATHS = (b"/get_windows", b"/get_stats")
UPTIME_PATH = b"/get_uptime"
READINGS_UNTIL_LOST = 6
UPLOAD = re.compile(rb"FILE \S+ \S+ (\d{1,6}) ")
TAKEN_S = 0.2  # by then the unit has stored the half of an upload that arrived
READ_BYTES = 4096
HEADER_END = b"\r\n\r\n"
SPOILED_EVERY = 7
SPOILED_BITS = 0x28
SLOW_BYTES, SLOW_S = 20, 0.5
HALF_BYTES = 150


class AirLink:
    """The port of a unit behind a faulty radio."""

    def __init__(
        self,
        port: int,
        fault_on: Callable[[str], bool],
        wifi: Wifi,
        clock: BenchClock,
        reset: Callable[[], None],
    ) -> None:
        """Prepare the link; nothing is opened.

        Args:
            port: Loopback port that the host knows.
            fault_on: Answers whether a fault of the unit holds now.
            wifi: The unit's radio, which loses its link when nothing gets through any more.
            clock: The bench clock.
            reset: Resets the chip.
        """
        self._port = port
        self._fault_on = fault_on
        self._wifi = wifi
        self._clock = clock
        self._reset = reset
        self._was_reset = False
        self._readings = 0  # answered since the chip started
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.inner_port = 0  # where the VM listens; 0: at the port that the host knows

    async def open(self) -> None:
        """Take the place of the unit's port where a fault asks for it."""
        self._wifi.lost = False
        self._readings = 0
        if not any(map(self._fault_on, FAULTS)):
            return
        probe = await asyncio.start_server(lambda _reader, _writer: None, LOOPBACK, 0)
        self.inner_port = int(probe.sockets[0].getsockname()[1])
        probe.close()
        await probe.wait_closed()
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self._port)

    async def close(self) -> None:
        """Give the port back; open connections end."""
        server, self._server = self._server, None
        self.inner_port = 0
        if server is not None:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        try:
            if not self._wifi.lost:
                await self._pass_on(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            return  # One of the two went away: so does the connection.
        finally:
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand one request to the unit, and its answer back as the fault lets it through."""
        from_unit, to_unit = await asyncio.open_connection(LOOPBACK, self.inner_port)
        try:
            request = await _request(reader)
            if self._fault_on("reset_when_asked") and UPTIME_PATH in request and not self._was_reset:
                self._reset_once()
                return
            upload = UPLOAD.match(request)
            struck = self._strikes() and (upload or any(path in request for path in WRITE_PATHS))
            missing = int(upload[1]) // 2 if struck and upload else 0
            to_unit.write(request[: len(request) - missing])
            await to_unit.drain()
            if struck:
                await self._strike(upload is not None, from_unit)
                return
            self._readings += any(path in request for path in READING_PATHS)
            if self._fault_on("wifi_lost_in_readings") and self._readings > READINGS_UNTIL_LOST:
                self._wifi.lost = True
                return
            async for data in self._faulty(from_unit):
                writer.write(data)
                await writer.drain()
        finally:
            to_unit.close()

    def _strikes(self) -> bool:
        """Return whether a write is broken off."""
        return self._fault_on("wifi_lost_in_write") or (
            self._fault_on("reset_in_write") and not self._was_reset
        )

    async def _strike(self, upload: bool, from_unit: asyncio.StreamReader) -> None:
        """Break a write off: in the middle of an upload, else when the unit has written and answers."""
        if upload:
            await asyncio.sleep(self._clock.wall_s(TAKEN_S))
        else:
            await from_unit.read(1)
        if self._fault_on("wifi_lost_in_write"):
            self._wifi.lost = True
        else:
            self._reset_once()

    def _reset_once(self) -> None:
        self._was_reset = True
        self._reset()

    async def _faulty(self, answer: asyncio.StreamReader) -> AsyncIterator[bytes]:
        whole = b""
        while data := await answer.read(READ_BYTES):
            whole += data
        if self._fault_on("rest_garbage"):
            yield _spoiled(whole)
        elif self._fault_on("rest_half"):
            yield whole[:HALF_BYTES]
        elif self._fault_on("rest_slow"):
            for at in range(0, len(whole), SLOW_BYTES):
                await asyncio.sleep(self._clock.wall_s(SLOW_S))
                yield whole[at : at + SLOW_BYTES]
        else:
            yield whole
            while self._fault_on("rest_oversize"):
                yield whole
                await asyncio.sleep(0)


async def _request(reader: asyncio.StreamReader) -> bytes:
    """Read one request; of an upload all of it."""
    line = await reader.readline()
    upload = UPLOAD.match(line)
    rest = reader.readexactly(int(upload[1])) if upload else reader.read(READ_BYTES)
    return line + await rest


def _spoiled(answer: bytes) -> bytes:
    """Return an answer with every seventh byte behind its headers wrong."""
    head, end, body = answer.partition(HEADER_END)
    spoiled = bytearray(body)
    for at in range(0, len(spoiled), SPOILED_EVERY):
        spoiled[at] ^= SPOILED_BITS
    return head + end + bytes(spoiled)
