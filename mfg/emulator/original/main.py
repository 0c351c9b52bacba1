"""Start the application that the configuration selects.

There is no way back from an application that fails: the prompt remains, until the watchdog bites.

Source: CT6 interface description 2.7.
"""

import asyncio
import json
import sys

CONFIG_FILE = "/this.machine.cfg"
BOOT_LOG = "/bootlog.txt"


def active_app():
    """Return 1 or 2; anything but a stored 2 is 1."""
    try:
        with open(CONFIG_FILE) as file:
            return 2 if json.load(file).get("APP") == 2 else 1
    except (OSError, ValueError):
        return 1


number = active_app()
print("DEBUG: activeApp=%d" % number)
with open(BOOT_LOG, "w") as log:
    log.write("app%d\n" % number)
name = "app%d.app" % number
__import__(name)
print("INFO:  Started app")
print("INFO:  Running app%d" % number)
asyncio.run(sys.modules[name].start(CONFIG_FILE, "APP", number))
