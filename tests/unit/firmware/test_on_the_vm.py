"""The whole firmware in the MicroPython VM on the emulated board, one unit for most tests.

The bench clock runs five times as fast. A test that restarts or breaks its unit has one of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from vm_unit import FIRMWARE, PASSPHRASE, STA_CONFIG, VmUnit

from mfg.emulator.glyphs import read_text
from mfg.emulator.vm_terminal import INTERRUPT_GAP_WALL_S

CONTRACT = tomllib.loads((FIRMWARE.parent / "contract.toml").read_text(encoding="utf-8"))
AYT = json.dumps({"AYT": CONTRACT["discovery"]["request_value"]}).encode()
FACTOR = 5.0
MACHINE = "/this.machine.cfg"
FREE_HEAP_BYTES = 60 * 1024


def files(**config: object) -> dict[str, bytes]:
    return {MACHINE: json.dumps(STA_CONFIG | config).encode()}


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmUnit]:
    with VmUnit(tmp_path_factory.mktemp("unit"), files(), FACTOR) as running:
        running.ready()
        yield running


def own_unit(folder: Path, content: dict[str, bytes] | None = None, factor: float = FACTOR) -> VmUnit:
    return VmUnit(folder, files() if content is None else content, factor)


def upload(path: str, data: bytes, sha256: str | None = None) -> bytes:
    folder, _, name = path.rpartition("/")
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    return f"FILE {name} {folder or '/'} {len(data)} {sha256} HTTP/1.1\n".encode() + data


# ---- boot and console ----


def test_the_console_shows_the_markers_in_their_order(unit):
    console = CONTRACT["console"]
    text = unit.console
    places = [
        text.index(marker)
        for marker in (
            "DEBUG: activeApp=1",
            "INFO:  " + console["started"],
            "INFO:  Running app1",
            "INFO:  " + console["firmware_version"] + "4.0\r\n",
            "INFO:  " + console["display_on"],
            "INFO:  Init ATM90E32 Channel B",
            "INFO:  Init ATM90E32 Channel A",
            "INFO:  " + console["chips_ready"],
            "DEBUG: wifiConfigDict: {",
            "DEBUG: connected\r\n",
            "DEBUG: Setup STA and connected to mfg-bench" + console["joined"] + "10.0.0.2\r\n",
            "DEBUG: " + console["address"] + "10.0.0.2\r\n",
        )
    ]
    assert places == sorted(places)
    assert console["setup_mode"] not in text
    assert len(re.findall(r"INFO:  \w+ {2,}= \d+", text)) == 18


def test_no_line_of_the_console_holds_the_password(unit):
    unit.get("/get_config")
    assert PASSPHRASE not in unit.console
    assert "'PASSWD': '****'" in unit.console


def test_the_file_on_the_unit_is_one_line_that_tools_can_read(tmp_path):
    with own_unit(tmp_path) as unit:
        unit.ready()
        unit.power_off()
        stored = unit.file(MACHINE)
        assert stored is not None
        assert stored.startswith(b'{"')
        assert b"\n" not in stored
        assert json.loads(stored)["WIFI"] == STA_CONFIG["WIFI"]


def test_an_unconfigured_unit_says_so_and_offers_no_service(tmp_path):
    with own_unit(tmp_path, {}) as unit:
        unit.wait_for("INFO:  Activating WiFi.")
        unit.wait_for("DEBUG: Set AP mode (192.168.4.1/255.255.255.0).")
        with pytest.raises(ConnectionError):
            unit.get("/fw_version")


@pytest.mark.parametrize(
    "text",
    ["{", '{"APP": "x"}', '{"APP": 2}', "\x00\xff\xfe", '{"LINE_FREQ_HZ": 0, "CT1_IGAIN": "a"}', "9" * 20000],
)
def test_a_bad_configuration_never_stops_the_boot(tmp_path, text):
    with own_unit(tmp_path, {MACHINE: text.encode("latin-1")}) as unit:
        unit.wait_for("DEBUG: Set AP mode")
        assert unit.resets == []
        assert "Initialised ATM90E32 devices." in unit.console


def test_a_bad_factory_file_does_not_stop_the_boot_either(tmp_path):
    with own_unit(tmp_path, files() | {"/factory.cfg": b'{"CT1_IGAIN": "x"'}) as unit:
        unit.ready()
        assert "ERROR: /factory.cfg is no JSON object" in unit.console


def test_an_application_that_cannot_be_imported_is_passed_over(tmp_path):
    with own_unit(tmp_path, files(APP=2) | {"/app2/app.py": b"import no_such_module\n"}) as unit:
        unit.ready()
        assert "ERROR: app2 cannot be imported" in unit.console
        assert unit.get("/get_active_app_folder") == {"ACTIVE_APP_FOLDER": "/app1"}  # and stays so


def test_control_c_gives_the_prompt_and_import_main_starts_the_application_again_and_again(tmp_path):
    # Nobody feeds the watchdog between prompt and application: a busy host must not make that too long.
    with own_unit(tmp_path, factor=2.0) as unit:
        unit.ready()
        for _ in range(4):
            unit.get("/get_stats")  # after a request the collector runs: what Control-C must not break
            unit.to_prompt()
            unit.import_main()
            assert unit.get("/fw_version") == {"FIRMWARE_VERSION": "4.0"}
        assert unit.resets == []


@pytest.mark.parametrize(
    ("body", "times"),
    [("[gc.collect() for _ in range(30)]; time.sleep_ms(1)", 15), ("pass", 1)],
    ids=["collects all the time", "never waits"],
)
def test_control_c_ends_a_program_and_leaves_it_a_heap(tmp_path, body, times):
    program = f"import gc, time\nprint(6 * 7)\ntry:\n while 1: {body}\nexcept KeyboardInterrupt: "
    with own_unit(tmp_path, {"/main.py": b""}) as unit:
        unit.to_prompt()
        for _ in range(times):
            time.sleep(INTERRUPT_GAP_WALL_S)  # Control-C must not be taken for a second one
            unit.console = ""
            unit.type(f"exec({program + 'print(len(bytearray(2000)))'!r})\r\n")
            unit.wait_for("\n42")
            unit.to_prompt()
            assert "2000\r\n" in unit.console


def test_the_watchdog_resets_a_unit_that_is_left_at_its_prompt(tmp_path):
    with own_unit(tmp_path) as unit:
        unit.ready()
        unit.to_prompt()
        unit.wait_reset("watchdog")


# ---- memory ----


def test_enough_heap_is_free_in_steady_state(unit):
    for _ in range(5):
        unit.get("/get_stats")
        unit.get("/get_config")
        unit.get("/get_file_list")
    stats = unit.get("/get_sys_stats")
    assert stats["RAM_TOTAL_BYTES"] <= 192 * 1024
    assert stats["RAM_FREE_BYTES"] >= FREE_HEAP_BYTES, stats


def test_many_requests_leave_the_heap_as_it_was(unit):
    unit.get("/get_stats")
    before = unit.free_heap_bytes()
    for _ in range(40):
        unit.get("/get_stats")
        unit.get_status("/no_such_path")
        unit.exchange(upload("/note.txt", b"x" * 3000))
    assert unit.free_heap_bytes() > before - 2048


# ---- REST ----


def test_every_path_of_the_contract_exists(unit):
    risky = {
        "/reboot",
        "/power_cycle",
        "/erase_offline_app",
        "/reset_wifi_config",
        "/reset_to_default_config",
        "/save_factory_cfg",
    }
    for path in set(CONTRACT["rest"]["paths"]) - risky:
        assert unit.get_status(path)[0] != 404, path


def test_an_unknown_path_is_an_error(unit):
    status, reply = unit.get_status("/send_file")
    assert status == 404
    assert set(reply) == {"ERROR"}


def test_the_version_reads_as_a_number(unit):
    assert float(unit.get("/fw_version")["FIRMWARE_VERSION"]) >= 4.0


def test_the_file_system_s_size_is_not_sent_under_the_name_that_stops_upgrades(unit):
    assert "DISK_TOTAL_BYTES" not in unit.get("/get_sys_stats")


def test_the_readings_are_what_the_chips_hold(unit):
    unit.switch("load", True)
    time.sleep(2)
    reply = unit.get("/get_stats")
    for port in range(1, 7):
        truth = unit.board.readings(port)["registers"]
        shown = reply[f"CT{port}"]
        assert shown["IRMS"] == pytest.approx(truth["current_a"], rel=2e-3)
        assert shown["VRMS"] == pytest.approx(truth["voltage_v"], rel=2e-3)
        assert shown["PRMS"] == pytest.approx(truth["active_w"], rel=5e-3)
        assert shown["FREQ"] == pytest.approx(50, abs=0.1)
    assert reply["BOARD_TEMPERATURE"] == pytest.approx(22, abs=4)
    assert unit.get("/get_temperature")["CT6_BOARD_TEMPERATURE"] == pytest.approx(22, abs=4)
    unit.switch("load", False)


def test_a_new_gain_scales_the_first_reading_after_the_start_of_the_chips(unit):
    unit.get("/init_atm90e32_devs")
    before = unit.get("/get_stats")["CT1"]["VRMS"]
    unit.get("/set_config?CS4_VOLTAGE_GAIN=27800")
    assert unit.get("/init_atm90e32_devs") == {"OK": "ATM90E32 init success."}
    after = unit.get("/get_stats")
    assert after["CT1"]["VRMS"] == pytest.approx(before / 2, rel=5e-3)
    assert after["CT3"]["VRMS"] == pytest.approx(before / 2, rel=5e-3)
    assert after["CT4"]["VRMS"] == pytest.approx(before, rel=5e-3)
    unit.get("/set_config?CS4_VOLTAGE_GAIN=55600")
    unit.get("/init_atm90e32_devs")


def test_a_voltage_offset_reaches_all_three_phases(unit):
    unit.get("/set_config?CS0_VOLTAGE_OFFSET=20480")
    unit.get("/init_atm90e32_devs")
    reply = unit.get("/get_stats")
    assert [reply[f"CT{port}"]["VRMS"] - reply["CT1"]["VRMS"] for port in (4, 5, 6)] == pytest.approx(
        [0.4] * 3, abs=0.15
    )
    unit.get("/set_config?CS0_VOLTAGE_OFFSET=0")
    unit.get("/init_atm90e32_devs")


def test_a_negative_offset_reaches_exactly_zero_amperes(unit):
    unit.get("/set_config?CT2_IOFFSET=60536")
    unit.get("/init_atm90e32_devs")
    assert unit.get("/get_stats")["CT2"]["IRMS"] == 0.0
    unit.get("/set_config?CT2_IOFFSET=0")
    unit.get("/init_atm90e32_devs")


def test_readings_that_are_asked_for_while_the_chips_start_are_whole(unit):
    with socket.create_connection(("127.0.0.1", unit.unit.http_port), 10) as first:
        first.sendall(b"GET /init_atm90e32_devs HTTP/1.0\r\n\r\n")
        time.sleep(0.02)
        reply = unit.get("/get_stats")
        assert b"OK" in first.recv(4096)
    assert all(reply[f"CT{port}"]["VRMS"] > 200 for port in range(1, 7))


@pytest.mark.parametrize(
    "query",
    [
        "CT1_IGAIN=70000",
        "CT1_IGAIN=nan",
        "LINE_FREQ_HZ=55",
        "ACTIVE=2",
        "NO_SUCH=1",
        "",
        "CT1_IGAIN",
        "WIFI=x",
    ],
)
def test_a_value_that_cannot_be_used_is_an_error_and_nothing_is_stored(unit, query):
    before = unit.get("/get_config")
    status, reply = unit.get_status("/set_config?" + query)
    assert status == 400
    assert set(reply) == {"ERROR"}
    assert unit.get("/get_config") == before


def test_names_stay_texts_and_survive_every_quote(unit):
    assert unit.get("/set_config?CT1_NAME=2,CT2_NAME=it's%20%22mine%22%5C%2C=") == {
        "CT1_NAME": "2",
        "CT2_NAME": 'it\'s "mine"\\,=',
    }
    assert unit.get("/get_stats")["CT2"]["NAME"] == 'it\'s "mine"\\,='
    assert unit.get("/get_config")["CT1_NAME"] == "2"
    unit.get("/set_config?CT1_NAME=,CT2_NAME=")


def test_no_reply_holds_the_password(unit):
    for path in (
        "/get_config",
        "/get_machine_config",
        f"/get_file?file={MACHINE}",
        "/get_file?file=//this.machine.cfg",
    ):
        reply = unit.exchange(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        assert PASSPHRASE.encode() not in reply
        assert b"****" in reply


def test_a_configuration_that_comes_back_masked_keeps_the_password(unit):
    text = unit.get(f"/get_file?file={MACHINE}")[MACHINE]
    assert b'{"OK": true}' in unit.exchange(upload(MACHINE, text.encode()))
    unit.to_prompt()
    unit.import_main()  # it joined again, with the right password


def test_the_name_of_a_file_comes_back_as_it_was_sent(unit):
    unit.exchange(upload("/app2/Note.txt", b'one "two"\n'))
    reply = unit.get("/get_file?file=app2//Note.txt")
    assert reply == {"OK": True, "app2//Note.txt": 'one "two"\n'}


def test_folders_and_files_are_made_listed_and_removed(unit):
    assert unit.get("/mkdir?dir=/spare") == {"OK": True}
    assert b"200 OK" in unit.exchange(upload("/spare/deep/er/a.bin", b"\x00\x01"))
    listed = unit.get("/get_file_list")
    assert {"/spare/", "/spare/deep/", "/spare/deep/er/", "/spare/deep/er/a.bin", "/main.py"} <= set(listed)
    assert "ERROR" in unit.get("/rmdir?dir=/spare")
    assert unit.get("/rmfile?file=/spare/deep/er/a.bin") == {"OK": True}
    for folder in ("/spare/deep/er", "/spare/deep", "/spare"):
        assert unit.get(f"/rmdir?dir={folder}") == {"OK": True}
    assert not [path for path in unit.get("/get_file_list") if path.startswith("/spare")]
    assert "ERROR" in unit.get("/rmfile?file=/no/such")
    assert "ERROR" in unit.get("/mkdir")


def test_an_upload_appears_whole_and_says_so_in_its_first_bytes(unit):
    data = bytes(range(256)) * 100
    reply = unit.exchange(upload("/big.bin", data))
    assert reply.startswith(b"HTTP/1.0 200 OK\r\n")
    assert json.loads(reply.partition(b"\r\n\r\n")[2]) == {"OK": True}
    assert "/big.bin.part" not in unit.get("/get_file_list")


@pytest.mark.parametrize(
    "request_bytes",
    [
        upload("/bad.bin", b"x" * 5000, "0" * 64),
        upload("/bad.bin", b"x" * 50)[:-10] + b"yyyyyyyyyy",
        b"FILE bad.bin / 10 HTTP/1.1\n" + b"x" * 10,
        upload("/../bad.bin", b"x"),
        f"FILE bad.bin / 500000 {'0' * 64} HTTP/1.1\n".encode() + b"x" * 5000,
        upload("/this.machine.cfg", b"no configuration"),
    ],
)
def test_a_failed_upload_leaves_nothing_and_never_says_ok(unit, request_bytes):
    reply = unit.exchange(request_bytes)
    assert b"200 OK" not in reply
    assert set(json.loads(reply.partition(b"\r\n\r\n")[2])) == {"ERROR"}
    assert not [path for path in unit.get("/get_file_list") if "bad.bin" in path or path.endswith(".part")]
    assert unit.get("/get_config")["WIFI"]["SSID"] == "mfg-bench"


def test_half_open_connections_are_dropped_and_harm_nobody(unit):
    links = [socket.create_connection(("127.0.0.1", unit.unit.http_port), 10) for _ in range(3)]
    links[0].sendall(b"GET /get_st")
    links[1].sendall(b"GET /get_stats HTTP/1.1\r\nHost: x\r\n")
    links[2].close()
    assert "CT1" in unit.get("/get_stats")
    for link in links[:2]:
        assert b"CT1" not in link.recv(4096)  # closed, or an error
        link.close()
    assert "CT1" in unit.get("/get_stats")


def pour(link: socket.socket) -> None:
    for _ in range(2000):
        link.sendall(b"x" * 1024)
        time.sleep(0.001)


def test_an_endless_request_is_cut_off(unit):
    with (
        socket.create_connection(("127.0.0.1", unit.unit.http_port), 10) as link,
        pytest.raises(OSError, match=r"\w"),
    ):
        pour(link)
    assert "CT1" in unit.get("/get_stats")


def test_uptime_counts_bench_seconds(unit):
    first, begun = unit.get("/get_uptime")["UPTIME_SECONDS"], unit.clock.now_s()
    time.sleep(1)
    passed = unit.get("/get_uptime")["UPTIME_SECONDS"] - first
    assert passed == pytest.approx(unit.clock.now_s() - begun, abs=1.5)


def test_the_scan_gives_readable_addresses(unit):
    found = unit.get("/wifi_scan")["WIFI_SCAN_RESULTS"]
    assert {"SSID", "BSSID", "CHANNEL", "RSSI", "SECURITY", "HIDDEN"} == set(found[0])
    assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", found[0]["BSSID"])
    assert (found[0]["SECURITY"], found[0]["HIDDEN"]) == ("WPA2", False)


# ---- applications ----


def test_a_swap_needs_an_application_and_shows_at_once(unit):
    assert "ERROR" in unit.get("/swap_active_app")
    unit.exchange(upload("/app2/app.py", b"x = 1\n"))
    assert unit.get("/swap_active_app") == {"ACTIVE_APP_FOLDER": 2}
    assert unit.get("/get_active_app_folder") == {"ACTIVE_APP_FOLDER": "/app2"}
    assert unit.get("/get_inactive_app_folder") == {"INACTIVE_APP_FOLDER": "/app1"}
    assert unit.get("/swap_active_app") == {"ACTIVE_APP_FOLDER": 1}


def test_erasing_the_offline_application_leaves_the_running_one(unit):
    unit.exchange(upload("/app2/lib/drivers/a.mpy", b"x"))
    assert unit.get("/erase_offline_app") == {"OK": True}
    listed = unit.get("/get_file_list")
    assert not [path for path in listed if path.startswith("/app2")]
    assert "/app1/app.mpy" in listed
    assert unit.get("/erase_offline_app") == {"OK": True}


# ---- discovery ----


def answer(unit: VmUnit) -> dict:
    """Ask as a poller does: a question between two samples goes unanswered, the next one does not."""
    for _ in range(5):
        reply = unit.discover(AYT, 1.0)
        if reply is not None:
            return reply
    raise AssertionError("no answer to five questions")


def test_discovery_answers_only_an_active_unit_and_only_the_right_question(unit):
    assert unit.discover(AYT, 0.5) is None
    unit.get("/set_config?ACTIVE=1,YDEV_UNIT_NAME=bench1")
    time.sleep(0.5)
    reply = answer(unit)
    for key, value in {
        "PRODUCT_ID": "CT6", "UNIT_NAME": "bench1", "IP_ADDRESS": "10.0.0.2", "SERVICE_LIST": "WEB:80",
        "DEVICE_TYPE": "6_CHNL_CT_SENSOR", "OS": "micropython", "GROUP_NAME": "", "ACTIVE": 1,
    }.items():  # fmt: skip
        assert reply[key] == value
    assert len(reply["TIMESENT"]) == 9
    assert reply["CT1"]["VRMS"] == pytest.approx(232, rel=0.02)
    for wrong in (b"", b"{", b"[]", b"null", b'{"AYT": "x"}', b"\xff" * 100, b"x" * 2000, b'{"AYT": ' * 16):
        assert unit.discover(wrong, 0.1) is None
    assert answer(unit)["PRODUCT_ID"] == "CT6"
    unit.get("/set_config?ACTIVE=0,YDEV_UNIT_NAME=")


# ---- indicators, button, display ----


def test_the_wifi_led_obeys_and_is_given_back(unit):
    assert unit.board.lights()[16] == 1
    for mode, level in (("force_off", 0), ("force_on", 1), ("force_off", 0), ("release", 1)):
        assert unit.get(f"/set_wifi_led?on={mode}") == {"OK": True}
        time.sleep(0.1)
        assert unit.board.lights()[16] == level
    assert "ERROR" in unit.get("/set_wifi_led?on=0")


def test_the_bluetooth_led_is_off_until_it_is_set_and_then_stays(unit):
    assert unit.board.lights()[15] == 0
    unit.get("/set_bluetooth_led?on=1")
    time.sleep(0.3)
    assert unit.board.lights()[15] == 1
    unit.get("/set_bluetooth_led?on=0")
    deadline = time.monotonic() + 2.0  # the answer and the pin take different ways to us
    while unit.board.lights()[15] != 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_a_short_press_is_seen_and_wakes_the_display_and_toggles_the_unit(tmp_path):
    factory = {key: row["default"] for key, row in CONTRACT["keys"].items() if row["factory"]}
    for port in range(1, 7):
        factory |= {f"CT{port}_IGAIN": 42720, f"CT{port}_IOFFSET": 0}
    with own_unit(tmp_path, files() | {"/factory.cfg": json.dumps(factory).encode()}) as unit:
        unit.ready()
        time.sleep(0.6)
        text = read_text(unit.board.frame())
        assert "kW" in str(text)
        assert "10.0.0.2" in str(text)
        unit.wait_for("Turned the display off.")
        assert not unit.board.frame().powered
        unit.console = ""
        config = unit.get("/get_config")
        unit.press(True)
        unit.wait_for("DEBUG: Button pressed for 0 of 5 seconds.")
        unit.press(False)
        unit.wait_for("Turned the display on.")
        time.sleep(1)
        text = str(read_text(unit.board.frame()))
        assert " A" in text
        assert "kW" not in text
        assert unit.get("/get_config") == config
        unit.console = ""
        unit.wait_for("Turned the display off.")
        assert unit.get("/set_display?on=1") == {"DISPLAY_ON": False}
        unit.wait_for("Turned the display on.")
        assert unit.get("/set_display?on=1") == {"DISPLAY_ON": True}
        assert "on is not 1" in unit.get("/set_display?on=0")["ERROR"]
        assert unit.resets == []


def test_an_uncalibrated_unit_warns_and_shows_its_address(unit):
    text = str(read_text(unit.board.frame())) if unit.board.frame().powered else ""
    if not text:  # its minute is over
        unit.press(True)
        unit.wait_for("Button pressed")
        unit.press(False)
        time.sleep(1.5)
        text = str(read_text(unit.board.frame()))
    assert "Uncalibrated" in text
    assert "10.0.0.2" in text


def test_a_long_press_resets_the_configuration_and_restarts(tmp_path):
    with own_unit(tmp_path, files(CT1_NAME="oven")) as unit:
        unit.ready()
        unit.press(True)
        unit.wait_reset("machine.reset")
        unit.press(False)
        assert "Button pressed for 5 of 5 seconds." in unit.console
        unit.power_off()
        stored = json.loads(unit.file(MACHINE) or b"")
        assert stored["CT1_NAME"] == ""
        assert stored["WIFI"]["WIFI_CFG"] == 0


# ---- restarts ----


def test_a_power_cycle_is_announced_and_then_done(tmp_path):
    with own_unit(tmp_path) as unit:
        unit.ready()
        assert unit.get("/power_cycle") == {"OK": "POWER CYCLE IN PROGRESS"}
        assert unit.board.self_power_cycle_off_s() is None
        time.sleep(0.5)
        assert unit.board.self_power_cycle_off_s() == 5.0


def test_a_reboot_is_announced_and_then_done(tmp_path):
    with own_unit(tmp_path) as unit:
        unit.ready()
        assert set(unit.get("/reboot")) == {"INFO"}
        unit.wait_reset("machine.reset")
        unit.console = ""
        unit.ready()


def test_calibration_survives_a_power_cut_in_the_factory_file(tmp_path):
    with own_unit(tmp_path) as unit:
        unit.ready()
        unit.get("/set_config?CT1_IGAIN=42801,ASSY=ASY0398_V003.200_SN00001823")
        assert "OK" in unit.get("/save_factory_cfg")
        unit.get("/reset_to_default_config")
        unit.power_off()
        stored = json.loads(unit.file("/factory.cfg") or b"")
        assert len(stored) == 16
        assert stored["CT1_IGAIN"] == 42801
        unit.power_on()
        unit.wait_for("CT1_IGAIN                 = 42801")


def test_a_unit_that_cannot_join_power_cycles_after_a_minute(tmp_path):
    wrong = {"WIFI": STA_CONFIG["WIFI"] | {"SSID": "elsewhere"}}
    with own_unit(tmp_path, {MACHINE: json.dumps(wrong).encode()}) as unit:
        unit.wait_for("DEBUG: wifi_status=")
        begun = unit.clock.now_s()
        unit.wait_for("WiFi did not join within 60 s.")
        assert 55 < unit.clock.now_s() - begun < 65
        time.sleep(0.2)
        assert unit.board.self_power_cycle_off_s() == 5.0


def test_a_link_that_is_lost_for_ten_seconds_power_cycles_the_unit(tmp_path):
    with own_unit(tmp_path) as unit:
        unit.ready()
        unit.core.wifi.refusing = True
        unit.wait_for("WiFi down for 0 milliseconds")
        begun = unit.clock.now_s()
        unit.wait_for("Power cycle")
        assert 9 < unit.clock.now_s() - begun < 12


def test_the_boot_log_stays_small_and_names_every_boot(tmp_path):
    with own_unit(tmp_path, files() | {"/bootlog.txt": b"boot app1 cause 1\n" * 60}) as unit:
        unit.ready()
        unit.power_off()
        kept = unit.file("/bootlog.txt") or b""
        assert len(kept) <= 1024
        assert kept.endswith(b"boot app1 cause 1\n")
        assert kept.startswith(b"boot")


@pytest.mark.parametrize("fault", ["chip_u5_missing", "miso_stuck", "register_write_dropped"])
def test_a_chip_that_does_not_keep_its_settings_is_an_error_and_never_a_reading(tmp_path, fault):
    with VmUnit(tmp_path, files(), FACTOR, faults=(fault,)) as unit:
        unit.ready()
        assert "Initialised ATM90E32 devices." not in unit.console
        assert set(unit.get("/get_stats")) == {"ERROR"}
        unit.fault(fault, False)
        assert set(unit.get("/init_atm90e32_devs")) == {"OK"}
        assert unit.get("/get_stats")["CT1"]["VRMS"] > 200
