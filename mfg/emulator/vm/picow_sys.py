# The VM's own `sys` and `os` with other words about where they run.
import os as _os
import sys as _sys

from collections import namedtuple


def _version():
    return _os.getenv("PICOW_VERSION").split("|")


class Sys:
    platform = "rp2"

    def __init__(self):
        v = _version()
        i = _sys.implementation
        t = namedtuple("implementation", ("name", "version", "_machine", "_mpy"))
        self.implementation = t(i[0], i[1], v[2], i._mpy)
        self.version = "3.4.0; MicroPython " + v[0] + " on " + v[1]

    def __getattr__(self, name):
        return getattr(_sys, name)


class Os:
    def uname(self):
        v = _version()
        t = namedtuple("uname", ("sysname", "nodename", "release", "version", "machine"))
        return t("rp2", "rp2", "%d.%d.%d" % _sys.implementation[1][:3], v[0] + " on " + v[1], v[2])

    def sync(self):
        pass

    def __getattr__(self, name):
        return getattr(_os, name)
