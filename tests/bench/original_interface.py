"""Our firmware as a unit with the original interface only, and other firmwares made from ours, for tests.

What `mfg run --firmware` loads is a changed copy of `firmware/ct6`. The additions to the original interface
go where a caller meets them: the paths of the REST interface, the settings, the low words in the stats.
What lies behind them stays, so the copy is made from whatever our firmware has become.

Source: CT6 interface description, 3.2 to 3.4 (paths, settings), 5.1 (configuration) and 6 (stats).
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "ct6"

PATHS = (
    "get_sys_stats get_file_list get_machine_config erase_offline_app mkdir rmdir rmfile "
    "get_active_app_folder get_inactive_app_folder swap_active_app reboot reset_to_default_config wifi_scan "
    "get_file reset_wifi_config get_uptime get_stats get_config set_config power_cycle fw_version "
    "init_atm90e32_devs save_factory_cfg get_temperature set_wifi_led set_bluetooth_led"
)
# n in CTn stands for 1 to 6, as in the firmware's schema.
SETTINGS = (
    "ASSY YDEV_UNIT_NAME YDEV_PRODUCT_ID YDEV_DEVICE_TYPE YDEV_SERVICE_LIST YDEV_GROUP_NAME YDEV_OS "
    "YDEV_AYT_TCP_PORT_KEY BLUETOOTH_ON_KEY CTn_IGAIN CTn_IOFFSET CTn_TYPE CTn_NAME CS0_VOLTAGE_GAIN "
    "CS4_VOLTAGE_GAIN CS0_VOLTAGE_OFFSET CS4_VOLTAGE_OFFSET ZERO_POWER_GATE_WATTS LINE_FREQ_HZ ACTIVE "
    "MQTT_SERVER_ADDRESS MQTT_SERVER_PORT MQTT_TOPIC MQTT_USERNAME MQTT_PASSWORD MQTT_TX_PERIOD_MS "
    "PF_WATTS_THRESHOLD APP"
)
HANDLERS = ("_do_", "_later_", "_wait_")

CHANGED_ROWS = """

_CHANGED = {changed!r}
ROWS = tuple([_CHANGED.get(row[0], row) for row in ROWS])
"""
HIDDEN_SETTINGS = """

_HIDDEN = {hidden!r}


def _shown(rest, _args):
    values = rest.config.shown()
    for key in _HIDDEN:
        values.pop(key, None)
    return values


Rest._do_get_config = Rest._do_get_machine_config = _shown
"""
MAIN_WORDS = """

# Past the linter, which takes a second definition for a mistake.
globals()["current_a"] = lambda main, low: main / 1000
globals()["voltage_v"] = lambda main, low: main / 100
"""


def copied_firmware(folder: Path) -> Path:
    """Copy our firmware into a new folder below `folder`."""
    copy = folder / "firmware"
    shutil.copytree(FIRMWARE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def with_original_interface(firmware: Path) -> Path:
    """Take from a copied firmware what it offers beyond the original interface; returns the folder."""
    app = firmware / "app1"
    _cut_paths(app / "rest.py")
    added = {name: row for name, row in _rows(firmware).items() if name not in SETTINGS.split()}
    _change_rows(firmware, {name: (*row[:4], 0) for name, row in added.items()})  # no longer settable
    hidden = tuple(key for name in added for key in _expanded(name))
    _append(app / "rest.py", HIDDEN_SETTINGS.format(hidden=hidden))
    _append(app / "registers.py", MAIN_WORDS)
    return firmware


def with_defaults(firmware: Path, defaults: Mapping[str, object]) -> Path:
    """Give a copied firmware other defaults by their names in its schema, such as CTn_IOFFSET; returns it.

    Raises:
        ValueError: The schema has no such setting.
    """
    rows = _rows(firmware)
    for name in defaults:
        if name not in rows:
            raise ValueError(f"The firmware has no setting {name!r}.")
    _change_rows(firmware, {name: (name, value, *rows[name][2:]) for name, value in defaults.items()})
    return firmware


def with_addition(firmware: Path, module: str, text: str) -> Path:
    """Let a module of a copied firmware end in some more code; returns the folder."""
    _append(firmware / "app1" / module, text)
    return firmware


def paths_of(firmware: Path) -> set[str]:
    """Return the paths that a firmware's REST interface serves, without their slash."""
    source = (firmware / "app1" / "rest.py").read_text(encoding="utf-8")
    on_demand = {path for _, paths in _on_demand(source) for path in paths.split()}
    return on_demand | {path for path, _ in _handlers(source)}


def _on_demand(source: str) -> tuple[tuple[str, str], ...]:
    """Return the modules that are loaded for a request, each with its paths in one text."""
    *_, last = (
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_ON_DEMAND"
    )
    return tuple(ast.literal_eval(last))


def _handlers(source: str) -> Iterator[tuple[str, ast.stmt]]:
    """Yield the path and the definition of every handler of the class Rest."""
    (rest,) = (
        node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "Rest"
    )
    for node in rest.body:
        name = getattr(node, "name", "")
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        for start in HANDLERS:
            if name.startswith(start):
                yield name.removeprefix(start), node


def _cut_paths(rest: Path) -> None:
    source = rest.read_text(encoding="utf-8")
    lines = source.splitlines(keepends=True)
    for path, node in reversed(list(_handlers(source))):
        if path not in PATHS.split():
            del lines[node.lineno - 1 : node.end_lineno]
    kept = tuple(
        (module, " ".join(path for path in paths.split() if path in PATHS.split()))
        for module, paths in _on_demand(source)
    )
    rest.write_text("".join(lines) + f"\n\n_ON_DEMAND = {kept!r}\n", encoding="utf-8")


def _rows(firmware: Path) -> dict[str, tuple]:
    """Return the rows of a firmware's schema by name; the module is pure and runs here as it does there."""
    scope: dict = {}
    exec((firmware / "app1" / "schema.py").read_text(encoding="utf-8"), scope)
    return {row[0]: row for row in scope["ROWS"]}


def _change_rows(firmware: Path, changed: Mapping[str, tuple]) -> None:
    if changed:
        _append(firmware / "app1" / "schema.py", CHANGED_ROWS.format(changed=dict(changed)))


def _expanded(name: str) -> list[str]:
    if not name.startswith("CTn"):
        return [name]
    return [f"CT{port}{name.removeprefix('CTn')}" for port in range(1, 7)]


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
