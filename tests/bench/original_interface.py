"""Our firmware as a unit with the original interface only, and other firmwares made from ours, for tests.

A copy of `firmware/ct6` gets a few lines appended to its modules; the copy is what `mfg run --firmware`
loads. What our interface adds to the original one is not removed but walled off where every request
passes, so that the rest of the firmware still finds all of its parts.

Source: CT6 interface description, 3.2 to 3.4 (paths, keys), 5.1 (configuration) and 6 (stats).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "ct6"

PATHS = (
    "get_sys_stats get_file_list get_machine_config erase_offline_app mkdir rmdir rmfile "
    "get_active_app_folder get_inactive_app_folder swap_active_app reboot reset_to_default_config wifi_scan "
    "get_file reset_wifi_config get_uptime get_stats get_config set_config power_cycle fw_version "
    "init_atm90e32_devs save_factory_cfg get_temperature set_wifi_led set_bluetooth_led"
)
CONFIG_KEYS = (
    "ASSY YDEV_UNIT_NAME YDEV_PRODUCT_ID YDEV_DEVICE_TYPE YDEV_SERVICE_LIST YDEV_GROUP_NAME YDEV_OS "
    "YDEV_AYT_TCP_PORT_KEY BLUETOOTH_ON_KEY WIFI CTn_IGAIN CTn_IOFFSET CTn_TYPE CTn_NAME CS0_VOLTAGE_GAIN "
    "CS4_VOLTAGE_GAIN CS0_VOLTAGE_OFFSET CS4_VOLTAGE_OFFSET ZERO_POWER_GATE_WATTS LINE_FREQ_HZ ACTIVE "
    "MQTT_SERVER_ADDRESS MQTT_SERVER_PORT MQTT_TOPIC MQTT_USERNAME MQTT_PASSWORD MQTT_TX_PERIOD_MS "
    "PF_WATTS_THRESHOLD APP"
)
STATS_KEYS = (
    "CT1 CT2 CT3 CT4 CT5 CT6 READ_TIME_NS RSSI BOARD_TEMPERATURE ASSY YDEV_UNIT_NAME FIRMWARE_VERSION "
    "ACTIVE PF_WATTS_THRESHOLD"
)
PORT_KEYS = "TYPE NAME IRMS IPEAK VRMS PRMS PREACT PAPPARENT PF TEMP FREQ"

# The main words alone: steps of 1 mA and 10 mV, cut off and not rounded.
WALL = '''

_ORIGINAL_PATHS = {paths!r}
_ORIGINAL_KEYS = {keys!r}
_ORIGINAL_STATS = {stats!r}
_ORIGINAL_PORT = {port!r}
_OriginalOrMore = Rest


def _is_original_key(key):
    if len(key) > 4 and key[:2] == "CT" and key[2] in "123456" and key[3] == "_":
        key = "CTn" + key[3:]
    return key in _ORIGINAL_KEYS


def _main_words(port):
    port = {{key: value for key, value in port.items() if key in _ORIGINAL_PORT}}
    port["IRMS"] = int(port["IRMS"] * 1000 + 0.02) / 1000
    port["VRMS"] = int(port["VRMS"] * 100 + 0.02) / 100
    return port


def _original_stats(reply):
    reply = {{key: value for key, value in reply.items() if key in _ORIGINAL_STATS}}
    return {{key: _main_words(value) if isinstance(value, dict) else value for key, value in reply.items()}}


class Rest(_OriginalOrMore):
    """What the original interface offers, and no more."""

    async def call(self, wanted):
        path = wanted.path[1:] or "get_stats"
        if path not in _ORIGINAL_PATHS:
            raise NotFoundError("There is no /" + path)
        if path == "set_config":
            known = [key for key in wanted.args if _is_original_key(key.upper())]
            wanted.args = {{key: wanted.args[key] for key in known}}
            if not wanted.args:
                raise ValueError("Config parameter unset")
        reply, later = await super().call(wanted)
        if path == "get_stats":
            reply = _original_stats(reply)
        elif path in ("get_config", "get_machine_config"):
            reply = {{key: value for key, value in reply.items() if _is_original_key(key)}}
        return reply, later
'''

DEFAULTS = """

_OTHER_DEFAULTS = {defaults!r}
ROWS = tuple([(row[0], _OTHER_DEFAULTS.get(row[0], row[1])) + row[2:] for row in ROWS])
"""


def copied_firmware(folder: Path) -> Path:
    """Copy our firmware into a new folder below `folder`."""
    copy = folder / "firmware"
    shutil.copytree(FIRMWARE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def with_original_interface(firmware: Path) -> Path:
    """Wall off what a copied firmware offers beyond the original interface; returns the folder."""
    lists = {"paths": PATHS, "keys": CONFIG_KEYS, "stats": STATS_KEYS, "port": PORT_KEYS}
    wall = WALL.format(**{name: tuple(text.split()) for name, text in lists.items()})
    _append(firmware / "app1" / "rest.py", wall)
    return firmware


def with_defaults(firmware: Path, defaults: Mapping[str, object]) -> Path:
    """Give a copied firmware other defaults by their names in its schema, such as CTn_IOFFSET; returns it.

    Raises:
        ValueError: The schema has no such row.
    """
    schema = firmware / "app1" / "schema.py"
    for name in defaults:
        if f'("{name}", ' not in schema.read_text(encoding="utf-8"):
            raise ValueError(f"The firmware has no setting {name!r}.")
    _append(schema, DEFAULTS.format(defaults=dict(defaults)))
    return firmware


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
