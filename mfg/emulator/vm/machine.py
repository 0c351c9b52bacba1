# `machine` of the Pico W, as far as a CT6 application and the tools need it.
import os

from picow_link import call, halt, send

PWRON_RESET = 1
WDT_RESET = 3

_hz = 125000000


class Pin:
    IN = 0
    OUT = 1
    PULL_UP = 1
    PULL_DOWN = 2

    def __init__(self, id, mode=-1, pull=-1, *, value=None, alt=-1):
        if isinstance(id, str):
            # "LED" hangs on the radio chip, out of the board's sight; else "GP5" or "GPIO5".
            id = 255 if id == "LED" else int(id[id.find("P") + 1 :].strip("IO"))
        self.n = id
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None, alt=-1):
        self.m = mode
        if value is not None:
            self.value(value)

    def value(self, v=None):
        if v is None:
            return call(2, self.n, b"\x01" if self.m == 1 else b"\x00", bytearray(1))[0]
        send(1, self.n, b"\x01" if v else b"\x00")

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self.value())


class SPI:
    MSB = 1
    LSB = 0

    def __init__(self, id, baudrate=1000000, **kw):
        self.id = id

    def init(self, *a, **kw):
        pass

    deinit = init

    def write(self, buf):
        send(3, self.id, buf)

    def read(self, n, write=0):
        buf = bytearray(n)
        self.readinto(buf, write)
        return bytes(buf)

    def readinto(self, buf, write=0):
        self.write_readinto(bytes((write,)) * len(buf), buf)

    def write_readinto(self, wbuf, rbuf):
        n = len(wbuf)
        if n != len(rbuf):
            raise ValueError("buffers must be the same length")
        if n <= 512:
            call(4, self.id, wbuf, rbuf)
            return
        rbuf = memoryview(rbuf)
        for at in range(0, n, 512):
            call(4, self.id, wbuf[at : at + 512], rbuf[at : at + 512])


class ADC:
    CORE_TEMP = 4

    def __init__(self, pin):
        n = pin.n if isinstance(pin, Pin) else pin
        self.c = n - 26 if n >= 26 else n

    def read_u16(self):
        b = call(5, self.c, b"", bytearray(2))
        return b[0] | b[1] << 8


class WDT:
    def __init__(self, id=0, timeout=5000):
        if not 1 <= timeout <= 8388:
            raise ValueError("timeout exceeds 8388")
        send(6, 0, bytes((timeout & 255, timeout >> 8)))

    def feed(self):
        send(7)


class RTC:
    def datetime(self, d=None):
        import time

        if d is None:
            t = time.gmtime()
            return t[:3] + (t[6],) + t[3:6] + (0,)
        time.set_time(time.mktime((d[0], d[1], d[2], d[4], d[5], d[6], 0, 0)))


def reset():
    halt(8)


def bootloader():
    halt(9)


def soft_reset():
    halt(10)


def reset_cause():
    return int(os.getenv("PICOW_CAUSE"))


def unique_id():
    return bytes.fromhex(os.getenv("PICOW_ID"))


def freq(hz=None):
    global _hz
    if hz is None:
        return _hz
    _hz = hz
