"""The firmware's own tables and firmware/contract.toml say the same."""

import ast
import re
import tomllib
from pathlib import Path

from app1 import calibration, config, request, schema, screen

FIRMWARE = Path(__file__).parents[3] / "firmware"
CONTRACT = tomllib.loads((FIRMWARE / "contract.toml").read_text(encoding="utf-8"))
TYPES = {str: "str", int: "int", float: "float"}


def described(row: tuple) -> dict:
    name, default, low, high, flags = row
    entry = {"type": TYPES[type(default)], "default": default, "secret": bool(flags & schema.SECRET)}
    if isinstance(low, tuple):
        entry["choices"] = list(low)
    else:
        entry |= {"min": low, "max": high}
    if name.startswith("CTn"):
        entry["count"] = 6
    if flags & schema.PHASE:
        entry["bits"] = schema.PHASE_BITS
    if flags & schema.CALIBRATION:
        entry["calibration"] = True
    return entry


def constants(module: str) -> dict:
    """Return the numbers and texts that a module of the firmware assigns at its top level."""
    tree = ast.parse((FIRMWARE / "ct6" / "app1" / f"{module}.py").read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        value = node.value.args[0] if isinstance(node.value, ast.Call) and node.value.args else node.value
        if isinstance(value, ast.Constant):
            found |= {target.id: value.value for target in node.targets if isinstance(target, ast.Name)}
    return found


def source(module: str) -> str:
    return (FIRMWARE / "ct6" / "app1" / f"{module}.py").read_text(encoding="utf-8")


def on_demand_paths() -> list:
    """Return the modules that are loaded for a request, each with its paths in one text."""
    tree = ast.parse(source("rest"))
    return next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "_ON_DEMAND"
    )


def test_the_configuration_keys_are_those_of_the_contract():
    rows = {}
    for row in schema.ROWS:
        flags = row[4]
        rows[row[0]] = described(row) | {
            "settable": bool(flags & schema.SETTABLE),
            "factory": bool(flags & schema.FACTORY),
        }
    contract = dict(CONTRACT["keys"])
    wifi = contract.pop("WIFI")
    assert wifi == {"type": "object", "settable": False, "factory": False, "secret": False}
    assert rows == contract
    # 1 == 1.0 in Python; the type of a default is part of the contract.
    assert all(type(rows[key]["default"]) is type(contract[key]["default"]) for key in rows)


def test_the_members_of_the_wifi_object_are_those_of_the_contract():
    assert {row[0]: described(row) for row in schema.WIFI_ROWS} == CONTRACT["wifi"]


def test_there_are_sixteen_factory_keys():
    expected = [f"CT{port}_{what}" for what in ("IGAIN", "IOFFSET") for port in range(1, 7)]
    expected += ["ASSY", "CS0_VOLTAGE_GAIN", "CS4_VOLTAGE_GAIN", "LINE_FREQ_HZ"]
    assert sorted(schema.factory_keys()) == sorted(expected)


def test_there_are_fourteen_calibration_keys_and_none_is_a_factory_key():
    expected = [f"CT{port}_{what}" for what in ("PHASE", "PGAIN") for port in range(1, 7)]
    expected += ["CS0_VOLTAGE_OFFSET", "CS4_VOLTAGE_OFFSET"]
    assert sorted(schema.keys(schema.CALIBRATION)) == sorted(expected)
    assert not set(expected) & set(schema.factory_keys())


def test_every_default_passes_its_own_check():
    for row in (*schema.ROWS, *schema.WIFI_ROWS):
        assert schema.check(row, row[1]) == row[1]


def test_the_rest_paths_are_those_of_the_contract():
    resident = re.findall(r"_(?:do|wait|later)_([a-z0-9_]+)(?:\(| =)", source("rest"))
    on_demand = []
    for module, listed in on_demand_paths():
        names = re.findall(r"^(?:async )?def (?:do|wait)_([a-z0-9_]+)\(", source(module), re.MULTILINE)
        assert sorted(names) == sorted(listed.split(" ")), module
        on_demand += names
    assert not set(resident) & set(on_demand)
    assert {"/", *(f"/{name}" for name in resident + on_demand)} == set(CONTRACT["rest"]["paths"])


def test_no_path_of_ours_begins_with_one_that_the_original_matches_by_its_beginning():
    """A unit with the original firmware must not take one of our questions for one of its commands."""
    ours = {"/get_features", "/get_windows", "/get_registers", "/set_registers"}
    ours |= {"/get_app_state", "/confirm_app", "/get_hash", "/get_snapshot", "/set_display"}
    assert ours < set(CONTRACT["rest"]["paths"])
    commands = "power_cycle fw_version init_atm90e32_devs save_factory_cfg set_wifi_led set_bluetooth_led"
    questions = "get_stats get_config set_config get_temperature"
    product = [f"/{name}" for name in f"{commands} {questions}".split(" ")]
    assert not [path for path in ours if path.startswith(tuple(product))]
    assert {path for path in CONTRACT["rest"]["paths"] if path not in ours} >= set(product)


def test_the_numbers_of_the_contract_are_those_of_the_firmware():
    times, rest = CONTRACT["times"], CONTRACT["rest"]
    app, board, wifi = constants("app"), constants("board"), constants("wifi") | constants("wifi_join")
    assert app["VERSION"] == CONTRACT["firmware"]["version"]
    assert app["_WATCHDOG_MS"] == CONTRACT["firmware"]["watchdog_s"] * 1000
    assert app["_HTTP_PORT"] == rest["port"]
    assert app["_BUTTON_RESET_MS"] == times["button_reset_s"] * 1000
    assert app["_DISPLAY_ON_MS"] == times["display_on_s"] * 1000
    assert wifi["_JOIN_MS"] == times["wifi_join_s"] * 1000
    assert wifi["_LOST_MS"] == times["wifi_lost_s"] * 1000
    assert wifi["_ANNOUNCE_MS"] >= CONTRACT["console"]["joined_earliest_s"] * 1000
    assert wifi["_QUIET_MS"] >= CONTRACT["console"]["joined_quiet_s"] * 1000
    assert board["POWER_CYCLE_DELAY_MS"] == times["power_cycle_delay_s"] * 1000
    assert board["REBOOT_DELAY_MS"] == times["reboot_delay_s"] * 1000
    assert rest["upload_max_bytes"] == request.UPLOAD_MAX_BYTES
    assert constants("files")["_GET_FILE_MAX_BYTES"] == rest["get_file_max_bytes"]
    assert constants("discovery")["REQUEST"] == CONTRACT["discovery"]["request_value"]
    assert CONTRACT["firmware"]["secret_mask"] == schema.MASK


def test_trial_snapshot_and_publishing_are_those_of_the_contract():
    trial, mqtt = CONTRACT["trial"], CONTRACT["mqtt"]
    assert constants("apps")["_STARTS"] == trial["starts"]
    assert constants("apps")["_PROOF_S"] == trial["proof_s"]
    main = ast.parse((FIRMWARE / "ct6" / "main.py").read_text(encoding="utf-8"))
    of_main = {
        node.targets[0].id: node.value.value
        for node in main.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    assert of_main["TRIAL_S"] == trial["trial_s"]
    assert of_main["WATCHDOG_MS"] == CONTRACT["firmware"]["watchdog_s"] * 1000
    assert [of_main["BOOT_LOG"]] == CONTRACT["snapshot"]["volatile"]
    assert constants("mqtt_connect")["_KEEP_ALIVE_S"] == mqtt["keep_alive_s"]
    assert constants("mqtt")["_PING_MS"] == mqtt["keep_alive_s"] * 500
    assert constants("mqtt")["_PAUSE_MAX_S"] == mqtt["pause_max_s"]


def test_the_calibration_requests_are_those_of_the_contract():
    windows, registers = CONTRACT["windows"], CONTRACT["registers"]
    numbers = constants("calibration")
    assert numbers["_FIRST_VALID"] == windows["first_valid_seq"]
    assert numbers["_ARMED_MS"] == windows["armed_s"] * 1000
    assert set(re.findall(r'Atm90e32\(spi, .*, "(\w+)"\)', source("meter"))) == set(windows["chips"])
    assert numbers["_WRITES_MAX"] == registers["writes_max"]
    addresses = [at for first, last in registers["ranges"] for at in range(first, last + 1)]
    assert list(calibration.ADDRESSES) == addresses
    assert (
        list(ast.literal_eval(re.search(r"FEATURES = (\(.*\))", source("rest"))[1]))
        == (CONTRACT["firmware"]["features"])
    )
    assert CONTRACT["firmware"]["calibration_hash_key"] == config.FACTORY_SHA256
    loaded = config.Config(CONTRACT["firmware"]["machine_file"], CONTRACT["firmware"]["factory_file"])
    assert loaded.calibration_file == CONTRACT["firmware"]["calibration_file"]


def test_the_screen_is_laid_out_as_the_contract_says():
    display, shown = constants("display"), CONTRACT["display"]
    assert (shown["columns"], shown["rows"]) == (screen.COLUMNS, screen.ROWS)
    assert shown["address_row"] == screen.ADDRESS_ROW
    assert display["_CELL"] == shown["cell_px"] == 8 * shown["scale"]
    assert shown["columns"] * shown["cell_px"] == shown["width_px"]
    assert shown["rows"] * shown["cell_px"] == shown["height_px"]


def test_the_pins_of_the_contract_are_those_of_the_firmware():
    pins = CONTRACT["pins"]
    used = {
        int(number)
        for name in ("board", "display", "meter")
        for number in re.findall(r"Pin\((\d+)", source(name))
    }
    assert used == {number for name, number in pins.items() if name != "temperature_adc_channel"}
    assert f"ADC({pins['temperature_adc_channel']})" in source("board")


def test_the_console_markers_stand_in_the_firmware():
    text = "".join(source(name) for name in ("app", "wifi", "wifi_join", "display", "log"))
    text += (FIRMWARE / "ct6" / "main.py").read_text(encoding="utf-8")
    console = CONTRACT["console"]
    for name in (
        "info_prefix",
        "debug_prefix",
        "error_prefix",
        "started",
        "firmware_version",
        "display_on",
        "chips_ready",
        "setup_mode",
        "ap_mode",
        "joined",
        "address",
        "button",
    ):
        assert console[name] in text, name
