"""The radio network of an emulated Pico W, and the way from the loopback interface into it.

`AccessPointRadio` is the CYW43439 as the unit's firmware sees it: one access point with the name and the
passphrase of the unit's configuration. `GuestNetwork` is what lies behind the access point: address by
DHCP, and a host (the gateway) that carries loopback connections to the unit's TCP port 80 and datagrams
to its UDP port 29340, replies included. Nothing that the unit sends leaves the machine: a connection it
opens is refused, a name it asks for does not exist.

What differs from a real network: a TCP connection is accepted on the loopback side before the unit has
accepted it, so a refusal shows as a reset; radio loss, delay and other stations do not exist.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from rp2040py.external.cyw43 import bus as cyw43_bus
from rp2040py.external.cyw43 import nat, net
from rp2040py.external.cyw43.bus import GSPIBus
from rp2040py.external.cyw43.chip import Cyw43439
from rp2040py.rp2040 import RP2040

LOOPBACK = "127.0.0.1"
GUEST_HTTP_PORT = 80
GUEST_DISCOVERY_PORT = 29340
RSSI_DBM = -52

MTU_BYTES = 1500
IP_HEADER_BYTES = 20
TCP_MSS_BYTES = 1460
TCP_DEFAULT_MSS_BYTES = 536  # RFC 9293, 3.7.1: without the option
TCP_WINDOW_BYTES = 65535
TCP_RETRANSMIT_S = 1.0
TCP_RETRANSMIT_LIMIT = 8
TCP_OUT_LIMIT_BYTES = 1 << 16
REASSEMBLY_S = 30.0
REASSEMBLY_LIMIT = 16
UDP_PEER_LIMIT = 64
UDP_BACKLOG_LIMIT = 64  # frames that wait for the unit; a datagram beyond that is lost, as in a real queue
ARP_REFRESH_S = 60.0  # lwIP forgets after 300 s

# ioctl numbers and event codes of the radio firmware, as its driver (cyw43-driver) uses them.
WLC_GET_RSSI = 127
WLC_SET_WSEC_PMK = 268
STATUS_NO_NETWORKS = 3
SUPPLICANT_KEYED = 6
SUPPLICANT_KEY_EXCHANGE_FAILED = 14
CAPABILITY_PRIVACY = 0x0010
# Information element RSN of IEEE 802.11: CCMP for group and pairwise keys, pre-shared key.
RSN_ELEMENT = bytes.fromhex("30140100000fac040100000fac040100000fac020000")

_MASK = 0xFFFFFFFF


class AccessPointRadio(GSPIBus):
    """The CYW43439 with one WPA2 access point in range."""

    def __init__(self, mac: bytes, ssid: str, passphrase: str) -> None:
        super().__init__()
        self._mac = mac
        self._ssid = ssid.encode()
        self._passphrase = passphrase.encode()
        self._offered_ssid = b""
        self._offered_passphrase = b""

    @property
    def backlog(self) -> int:
        """Return how many frames wait for the unit's driver."""
        return len(self._rx_queue)

    def power_off(self) -> None:
        """Lose every register and the association, as WL_ON low does."""
        super().power_off()
        self._offered_ssid = self._offered_passphrase = b""
        if self.nat_bridge is not None:
            self.nat_bridge.reset()

    def _write_wlan(self, data: bytes) -> None:
        start = cyw43_bus.SDPCM_HEADER_LEN + cyw43_bus.IOCTL_HEADER_LEN
        if len(data) < start or data[5] & 0x0F != cyw43_bus.CONTROL_HEADER:
            super()._write_wlan(data)
            return
        command, _length, flags = struct.unpack_from("<III", data, cyw43_bus.SDPCM_HEADER_LEN)
        payload = data[start:]
        answer = self._answer(command, payload)
        if answer is not None:
            response = self._build_ioctl_success_response(flags >> 16, len(payload), response_prefix=answer)
            self.queue_rx_packet(response)
            return
        if command == WLC_SET_WSEC_PMK:
            (length,) = struct.unpack_from("<H", payload)
            self._offered_passphrase = payload[4 : 4 + length]
        elif command == cyw43_bus.WLC_SET_SSID:
            (length,) = struct.unpack_from("<I", payload)
            self._offered_ssid = payload[4 : 4 + length]
        super()._write_wlan(data)

    def _answer(self, command: int, payload: bytes) -> bytes | None:
        if command == WLC_GET_RSSI:
            return struct.pack("<i", RSSI_DBM)
        if command == cyw43_bus.WLC_GET_VAR and payload.startswith(b"cur_etheraddr\x00"):
            return self._mac
        return None

    def _queue_join_events(self) -> None:
        if self._offered_ssid != self._ssid:
            event = self._build_async_event(cyw43_bus.CYW43_EV_SET_SSID, STATUS_NO_NETWORKS)
            self.queue_rx_packet(event)
        elif self._offered_passphrase != self._passphrase:
            for event_type, status in (
                (cyw43_bus.CYW43_EV_AUTH, cyw43_bus.CYW43_STATUS_SUCCESS),
                (cyw43_bus.CYW43_EV_ASSOC, cyw43_bus.CYW43_STATUS_SUCCESS),
                (cyw43_bus.CYW43_EV_PSK_SUP, SUPPLICANT_KEY_EXCHANGE_FAILED),
            ):
                self.queue_rx_packet(self._build_async_event(event_type, status))
        else:
            super()._queue_join_events()

    def _build_scan_result_bytes(self) -> bytes:
        # The base class describes an open network with another name; the fields' places are its own.
        result = bytearray(super()._build_scan_result_bytes())
        size = len(result) - 12
        struct.pack_into("<I", result, 16, size + len(RSN_ELEMENT))
        struct.pack_into("<H", result, 28, CAPABILITY_PRIVACY)
        struct.pack_into("<B32s", result, 30, len(self._ssid), self._ssid)
        struct.pack_into("<h", result, 90, RSSI_DBM)
        struct.pack_into("<H", result, 128, size)
        struct.pack_into("<I", result, 132, len(RSN_ELEMENT))
        struct.pack_into("<I", result, 0, len(result) + len(RSN_ELEMENT))
        return bytes(result) + RSN_ELEMENT


class Radio(Cyw43439):
    """The radio chip on the board with the network behind it."""

    def __init__(self, network: GuestNetwork, mac: bytes, ssid: str, passphrase: str) -> None:
        super().__init__()
        self._network = network
        self.bus: AccessPointRadio = AccessPointRadio(mac, ssid, passphrase)

    def attach(self, rp2040: RP2040) -> None:
        """Connect the chip to its pins and to the network."""
        super().attach(rp2040)
        self.bus.nat_bridge = self._network.bridge(rp2040, self.bus)


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
            mss=TCP_MSS_BYTES if segment.flags & net.TCP_SYN else None,
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


@dataclass(frozen=True)
class Segment:
    """What the host's side puts into one TCP segment."""

    seq: int
    ack: int
    flags: int
    window: int
    payload: bytes = b""


class GuestConnection(asyncio.Protocol):
    """One loopback connection, and the TCP connection to the unit that continues it.

    The way to the unit may lose frames (its driver drops them when it lacks buffers), so what is not
    acknowledged is sent again. Either side may close its direction first.
    """

    def __init__(self, bridge: GuestBridge | None) -> None:
        self._bridge = bridge
        self._transport: asyncio.Transport | None = None
        self._ports = (0, 0)
        self._established = False
        self._sequence = random.getrandbits(32)  # of the first byte in _out
        self._expected = 0  # next byte from the unit
        self._window = 0  # what the unit can take
        self._mss = TCP_DEFAULT_MSS_BYTES
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
        if len(self._out) > TCP_OUT_LIMIT_BYTES and self._transport is not None:
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
        """Reset the host's side: the unit left the network."""
        self._bridge = None
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
        self._mss = min(segment.mss or TCP_DEFAULT_MSS_BYTES, TCP_MSS_BYTES)
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
        if self._transport is not None and len(self._out) < TCP_OUT_LIMIT_BYTES // 2:
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
                if self._transport is not None:
                    self._transport.write_eof()
        self._send(net.TCP_ACK, self._sequence + self._in_flight + self._fin_sent)

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
        if self._tries > TCP_RETRANSMIT_LIMIT:
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
        window = max(0, TCP_WINDOW_BYTES - waiting)
        segment = Segment(sequence & _MASK, self._expected, flags, window, payload)
        self._bridge.send_segment(self._ports, segment)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TCP_RETRANSMIT_S, self._repeat)

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
        if link is not None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
