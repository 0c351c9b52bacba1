# Runs first in every VM: mounts the flash, replaces modules, and leaves a Pico W behind.
import os
import sys

import asyncio.core as _core
import picow_link
import vfs

import machine, network, ntptime, picow_socket, picow_time

_OFFSET = 0x12C000
_BLOCKS = 212


class Flash:
    # The file system's part of the flash file; programs on 256-byte pages like rp2.Flash.
    def __init__(self):
        self.f = open(os.getenv("PICOW_FLASH"), "r+b")

    def readblocks(self, block, buf, offset=0):
        self.f.seek(_OFFSET + block * 4096 + offset)
        self.f.readinto(buf)

    def writeblocks(self, block, buf, offset=None):
        if offset is None:
            self.ioctl(6, block)
            offset = 0
        self.f.seek(_OFFSET + block * 4096 + offset)
        self.f.write(buf)

    def ioctl(self, op, arg):
        if op == 4:
            return _BLOCKS
        if op == 5:
            return 4096
        if op == 6:
            self.f.seek(_OFFSET + arg * 4096)
            for _ in range(16):
                self.f.write(_blank)
            return 0


_blank = b"\xff" * 256


class _Sys:
    # The VM's own `sys` with other words about where it runs.
    def __init__(self):
        v = os.getenv("PICOW_VERSION").split("|")
        i = _sys.implementation
        from collections import namedtuple

        t = namedtuple("implementation", ("name", "version", "_machine", "_mpy"))
        self.implementation = t("micropython", i.version, v[2], i._mpy)
        self.version = "3.4.0; MicroPython " + v[0] + " on " + v[1]

    platform = "rp2"

    def __getattr__(self, name):
        return getattr(_sys, name)


class _Os:
    def uname(self):
        from collections import namedtuple

        v = os.getenv("PICOW_VERSION").split("|")
        t = namedtuple("uname", ("sysname", "nodename", "release", "version", "machine"))
        i = _sys.implementation.version
        return t("rp2", "rp2", "%d.%d.%d" % i[:3], v[0] + " on " + v[1], v[2])

    def sync(self):
        pass

    def __getattr__(self, name):
        return getattr(os, name)


_sys = sys


def _clock():
    # asyncio's queue takes the VM's monotonic ticks where nobody gives a time, and the C code cannot be
    # told otherwise. Bench ticks on the same zero are never behind them (the factor is at least 1), so
    # whatever is queued "now" is due at once.
    milli = picow_time.FACTOR_MILLI
    if milli == 1000:
        return
    bench_us = picow_time.bench_us
    wait = _core.IOQueue.wait_io_event

    def scaled(self, dt):
        wait(self, dt if dt <= 0 else (dt * 1000 + milli - 1) // milli)

    _core.ticks = lambda: bench_us() // 1000
    _core.IOQueue.wait_io_event = scaled


def _mount():
    flash = Flash()
    vfs.umount("/")
    try:
        fs = vfs.VfsLfs2(flash, progsize=256)
    except OSError:
        vfs.VfsLfs2.mkfs(flash, progsize=256)
        fs = vfs.VfsLfs2(flash, progsize=256)
    vfs.mount(fs, "/")
    os.chdir("/")


def _files():
    # boot.py after every reset, main.py unless the host sits in the raw REPL.
    names = ("boot.py",) if os.getenv("PICOW_RAW") else ("boot.py", "main.py")
    for name in names:
        try:
            os.stat(name)
        except OSError:
            continue
        yield name


def _start():
    _clock()
    _mount()
    sys.path[:] = ["", ".frozen", "/lib"]
    m = sys.modules
    for name in ("picow_boot", "picow_link", "picow_socket", "picow_time"):
        m.pop(name, None)
    m["time"] = m["utime"] = picow_time
    m["socket"] = m["usocket"] = picow_socket
    m["os"] = m["uos"] = _Os()
    m["sys"] = m["usys"] = _Sys()


_start()
files = _files
soft_reset = machine.soft_reset
