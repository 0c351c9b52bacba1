"""Start the application that the configuration selects, after a reset or by `import main`.

This file stays source and is not replaced by upgrades. An application that cannot be imported is passed
over for the other one. Ctrl-C ends the application and gives the prompt.

While there is an empty file /app<number>.try<left>, that application is on trial and has so many starts
left. Each start takes one; an application that has proved itself removes the file (app1/apps.py). At 0 the
other application runs. The count is a name because a rename is whole or not done, whatever the power does.
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
TRIAL_S = 120
WATCHDOG_MS = 8300


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


def starts_left(number):
    """Return the starts that an application on trial has left; None if it is not on trial."""
    prefix = "app%d.try" % number
    left = [name[8:] for name in os.listdir("/") if name[:8] == prefix and name[8:].isdigit()]
    return int(min(left)) if left else None


def set_starts_left(number, old, new):
    """Count the starts of an application on trial down; return whether that is on the flash."""
    try:
        os.rename("/app%d.try%d" % (number, old), "/app%d.try%d" % (number, new))
    except OSError as exc:
        print("ERROR: the trial of app%d was not counted: %s" % (number, exc))
        return False
    return True


def choose(number):
    """Return the application to start, and whether it is on trial.

    An application whose start cannot be counted is not started: it could fail for ever.
    """
    left = starts_left(number)
    if left is None:
        return number, False
    if left and set_starts_left(number, left, left - 1):
        return number, True
    print("ERROR: app%d did not prove itself" % number)
    note("app%d did not prove itself" % number)
    return 3 - number, False


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


async def overdue(number):
    """End the trial of an application that has not proved itself in time, and restart."""
    await asyncio.sleep(TRIAL_S)
    left = starts_left(number)
    if left is not None:
        note("app%d on trial for %d s" % (number, TRIAL_S))
        set_starts_left(number, left, 0)
        machine.reset()


async def start(module, number, trial):
    """Run an application, on trial under guard."""
    if trial:
        asyncio.create_task(overdue(number))  # noqa: RUF006 - MicroPython's loop keeps it
    await module.start(CONFIG_FILE, "APP", number)


def run():
    """Run the application until it ends."""
    number = active_app()
    print("DEBUG: activeApp=%d" % number)
    note("boot app%d cause %d" % (number, machine.reset_cause()))
    number, trial = choose(number)
    if trial:
        machine.WDT(timeout=WATCHDOG_MS)  # not even an endless loop at its import gets past this
    module = load(number)
    if module is None:
        number, trial = 3 - number, False
        module = load(number)
    if module is None:
        print("ERROR: there is no application")
        return
    if not trial:  # the application has better use for their memory
        for name in ("active_app", "load", "choose", "starts_left", "set_starts_left", "overdue"):
            del globals()[name]
    gc.collect()
    print("INFO:  Started app")
    print("INFO:  Running app%d" % number)
    try:
        asyncio.run(start(module, number, trial))
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
            gc.collect()  # here, where few frames are left that could keep the application for `import main`


run()
