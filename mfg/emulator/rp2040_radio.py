"""The radio of an emulated Pico W: a CYW43439 that hears one WPA2 access point.

The package's own model knows one open access point that takes every password. This one compares the name
and the passphrase, answers with the unit's MAC address and a signal strength, and may refuse every join.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from rp2040py.external.cyw43 import bus as cyw43_bus
from rp2040py.external.cyw43.bus import GSPIBus
from rp2040py.external.cyw43.chip import Cyw43439
from rp2040py.external.cyw43.nat import NatBridge
from rp2040py.rp2040 import RP2040

RSSI_DBM = -52

# ioctl numbers and event codes of the radio firmware, as its driver (cyw43-driver) uses them.
WLC_GET_RSSI = 127
WLC_SET_WSEC_PMK = 268
STATUS_FAIL = 1
STATUS_NO_NETWORKS = 3
SUPPLICANT_KEY_EXCHANGE_FAILED = 14
CAPABILITY_PRIVACY = 0x0010
# How many frames the unit may send ahead; its driver takes a step of at most 20 at once.
SEND_CREDITS = 16
# Information element RSN of IEEE 802.11: CCMP for group and pairwise keys, pre-shared key.
RSN_ELEMENT = bytes.fromhex("30140100000fac040100000fac040100000fac020000")


@dataclass
class AccessPoint:
    """The access point in range of the unit."""

    ssid: str
    passphrase: str
    refusing: bool = False  # it rejects every join
    joining: bool = False  # a join under way is not told from here: no brown-out at it on this back end


class AccessPointRadio(GSPIBus):
    """The CYW43439 with one WPA2 access point in range."""

    def __init__(self, mac: bytes, access_point: AccessPoint) -> None:
        self._sent_sequence = 0  # of the last frame from the unit
        super().__init__()
        self._mac = mac
        self._access_point = access_point
        self._offered_ssid = b""
        self._offered_passphrase = b""

    @property
    def backlog(self) -> int:
        """Return how many frames wait for the unit's driver."""
        return len(self._rx_queue)

    @property
    def _bus_data_credit(self) -> int:
        """Return up to which sequence number the unit may send, modulo 256.

        The base class counts one up for each frame to the unit. Now and then that meets the unit's own
        count; the driver then waits for credit with its only buffer filled, and what it reads meanwhile
        overwrites the frame it is about to send.
        """
        return (self._sent_sequence + 1 + SEND_CREDITS) & 0xFF

    @_bus_data_credit.setter
    def _bus_data_credit(self, _count: int) -> None:
        pass  # the base class's count

    def power_off(self) -> None:
        """Lose every register and the association, as WL_ON low does."""
        super().power_off()
        self._sent_sequence = 0
        self._offered_ssid = self._offered_passphrase = b""
        if self.nat_bridge is not None:
            self.nat_bridge.reset()

    def _write_wlan(self, data: bytes) -> None:
        if len(data) >= cyw43_bus.SDPCM_HEADER_LEN:
            self._sent_sequence = data[4]
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
        access_point = self._access_point
        if self._offered_ssid != access_point.ssid.encode():
            event = self._build_async_event(cyw43_bus.CYW43_EV_SET_SSID, STATUS_NO_NETWORKS)
            self.queue_rx_packet(event)
        elif access_point.refusing:
            event = self._build_async_event(cyw43_bus.CYW43_EV_SET_SSID, STATUS_FAIL)
            self.queue_rx_packet(event)
        elif self._offered_passphrase != access_point.passphrase.encode():
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
        ssid = self._access_point.ssid.encode()
        struct.pack_into("<I", result, 16, size + len(RSN_ELEMENT))
        struct.pack_into("<H", result, 28, CAPABILITY_PRIVACY)
        struct.pack_into("<B32s", result, 30, len(ssid), ssid)
        struct.pack_into("<h", result, 90, RSSI_DBM)
        struct.pack_into("<H", result, 128, size)
        struct.pack_into("<I", result, 132, len(RSN_ELEMENT))
        struct.pack_into("<I", result, 0, len(result) + len(RSN_ELEMENT))
        return bytes(result) + RSN_ELEMENT


class Radio(Cyw43439):
    """The radio chip on the board with the network behind its access point."""

    def __init__(
        self,
        mac: bytes,
        access_point: AccessPoint,
        bridge: Callable[[RP2040, AccessPointRadio], NatBridge],
    ) -> None:
        super().__init__()
        self.bus: AccessPointRadio = AccessPointRadio(mac, access_point)
        self._bridge = bridge

    def attach(self, rp2040: RP2040) -> None:
        """Connect the chip to its pins and to the network."""
        super().attach(rp2040)
        self.bus.nat_bridge = self._bridge(rp2040, self.bus)
