# `machine` of the Pico W, as far as the CT6 uses it.
import os

import picow_link as _l

PWRON_RESET = 1
WDT_RESET = 3

_hz = 125000000


class Pin:
    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    ALT = 3
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_RISING = 8
    IRQ_FALLING = 4

    def __init__(self, id, mode=-1, pull=-1, *, value=None, alt=-1):
        if isinstance(id, str):
            # "LED" hangs on the radio chip, out of the board's sight; else "GP5" or "GPIO5".
            id = 255 if id == "LED" else int(id[4:] if id[:4] == "GPIO" else id[2:])
        self.n = id
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None, alt=-1):
        self.m = mode
        if value is not None:
            self.value(value)

    def value(self, v=None):
        if v is None:
            return _l.call(_l.PIN_GET, self.n, b"\x01" if self.m == 1 else b"\x00", bytearray(1))[0]
        _l.send(_l.PIN_SET, self.n, b"\x01" if v else b"\x00")

    def __call__(self, v=None):
        return self.value(v)

    def on(self):
        self.value(1)

    high = on

    def off(self):
        self.value(0)

    low = off

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
        _l.send(_l.SPI_WRITE, self.id, buf)

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
            _l.call(_l.SPI_READ, self.id, wbuf, rbuf)
            return
        rbuf = memoryview(rbuf)
        for at in range(0, n, 512):
            _l.call(_l.SPI_READ, self.id, wbuf[at : at + 512], rbuf[at : at + 512])


class ADC:
    CORE_TEMP = 4

    def __init__(self, pin):
        n = pin.n if isinstance(pin, Pin) else pin
        self.c = n - 26 if n >= 26 else n

    def read_u16(self):
        b = _l.call(_l.ADC_READ, self.c, b"", bytearray(2))
        return b[0] | b[1] << 8


class WDT:
    def __init__(self, id=0, timeout=5000):
        if not 1 <= timeout <= 8388:
            raise ValueError("timeout exceeds 8388")
        _l.send(_l.WDT_START, 0, bytes((timeout & 255, timeout >> 8)))

    def feed(self):
        _l.send(_l.WDT_FEED)


class RTC:
    def datetime(self, d=None):
        import time

        if d is None:
            t = time.gmtime()
            return (t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0)
        time.set_time(time.mktime((d[0], d[1], d[2], d[4], d[5], d[6], 0, 0)))


def reset():
    _l.halt(_l.RESET)


def bootloader():
    _l.halt(_l.BOOTLOADER)


def soft_reset():
    _l.halt(_l.SOFT_RESET)


def reset_cause():
    return int(os.getenv("PICOW_CAUSE"))


def unique_id():
    return bytes.fromhex(os.getenv("PICOW_ID"))


def freq(hz=None):
    global _hz
    if hz is None:
        return _hz
    _hz = hz


def idle():
    import time

    time.sleep_ms(1)


def disable_irq():
    return 0


def enable_irq(state):
    pass
