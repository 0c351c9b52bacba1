"""One loopback connection, continued as a TCP connection to an emulated unit.

What differs from a real network: the connection is accepted on the loopback side before the unit has
accepted it, so a refusal shows as a reset.

Source: RFC 9293 for the segments; sequence numbers are compared modulo 2^32.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass
from typing import Protocol

from rp2040py.external.cyw43 import net

MSS_BYTES = 1460
DEFAULT_MSS_BYTES = 536  # RFC 9293, 3.7.1: without the option
WINDOW_BYTES = 65535
RETRANSMIT_S = 1.0
RETRANSMIT_LIMIT = 8
OUT_LIMIT_BYTES = 1 << 16

_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Segment:
    """What the host's side puts into one TCP segment."""

    seq: int
    ack: int
    flags: int
    window: int
    payload: bytes = b""


class SegmentLink(Protocol):
    """The way to the unit, as a connection sees it."""

    @property
    def linked(self) -> bool:
        """Return whether the unit has joined and has its address."""
        ...

    def open_connection(self, connection: GuestConnection) -> tuple[int, int]:
        """Return the port numbers (ours, the unit's) of a new connection."""
        ...

    def close_connection(self, ports: tuple[int, int]) -> None:
        """Forget a connection."""
        ...

    def send_segment(self, ports: tuple[int, int], segment: Segment) -> None:
        """Send one TCP segment to the unit."""
        ...


class GuestConnection(asyncio.Protocol):
    """One loopback connection, and the TCP connection to the unit that continues it.

    The way to the unit may lose frames (its driver drops them when it lacks buffers), so what is not
    acknowledged is sent again. Either side may close its direction first.
    """

    def __init__(self, bridge: SegmentLink | None) -> None:
        self._bridge = bridge
        self._transport: asyncio.Transport | None = None
        self._ports = (0, 0)
        self._established = False
        self._sequence = random.getrandbits(32)  # of the first byte in _out
        self._expected = 0  # next byte from the unit
        self._window = 0  # what the unit can take
        self._mss = DEFAULT_MSS_BYTES
        self._out = bytearray()  # sent and not acknowledged, then not sent
        self._in_flight = 0
        self._host_eof = self._fin_sent = self._fin_acknowledged = self._guest_eof = False
        self._tries = 0
        self._timer: asyncio.TimerHandle | None = None

    # the host's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the connection to the unit; without a unit on the network the host's is reset."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a stream server hands over
        self._transport = transport
        if self._bridge is None or not self._bridge.linked:
            self._reset_host()
            return
        self._ports = self._bridge.open_connection(self)
        self._send(net.TCP_SYN, self._sequence)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Take bytes for the unit."""
        self._out += data
        if len(self._out) > OUT_LIMIT_BYTES and self._transport is not None:
            self._transport.pause_reading()
        self._push()

    def eof_received(self) -> bool:
        """Close the direction to the unit once everything is sent."""
        self._host_eof = True
        self._push()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Reset the connection to the unit unless both sides had closed."""
        self._transport = None
        if self._bridge is not None and not self._finished():
            self._send(net.TCP_RST | net.TCP_ACK, self._sequence + self._in_flight)
        self._forget()

    def resume_writing(self) -> None:
        """Tell the unit that the host reads again."""
        self._send(net.TCP_ACK, self._sequence + self._in_flight)

    def guest_is_gone(self) -> None:
        """Reset the host's side: the unit reset its own, or left the network."""
        self._forget()
        self._reset_host()

    # the unit's side

    def segment_from_guest(self, segment: net.TcpSegment) -> None:
        """Take one segment of the unit."""
        if segment.flags & net.TCP_RST:
            self.guest_is_gone()
        elif not self._established:
            self._handshake(segment)
        else:
            self._window = segment.window
            self._acknowledged(segment.ack)
            self._receive(segment)
            self._push()
            if self._finished():
                if self._transport is not None:
                    self._transport.close()
                self._forget()

    def _handshake(self, segment: net.TcpSegment) -> None:
        if not segment.flags & net.TCP_SYN or segment.ack != (self._sequence + 1) & _MASK:
            return
        self._established = True
        self._sequence = segment.ack
        self._expected = (segment.seq + 1) & _MASK
        self._window = segment.window
        self._mss = min(segment.mss or DEFAULT_MSS_BYTES, MSS_BYTES)
        self._stop_timer()
        self._send(net.TCP_ACK, self._sequence)
        self._push()

    def _acknowledged(self, ack: int) -> None:
        count = (ack - self._sequence) & _MASK
        if not 0 < count <= self._in_flight + self._fin_sent:
            return
        if count > self._in_flight:
            self._fin_acknowledged = True
            count = self._in_flight
        del self._out[:count]
        self._sequence = (self._sequence + count) & _MASK
        self._in_flight -= count
        self._stop_timer()
        if self._transport is not None and len(self._out) < OUT_LIMIT_BYTES // 2:
            self._transport.resume_reading()

    def _receive(self, segment: net.TcpSegment) -> None:
        fin = bool(segment.flags & net.TCP_FIN)
        if not segment.payload and not fin:
            return
        known = (self._expected - segment.seq) & _MASK
        if known <= len(segment.payload) and not self._guest_eof:
            fresh = segment.payload[known:]
            self._expected = (self._expected + len(fresh) + fin) & _MASK
            if fresh and self._transport is not None:
                self._transport.write(fresh)
            if fin:
                self._guest_eof = True
                self._end_to_host()
        self._send(net.TCP_ACK, self._sequence + self._in_flight + self._fin_sent)

    def _end_to_host(self) -> None:
        if self._transport is not None:
            # The host may have reset its side a moment ago; connection_lost() then follows.
            with contextlib.suppress(OSError):
                self._transport.write_eof()

    # sending

    def _push(self) -> None:
        if not self._established:
            return
        while self._in_flight < min(len(self._out), self._window):
            end = min(self._in_flight + self._mss, self._window)
            payload = bytes(self._out[self._in_flight : end])
            self._send(net.TCP_ACK | net.TCP_PSH, self._sequence + self._in_flight, payload)
            self._in_flight += len(payload)
        if self._host_eof and self._in_flight == len(self._out) and not self._fin_sent:
            self._send(net.TCP_FIN | net.TCP_ACK, self._sequence + self._in_flight)
            self._fin_sent = True
        if self._out or (self._fin_sent and not self._fin_acknowledged):
            self._start_timer()

    def _repeat(self) -> None:
        self._timer = None
        self._tries += 1
        if self._tries > RETRANSMIT_LIMIT:
            if self._established:
                self._send(net.TCP_RST | net.TCP_ACK, self._sequence)
            self._forget()
            self._reset_host()
        elif not self._established:
            self._send(net.TCP_SYN, self._sequence)
            self._start_timer()
        else:
            self._in_flight = 0
            self._fin_sent = False
            if self._window == 0 and self._out:
                self._send(net.TCP_ACK | net.TCP_PSH, self._sequence, bytes(self._out[:1]))
                self._in_flight = 1
            self._push()

    def _send(self, flags: int, sequence: int, payload: bytes = b"") -> None:
        if self._bridge is None:
            return
        waiting = self._transport.get_write_buffer_size() if self._transport is not None else 0
        window = max(0, WINDOW_BYTES - waiting)
        segment = Segment(sequence & _MASK, self._expected, flags, window, payload)
        self._bridge.send_segment(self._ports, segment)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RETRANSMIT_S, self._repeat)

    def _stop_timer(self) -> None:
        self._tries = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # the end

    def _finished(self) -> bool:
        return self._guest_eof and self._fin_acknowledged

    def _forget(self) -> None:
        self._stop_timer()
        if self._bridge is not None:
            self._bridge.close_connection(self._ports)
            self._bridge = None

    def _reset_host(self) -> None:
        self._stop_timer()
        transport, self._transport = self._transport, None
        if transport is None:
            return
        link = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the host was faster
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
