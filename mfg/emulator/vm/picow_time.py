# `time` on the bench clock: bench time is epoch + (monotonic - epoch) * factor. Ticks start at 0 with the
# chip and wrap at 2**30 as on the RP2040. asyncio keeps the VM's own ticks, see picow_boot.py.
import os
import time as _t

from micropython import const
from time import gmtime as _gmtime
from time import mktime, ticks_cpu

_PERIOD = const(0x3FFFFFFF)
_HALF = const(0x20000000)
_epoch_us, FACTOR_MILLI, _boot_us = (int(n) for n in os.getenv("PICOW_CLOCK").split())
_set_s = 1609459200  # the RP2040 starts on 2021-01-01


def bench_us():
    return _epoch_us + (_t.ticks_us() - _epoch_us) * FACTOR_MILLI // 1000


def ticks_us():
    return (bench_us() - _boot_us) & _PERIOD


def ticks_ms():
    return (bench_us() - _boot_us) // 1000 & _PERIOD


def ticks_diff(a, b):
    return ((a - b + _HALF) & _PERIOD) - _HALF


def ticks_add(a, d):
    return (a + d) & _PERIOD


def sleep_us(n):
    if n > 0:
        _t.sleep_us(n * 1000 // FACTOR_MILLI)


def sleep_ms(n):
    sleep_us(n * 1000)


def sleep(s):
    sleep_us(int(s * 1000000))


def time_ns():
    return (_set_s * 1000000 + bench_us() - _boot_us) * 1000


def time():
    return time_ns() // 1000000000


def set_time(s):
    # Only for machine.RTC.
    global _set_s
    _set_s += s - time()


def gmtime(s=None):
    return tuple(_gmtime(time() if s is None else s))[:8]


localtime = gmtime
