"""A network interface of this machine that plays a unit's radio, in a network namespace of its own.

Where a unit is given an interface, its address is a real one: it answers pings and hears broadcasts, and its
ports are its own. The address is there while the unit has joined its network, and gone with its supply.

Source: Linux netdevice(7): SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK.
"""

from __future__ import annotations

import socket
import struct
import sys

from mfg.errors import StationError

SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
IFF_UP = 1
NETMASK = "255.255.255.0"
NO_ADDRESS = "0.0.0.0"


class NetworkInterface:
    """One interface that comes and goes with a unit's link."""

    def __init__(self, name: str, address: str) -> None:
        """Remember the interface; it is taken down at the first `follow`.

        Args:
            name: Of the interface, in the namespace of this process.
            address: What it carries while the link is up.
        """
        self._name = name.encode()
        self._address = address
        self._up: bool | None = None

    def follow(self, up: bool) -> None:
        """Give the interface its address, or take it away.

        Raises:
            StationError: This process may not change the interface, or there is none of that name.
        """
        if up == self._up:
            return
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                if up:
                    self._set_flags(control, up=True)
                    self._set(control, SIOCSIFADDR, self._address)
                    self._set(control, SIOCSIFNETMASK, NETMASK)
                else:
                    self._set_flags(control, up=False)
                    self._set(control, SIOCSIFADDR, NO_ADDRESS)
        except OSError as error:
            raise StationError(
                f"The network interface {self._name.decode()} cannot be switched: {error}.",
                "Run the unit as root in a network namespace that holds it.",
            ) from error
        self._up = up

    def _set_flags(self, control: socket.socket, up: bool) -> None:
        request = struct.pack("16sh14x", self._name, 0)
        flags = struct.unpack("16sh14x", _ioctl(control, SIOCGIFFLAGS, request))[1]
        flags = flags | IFF_UP if up else flags & ~IFF_UP
        _ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", self._name, flags))

    def _set(self, control: socket.socket, operation: int, address: str) -> None:
        packed = struct.pack("16sH2x4s8x", self._name, socket.AF_INET, socket.inet_aton(address))
        _ioctl(control, operation, packed)


def _ioctl(control: socket.socket, operation: int, request: bytes) -> bytes:
    if sys.platform != "linux":
        raise OSError("only Linux has such interfaces")
    from fcntl import ioctl

    return bytes(ioctl(control.fileno(), operation, request))
