"""The REST endpoints. A handler returns its reply; ValueError and OSError become an ERROR reply.

Source: CT6 interface description 3.2 to 3.4.
"""

import gc
import os

from micropython import const

from . import config as configuration
from . import files, stats
from .http_server import NotFoundError
from .request import clean_path, unquote

_GET_FILE_MAX_BYTES = const(8192)
# What this firmware has beyond the original's interface.
FEATURES = ("windows", "registers", "phase", "display")


class Rest:
    """What can be asked of the unit. `app` is the running application."""

    def __init__(self, app):
        self._app = app
        self.config = app.config

    async def call(self, wanted):
        """Return the reply to a Get and what is to be done once it has been sent, or None.

        Raises:
            NotFoundError: There is no such path.
            ValueError: The arguments cannot be used; nothing was stored.
            OSError: The file system refused.
        """
        path = wanted.path
        if path == "/":
            path = "/get_stats"
        handler = getattr(self, "_do_" + path[1:], None)
        if handler:
            return handler(wanted.args), None
        handler = getattr(self, "_later_" + path[1:], None)
        if handler:
            return handler(wanted.args)
        handler = getattr(self, "_wait_" + path[1:], None)
        if handler:
            return await handler(wanted.args), None
        raise NotFoundError("There is no " + path)

    # Readings

    async def _wait_get_stats(self, _args):
        values = await self._app.meter.read()
        return stats.to_dict(values, self.config, self._app.version)

    async def _wait_init_atm90e32_devs(self, _args):
        await self._app.meter.start()
        return {"OK": "ATM90E32 init success."}

    def _do_get_features(self, _args):
        return {"FEATURES": FEATURES}

    async def _wait_get_windows(self, _args):
        return await self._app.meter.calibrate("windows")

    async def _wait_get_registers(self, args):
        return await self._app.meter.calibrate("registers", args)

    async def _wait_set_registers(self, args):
        return await self._app.meter.calibrate("registers", args, True)

    def _do_get_temperature(self, _args):
        return {"OK": True, "CT6_BOARD_TEMPERATURE": round(self._app.board.temperature_degc(), 2)}

    def _do_get_uptime(self, _args):
        return {"OK": True, "UPTIME_SECONDS": self._app.uptime_s()}

    def _do_fw_version(self, _args):
        return {"FIRMWARE_VERSION": self._app.version}

    def _do_get_sys_stats(self, _args):
        gc.collect()
        used, whole = files.usage()
        # No DISK_TOTAL_BYTES: with it the tools refuse every upgrade after erasing the inactive app.
        return {
            "RAM_USED_BYTES": gc.mem_alloc(),
            "RAM_FREE_BYTES": gc.mem_free(),
            "RAM_TOTAL_BYTES": gc.mem_alloc() + gc.mem_free(),
            "DISK_USED_BYTES": used,
            "DISK_PERCENTAGE_USED": round(used * 100 / whole, 1),
            "FILE_SYSTEM_BYTES": whole,
        }

    # Configuration

    def _do_get_config(self, _args):
        return self.config.shown()

    _do_get_machine_config = _do_get_config

    def _do_set_config(self, args):
        return self.config.set({key.upper(): unquote(value) for key, value in args.items()})

    def _do_save_factory_cfg(self, _args):
        self.config.save_factory()
        return {"OK": "Saved the factory configuration."}

    def _do_reset_to_default_config(self, _args):
        self.config.reset()
        return {"INFO": "The configuration has been reset to its defaults."}

    def _do_reset_wifi_config(self, _args):
        self.config.reset_wifi()
        return {"OK": True}

    def _do_wifi_scan(self, _args):
        return {"WIFI_SCAN_RESULTS": self._app.wifi.scan()}

    # Files

    def _do_get_file_list(self, _args):
        return files.list_all()

    def _do_mkdir(self, args):
        os.mkdir(_path(args, "dir"))
        return {"OK": True}

    def _do_rmdir(self, args):
        path = _path(args, "dir")
        if not files.is_folder(path):
            raise ValueError("There is no folder " + path)
        os.rmdir(path)
        return {"OK": True}

    def _do_rmfile(self, args):
        path = _path(args, "file")
        if files.is_folder(path):
            raise ValueError(path + " is a folder")
        os.remove(path)
        return {"OK": True}

    def _do_get_file(self, args):
        path = _path(args, "file")
        size = os.stat(path)[6]
        if size > _GET_FILE_MAX_BYTES:
            raise ValueError("The file is longer than %d bytes" % _GET_FILE_MAX_BYTES)
        with open(path, "rb") as file:
            data = file.read(size)  # no more than is there: read() allocates what it is asked for
        try:
            text = str(data, "utf-8")
        except UnicodeError:
            raise ValueError("The file is no text") from None
        # Tools look the text up under the argument exactly as they sent it.
        return {"OK": True, args["file"]: configuration.masked_file(path, text)}

    # Applications

    def _do_get_active_app_folder(self, _args):
        return {"ACTIVE_APP_FOLDER": self.config.active_app()}

    def _do_get_inactive_app_folder(self, _args):
        return {"INACTIVE_APP_FOLDER": self.config.inactive_app()}

    def _do_swap_active_app(self, _args):
        folder = self.config.inactive_app()
        names = [entry[0] for entry in os.ilistdir(folder)] if files.is_folder(folder) else []
        if "app.mpy" not in names and "app.py" not in names:
            raise ValueError("There is no application in " + folder)
        return {"ACTIVE_APP_FOLDER": self.config.swap_app()}

    def _do_erase_offline_app(self, _args):
        folder = "/app%d" % (3 - self._app.number)
        if files.is_folder(folder):
            files.remove_tree(folder)
        return {"OK": True}

    # Indicators

    def _do_set_wifi_led(self, args):
        mode = _argument(args, "on")
        if mode not in ("force_on", "force_off", "release"):
            raise ValueError("on is none of force_on, force_off, release")
        self._app.board.force_wifi_led(mode)
        return {"OK": True}

    def _do_set_display(self, args):
        if _argument(args, "on") != "1":
            raise ValueError("on is not 1")
        return {"DISPLAY_ON": self._app.light()}

    def _do_set_bluetooth_led(self, args):
        self._app.board.set_bluetooth_led(_argument(args, "on") == "1")
        return {"OK": True}

    # Restarts: what is done after the reply

    def _later_reboot(self, _args):
        return {"INFO": "The unit restarts."}, self._app.board.reset_soon

    def _later_power_cycle(self, _args):
        return {"OK": "POWER CYCLE IN PROGRESS"}, self._app.board.power_cycle_soon


def _argument(args, key):
    if key not in args:
        raise ValueError("No %s passed" % key)
    return args[key]


def _path(args, key):
    return clean_path(unquote(_argument(args, key)))
