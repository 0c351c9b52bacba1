"""A unit from the field on the MicroPython VM: each quirk where it is switched on, and nowhere else.

`usual` has every quirk of today's original firmware but the watchdog, which would bite when this machine
stalls; `plain` is the same application without any.
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

import pytest

from mfg.emulator.config import BenchConfig, PortConfig, UnitConfig
from mfg.emulator.field_units import factory_file, field_sources, write_sources
from mfg.emulator.quirks import NAMES, QUIRKS, USUAL
from mfg.errors import DutError, FixtureError, UsageError
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.firmware_build import build_firmware

sys.path.insert(0, str(Path(__file__).parents[1] / "firmware"))
from vm_unit import PASSPHRASE, VmUnit

FACTOR = 5.0
CALM = 2.0  # where wall time counts
WATCHDOG_S = 8.3
ALL = (*USUAL, "pga_x4")
NO_WATCHDOG = tuple(quirk for quirk in USUAL if quirk != "watchdog_at_prompt")


def started(folder: Path, quirks: tuple[str, ...], factor: float = FACTOR) -> VmUnit:
    return VmUnit(folder, {}, factor=factor, profile="original", quirks=quirks)


def api_of(unit: VmUnit) -> DutApi:
    address = ("127.0.0.1", unit.unit.discovery_port)
    return DutApi("127.0.0.1", unit.unit.http_port, unit.clock, discovery_address=address)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmUnit]:
    with started(tmp_path_factory.mktemp("usual"), NO_WATCHDOG) as unit:
        unit.ready()
        unit.switch("load", True)
        yield unit


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmUnit]:
    with started(tmp_path_factory.mktemp("plain"), ()) as unit:
        unit.ready()
        unit.switch("load", True)
        yield unit


def steps(unit: VmUnit) -> set[bool]:
    """Return for several readings of a current under load whether they are whole milliamperes."""
    found = set()
    for _ in range(8):
        current_a = unit.get("/get_stats")["CT1"]["IRMS"]
        found.add(current_a == round(current_a, 3))
        unit.clock.sleep_s(0.35)
    return found


def cpu_s(unit: VmUnit) -> float:
    """Return the processor time that the unit's VM has used."""
    pid = unit.core._session.vm.process.pid
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def init_s(unit: VmUnit) -> float:
    """Return how long the chips' start takes."""
    begun_s = unit.clock.now_s()
    unit.get("/init_atm90e32_devs")
    return unit.clock.now_s() - begun_s


def upload(unit: VmUnit, folder: str, digest: str) -> bytes:
    return unit.exchange(f"FILE x.txt {folder} 5 {digest} HTTP/1.1\n".encode() + b"hello", timeout_s=2.0)


def split_v(unit: VmUnit) -> list[float]:
    deadline = time.monotonic() + 10.0
    while min((stats := unit.get("/get_stats"))[f"CT{port}"]["VRMS"] for port in range(1, 7)) < 100:
        assert time.monotonic() < deadline, stats  # the chips have no window yet
    return [stats[f"CT{port}"]["VRMS"] - stats["CT1" if port < 4 else "CT4"]["VRMS"] for port in (2, 3, 5, 6)]


PATHS = (
    "get_sys_stats get_file_list get_machine_config erase_offline_app mkdir rmdir rmfile "
    "get_active_app_folder get_inactive_app_folder swap_active_app reboot reset_to_default_config wifi_scan "
    "get_file reset_wifi_config get_uptime get_stats get_config set_config power_cycle fw_version "
    "init_atm90e32_devs save_factory_cfg get_temperature set_wifi_led set_bluetooth_led"
)
GOOD = hashlib.sha256(b"hello").hexdigest()
BAD = hashlib.sha256(b"other").hexdigest()


def test_a_unit_from_the_field_is_calibrated_active_and_answers_the_station(usual: VmUnit):
    api = api_of(usual)
    stats = api.stats()
    assert stats.assembly == "ASY0398_V003.200_SN00001823"
    assert stats.firmware_version == api.firmware_version() == "3.1"
    assert api.features() == frozenset()
    found = api.discover(10.0)
    assert found is not None
    assert found.data["UNIT_NAME"] == "field1"
    assert found.data["CT1"]["VRMS"] == pytest.approx(232.0, rel=0.02)
    factory = json.loads(api.get_file("/factory.cfg"))
    assert len(factory) == 16
    assert factory == factory_file(usual.unit)


def test_what_the_original_has_not_is_refused_and_not_shown(usual: VmUnit):
    api = api_of(usual)
    for path in ("/get_features", "/get_windows", "/get_registers", "/set_registers"):
        with pytest.raises(DutError, match=f"There is no {path}"):
            api.get(path)
    with pytest.raises(DutError, match="Config parameter unset"):
        api.get("/set_config", {"CT1_PHASE": "12"})
    assert "CT1_PHASE" not in api.config()


def test_every_path_of_the_original_is_served(usual: VmUnit):
    handlers = field_sources(())["app1/rest.py"].decode()
    served = {name for name in PATHS.split() if f"_do_{name}" in handlers or f"_later_{name}" in handlers}
    assert served == set(PATHS.split())
    assert len(re.findall(r"def _(?:do|later)_|_do_\w+ = ", handlers)) == len(served)
    scanned = usual.get("/wifi_scan")["WIFI_SCAN_RESULTS"]
    assert all(re.fullmatch(r"\w{2}(?:0\w{2}){5}", network["BSSID"]) for network in scanned)


def test_the_applications_can_be_swapped_and_the_label_written(usual: VmUnit):
    assert usual.get("/get_active_app_folder") == {"ACTIVE_APP_FOLDER": "/app1"}
    assert usual.get("/swap_active_app") == {"ACTIVE_APP_FOLDER": 2}
    assert usual.get("/swap_active_app") == {"ACTIVE_APP_FOLDER": 1}
    api_of(usual).set_config({"ASSY": "ASY0398_V003.200_SN00001824", "CT1_IGAIN": 42720, "LINE_FREQ_HZ": 50})
    assert usual.get("/get_stats")["ASSY"] == "ASY0398_V003.200_SN00001824"
    api_of(usual).set_config({"ASSY": "ASY0398_V003.200_SN00001823"})


def test_the_factory_file_corrects_what_the_parts_of_the_unit_are_off(tmp_path: Path):
    ports = (PortConfig(ct_ratio_error_pct=0.4, gain_error_pct=-0.9), *(PortConfig(),) * 5)
    unit = UnitConfig(profile="original", ports=ports, voltage_gain_error_pct=(0.5, -0.5))
    keys = factory_file(unit)
    assert keys["CT1_IGAIN"] == round(42720 / (1.004 * 0.991))
    assert keys["CS4_VOLTAGE_GAIN"] == round(55600 / 1.005)
    assert keys["CS0_VOLTAGE_GAIN"] == round(55600 / 0.995)


def test_no_low_words_leaves_steps_of_a_milliampere(usual: VmUnit, plain: VmUnit):
    assert steps(usual) == {True}
    assert False in steps(plain)


def test_gain_refused_silently_leaves_the_chip_at_its_reset_gain(usual: VmUnit, plain: VmUnit):
    with pytest.raises(DutError, match="out of range"):
        api_of(plain).get("/set_config", {"CT2_IGAIN": "70000"})
    before = usual.get("/get_stats")["CT2"]
    assert usual.get("/set_config?CT2_IGAIN=70000") == {"CT2_IGAIN": 70000.0}
    try:
        assert "OK" in usual.get("/init_atm90e32_devs")
        usual.clock.sleep_s(0.7)
        after = usual.get("/get_stats")["CT2"]
    finally:
        usual.get("/set_config?CT2_IGAIN=42720")
        usual.get("/init_atm90e32_devs")
    assert after["IRMS"] / before["IRMS"] == pytest.approx(0x8000 / 42720, rel=0.02)
    # The peak is computed with the gain that the chip does not have.
    assert after["IPEAK"] / before["IPEAK"] == pytest.approx(70000 / 42720, rel=0.02)


def test_default_gains_and_default_offsets_are_45000_where_there_is_no_calibration(tmp_path: Path):
    for quirks, gains, offset in ((USUAL, {45000}, 45000), ((), {42720, 55600}, 0)):
        folder = tmp_path / str(offset)
        folder.mkdir()
        with started(folder, quirks) as unit:
            unit.ready()
            unit.get("/reset_to_default_config")
            config = unit.get("/get_config")
        assert {config[f"CT{port}_IOFFSET"] for port in range(1, 7)} == {offset}
        assert {value for key, value in config.items() if key.endswith("GAIN")} == gains


def test_voltage_offset_split_shows_on_four_ports_alone(usual: VmUnit, plain: VmUnit):
    assert split_v(usual) == [pytest.approx(0.29, abs=0.1)] * 4
    assert split_v(plain) == [pytest.approx(0.0, abs=0.1)] * 4


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the VM's processor time from /proc")
def test_half_open_spins_until_the_unit_restarts(tmp_path: Path):
    for quirks, spins in ((("half_open_spins",), True), ((), False)):
        folder = tmp_path / str(spins)
        folder.mkdir()
        with started(folder, quirks, factor=CALM) as unit:
            unit.ready()
            with socket.create_connection(("127.0.0.1", unit.unit.http_port), 2.0):
                pass
            used_s, end_s = cpu_s(unit), time.monotonic() + (20.0 if spins else 2.0)
            while cpu_s(unit) < used_s + 1.0 and time.monotonic() < end_s:
                time.sleep(0.05)
            # A unit at rest uses a twentieth of the processor.
            assert (cpu_s(unit) >= used_s + 1.0) is spins
            assert unit.get("/fw_version")  # the others still have their turn
            assert not unit.resets


def test_doubled_upload_header_is_no_error_for_the_station(usual: VmUnit, plain: VmUnit):
    assert upload(usual, "/app2", GOOD).count(b"HTTP/1.0 200 OK") == 2
    assert upload(plain, "/app2", GOOD).count(b"HTTP/1.0 200 OK") == 1
    api_of(usual).upload("y.txt", "/app2", b"content")
    assert api_of(usual).get_file("/app2/y.txt") == "content"


def test_an_upload_that_failed_says_so_in_its_first_header_and_leaves_no_file(usual: VmUnit):
    refused = upload(usual, "/app2", BAD)
    assert refused.startswith(b"HTTP/1.0 500 ERROR")
    assert b"HTTP/1.0 200 OK" in refused
    assert "/app2/x.txt" not in usual.get("/get_file_list")


def test_status_200_on_failure_is_an_error_for_the_station(usual: VmUnit, plain: VmUnit):
    assert usual.get_status("/nothing")[0] == 200
    assert plain.get_status("/nothing")[0] == 400
    for unit in (usual, plain):
        with pytest.raises(DutError, match="There is no /nothing"):
            api_of(unit).get("/nothing")


def test_watchdog_at_prompt_resets_the_unit_after_8_3_s(tmp_path: Path):
    for quirks, reset in ((USUAL, True), (NO_WATCHDOG, False)):
        folder = tmp_path / str(reset)
        folder.mkdir()
        with started(folder, quirks) as unit:
            unit.ready()
            begun_s = unit.clock.now_s()
            unit.to_prompt()
            if reset:
                unit.wait_reset("watchdog")
                assert unit.clock.now_s() - begun_s > WATCHDOG_S - 1.0
            else:
                unit.clock.sleep_s(1.5 * WATCHDOG_S)
                assert not unit.resets


def test_no_answer_after_exception_ends_at_the_deadline_of_the_station(usual: VmUnit, plain: VmUnit):
    with pytest.raises(TimeoutError):
        upload(usual, "/deep/er", GOOD)  # two folders are missing
    for unit, error, words in ((usual, FixtureError, "does not answer"), (plain, DutError, "ValueError")):
        unit.get("/set_config?CT4_IGAIN=many" if unit is usual else "/set_config?CT4_IOFFSET=many")
        try:
            with pytest.raises(error, match=words):
                api_of(unit).get("/init_atm90e32_devs", timeout_s=5.0)
        finally:
            unit.get("/set_config?CT4_IGAIN=42720,CT4_IOFFSET=0")
            unit.get("/init_atm90e32_devs")
        assert api_of(unit).firmware_version() == "3.1"  # the next request is answered


def test_pga_x4_belongs_to_firmware_before_2_8(tmp_path: Path):
    with started(tmp_path, ALL) as unit:
        unit.ready()
        unit.switch("identification", True)  # 4 A, twice through CT2: x4 clips above 25 A
        unit.clock.sleep_s(3.0)
        api = api_of(unit)
        assert api.firmware_version() == "2.7"
        assert api.config()["CT1_IGAIN"] == 10680
        assert unit.board.registers()["CS4"]["0x34"] == 0x2A
        assert api.stats().ports[1].current_a == pytest.approx(8.0, rel=0.03)


def test_numbers_become_floats_in_names_and_nan_in_gains(usual: VmUnit, plain: VmUnit):
    for unit, held in ((usual, 2.0), (plain, 2)):
        unit.get("/set_config?CT3_NAME=2")
        assert repr(unit.get("/get_config")["CT3_NAME"]) == repr(held)
        unit.get("/set_config?CT3_NAME=")
    assert b": nan}" in usual.exchange(b"GET /set_config?MQTT_TOPIC=nan HTTP/1.1\r\n\r\n")
    try:
        with pytest.raises(DutError):  # that is no JSON
            api_of(usual).config()
    finally:
        usual.get("/set_config?MQTT_TOPIC=none")


def test_secrets_in_clear_are_in_the_configuration_and_on_the_console(usual: VmUnit, plain: VmUnit):
    assert usual.get("/get_config")["WIFI"]["PASSWD"] == PASSPHRASE
    assert plain.get("/get_config")["WIFI"]["PASSWD"] == "****"
    assert PASSPHRASE in usual.console
    assert PASSPHRASE not in plain.console


def test_init_answers_early_before_the_chips_have_had_a_window(tmp_path: Path, plain: VmUnit):
    with started(tmp_path, ("init_answers_early",), factor=CALM) as early:
        early.ready()
        assert min(init_s(early) for _ in range(5)) < 1.1
    assert min(init_s(plain) for _ in range(5)) >= 1.1
    assert api_of(plain).stats().ports[3].voltage_v == pytest.approx(232.0, rel=0.02)


def test_bluetooth_led_blinks_whatever_it_is_set_to(usual: VmUnit, plain: VmUnit):
    for unit, blinks in ((usual, True), (plain, False)):
        unit.get("/set_bluetooth_led?on=0")
        begun_s = unit.clock.now_s()
        unit.clock.sleep_s(3.0)
        edges = [edge for edge in unit.board.led_edges(begun_s) if edge[1] == 15]
        assert (len(edges) > 2) is blinks


def test_every_quirk_has_a_test_and_a_section():
    tests = [name for name in globals() if name.startswith("test_")]
    for quirk in QUIRKS:
        assert any(quirk.name in name for name in tests), quirk.name
        assert quirk.section
        assert quirk.what


def test_each_switch_is_baked_in_by_its_name_and_one_that_there_is_not_is_refused():
    source = field_sources(("half_open_spins",))["app1/quirks.py"].decode()
    assert source.count("True") == 1
    assert "HALF_OPEN_SPINS = True" in source
    assert source.count("False") == len(NAMES) - 1
    with pytest.raises(UsageError, match="There is no quirk 'colour'"):
        field_sources(("colour",))


def test_the_application_can_be_loaded_like_any_firmware(tmp_path: Path):
    image = build_firmware(write_sources(tmp_path, USUAL), None)
    assert image.version == "3.1"
    assert {"/app1", "/app2"} <= set(image.folders)


def test_the_bench_s_configuration_keeps_profile_and_quirks(tmp_path: Path):
    unit = UnitConfig(profile="original", quirks=("pga_x4",))
    BenchConfig(units=(unit,)).write(tmp_path / "bench.json")
    assert BenchConfig.read(tmp_path / "bench.json").units == (unit,)
    assert BenchConfig.from_dict({"units": [{"profile": "original"}]}).units[0].quirks == USUAL
    assert UnitConfig().profile == "blank"
