"""Start the application that the configuration selects, after a reset or by `import main`.

This file stays source and is not replaced by upgrades. An application that cannot be imported is passed
over for the other one. Ctrl-C ends the application and gives the prompt.
"""

import asyncio
import gc
import json
import os
import sys

import machine

CONFIG_FILE = "/this.machine.cfg"
CONFIG_MAX_BYTES = 8192
BOOT_LOG = "/bootlog.txt"
BOOT_LOG_MAX_BYTES = 1024


def active_app():
    """Return 1 or 2; anything but a stored 2 is 1."""
    try:
        if os.stat(CONFIG_FILE)[6] > CONFIG_MAX_BYTES:
            return 1
        with open(CONFIG_FILE) as file:
            return 2 if json.load(file).get("APP") == 2 else 1
    except (OSError, ValueError, AttributeError, RuntimeError):
        return 1


def note(text):
    """Append a line to the boot log and drop its oldest lines; the boot never fails for it."""
    try:
        try:
            with open(BOOT_LOG) as file:
                old = file.read(2 * BOOT_LOG_MAX_BYTES)
        except (OSError, UnicodeError):
            old = ""
        kept = (old + text + "\n")[-BOOT_LOG_MAX_BYTES:]
        if len(old) + len(text) >= BOOT_LOG_MAX_BYTES:
            kept = kept[kept.find("\n") + 1 :]
        with open(BOOT_LOG, "w") as file:
            file.write(kept)
    except OSError as exc:
        print("ERROR: %s was not written: %s" % (BOOT_LOG, exc))


def load(number):
    """Return the module of an application, or None."""
    name = "app%d.app" % number
    try:
        __import__(name)
        return sys.modules[name]
    except Exception as exc:
        print("ERROR: app%d cannot be imported" % number)
        sys.print_exception(exc)
        note("app%d: %r" % (number, exc))
        return None


def run():
    """Run the application until it ends."""
    global active_app, load
    number = active_app()
    print("DEBUG: activeApp=%d" % number)
    note("boot app%d cause %d" % (number, machine.reset_cause()))
    module = load(number)
    if module is None:
        number = 3 - number
        module = load(number)
    if module is None:
        print("ERROR: there is no application")
        return
    del active_app, load  # the application has better use for their memory
    gc.collect()
    print("INFO:  Started app")
    print("INFO:  Running app%d" % number)
    try:
        asyncio.run(module.start(CONFIG_FILE, "APP", number))
    except KeyboardInterrupt:
        print("INFO:  Stopped")
    except Exception as exc:
        sys.print_exception(exc)
        note("app%d ended: %r" % (number, exc))
    finally:
        sys.modules.pop("main", None)  # so that `import main` starts it anew
        try:
            asyncio.run(module.stop())
        finally:
            asyncio.new_event_loop()  # the stopped tasks must not live on in it


run()
