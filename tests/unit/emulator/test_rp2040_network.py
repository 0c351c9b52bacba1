"""The network of the rp2040 back end without a chip: fragments, lost frames, ends of connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rp2040py", reason="the rp2040 back end needs the package rp2040py")

from hypothesis import given
from hypothesis import strategies as st
from rp2040py.external.cyw43 import nat, net

from mfg.emulator import rp2040_tcp
from mfg.emulator.rp2040_network import (
    REASSEMBLY_LIMIT,
    REASSEMBLY_S,
    GuestBridge,
    GuestNetwork,
    IpPacket,
    Reassembler,
    ip_packets,
)
from mfg.emulator.rp2040_tcp import GuestConnection

GUEST, GATEWAY = bytes((10, 0, 0, 2)), bytes((10, 0, 0, 1))
GUEST_MAC = bytes.fromhex("28cdc1000001")


def datagram(size: int) -> IpPacket:
    return IpPacket(GUEST, GATEWAY, net.IP_PROTO_UDP, bytes(i * 7 & 0xFF for i in range(size)))


@given(st.integers(0, 9000), st.randoms(use_true_random=False))
def test_a_datagram_is_whole_again_in_whatever_order_its_fragments_come(size: int, order: Any) -> None:
    packets = ip_packets(datagram(size), 7)
    assert all(len(packet) <= 1500 for packet in packets)
    order.shuffle(packets)
    reassembler = Reassembler()
    found = [whole for packet in packets if (whole := reassembler.add(packet, 0.0))]
    assert found == [datagram(size)]


def test_a_repeated_or_missing_fragment_never_completes_a_datagram() -> None:
    first, second, _third = ip_packets(datagram(4000), 7)
    reassembler = Reassembler()
    assert [reassembler.add(packet, 0.0) for packet in (first, second, second, first)] == [None] * 4


def test_old_and_too_many_incomplete_datagrams_are_forgotten() -> None:
    reassembler = Reassembler()
    first, last = ip_packets(datagram(2000), 1)
    reassembler.add(first, 0.0)
    assert reassembler.add(last, REASSEMBLY_S + 1) is None
    reassembler.add(first, 100.0)
    for ident in range(2, 3 + REASSEMBLY_LIMIT):
        reassembler.add(ip_packets(datagram(2000), ident)[0], 100.0)
    assert reassembler.add(last, 100.0) is None


class Radio:
    """Collects the frames for the unit."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.backlog = 0

    def queue_rx_ethernet_frame(self, frame: bytes) -> None:
        self.frames.append(frame)


class HostSide(asyncio.Transport):
    """The loopback connection as the event loop shows it."""

    def __init__(self) -> None:
        super().__init__()
        self.received = bytearray()
        self.ends: list[str] = []
        self.reset_by_host = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self

    def setsockopt(self, *_option: Any) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        self.received += data

    def write_eof(self) -> None:
        if self.reset_by_host:
            raise OSError(107, "Transport endpoint is not connected")
        self.ends.append("eof")

    def close(self) -> None:
        self.ends.append("close")

    def abort(self) -> None:
        self.ends.append("abort")

    def pause_reading(self) -> None:
        self.ends.append("pause")

    def resume_reading(self) -> None:
        pass


class Guest:
    """The unit's end of one connection, driven segment by segment."""

    def __init__(self) -> None:
        self.radio = Radio()
        network = GuestNetwork("10.0.0.2")
        self.bridge: GuestBridge = network.bridge(None, self.radio)  # type: ignore[arg-type]
        arp = net.pack_arp(net.ARP_OP_REQUEST, GUEST_MAC, GUEST, bytes(6), GUEST)
        self._frame(net.ETHERTYPE_ARP, arp)
        self.sequence = 5000
        self.expected = 0
        self.ports = (0, 0)

    def _frame(self, ethertype: int, payload: bytes) -> None:
        frame = net.pack_ethernet(nat.GATEWAY_MAC, GUEST_MAC, ethertype, payload)
        self.bridge.handle_outbound_ethernet_frame(frame)

    def segments(self) -> list[net.TcpSegment]:
        found = []
        for frame in self.radio.frames:
            eth = net.parse_ethernet(frame)
            if eth is not None and eth.ethertype == net.ETHERTYPE_IPV4:
                packet = net.parse_ipv4(eth.payload)
                segment = net.parse_tcp(packet.payload) if packet is not None else None
                if segment is not None:
                    found.append(segment)
        self.radio.frames.clear()
        return found

    def send(self, flags: int, payload: bytes = b"", window: int = 4000) -> None:
        segment = net.pack_tcp(
            *(GUEST, GATEWAY, *self.ports),
            seq=self.sequence,
            ack=self.expected,
            flags=flags,
            window=window,
            payload=payload,
        )
        self.sequence += len(payload) + bool(flags & (net.TCP_SYN | net.TCP_FIN))
        packets = ip_packets(IpPacket(GUEST, GATEWAY, net.IP_PROTO_TCP, segment), 1)
        self._frame(net.ETHERTYPE_IPV4, packets[0])

    def accept(self) -> None:
        (syn,) = self.segments()
        assert syn.flags == net.TCP_SYN
        self.ports = (syn.dst_port, syn.src_port)
        self.expected = syn.seq + 1 & 0xFFFFFFFF
        self.send(net.TCP_SYN | net.TCP_ACK)


def in_loop(test: Callable[[Guest, GuestConnection, HostSide], Any]) -> None:
    async def run() -> None:
        guest, host = Guest(), HostSide()
        connection = GuestConnection(guest.bridge)
        connection.connection_made(host)
        guest.accept()
        guest.segments()
        await test(guest, connection, host)

    asyncio.run(run())


def test_a_lost_segment_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rp2040_tcp, "RETRANSMIT_S", 0.01)

    async def test(guest: Guest, connection: GuestConnection, _host: HostSide) -> None:
        connection.data_received(b"request")
        (lost,) = guest.segments()
        await asyncio.sleep(0.03)
        again = guest.segments()[0]
        assert (again.seq, again.payload) == (lost.seq, b"request")
        guest.expected += len(b"request")
        guest.send(net.TCP_ACK)
        guest.segments()
        await asyncio.sleep(0.03)
        assert guest.segments() == []

    in_loop(test)


def test_a_unit_that_never_answers_costs_the_host_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rp2040_tcp, "RETRANSMIT_S", 0.001)

    async def test(guest: Guest, connection: GuestConnection, host: HostSide) -> None:
        connection.data_received(b"request")
        await asyncio.sleep(0.1)
        assert host.ends == ["abort"]
        assert guest.segments()[-1].flags & net.TCP_RST

    in_loop(test)


def test_no_more_is_sent_than_the_unit_can_take() -> None:
    async def test(guest: Guest, connection: GuestConnection, host: HostSide) -> None:
        connection.data_received(bytes(100_000))
        assert sum(len(segment.payload) for segment in guest.segments()) == 4000
        assert host.ends == ["pause"]
        guest.expected += 4000
        guest.send(net.TCP_ACK, window=100)
        assert sum(len(segment.payload) for segment in guest.segments()) == 100

    in_loop(test)


def test_both_sides_may_end_their_direction_first() -> None:
    async def test(guest: Guest, connection: GuestConnection, host: HostSide) -> None:
        guest.send(net.TCP_FIN | net.TCP_ACK, b"reply")
        assert (bytes(host.received), host.ends) == (b"reply", ["eof"])
        assert connection.eof_received()
        assert guest.segments()[-1].flags & net.TCP_FIN
        guest.expected += 1
        guest.send(net.TCP_ACK)
        assert host.ends == ["eof", "close"]

    in_loop(test)


def test_a_repeated_segment_reaches_the_host_once() -> None:
    async def test(guest: Guest, _connection: GuestConnection, host: HostSide) -> None:
        guest.send(net.TCP_ACK, b"abc")
        guest.sequence -= 2
        guest.send(net.TCP_ACK, b"bcd")
        guest.sequence += 1
        guest.send(net.TCP_ACK, b"out of order")
        assert bytes(host.received) == b"abcd"

    in_loop(test)


def test_the_units_end_after_a_reset_of_the_host_is_no_error() -> None:
    async def test(guest: Guest, connection: GuestConnection, host: HostSide) -> None:
        host.reset_by_host = True
        guest.send(net.TCP_FIN | net.TCP_ACK)
        connection.connection_lost(ConnectionResetError())
        assert guest.segments()[-1].flags & net.TCP_RST

    in_loop(test)


def test_a_refused_connection_and_a_lost_association_reset_the_host() -> None:
    async def test(guest: Guest, _connection: GuestConnection, host: HostSide) -> None:
        guest.send(net.TCP_RST)
        assert host.ends == ["abort"]
        guest.send(net.TCP_ACK)
        assert guest.segments()[-1].flags & net.TCP_RST  # nobody knows it any more
        second_host = HostSide()
        second = GuestConnection(guest.bridge)
        second.connection_made(second_host)
        guest.bridge.reset()
        assert second_host.ends == ["abort"]
        assert not guest.bridge.linked

    in_loop(test)


def test_a_segment_of_no_connection_is_refused() -> None:
    async def test(guest: Guest, _connection: GuestConnection, _host: HostSide) -> None:
        guest.ports = (50000, 1883)
        guest.send(net.TCP_SYN)
        (refusal,) = guest.segments()
        assert refusal.flags & net.TCP_RST
        assert refusal.ack == guest.sequence

    in_loop(test)
