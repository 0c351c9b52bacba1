# `socket` behind the bench's address map: port 80 and 29340 of the unit are loopback ports of the host,
# and there is no way out of the loopback interface.
import io
import os
import socket as _s

from socket import AF_INET, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, SO_BROADCAST, SO_REUSEADDR

IPPROTO_TCP = 6
IPPROTO_UDP = 17


def _host(address):
    # Translate one of the unit's own addresses to the host's.
    name, port = address[0], address[1]
    if name in ("0.0.0.0", "", "127.0.0.1", os.getenv("PICOW_ADDRESS")):
        for pair in os.getenv("PICOW_PORTS").split():
            inner, outer = pair.split(":")
            if int(inner) == port:
                port = int(outer)
                break
        else:
            if name[:4] != "127.":
                port = 0  # A port that nobody outside can know.
        return _s.getaddrinfo("127.0.0.1", port)[0][-1]
    raise OSError(-2)


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    return [(2, type or 1, 0, "", _host((host, port)))]


class _Udp(io.IOBase):
    # Addresses are (name, port), as in the RP2040's network stack.

    def __init__(self):
        self.s = _s.socket(2, 2)

    def ioctl(self, req, arg):
        if req == 10:  # the host's file number, for select.poll
            return self.s.fileno()
        if req == 4:
            self.s.close()
            return 0
        return -1

    def close(self):
        self.s.close()

    def bind(self, address):
        self.s.bind(address if isinstance(address, (bytes, bytearray)) else _host(address))

    def setblocking(self, flag):
        self.s.setblocking(flag)

    def settimeout(self, t):
        self.s.settimeout(t)

    def setsockopt(self, level, option, value):
        pass

    def recvfrom(self, n):
        data, address = self.s.recvfrom(n)
        _, ip, port = _s.sockaddr(address)[:3]
        return data, (".".join(str(b) for b in ip), port)

    def recv(self, n):
        return self.s.recv(n)

    def sendto(self, data, address):
        if isinstance(address, tuple):
            if address[0][:4] != "127.":
                return len(data)  # Broadcast on the bench's air: nobody there.
            address = _s.getaddrinfo(address[0], address[1])[0][-1]
        return self.s.sendto(data, address)


def socket(af=2, type=1, proto=0):
    return _Udp() if type == 2 else _s.socket(2, 1)
