"""The REST endpoints. A handler returns its reply; ValueError and OSError become an ERROR reply.

Source: CT6 interface description 3.2 to 3.4.
"""

import gc
import os

from . import stats
from .http_server import NotFoundError
from .request import argument, unquote

# What this firmware has beyond the original's interface.
FEATURES = ("windows", "registers", "phase", "display", "trial", "snapshot")
# Modules that are loaded for a request and dropped after it, and the paths that they serve.
_ON_DEMAND = (
    (
        "apps",
        "get_active_app_folder get_inactive_app_folder get_app_state swap_active_app confirm_app "
        "erase_offline_app",
    ),
    ("files", "get_file_list mkdir rmdir rmfile get_file"),
    ("scan", "wifi_scan"),
    ("snapshot", "get_snapshot get_hash"),
)


class Rest:
    """What can be asked of the unit. `app` is the running application."""

    def __init__(self, app):
        self.app = app
        self.config = app.config

    async def call(self, wanted):
        """Return the reply to a Get and what is to be done once it has been sent, or None.

        Raises:
            NotFoundError: There is no such path.
            ValueError: The arguments cannot be used; nothing was stored.
            OSError: The file system refused.
        """
        name = wanted.path[1:] or "get_stats"
        handler = getattr(self, "_do_" + name, None)
        if handler:
            return handler(wanted.args), None
        handler = getattr(self, "_later_" + name, None)
        if handler:
            return handler(wanted.args)
        handler = getattr(self, "_wait_" + name, None)
        if handler:
            return await handler(wanted.args), None
        for module, names in _ON_DEMAND:
            if name in names.split(" "):
                return await self._on_demand(module, name, wanted.args), None
        raise NotFoundError("There is no " + wanted.path)

    async def _on_demand(self, module, name, args):
        found = self.app.load(module)
        try:
            handler = getattr(found, "do_" + name, None)
            if handler:
                return handler(self.app, args)
            return await getattr(found, "wait_" + name)(self.app, args)
        finally:
            self.app.unload(module)

    # Readings

    async def _wait_get_stats(self, _args):
        values = await self.app.meter.read()
        return stats.to_dict(values, self.config, self.app.version)

    async def _wait_init_atm90e32_devs(self, _args):
        await self.app.meter.start()
        return {"OK": "ATM90E32 init success."}

    def _do_get_features(self, _args):
        return {"FEATURES": FEATURES}

    async def _wait_get_windows(self, _args):
        return await self.app.meter.calibrate("windows")

    async def _wait_get_registers(self, args):
        return await self.app.meter.calibrate("registers", args)

    async def _wait_set_registers(self, args):
        return await self.app.meter.calibrate("registers", args, True)

    def _do_get_temperature(self, _args):
        return {"OK": True, "CT6_BOARD_TEMPERATURE": round(self.app.board.temperature_degc(), 2)}

    def _do_get_uptime(self, _args):
        return {"OK": True, "UPTIME_SECONDS": self.app.uptime_s()}

    def _do_fw_version(self, _args):
        return {"FIRMWARE_VERSION": self.app.version}

    def _do_get_sys_stats(self, _args):
        gc.collect()
        state = os.statvfs("/")
        used, whole = (state[2] - state[3]) * state[1], state[2] * state[1]
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

    # Indicators

    def _do_set_wifi_led(self, args):
        mode = argument(args, "on")
        if mode not in ("force_on", "force_off", "release"):
            raise ValueError("on is none of force_on, force_off, release")
        self.app.board.force_wifi_led(mode)
        return {"OK": True}

    def _do_set_display(self, args):
        if argument(args, "on") != "1":
            raise ValueError("on is not 1")
        return {"DISPLAY_ON": self.app.light()}

    def _do_set_bluetooth_led(self, args):
        self.app.board.set_bluetooth_led(argument(args, "on") == "1")
        return {"OK": True}

    # Restarts: what is done after the reply

    def _later_reboot(self, _args):
        return {"INFO": "The unit restarts."}, self.app.board.reset_soon

    def _later_power_cycle(self, _args):
        return {"OK": "POWER CYCLE IN PROGRESS"}, self.app.board.power_cycle_soon
