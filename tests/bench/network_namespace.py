"""Two network namespaces with a cable between them: one for the tools, one for a unit.

A namespace belongs to a thread: what the test's thread opens or starts while it is inside stays there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator

import pytest

pyroute2 = pytest.importorskip("pyroute2", reason="network namespaces need pyroute2")

CLONE_NEWNET = 0x40000000
TOOLS_ADDRESS, UNIT_ADDRESS = "10.0.0.1", "10.0.0.2"
TOOLS_INTERFACE, UNIT_INTERFACE = "tools0", "unit0"
ICMP_ECHO, ICMP_ECHO_REPLY = 8, 0


class Namespaces:
    """Both namespaces; the thread is in that of the tools while the `with` block of `cabled` runs."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._before = self._current()
        self._unit = self._tools = -1

    def open(self) -> None:
        """Make both namespaces and the cable, and enter that of the tools.

        Raises:
            OSError, NetlinkError: This machine or this user has none; `close` leads back.
        """
        self._check(self._libc.unshare(CLONE_NEWNET))
        self._unit = self._current()
        self._loopback_up()
        self._check(self._libc.unshare(CLONE_NEWNET))
        self._tools = self._current()
        self._loopback_up()
        with pyroute2.IPRoute() as netlink:
            peer = {"ifname": UNIT_INTERFACE, "net_ns_fd": self._unit}
            netlink.link("add", ifname=TOOLS_INTERFACE, kind="veth", peer=peer)
            (index,) = netlink.link_lookup(ifname=TOOLS_INTERFACE)
            netlink.addr("add", index=index, address=TOOLS_ADDRESS, prefixlen=24, broadcast="10.0.0.255")
            netlink.link("set", index=index, state="up")
            # The limited broadcast needs a way out.
            netlink.route("add", dst="255.255.255.255/32", oif=index)

    def close(self) -> None:
        """Leave; without its last thread a namespace ends, and with it what is in it."""
        if self._unit >= 0:
            self._enter(self._before)
        for descriptor in (self._unit, self._tools, self._before):
            if descriptor >= 0:
                os.close(descriptor)

    @contextlib.contextmanager
    def of_the_unit(self) -> Iterator[None]:
        """Be in the unit's namespace while the block runs."""
        self._enter(self._unit)
        try:
            yield
        finally:
            self._enter(self._tools)

    def _current(self) -> int:
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def _enter(self, namespace: int) -> None:
        self._check(self._libc.setns(namespace, CLONE_NEWNET))

    def _check(self, result: int) -> None:
        if result:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def _loopback_up(self) -> None:
        with pyroute2.IPRoute() as netlink:
            netlink.link("set", index=1, state="up")


@contextlib.contextmanager
def cabled() -> Iterator[Namespaces]:
    """Give namespaces to a test, or skip it with the reason where there are none."""
    if sys.platform != "linux":
        pytest.skip("network namespaces need Linux")
    namespaces = Namespaces()
    try:
        try:
            namespaces.open()
        except (OSError, pyroute2.NetlinkError) as error:
            pytest.skip(f"no network namespaces with a cable here; they need root, and veth: {error}")
        yield namespaces
    finally:
        namespaces.close()


def ping(address: str, timeout_s: float = 1.0) -> bool:
    """Send one echo request; return whether its answer came in time."""
    number = os.getpid() & 0xFFFF
    body = struct.pack("!BBHHH", ICMP_ECHO, 0, 0, number, 1) + bytes(range(48))
    total = sum(struct.unpack(f"!{len(body) // 2}H", body))
    total = (total >> 16) + (total & 0xFFFF)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    packet = body[:2] + struct.pack("!H", checksum) + body[4:]
    end = time.monotonic() + timeout_s
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as link:
        try:
            link.sendto(packet, (address, 0))
            while (left_s := end - time.monotonic()) > 0:
                link.settimeout(left_s)
                answer = link.recv(1024)[20:]
                if answer[0] == ICMP_ECHO_REPLY and answer[4:] == packet[4:]:
                    return True
        except OSError:  # no answer in time, or nobody has the address
            return False
    return False
