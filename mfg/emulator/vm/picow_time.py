# `time` on the bench clock: bench time is epoch + (monotonic - epoch) * factor. Ticks start at 0 with the
# chip and wrap at 2**30 as on the RP2040.
import os
import time as _t

from time import gmtime as _gmtime
from time import mktime, ticks_cpu

_epoch_us, _milli, _boot_us = (int(n) for n in os.getenv("PICOW_CLOCK").split())
_set_s = 1609459200  # the RP2040 starts on 2021-01-01


def _now_us():
    return _epoch_us + (_t.ticks_us() - _epoch_us) * _milli // 1000


def ticks_us():
    return (_now_us() - _boot_us) & 0x3FFFFFFF


def ticks_ms():
    return (_now_us() - _boot_us) // 1000 & 0x3FFFFFFF


def ticks_diff(a, b):
    return ((a - b + 0x20000000) & 0x3FFFFFFF) - 0x20000000


def ticks_add(a, d):
    return (a + d) & 0x3FFFFFFF


def sleep_us(n):
    if n > 0:
        _t.sleep_us(n * 1000 // _milli)


def sleep_ms(n):
    sleep_us(n * 1000)


def sleep(s):
    sleep_us(int(s * 1000000))


def time_ns():
    return (_set_s * 1000000 + _now_us() - _boot_us) * 1000


def time():
    return time_ns() // 1000000000


def set_time(s):
    # Only for machine.RTC.
    global _set_s
    _set_s += s - time()


def gmtime(s=None):
    return tuple(_gmtime(time() if s is None else s))[:8]


localtime = gmtime


def scale(core):
    # asyncio keeps the VM's own ticks: its queue takes them where nobody gives a time, and that C code
    # cannot be told otherwise. Bench ticks on the same zero are never behind them, as the factor is at
    # least 1, so whatever is queued "now" is due at once.
    if _milli == 1000:
        return
    wait = core.IOQueue.wait_io_event
    core.IOQueue.wait_io_event = lambda q, dt: wait(q, dt if dt <= 0 else (dt * 1000 + _milli - 1) // _milli)
    core.ticks = lambda: _now_us() // 1000
