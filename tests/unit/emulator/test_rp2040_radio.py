"""The radio of the rp2040 back end without a chip: joins, scan, credit for the unit's frames."""

from __future__ import annotations

import struct

import pytest

pytest.importorskip("rp2040py", reason="the rp2040 back end needs the package rp2040py")

from rp2040py.external.cyw43 import bus as cyw43_bus

from mfg.emulator.rp2040_radio import WLC_GET_RSSI, WLC_SET_WSEC_PMK, AccessPoint, AccessPointRadio

MAC = bytes.fromhex("28cdc1000001")
CREDIT_STEP_LIMIT = 20  # of the unit's driver: it ignores a larger step


class Driver:
    """The unit's driver as the radio sees it: sends with a sequence number, reads what waits."""

    def __init__(self) -> None:
        self.access_point = AccessPoint("test-net", "test-passphrase")
        self.radio = AccessPointRadio(MAC, self.access_point)
        self.sequence = 0
        self.credit = 1

    def send(self, kind: int, body: bytes) -> None:
        size = cyw43_bus.SDPCM_HEADER_LEN + len(body)
        header = struct.pack("<HHBBBBBBH", size, ~size & 0xFFFF, self.sequence, kind, 0, 12, 0, 0, 0)
        self.sequence = self.sequence + 1 & 0xFF
        self.radio.write_register(cyw43_bus.WLAN_FUNCTION, 0, size, int.from_bytes(header + body, "little"))

    def ioctl(self, command: int, payload: bytes) -> list[bytes]:
        self.send(cyw43_bus.CONTROL_HEADER, struct.pack("<IIII", command, len(payload), 0, 0) + payload)
        return self.read()

    def read(self) -> list[bytes]:
        packets: list[bytes] = []
        while True:
            status = self.radio.read_register(cyw43_bus.BUS_FUNCTION, cyw43_bus.SPI_STATUS_REGISTER, 4)
            if not status & cyw43_bus.STATUS_F2_PKT_AVAILABLE:
                return packets
            size = (status & cyw43_bus.STATUS_F2_PKT_LEN_MASK) >> cyw43_bus.STATUS_F2_PKT_LEN_SHIFT
            value = self.radio.read_register(cyw43_bus.WLAN_FUNCTION, 0, size)
            packets.append(value.to_bytes(size, "little"))
            step = packets[-1][9] - self.credit & 0xFF
            if step <= CREDIT_STEP_LIMIT:
                self.credit = packets[-1][9]

    def join(self, ssid: str, passphrase: str) -> list[tuple[int, int]]:
        """Return the events (type, status) of a join."""
        key = passphrase.encode()
        self.ioctl(WLC_SET_WSEC_PMK, struct.pack("<HH64s", len(key), 1, key))
        answers = self.ioctl(cyw43_bus.WLC_SET_SSID, struct.pack("<I32s", len(ssid), ssid.encode()))
        return [struct.unpack_from(">II", packet, 44) for packet in answers[1:]]


@pytest.mark.parametrize("unasked", [0, 1, 3])
def test_the_unit_never_runs_out_of_credit(unasked: int) -> None:
    """However many frames go the other way: the driver damages its own frame when it has to wait."""
    driver = Driver()
    driver.ioctl(WLC_GET_RSSI, bytes(4))  # the driver waits for this answer, then for no other
    for _ in range(2000):
        for _ in range(unasked):
            driver.radio.queue_rx_ethernet_frame(bytes(60))
        for _ in range(3):
            assert driver.credit != driver.sequence
            driver.send(cyw43_bus.DATA_HEADER, bytes(66))
        driver.read()


def test_the_radio_tells_its_address_and_signal_strength() -> None:
    driver = Driver()
    (answer,) = driver.ioctl(cyw43_bus.WLC_GET_VAR, b"cur_etheraddr\x00" + bytes(6))
    assert answer[28:34] == MAC
    (answer,) = driver.ioctl(WLC_GET_RSSI, bytes(4))
    assert struct.unpack_from("<i", answer, 28) == (-52,)


def test_a_join_needs_the_right_name_the_right_passphrase_and_a_willing_access_point() -> None:
    driver = Driver()
    link_up = (cyw43_bus.CYW43_EV_LINK, 0)
    assert driver.join("test-net", "test-passphrase")[-1] == link_up
    assert driver.join("elsewhere", "test-passphrase") == [(cyw43_bus.CYW43_EV_SET_SSID, 3)]
    assert driver.join("test-net", "wrong")[-1] == (cyw43_bus.CYW43_EV_PSK_SUP, 14)
    driver.access_point.refusing = True
    assert driver.join("test-net", "test-passphrase") == [(cyw43_bus.CYW43_EV_SET_SSID, 1)]


def test_a_radio_without_power_forgets_everything() -> None:
    driver = Driver()
    driver.radio.queue_rx_ethernet_frame(bytes(60))
    driver.radio.power_off()
    assert driver.read() == []
