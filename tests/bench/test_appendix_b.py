"""What a unit must do for the existing CT6 tools: appendix B of the interface description, point by point.

Each test is named after its point. The firmware runs in the MicroPython VM on the emulated board. What needs
port 80, a ping or a broadcast (points 5, 10 and 12) is in test_appendix_b_network.py.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rshell_port import RshellPort

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "firmware"))
from vm_unit import STA_CONFIG, VmUnit, built

FACTOR = 5.0
SLOW_FACTOR = 2.0  # where the console's timing is judged, and at the prompt, where 8.3 s must do
MACHINE = "/this.machine.cfg"
AYT = json.dumps({"AYT": "-!#8[dkG^v's!dRznE}6}8sP9}QoIR#?O&pg)Qra"}).encode()
FACTORY_KEYS = {
    "ASSY", "CS0_VOLTAGE_GAIN", "CS4_VOLTAGE_GAIN", "LINE_FREQ_HZ",
    *(f"CT{port}_{what}" for port in range(1, 7) for what in ("IGAIN", "IOFFSET")),
}  # fmt: skip
RAW_BANNER = "raw REPL; CTRL-B to exit\r\n>"
# Interface description 3.2 and 3.3: path, then keys of the answer.
ANSWERS: dict[str, set[str]] = {
    "/get_sys_stats": {
        "RAM_USED_BYTES", "RAM_FREE_BYTES", "RAM_TOTAL_BYTES", "DISK_USED_BYTES", "DISK_PERCENTAGE_USED",
    },
    "/get_machine_config": {"ASSY", "WIFI", "APP", "CT1_IGAIN", "YDEV_UNIT_NAME", "ACTIVE"},
    "/get_config": {"ASSY", "WIFI", "APP", "CT1_IGAIN", "YDEV_UNIT_NAME", "ACTIVE"},
    "/erase_offline_app": {"OK"},
    "/mkdir?dir=/spare": {"OK"},
    "/rmdir?dir=/spare": {"OK"},
    "/rmfile?file=/none": {"ERROR"},
    "/get_active_app_folder": {"ACTIVE_APP_FOLDER"},
    "/get_inactive_app_folder": {"INACTIVE_APP_FOLDER"},
    "/swap_active_app": {"ERROR"},  # there is no other application
    "/reset_to_default_config": {"INFO"},
    "/wifi_scan": {"WIFI_SCAN_RESULTS"},
    "/reset_wifi_config": {"OK"},
    "/get_uptime": {"OK", "UPTIME_SECONDS"},
    "/get_file?file=/bootlog.txt": {"OK", "/bootlog.txt"},
    "/": {"CT1", "CT6", "READ_TIME_NS", "RSSI", "BOARD_TEMPERATURE", "ASSY", "YDEV_UNIT_NAME"},
    "/get_stats": {"FIRMWARE_VERSION", "ACTIVE", "PF_WATTS_THRESHOLD", "CT1", "CT6"},
    "/set_config?CT1_NAME=oven,ACTIVE=0": {"CT1_NAME", "ACTIVE"},
    "/fw_version": {"FIRMWARE_VERSION"},
    "/init_atm90e32_devs": {"OK"},
    "/save_factory_cfg": {"OK"},
    "/get_temperature": {"OK", "CT6_BOARD_TEMPERATURE"},
    "/set_wifi_led?on=release": {"OK"},
    "/set_bluetooth_led?on=0": {"OK"},
}  # fmt: skip
PORT_KEYS = {
    "TYPE", "NAME", "IRMS", "IPEAK", "VRMS", "PRMS", "PREACT", "PAPPARENT", "PF", "TEMP", "FREQ",
}  # fmt: skip


def files(**config: object) -> dict[str, bytes]:
    return {MACHINE: json.dumps(STA_CONFIG | config).encode()}


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmUnit]:
    with VmUnit(tmp_path_factory.mktemp("unit"), files(), FACTOR) as running:
        running.switch("load", True)
        running.ready()
        yield running


def upload(path: str, data: bytes, sha256: str = "") -> bytes:
    folder, _, name = path.rpartition("/")
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    return f"FILE {name} {folder or '/'} {len(data)} {sha256} HTTP/1.1\n".encode() + data


def typed(unit: VmUnit, text: str, wanted: str, timeout_s: float = 5.0) -> str:
    """Type at the unit and return what it says up to `wanted`."""
    unit.console = ""
    unit.type(text)
    end = time.monotonic() + timeout_s
    while wanted not in unit.console:
        assert time.monotonic() < end, repr(unit.console)
        time.sleep(0.005)
    return unit.console


# ---- the serial port ----


def test_b1_the_prompt_behaves_as_the_loader_expects_and_the_application_can_be_interrupted(tmp_path):
    with VmUnit(tmp_path, files(), SLOW_FACTOR) as unit:
        unit.ready()
        time.sleep(0.2)
        banner = typed(unit, "\x03\x02", "information.\r\n>>> ")
        assert "INFO:  Stopped" in banner
        assert [line for line in banner.split("\r\n") if line.startswith("MicroPython ")]
        assert typed(unit, "\r\x03\x03\x01", RAW_BANNER).endswith(RAW_BANNER)
        again = typed(unit, "\x04", "soft reboot\r\n" + RAW_BANNER)
        assert "Started app" not in again  # main.py does not run then
        code = "import os, ubinascii\nprint(os.uname().sysname, os.uname()[0], ubinascii.unhexlify('41'))\x04"
        assert typed(unit, code, "\x04\x04>").startswith("OKrp2 rp2 b'A'")
        answer = typed(unit, "1/0\x04", "\x04>")
        assert answer.startswith("OK\x04Traceback")
        assert "ZeroDivisionError" in answer
        assert "MicroPython" in typed(unit, "\x02", ">>> ")


def test_b2_the_marker_lines_come_as_they_are_looked_for_and_when(tmp_path):
    with VmUnit(tmp_path, files(), SLOW_FACTOR) as unit:
        unit.ready()
        time.sleep(0.5)
        said, marker = unit.heard, ", IP Address=10.0.0.2\r\n"
        texts = ["".join(text for _, text in said[: count + 1]) for count in range(len(said))]
        at = next(count for count, text in enumerate(texts) if marker in text)
        assert said[at][0] - said[0][0] >= 3.0
        assert texts[at][texts[at].rindex("=") :] == "=10.0.0.2\r\n"  # nothing with = after it in its burst
        assert said[at + 1][0] - said[at][0] >= 0.3
        assert "DEBUG: WiFi interface IP address: 10.0.0.2\r\n" in unit.console
        assert "Activating WiFi" not in unit.console
        unit.press(True)
        unit.wait_for("DEBUG: Button pressed for ")
        unit.press(False)


def test_b3_the_configuration_is_there_before_wifi_is_and_what_a_tool_writes_into_it_is_honoured(tmp_path):
    with VmUnit(tmp_path, {}, SLOW_FACTOR) as unit:
        unit.wait_for("INFO:  Activating WiFi.")
        unit.wait_for("DEBUG: Set AP mode (192.168.4.1/255.255.255.0).")
        unit.to_prompt()
        said = typed(unit, "f=open('this.machine.cfg');print(f.readlines()[0]);f.close()\r", "}\r\n")
        (line,) = [line for line in said.split("\r\n") if line.startswith('{"')]
        config = json.loads(line) | STA_CONFIG
        unit.power_off()
        stored = unit.file(MACHINE) or b""
        assert stored.decode() == line
        assert b"\n" not in stored
        unit.power_on()
        unit.wait_for("Set AP mode")
        unit.to_prompt()
        text = json.dumps(config)
        typed(unit, f"f=open('/this.machine.cfg','w');f.write({text!r});f.close()\r", ">>> ")
        unit.console = ""
        unit.type("import machine ; machine.reset()\r")
        unit.ready()
        assert "connected to mfg-bench, IP Address=" in unit.console


BYTE_CODE = (("a.mpy", "/app1/a.mpy"), ("a.mpy", "/app1/lib/drivers/a.mpy"), ("a.mpy", "/app2/lib/a.mpy"))
FOLDERS = ("/app1", "/app1/lib", "/app1/lib/drivers", "/app2", "/app2/lib", "/app2/lib/drivers")


def test_b4_the_tools_own_loader_wipes_the_unit_and_loads_it_again(tmp_path):
    """rshell 0.0.36, as in sections 2.5 and 2.6; in the byte code is every byte there is."""
    folder = tmp_path / "host"
    folder.mkdir()
    (folder / "main.py").write_text("print('from the loader')\n")
    (folder / "a.mpy").write_bytes(bytes(range(256)) * 5)
    with VmUnit(tmp_path, files(), 1.0) as unit:
        unit.ready()
        with unit.handed_over() as path, RshellPort(path) as port:
            port.run(folder, "rm -r /pyboard/*")  # within the 8.3 s that the watchdog leaves
        unit.type("\r\x02import machine ; machine.reset()\r")
        unit.wait_reset("machine.reset")
        unit.console = ""
        unit.wait_for("more information.")
        assert "activeApp" not in unit.console  # no application, so no watchdog
        with unit.handed_over() as path, RshellPort(path) as port:
            made = [f"mkdir /pyboard{name}" for name in FOLDERS]
            copied = [f"cp {name} /pyboard{to}" for name, to in (("main.py", "/main.py"), *BYTE_CODE)]
            said = port.run(folder, *made, *copied)
        assert all(f"{name}' to '/pyboard{to}'" in said for name, to in BYTE_CODE)
        assert "from the loader" in typed(unit, "\r\x02import main\r", "from the loader\r\n")
        unit.power_off()
        assert unit.file(MACHINE) is None
        for _, to in BYTE_CODE:
            assert unit.file(to) == (folder / "a.mpy").read_bytes()


def test_b4_import_main_starts_the_application(tmp_path):
    with VmUnit(tmp_path, files(), SLOW_FACTOR) as unit:
        unit.ready()
        unit.to_prompt()
        unit.import_main()
        assert unit.get("/fw_version")["FIRMWARE_VERSION"]


# ---- HTTP ----


def test_b5_every_endpoint_answers_with_its_keys_and_closes(tmp_path):
    with VmUnit(tmp_path, files(), FACTOR) as unit:
        unit.ready()
        for target, keys in ANSWERS.items():
            reply = unit.exchange(f"GET {target} HTTP/1.1\r\nHost: unit\r\n\r\n".encode())
            head, _, body = reply.partition(b"\r\n\r\n")
            assert b"Content-type: application/json" in head, target
            assert b"Content-Length" not in head
            assert keys <= set(json.loads(body)), target
        stats = unit.get("/get_stats")
        assert all(set(stats[f"CT{port}"]) == PORT_KEYS for port in range(1, 7))
        listed = unit.get("/get_file_list")
        assert {"/app1/", "/app1/app.mpy", "/main.py"} <= set(listed)
        assert set(unit.get("/reboot")) == {"INFO"}
        unit.wait_reset("machine.reset")


def test_b5_an_upload_says_200_ok_in_its_first_segment_and_a_failed_one_nowhere(unit):
    for data, sha256, good in ((b"x" * 3000, "", True), (b"x" * 3000, "0" * 64, False), (b"", "", True)):
        with socket.create_connection(("127.0.0.1", unit.unit.http_port), 10) as link:
            link.sendall(upload("/app2/lib/part.mpy", data, sha256))
            first = link.recv(1024)
            rest = first
            while more := link.recv(4096):
                rest += more
        assert (b"200 OK" in first) == good
        assert (b"200 OK" in rest) == good
        assert set(json.loads(rest.rpartition(b"\r\n\r\n")[2])) == ({"OK"} if good else {"ERROR"})


def test_b6_set_config_echoes_what_it_stored_and_refuses_what_cannot_be(unit):
    echo = unit.get("/set_config?CT1_IGAIN=42720.0,YDEV_UNIT_NAME=garage,CT2_NAME=2,NO_SUCH=1")
    assert echo == {"CT1_IGAIN": 42720, "YDEV_UNIT_NAME": "garage", "CT2_NAME": "2"}
    for bad in ("CT1_IGAIN=70000", "LINE_FREQ_HZ=55", "CT1_IOFFSET=inf", "CT1_IGAIN=oven"):
        assert set(unit.get("/set_config?" + bad)) == {"ERROR"}
    unit.get("/set_config?YDEV_UNIT_NAME=,CT2_NAME=")


@pytest.mark.parametrize("sent", ["/main.py", "main.py", "//main.py", "app2/../x"])
def test_b7_get_file_answers_under_the_name_as_it_was_sent(unit, sent):
    reply = unit.get(f"/get_file?file={sent}")
    assert ".." in sent or reply[sent].startswith('"""Start the application')
    assert (".." in sent) == ("ERROR" in reply)


def test_b8_the_first_reading_after_the_init_is_that_of_the_new_settings(unit):
    for gain in (27800, 55600):
        unit.get(f"/set_config?CS0_VOLTAGE_GAIN={gain},CS4_VOLTAGE_GAIN={gain}")
        assert set(unit.get("/init_atm90e32_devs")) == {"OK"}
        reply = unit.get("/get_stats")
        for port in range(1, 7):
            truth_v = unit.board.readings(port)["truth"]["voltage_v"]
            assert reply[f"CT{port}"]["VRMS"] == pytest.approx(truth_v * gain / 55600, rel=5e-3)


def adjusted(unit: VmUnit, key: str, start: int, read: Any, limit: float) -> int:
    """Run the original's loop: one reading, one proportional correction, cut to a whole number."""
    gain = start
    for corrections in range(3):
        unit.get(f"/set_config?{key}={gain}")
        assert set(unit.get("/init_atm90e32_devs")) == {"OK"}
        measured, reference = read()
        if abs(measured - reference) < limit:
            return corrections
        gain = int(reference / measured * gain)
        assert 0 <= gain <= 65535
    raise AssertionError(f"{key} is not right after two corrections: {measured} for {reference}")


@pytest.mark.parametrize(("port", "chip"), [(1, "CS4"), (6, "CS0")])
def test_b9_the_original_s_calibration_loops_end(unit, port, chip):
    def voltage() -> tuple[float, float]:
        measured_v = unit.get("/get_stats")[f"CT{port}"]["VRMS"]
        return measured_v, unit.board.readings(port)["truth"]["voltage_v"]

    def current() -> tuple[float, float]:
        measured_a = unit.get("/get_stats")[f"CT{port}"]["IRMS"]
        return measured_a, unit.board.readings(port)["truth"]["current_a"]

    assert 1 <= adjusted(unit, f"{chip}_VOLTAGE_GAIN", 50000, voltage, 0.3) <= 2
    unit.switch("load", True)
    time.sleep(4 / FACTOR)
    assert 1 <= adjusted(unit, f"CT{port}_IGAIN", 8000, current, 0.02) <= 2
    unit.switch("load", False)
    time.sleep(1 / FACTOR)
    offset = 0
    for _ in range(5):
        unit.get(f"/set_config?CT{port}_IOFFSET={offset & 0xFFFF}")
        unit.get("/init_atm90e32_devs")
        if unit.get("/get_stats")[f"CT{port}"]["IRMS"] == 0.0:
            break
        offset -= 1000
    else:
        raise AssertionError("the reading never gets exactly 0.0")
    assert offset < 0
    unit.get(f"/set_config?CT{port}_IOFFSET=0,CT{port}_IGAIN=42720,{chip}_VOLTAGE_GAIN=55600")
    unit.get("/init_atm90e32_devs")
    unit.switch("load", True)


def test_b11_the_active_folder_follows_a_swap_at_once_and_after_a_restart(tmp_path):
    with VmUnit(tmp_path, files(), FACTOR) as unit:
        unit.ready()
        app = {
            file.path_on_unit: file.data for file in built("app2").files if file.path_on_unit != "/main.py"
        }
        for path, data in app.items():
            assert b"200 OK" in unit.exchange(upload(path, data))
        assert unit.get("/get_active_app_folder") == {"ACTIVE_APP_FOLDER": "/app1"}
        assert unit.get("/swap_active_app") == {"ACTIVE_APP_FOLDER": 2}
        assert unit.get("/get_active_app_folder") == {"ACTIVE_APP_FOLDER": "/app2"}
        assert unit.get("/get_inactive_app_folder") == {"INACTIVE_APP_FOLDER": "/app1"}
        unit.get("/reboot")
        unit.wait_reset("machine.reset")
        unit.console = ""
        unit.ready()
        assert "INFO:  Running app2" in unit.console
        assert unit.get("/get_active_app_folder") == {"ACTIVE_APP_FOLDER": "/app2"}


def test_b12_discovery_answers_an_active_unit_with_texts_for_names_and_valid_json(unit):
    assert unit.discover(AYT, 0.3) is None
    unit.get("/set_config?ACTIVE=1,YDEV_UNIT_NAME=7,CT1_NAME=2.0,CT2_NAME=it's%20%22mine%22")
    found = []
    for _ in range(3):  # a poller asks once a second
        time.sleep(1 / FACTOR)
        found.append(unit.discover(AYT, 2.0))
    unit.get("/set_config?ACTIVE=0,YDEV_UNIT_NAME=,CT1_NAME=,CT2_NAME=")
    for reply in found:
        assert reply["PRODUCT_ID"] == "CT6"
        assert (reply["UNIT_NAME"], reply["CT1"]["NAME"], reply["CT2"]["NAME"]) == (
            "7",
            "2.0",
            'it\'s "mine"',
        )
        assert {"IP_ADDRESS", "ACTIVE", "BOARD_TEMPERATURE", "RSSI", "ASSY", "TIMESENT"} <= set(reply)
        for port in range(1, 7):
            assert set(reply[f"CT{port}"]) == PORT_KEYS
            assert all(
                isinstance(reply[f"CT{port}"][key], float | int) for key in PORT_KEYS - {"TYPE", "NAME"}
            )


def test_b13_the_version_is_a_text_that_reads_as_a_number(unit):
    version = unit.get("/fw_version")["FIRMWARE_VERSION"]
    assert isinstance(version, str)
    assert float(version) > 3.1


def test_b14_the_factory_file_is_one_line_with_sixteen_keys_and_a_label_of_three_fields(unit):
    unit.get("/set_config?ASSY=ASY0398_V003.200_SN00001823")
    assert "OK" in unit.get("/save_factory_cfg")
    text = unit.get("/get_file?file=/factory.cfg")["/factory.cfg"]
    assert text.startswith('{"')
    assert "\n" not in text
    factory = json.loads(text)
    assert set(factory) == FACTORY_KEYS
    assert factory["ASSY"].split("_") == ["ASY0398", "V003.200", "SN00001823"]


def test_b15_what_we_do_better_does_not_break_the_tools(unit):
    """Readable BSSID, proper statuses with the same ERROR object, request timeout, bounds."""
    for network in unit.get("/wifi_scan")["WIFI_SCAN_RESULTS"]:
        assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", network["BSSID"])
    for target, status in (
        ("/nothing", 404),
        ("/set_config?CT1_IGAIN=70000", 400),
        ("/get_file?file=/none", 404),
    ):
        assert unit.get_status(target)[0] == status
        assert list(unit.get_status(target)[1]) == ["ERROR"]
    with socket.create_connection(("127.0.0.1", unit.unit.http_port), 10) as half_open:
        half_open.sendall(b"GET /get_st")
        begun_s = unit.clock.now_s()
        assert "CT1" in unit.get("/get_stats")
        assert half_open.recv(100) == b""
        assert unit.clock.now_s() - begun_s < 8


def test_b16_the_size_of_the_file_system_has_another_name_than_the_one_that_stops_upgrades(unit):
    stats = unit.get("/get_sys_stats")
    assert "DISK_TOTAL_BYTES" not in stats
    assert stats["FILE_SYSTEM_BYTES"] == 868352
