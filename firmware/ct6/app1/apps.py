"""The two applications: which one runs next, and the trial of a new one. Loaded while it is asked for.

A new application is on trial: there is an empty file /app<number>.try<left>, and main.py counts its starts
down in that name. It has proved itself when it has answered on the REST port and runs on, or when it is
confirmed; then the file goes. Every step is one operation of the file system that is whole or not done, in
an order that leaves the old or the new application in force after a power cut.
"""

import asyncio
import os

from micropython import const

from . import log
from .files import is_folder

_STARTS = const(3)  # main.py counts these down
# It must answer, and still run this long after its start: what fails in its first seconds is not proved.
_PROOF_S = const(20)
_POLL_S = const(1)
_AT_ONCE = const(16)


def _trials():
    return [name for name in os.listdir("/") if name[:3] == "app" and name[4:8] == ".try"]


def _remove_trials(number):
    prefix = "app%d.try" % number
    for name in _trials():
        if name.startswith(prefix):
            os.remove("/" + name)


def settle(app):
    """Bring the configuration in line with what main.py has started; return whether that is on trial.

    Never raises: an application that was passed over must not stop the one that runs.
    """
    number = app.number
    try:
        if app.config["APP"] != number:
            log.error("app%d is in force again: the other one did not start" % number)
            app.config.select_app(number)
        _remove_trials(3 - number)
        return bool(_trials())
    except OSError as exc:
        log.error("The change to app%d was not stored: %s" % (number, exc))
        return False


async def prove(app):
    """Wait until the application on trial has proved itself, and end its trial."""
    while app.trial:
        if app.http.answered and app.uptime_s() >= _PROOF_S:
            _end_trial(app)
            return
        await asyncio.sleep(_POLL_S)


def _end_trial(app):
    _remove_trials(app.number)
    if app.trial:
        log.info("app%d has proved itself" % app.number)
    app.trial = False


# REST: the name of a function is do_ or wait_ and its path.


def do_get_active_app_folder(app, _args):
    return {"ACTIVE_APP_FOLDER": "/app%d" % app.config["APP"]}


def do_get_inactive_app_folder(app, _args):
    return {"INACTIVE_APP_FOLDER": "/app%d" % (3 - app.config["APP"])}


def do_get_app_state(app, _args):
    prefix = "app%d.try" % app.config["APP"]
    left = [name[len(prefix) :] for name in _trials() if name.startswith(prefix)]
    return {
        "RUNNING": "/app%d" % app.number,
        "ACTIVE": "/app%d" % app.config["APP"],
        "TRIAL": app.trial,
        "STARTS_LEFT": int(left[0]) if left else None,
    }


def do_swap_active_app(app, _args):
    number = 3 - app.config["APP"]
    if number != app.number:
        folder = "/app%d" % number
        names = [entry[0] for entry in os.ilistdir(folder)] if is_folder(folder) else []
        if "app.mpy" not in names and "app.py" not in names:
            raise ValueError("There is no application in " + folder)
        if not app.trial:  # the way back from a trial needs none
            _remove_trials(number)
            open("/app%d.try%d" % (number, _STARTS), "w").close()
    app.config.select_app(number)
    if number == app.number:
        _remove_trials(3 - number)
    return {"ACTIVE_APP_FOLDER": number}


def do_confirm_app(app, args):
    folder = "/app%d" % app.number
    if args.get("app") != folder:
        raise ValueError("app is not %s, which runs" % folder)
    _end_trial(app)
    return {"OK": True}


async def wait_erase_offline_app(app, _args):
    if app.trial:
        raise ValueError("The other application is the way back from the one on trial")
    if app.config["APP"] != app.number:  # what is erased must not be what runs next
        app.config.select_app(app.number)
    _remove_trials(3 - app.number)
    folder = "/app%d" % (3 - app.number)
    if is_folder(folder):
        await _remove_tree(folder)
    return {"OK": True}


async def _remove_tree(folder):
    """Remove a folder with everything in it; part of it may be gone after an OSError.

    Other tasks run between the files: to remove many takes longer than the watchdog waits.
    """
    while True:
        some = []
        for entry in os.ilistdir(folder):  # to its end: an open listing must not outlive a change
            if len(some) < _AT_ONCE:
                some.append(folder + "/" + entry[0])
        if not some:
            break
        for path in some:
            if is_folder(path):
                await _remove_tree(path)
            else:
                os.remove(path)
            await asyncio.sleep(0)
    os.rmdir(folder)
