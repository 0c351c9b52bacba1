"""Runs on the MicroPython VM: cuts the power at every flash operation of a change of the application.

The firmware's own modules and the functions of its main.py work on a littlefs in memory. At the operation
that is cut, half of the bytes are programmed and the chip is gone; then the unit starts again from what the
flash holds. Prints one line per scenario: its name, the number of cuts, and how many ended in which version.
"""

import asyncio
import gc
import hashlib
import json
import os
import sys


import vfs

firmware = sys.argv[1]
sys.path.insert(0, firmware)


class Machine:
    PWRON_RESET = 1


sys.modules["machine"] = Machine
import app1.apps as apps
import app1.config as configuration
import app1.files as files

main = {"__name__": "main"}
with open(firmware + "/main.py") as source:
    exec(source.read().replace("\nrun()\n", "\n"), main)

BLOCKS = 48
NAMES = ("app.mpy", "lib/part.mpy", "wifi.mpy")
CONFIG = {
    "CT1_NAME": "oven",
    "WIFI": {"WIFI_CFG": 1, "MODE": "STA", "CHANNEL": 3, "SSID": "s", "PASSWD": "p"},
}


class PowerCut(BaseException):
    pass


class Flash:
    """A littlefs's blocks; after `left` programs and erases the power goes.

    From then on every operation fails, so that nothing that tidies up can hide it. Once the flash is `gone`,
    it takes quietly what the garbage collector closes.
    """

    def __init__(self, content, left=-1):
        self.content = content
        self.left = left
        self.dead = False
        self.gone = False

    def _step(self):
        """Return whether the power goes at this operation."""
        if self.dead:
            raise PowerCut
        self.dead = self.left == 0
        self.left -= 1
        return self.dead

    def readblocks(self, block, buffer, offset=0):
        if self.gone:
            return
        if self.dead:
            raise PowerCut
        at = block * 4096 + offset
        buffer[:] = self.content[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        if self.gone:
            return
        at = block * 4096 + offset
        size = len(buffer)
        if self._step():
            self.content[at : at + size // 2] = bytes(buffer)[: size // 2]
            raise PowerCut
        self.content[at : at + size] = buffer

    def ioctl(self, operation, block):
        if operation == 4:
            return BLOCKS
        if operation == 5:
            return 4096
        if operation == 6 and not self.gone:
            if self._step():
                raise PowerCut
            self.content[block * 4096 : block * 4096 + 4096] = b"\xff" * 4096
        return 0


class Http:
    answered = True


class App:
    """What the firmware's modules know of the running application."""

    def __init__(self, number):
        self.number = number
        self.http = Http
        self.config = configuration.Config("/this.machine.cfg", "/factory.cfg")
        self.config.load()
        self.trial = apps.settle(self)

    def uptime_s(self):
        return 20


def part(version, name):
    return b"%s of version %d " % (name.encode(), version) * 20


def version_in(number):
    """Return the version of an application that is whole, None of one that is not."""
    for version in (1, 2):
        try:
            for name in NAMES:
                with open("/app%d/%s" % (number, name), "rb") as file:
                    if file.read() != part(version, name):
                        break
            else:
                return version
        except OSError:
            pass
    return None


def start():
    """Start as main.py does; return the application that runs."""
    number = main["active_app"]()
    main["note"]("boot app%d" % number)
    number, trial = main["choose"](number)
    if version_in(number) is None:
        number, trial = 3 - number, False
    running = App(number)
    assert running.trial == trial
    return running


def upload(app, version):
    """Do what a tool does over the network."""
    asyncio.run(apps.wait_erase_offline_app(app, {}))
    folder = apps.do_get_inactive_app_folder(app, {})["INACTIVE_APP_FOLDER"]
    for name in NAMES:
        data = part(version, name)
        sha256 = hashlib.sha256(data).digest().hex()
        file = files.UploadFile(app, folder + "/" + name, len(data), sha256)
        try:
            file.write(data)
            file.check()
            file.put()
        finally:
            file.drop()
    apps.do_swap_active_app(app, {})


def good():
    """The new application runs and proves itself."""
    upload(start(), 2)
    app = start()
    asyncio.run(apps.prove(app))
    assert not app.trial
    start()


def bad():
    """The new application never gets so far."""
    upload(start(), 2)
    for _ in range(5):
        start()


def back():
    """A tool goes back while the new application is on trial."""
    upload(start(), 2)
    apps.do_swap_active_app(start(), {})
    start()


def mount(flash):
    vfs.mount(vfs.VfsLfs2(flash, progsize=256, readsize=32), "/")


def prepared():
    """Return a flash with version 1 as the application and an old one beside it."""
    flash = Flash(bytearray(b"\xff" * (BLOCKS * 4096)))
    vfs.VfsLfs2.mkfs(flash, progsize=256, readsize=32)
    mount(flash)
    for number in (1, 2):
        for name in NAMES:
            path = "/app%d/%s" % (number, name)
            files.make_parents(path)
            with open(path, "wb") as file:
                file.write(part(1, name) if number == 1 else b"older")
    with open("/this.machine.cfg", "w") as file:
        file.write(json.dumps(CONFIG))
    vfs.umount("/")
    return bytes(flash.content)


def cut(scenario, content, operations):
    """Run a scenario until the power goes; return whether it went, and the flash."""
    flash = Flash(bytearray(content), operations)
    mount(flash)
    gone = False
    try:
        scenario()
    except PowerCut:
        gone = True
    vfs.umount("/")
    flash.gone = True
    return gone, flash.content


def version_after(content, proves):
    """Return the version that runs after one start and after five; check what holds after every start."""
    flash = Flash(content)
    mount(flash)
    seen = []
    for _ in range(5):
        app = start()
        version = version_in(app.number)
        assert version, "the running application is not whole"
        assert app.config["APP"] == app.number, "another application would run next"
        assert app.config["CT1_NAME"] == "oven", "the configuration is lost"
        assert not [name for name in os.listdir("/") if name.endswith(".tmp")]
        if proves and app.trial:
            asyncio.run(apps.prove(app))
        seen.append(version)
    assert not app.trial
    upload(app, 2)
    app = start()
    assert version_in(app.number) == 2, "another upgrade does not work"
    vfs.umount("/")
    flash.gone = True
    return seen[0], seen[-1]


def run(scenario, proves):
    content = prepared()
    outcomes = []
    operations = 0
    while True:
        gone, left = cut(scenario, content, operations)
        outcomes.append(version_after(left, proves))
        gc.collect()
        if not gone:
            break
        operations += 1
    firsts = [first for first, _ in outcomes]
    lasts = [last for _, last in outcomes]
    counts = (firsts.count(1), firsts.count(2), lasts.count(1), lasts.count(2))
    print("RESULT", scenario.__name__, operations, *counts, lasts[-1])
    return lasts


vfs.umount("/")
for scenario, proves in ((good, True), (bad, False), (back, False)):
    lasts = run(scenario, proves)
    if scenario is good:
        assert lasts == sorted(lasts), "a later cut led back to the old application"
