"""A unit joins only the network that it can hear, with the right password, and after a while."""

from __future__ import annotations

import time

import pytest

from mfg.clock import BenchClock
from mfg.emulator.config import UnitConfig
from mfg.emulator.wifi import Wifi

UNIT = UnitConfig(ssid="bench", passphrase="secret words")
FACTOR = 50.0


@pytest.fixture
def wifi():
    wifi = Wifi(UNIT, BenchClock(time.monotonic(), FACTOR))
    wifi.activate(True)
    return wifi


@pytest.mark.parametrize(
    ("ssid", "passphrase", "status"),
    [("bench", "secret words", 3), ("bench", "wrong", -3), ("bench", "", -3), ("other", "secret words", -2)],
)
def test_the_join_takes_two_seconds_and_then_has_its_outcome(wifi, ssid, passphrase, status):
    assert wifi.status() == 0
    wifi.join(ssid, passphrase)
    assert wifi.status() == 1
    assert wifi.rssi_dbm() == 0
    time.sleep(2.5 / FACTOR)
    assert wifi.status() == status
    assert (wifi.rssi_dbm() < 0) == (status == 3)


def test_an_access_point_that_refuses_fails_the_join_and_drops_the_joined(wifi):
    wifi.join("bench", "secret words")
    time.sleep(2.5 / FACTOR)
    assert wifi.status() == 3
    wifi.refusing = True
    assert wifi.status() == -1


@pytest.mark.parametrize("end", ["leave", "reset", "activate"])
def test_the_connection_ends(wifi, end):
    wifi.join("bench", "secret words")
    time.sleep(2.5 / FACTOR)
    if end == "activate":
        wifi.activate(False)
    else:
        getattr(wifi, end)()
    assert wifi.status() == 0
