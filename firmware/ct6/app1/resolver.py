"""The address of a host, asked of a name server without blocking. Loaded while a name is resolved.

The system's own resolver waits for its answer, and longer than the watchdog does.

Source: RFC 1035, sections 4.1 and 4.1.4; for names under .local RFC 6762, section 5.1.
"""

import asyncio
import os
import socket

from micropython import const

_PORT = const(53)
_LOCAL_PORT = const(5353)
_LOCAL_SERVER = "224.0.0.251"
_TRIES = const(3)
_POLLS = const(40)
_POLL_S = 0.05
_ANSWER_MAX_BYTES = const(512)
_ADDRESS = const(1)  # record type A


def question(number, name):
    """Return the query for the address of `name`.

    Args:
        number: Two bytes that the answer must repeat.

    Raises:
        ValueError: It is no name of a host.
    """
    packet = number + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    for label in name.rstrip(".").encode().split(b"."):
        if not 0 < len(label) < 64:
            raise ValueError("%s is no name of a host" % name)
        packet += bytes((len(label),)) + label
    return packet + b"\x00\x00\x01\x00\x01"


def _after_name(packet, at):
    while packet[at]:
        if packet[at] >= 0xC0:  # the rest of the name stands elsewhere
            return at + 2
        at += packet[at] + 1
    return at + 1


def address_in(packet, number):
    """Return the first address of an answer; None if this is not the answer to that query.

    Raises:
        OSError: The answer says that there is none.
    """
    try:
        if packet[:2] != number or not packet[2] & 0x80:
            return None
        at = 12
        for _ in range(packet[5]):
            at = _after_name(packet, at) + 4
        for _ in range(packet[7]):
            at = _after_name(packet, at)
            size = packet[at + 8] << 8 | packet[at + 9]
            if packet[at + 1] == _ADDRESS and not packet[at] and size == 4:
                return "%d.%d.%d.%d" % tuple(packet[at + 10 : at + 14])
            at += 10 + size
    except (IndexError, TypeError):  # cut off
        return None
    raise OSError("its name has no address")


async def resolve(name, server, port=_PORT):
    """Return the address of a host as four numbers.

    Args:
        server: Address of the name server; for a name under .local all hosts are asked instead.

    Raises:
        ValueError: It is no name of a host.
        OSError: There is no answer in 6 s, or it says that there is no address.
    """
    if name.endswith(".local"):
        server, port = _LOCAL_SERVER, _LOCAL_PORT
    number = os.urandom(2)
    query = question(number, name)
    target = socket.getaddrinfo(server, port)[0][-1]
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        link.setblocking(False)
        for _ in range(_TRIES):
            link.sendto(query, target)
            for _ in range(_POLLS):
                await asyncio.sleep(_POLL_S)
                try:
                    packet = link.recvfrom(_ANSWER_MAX_BYTES)[0]
                except OSError:  # nothing there
                    continue
                found = address_in(packet, number)
                if found:
                    return found
    finally:
        link.close()
    raise OSError("no name server answers for " + name)
