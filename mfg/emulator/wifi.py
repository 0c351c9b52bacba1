"""The radio of a unit on the unix back end: which access point it hears and how a join goes."""

from __future__ import annotations

import json

from mfg.clock import BenchClock
from mfg.emulator.config import UnitConfig

JOIN_S = 2.0
LINK_DOWN, LINK_JOINING, LINK_UP = 0, 1, 3  # as MicroPython's WLAN.status() gives them for the CYW43439
LINK_FAILED, LINK_NO_NETWORK, LINK_BAD_PASSWORD = -1, -2, -3
RSSI_DBM = -52
NEIGHBOUR = ("neighbours-network", "020000000077", 11, -83, 5)


class Wifi:
    """A station interface that hears one access point of its own and one of the neighbours'."""

    def __init__(self, unit: UnitConfig, clock: BenchClock) -> None:
        self._unit = unit
        self._clock = clock
        self.refusing = False  # the access point rejects every join
        self.lost = False  # nothing gets through any more
        self._active = False
        self._since_s = 0.0
        self._outcome: int | None = None  # of the join in progress or done

    def reset(self) -> None:
        """Forget the connection: the MCU was reset."""
        self._active = False
        self._outcome = None

    def activate(self, active: bool) -> None:
        """Switch the interface on or off; off ends the connection."""
        self._active = active
        if not active:
            self._outcome = None

    def join(self, ssid: str, passphrase: str) -> None:
        """Start to join a network; `status` tells how it goes."""
        self._since_s = self._clock.now_s()
        if ssid != self._unit.ssid:
            self._outcome = LINK_NO_NETWORK
        elif passphrase != self._unit.passphrase:
            self._outcome = LINK_BAD_PASSWORD
        else:
            self._outcome = LINK_FAILED if self.refusing else LINK_UP

    @property
    def joining(self) -> bool:
        """Whether a join is under way."""
        return self.status() == LINK_JOINING

    def leave(self) -> None:
        """End the connection."""
        self._outcome = None

    def status(self) -> int:
        """Return MicroPython's status code."""
        if self._outcome is None or not self._active:
            return LINK_DOWN
        if self._clock.now_s() - self._since_s < JOIN_S:
            return LINK_JOINING
        if (self.refusing or self.lost) and self._outcome == LINK_UP:
            return LINK_FAILED
        return self._outcome

    def rssi_dbm(self) -> int:
        """Return the signal strength, 0 when there is no connection."""
        return RSSI_DBM if self.status() == LINK_UP else 0

    def scan(self) -> bytes:
        """Return the networks in range as JSON: name, address, channel, dBm, security."""
        own = (self._unit.ssid, "020000000001", 6, RSSI_DBM, 5)
        return json.dumps([own, NEIGHBOUR]).encode()
