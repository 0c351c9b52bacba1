"""The endpoints. What a handler raises, but RefusedError, nobody catches.

Source: CT6 interface description 3.2 and 3.3.
"""

import gc
import os

from . import files, quirks, stats


class RefusedError(Exception):
    """The unit says no; the text is the ERROR of its reply."""


class Rest:
    """What can be asked of the unit. `app` is the running application."""

    def __init__(self, app):
        self._app = app
        self._config = app.config

    def call(self, path, args):
        """Return the reply to a path, and what is to be done once it has been sent, or None.

        Raises:
            RefusedError: There is no such path, or it refuses.
        """
        if path == "/":
            path = "/get_stats"
        handler = getattr(self, "_do_" + path[1:], None)
        if handler:
            return handler(args), None
        handler = getattr(self, "_later_" + path[1:], None)
        if handler:
            return handler()
        raise RefusedError("There is no " + path)

    # Readings

    def _do_get_stats(self, _args):
        return stats.to_dict(self._app.meter.read(), self._config, quirks.VERSION)

    def _do_init_atm90e32_devs(self, _args):
        self._app.meter.start()
        return {"OK": "ATM90E32 init success."}

    def _do_get_temperature(self, _args):
        return {"OK": True, "CT6_BOARD_TEMPERATURE": round(self._app.board.temperature_degc(), 2)}

    def _do_get_uptime(self, _args):
        return {"OK": True, "UPTIME_SECONDS": self._app.uptime_s()}

    def _do_fw_version(self, _args):
        return {"FIRMWARE_VERSION": quirks.VERSION}

    def _do_get_sys_stats(self, _args):
        gc.collect()
        used, whole = files.usage()
        return {
            "RAM_USED_BYTES": gc.mem_alloc(),
            "RAM_FREE_BYTES": gc.mem_free(),
            "RAM_TOTAL_BYTES": gc.mem_alloc() + gc.mem_free(),
            "DISK_USED_BYTES": used,
            "DISK_PERCENTAGE_USED": round(used * 100 / whole, 1),
        }

    # Configuration

    def _do_get_config(self, _args):
        return self._config.shown()

    _do_get_machine_config = _do_get_config

    def _do_set_config(self, args):
        try:
            return self._config.set(args)
        except ValueError as exc:
            raise RefusedError(str(exc)) from None

    def _do_save_factory_cfg(self, _args):
        self._config.save_factory()
        return {"OK": "Saved factory config."}

    def _do_reset_to_default_config(self, _args):
        self._config.reset()
        return {"INFO": "The unit is at its default configuration."}

    def _do_reset_wifi_config(self, _args):
        self._config.reset_wifi()
        return {"OK": True}

    def _do_wifi_scan(self, _args):
        return {"WIFI_SCAN_RESULTS": self._app.wifi.scan()}

    # Files

    def _do_get_file_list(self, _args):
        return files.list_all()

    def _do_mkdir(self, args):
        return _changed(os.mkdir, args, "dir", "create")

    def _do_rmdir(self, args):
        return _changed(os.rmdir, args, "dir", "remove")

    def _do_rmfile(self, args):
        return _changed(os.remove, args, "file", "remove")

    def _do_get_file(self, args):
        try:
            with open(_argument(args, "file")) as file:
                return {"OK": True, args["file"]: file.read()}
        except OSError as exc:
            raise RefusedError(str(exc)) from None

    # Applications

    def _do_get_active_app_folder(self, _args):
        return {"ACTIVE_APP_FOLDER": "/app%d" % self._config["APP"]}

    def _do_get_inactive_app_folder(self, _args):
        return {"INACTIVE_APP_FOLDER": "/app%d" % (3 - self._config["APP"])}

    def _do_swap_active_app(self, _args):
        return {"ACTIVE_APP_FOLDER": self._config.swap_app()}

    def _do_erase_offline_app(self, _args):
        files.remove_tree("/app%d" % (3 - self._app.number))
        return {"OK": True}

    # Indicators

    def _do_set_wifi_led(self, args):
        mode = _argument(args, "on")
        if mode in ("force_on", "force_off", "release"):
            self._app.board.force_wifi_led(mode)
        return {"OK": True}

    def _do_set_bluetooth_led(self, args):
        self._app.board.set_bluetooth_led(_argument(args, "on") == "1")
        return {"OK": True}

    # Restarts: what is done after the reply

    def _later_reboot(self):
        return {"INFO": "Unit reboot in progress."}, self._app.board.reset_soon

    def _later_power_cycle(self):
        return {"OK": "POWER CYCLE IN PROGRESS"}, self._app.board.power_cycle_soon


def _argument(args, key):
    if key not in args:
        raise RefusedError("No %s passed" % key)
    return args[key]


def _changed(change, args, key, verb):
    path = _argument(args, key)
    try:
        change(path)
    except OSError:
        raise RefusedError("Failed to %s %s" % (verb, path)) from None
    return {"OK": True}
