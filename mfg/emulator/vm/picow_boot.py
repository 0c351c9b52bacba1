# Runs first in every VM: mounts the flash, replaces modules, and leaves a Pico W behind. Nothing here
# lives on: what must is in the other modules.
import os
import sys

import asyncio.core as core
import machine, network, ntptime, picow_flash, picow_link, picow_socket, picow_sys, picow_time, vfs


def mount():
    flash = picow_flash.Flash()
    vfs.umount("/")
    try:
        fs = vfs.VfsLfs2(flash, progsize=256)
    except OSError:
        vfs.VfsLfs2.mkfs(flash, progsize=256)
        fs = vfs.VfsLfs2(flash, progsize=256)
    vfs.mount(fs, "/")
    os.chdir("/")
    return flash.f


def replace_modules(f):
    m = sys.modules
    for name in list(m):
        if name.startswith("picow_"):
            del m[name]
    m["time"] = m["utime"] = picow_time
    if not os.getenv("PICOW_NET"):  # else the interface is the unit's own
        m["socket"] = m["usocket"] = picow_socket
    m["os"] = m["uos"] = picow_sys.Os()
    m["sys"] = m["usys"] = picow_sys.Sys()
    m["uctypes"] = picow_flash.Memory(f)
    sys.path[:] = ["", ".frozen", "/lib"]


def programs():
    # boot.py after every reset, main.py unless the host sits in the raw REPL.
    names = ("boot.py",) if os.getenv("PICOW_RAW") else ("boot.py", "main.py")
    there = os.listdir()
    return [name for name in names if name in there]


picow_time.scale(core)
flash_file = mount()
files = programs()
replace_modules(flash_file)
picow_link.send(17)  # From now on Control-C may come.
