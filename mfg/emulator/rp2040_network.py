"""The network behind an emulated Pico W's access point, and the way into it from the loopback interface.

The unit gets its address by DHCP. A host (the gateway) carries loopback connections to the unit's TCP
port 80 and datagrams to its UDP port 29340, replies included. Nothing that the unit sends leaves the
machine: a connection it opens is refused, a name it asks for does not exist. Loss, delay and other
stations do not exist either.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from rp2040py.external.cyw43 import nat, net
from rp2040py.rp2040 import RP2040

from mfg.emulator.rp2040_radio import AccessPointRadio
from mfg.emulator.rp2040_tcp import MSS_BYTES, GuestConnection, Segment

LOOPBACK = "127.0.0.1"
GUEST_HTTP_PORT = 80
GUEST_DISCOVERY_PORT = 29340

MTU_BYTES = 1500
IP_HEADER_BYTES = 20
REASSEMBLY_S = 30.0
REASSEMBLY_LIMIT = 16
UDP_PEER_LIMIT = 64
UDP_BACKLOG_LIMIT = 64  # frames that wait for the unit; a datagram beyond that is lost, as in a real queue
ARP_REFRESH_S = 60.0  # lwIP forgets after 300 s


@dataclass(frozen=True)
class IpPacket:
    """A whole IPv4 datagram."""

    source: bytes
    destination: bytes
    protocol: int
    payload: bytes


@dataclass
class _Partial:
    since_s: float
    pieces: dict[int, bytes] = field(default_factory=dict)
    total: int | None = None

    def whole(self) -> bytes | None:
        """Return the payload when no piece is missing."""
        if self.total is None:
            return None
        data = bytearray()
        while len(data) < self.total:
            piece = self.pieces.get(len(data))
            if not piece:
                return None
            data += piece
        return bytes(data)


class Reassembler:
    """Puts the fragments of IPv4 datagrams together (RFC 791, 3.2)."""

    def __init__(self) -> None:
        self._partial: OrderedDict[bytes, _Partial] = OrderedDict()

    def add(self, packet: bytes, now_s: float) -> IpPacket | None:
        """Take one packet; return the datagram that it is or completes."""
        parsed = net.parse_ipv4(packet)
        if parsed is None:
            return None
        place = int.from_bytes(packet[6:8], "big")
        offset, more = (place & 0x1FFF) * 8, bool(place & 0x2000)
        if offset == 0 and not more:
            return IpPacket(parsed.src_ip, parsed.dst_ip, parsed.proto, parsed.payload)
        self._forget(now_s)
        key = packet[4:6] + packet[9:10] + packet[12:20]
        partial = self._partial.setdefault(key, _Partial(now_s))
        partial.pieces[offset] = parsed.payload
        if not more:
            partial.total = offset + len(parsed.payload)
        payload = partial.whole()
        if payload is None:
            return None
        del self._partial[key]
        return IpPacket(parsed.src_ip, parsed.dst_ip, parsed.proto, payload)

    def _forget(self, now_s: float) -> None:
        while self._partial:
            oldest = next(iter(self._partial.values()))
            if len(self._partial) < REASSEMBLY_LIMIT and now_s - oldest.since_s < REASSEMBLY_S:
                return
            self._partial.popitem(last=False)


def ip_packets(datagram: IpPacket, ident: int) -> list[bytes]:
    """Return the packets that carry a datagram, each within the MTU."""
    step = (MTU_BYTES - IP_HEADER_BYTES) // 8 * 8
    packets = []
    for offset in range(0, max(1, len(datagram.payload)), step):
        piece = datagram.payload[offset : offset + step]
        more = 0x2000 if offset + len(piece) < len(datagram.payload) else 0
        size = IP_HEADER_BYTES + len(piece)
        header = struct.pack(
            ">BBHHHBBH4s4s",
            *(0x45, 0, size, ident, more | offset // 8, 64, datagram.protocol, 0),
            *(datagram.source, datagram.destination),
        )
        checksum = net.internet_checksum(header).to_bytes(2, "big")
        packets.append(header[:10] + checksum + header[12:] + piece)
    return packets


class GuestNetwork:
    """The loopback ports of one unit. It outlives the chip: each power-on attaches a new bridge."""

    def __init__(self, address: str) -> None:
        self.guest_ip = socket.inet_aton(address)
        self.gateway_ip = self.guest_ip[:3] + b"\x01"
        self._bridge: GuestBridge | None = None
        self._server: asyncio.Server | None = None
        self._datagrams: asyncio.DatagramTransport | None = None

    def bridge(self, rp2040: RP2040, radio: AccessPointRadio) -> GuestBridge:
        """Return the network side of a radio that is being attached to its chip."""
        self._bridge = GuestBridge(self, rp2040, radio)
        return self._bridge

    async def open(self, http_port: int, discovery_port: int) -> None:
        """Listen on the unit's loopback ports; a port of 0 is left out."""
        loop = asyncio.get_running_loop()
        if http_port:
            self._server = await loop.create_server(self._connection, LOOPBACK, http_port)
        if discovery_port:
            self._datagrams, _protocol = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self), local_addr=(LOOPBACK, discovery_port)
            )

    def close(self) -> None:
        """Stop listening; every open connection is reset."""
        if self._server is not None:
            self._server.close()
        if self._datagrams is not None:
            self._datagrams.close()
        self._server = self._datagrams = None
        if self._bridge is not None:
            self._bridge.reset()
            self._bridge = None

    def _connection(self) -> asyncio.Protocol:
        return GuestConnection(self._bridge)

    def datagram_from_host(self, data: bytes, peer: tuple[str, int]) -> None:
        """Carry a datagram to the unit's discovery port."""
        if self._bridge is not None:
            self._bridge.datagram_in(data, peer)

    def datagram_to_host(self, data: bytes, peer: tuple[str, int]) -> None:
        """Carry a reply of the unit to who asked."""
        if self._datagrams is not None:
            self._datagrams.sendto(data, peer)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, network: GuestNetwork) -> None:
        self._network = network

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._network.datagram_from_host(data, addr)


class GuestBridge(nat.NatBridge):
    """One association of a radio: what the unit sends comes here, what it gets is queued here."""

    def __init__(self, network: GuestNetwork, rp2040: RP2040, radio: AccessPointRadio) -> None:
        super().__init__(rp2040, radio.queue_rx_ethernet_frame)
        self._network = network
        self._radio = radio
        self._arp = nat.ArpResponder(gateway_ip=network.gateway_ip)
        self._dhcp = nat.DhcpServer(guest_ip=network.guest_ip, gateway_ip=network.gateway_ip)
        self._reassembler = Reassembler()
        self._guest_mac: bytes | None = None  # None: the unit has no address yet
        self._connections: dict[tuple[int, int], GuestConnection] = {}
        self._peers: OrderedDict[int, tuple[str, int]] = OrderedDict()
        self._next_port = random.randrange(40000, 50000)
        self._ident = 0
        self._arp_due_s = 0.0

    @property
    def linked(self) -> bool:
        """Return whether the unit has joined and has its address."""
        return self._guest_mac is not None

    def reset(self) -> None:
        """Forget the association: connections are reset on the host's side."""
        self._guest_mac = None
        self._arp_due_s = 0.0
        self._peers.clear()
        for connection in list(self._connections.values()):
            connection.guest_is_gone()
        self._connections.clear()

    # what the unit sends

    def handle_outbound_ethernet_frame(self, frame: bytes) -> None:
        """Take one frame of the unit; called in the middle of an instruction, so it never waits."""
        eth = net.parse_ethernet(frame)
        if eth is None:
            return
        if eth.ethertype == net.ETHERTYPE_ARP:
            self._arp_from_guest(eth)
        elif eth.ethertype == net.ETHERTYPE_IPV4:
            reply = self._dhcp.maybe_handle(eth)
            if reply is not None:
                self._queue_ethernet_frame(reply)
                return
            packet = self._reassembler.add(eth.payload, self._now_s())
            if packet is not None and packet.source == self._network.guest_ip:
                self._guest_mac = eth.src_mac
                self._packet_from_guest(packet)

    def _arp_from_guest(self, eth: net.EthernetFrame) -> None:
        arp = net.parse_arp(eth.payload)
        if arp is not None and arp.sender_ip == self._network.guest_ip:
            self._guest_mac = eth.src_mac
        reply = self._arp.maybe_handle(eth)
        if reply is not None:
            self._queue_ethernet_frame(reply)

    def _packet_from_guest(self, packet: IpPacket) -> None:
        if packet.protocol == net.IP_PROTO_TCP:
            segment = net.parse_tcp(packet.payload)
            if segment is not None:
                self._segment_from_guest(packet, segment)
        elif packet.protocol == net.IP_PROTO_UDP:
            datagram = net.parse_udp(packet.payload)
            if datagram is not None:
                self._datagram_from_guest(packet, datagram)

    def _segment_from_guest(self, packet: IpPacket, segment: net.TcpSegment) -> None:
        connection = self._connections.get((segment.dst_port, segment.src_port))
        if connection is not None and packet.destination == self._network.gateway_ip:
            connection.segment_from_guest(segment)
        elif not segment.flags & net.TCP_RST:
            length = len(segment.payload) + bool(segment.flags & (net.TCP_SYN | net.TCP_FIN))
            refusal = net.pack_tcp(
                packet.destination,
                packet.source,
                segment.dst_port,
                segment.src_port,
                seq=segment.ack,
                ack=segment.seq + length,
                flags=net.TCP_RST | net.TCP_ACK,
                window=0,
            )
            self._send(IpPacket(packet.destination, packet.source, net.IP_PROTO_TCP, refusal))

    def _datagram_from_guest(self, packet: IpPacket, datagram: net.UdpDatagram) -> None:
        if packet.destination != self._network.gateway_ip:
            return
        if datagram.dst_port == 53 and len(datagram.payload) >= 12:
            answer = datagram.payload[:2] + b"\x81\x83" + datagram.payload[4:]  # no such name
            self._send_udp(53, datagram.src_port, answer)
            return
        peer = self._peers.get(datagram.dst_port)
        if peer is not None:
            self._network.datagram_to_host(datagram.payload, peer)

    # what the unit gets

    def datagram_in(self, data: bytes, peer: tuple[str, int]) -> None:
        """Send a datagram to the discovery port; the asker keeps its port number where it is free."""
        if not self.linked or self._radio.backlog > UDP_BACKLOG_LIMIT:
            return
        port = next((port for port, known in self._peers.items() if known == peer), None)
        if port is None:
            port = peer[1]
            while len(self._peers) >= UDP_PEER_LIMIT:
                self._peers.popitem(last=False)
            while port in self._peers or port < 1024:
                port = self._take_port()
        self._peers[port] = peer
        self._peers.move_to_end(port)
        self._send_udp(port, GUEST_DISCOVERY_PORT, data)

    def open_connection(self, connection: GuestConnection) -> tuple[int, int]:
        """Return the port numbers (ours, the unit's) of a new connection."""
        port = self._take_port()
        while (port, GUEST_HTTP_PORT) in self._connections:
            port = self._take_port()
        self._connections[port, GUEST_HTTP_PORT] = connection
        return port, GUEST_HTTP_PORT

    def close_connection(self, ports: tuple[int, int]) -> None:
        """Forget a connection."""
        self._connections.pop(ports, None)

    def send_segment(self, ports: tuple[int, int], segment: Segment) -> None:
        """Send one TCP segment to the unit."""
        source, destination = self._network.gateway_ip, self._network.guest_ip
        packed = net.pack_tcp(
            source,
            destination,
            *ports,
            seq=segment.seq,
            ack=segment.ack,
            flags=segment.flags,
            window=segment.window,
            payload=segment.payload,
            mss=MSS_BYTES if segment.flags & net.TCP_SYN else None,
        )
        self._send(IpPacket(source, destination, net.IP_PROTO_TCP, packed))

    def _send_udp(self, port: int, guest_port: int, data: bytes) -> None:
        source, destination = self._network.gateway_ip, self._network.guest_ip
        packed = net.pack_udp(source, destination, port, guest_port, data)
        self._send(IpPacket(source, destination, net.IP_PROTO_UDP, packed))

    def _send(self, datagram: IpPacket) -> None:
        if self._guest_mac is None:
            return
        now_s = self._now_s()
        if now_s >= self._arp_due_s:
            # A host asks for the unit's address before it sends; the unit learns the host's by that.
            self._arp_due_s = now_s + ARP_REFRESH_S
            gateway = (nat.GATEWAY_MAC, self._network.gateway_ip)
            request = net.pack_arp(net.ARP_OP_REQUEST, *gateway, bytes(6), self._network.guest_ip)
            self._queue_ethernet_frame(
                net.pack_ethernet(b"\xff" * 6, nat.GATEWAY_MAC, net.ETHERTYPE_ARP, request)
            )
        self._ident = (self._ident + 1) & 0xFFFF
        for packet in ip_packets(datagram, self._ident):
            self._queue_ethernet_frame(
                net.pack_ethernet(self._guest_mac, nat.GATEWAY_MAC, net.ETHERTYPE_IPV4, packet)
            )

    def _take_port(self) -> int:
        self._next_port = self._next_port + 1 if self._next_port < 65000 else 40000
        return self._next_port

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()
