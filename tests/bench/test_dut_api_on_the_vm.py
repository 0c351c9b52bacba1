"""The station's client against our firmware, which runs in the MicroPython VM on the emulated board."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfg.errors import DutError
from mfg.fixtures.dut_api import DutApi

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "firmware"))
from vm_unit import STA_CONFIG, VmUnit

GAINS = {f"CT{port}_IGAIN": 42720 + port for port in range(1, 7)}


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmUnit]:
    files = {"/this.machine.cfg": json.dumps(STA_CONFIG).encode()}
    with VmUnit(tmp_path_factory.mktemp("unit"), files, factor=5.0) as running:
        running.ready()
        yield running


@pytest.fixture
def api(unit: VmUnit) -> DutApi:
    address = ("127.0.0.1", unit.unit.discovery_port)
    return DutApi("127.0.0.1", unit.unit.http_port, unit.clock, discovery_address=address)


def test_a_running_unit_is_ready_and_gives_valid_readings(unit: VmUnit, api: DutApi):
    assert api.wait_ready(10.0) < 10.0
    stats = api.stats()
    assert all(port.voltage_v == pytest.approx(232.0, rel=0.02) for port in stats.ports)
    assert all(port.frequency_hz == pytest.approx(50.0, abs=0.1) for port in stats.ports)
    assert stats.firmware_version == api.firmware_version() == "4.0"
    assert api.temperature_degc() == pytest.approx(stats.board_degc, abs=1.0)


def test_gains_are_written_checked_and_in_force_after_the_init(api: DutApi):
    before_v = api.stats().ports[0].voltage_v
    api.set_config({**GAINS, "CS4_VOLTAGE_GAIN": 27800, "CS0_VOLTAGE_GAIN": 55600, "LINE_FREQ_HZ": 50})
    api.init_chips()
    assert api.stats().ports[0].voltage_v / before_v == pytest.approx(0.5, rel=0.01)
    api.set_config({"CS4_VOLTAGE_GAIN": 55600})
    api.init_chips()
    assert api.config()["CT6_IGAIN"] == 42726


def test_texts_fractions_and_secrets_survive(api: DutApi):
    api.set_config(
        {
            "ASSY": "ASY0398_V003.200_SN00001823",
            "CT1_NAME": "oven",
            "ZERO_POWER_GATE_WATTS": 0.3,
            "MQTT_PASSWORD": "secret",
        }
    )
    assert api.stats().assembly == "ASY0398_V003.200_SN00001823"
    assert api.stats().ports[0].name == "oven"


def test_the_leds_the_clock_and_the_memory_answer(api: DutApi):
    for mode in ("force_on", "force_off", "release"):
        api.set_wifi_led(mode)
    api.set_bluetooth_led(True)
    api.set_bluetooth_led(False)
    assert api.uptime_s() > 0
    assert api.system_stats()["RAM_FREE_BYTES"] > 0


def test_files_are_stored_and_listed(api: DutApi):
    api.save_factory()
    api.upload("note.txt", "/app2", b"hello")
    assert {"/factory.cfg", "/app2/note.txt"} <= set(api.file_list())


def test_a_file_is_read_again_and_again(api: DutApi):
    api.save_factory()
    contents = {api.get_file("/factory.cfg") for _ in range(5)}
    assert len(contents) == 1
    assert len(json.loads(contents.pop())) == 16
    api.upload("long.txt", "/app2", b"0123456789" * 200)
    assert api.get_file("/app2/long.txt") == "0123456789" * 200


def test_what_the_unit_refuses_is_a_dut_error_in_its_words(api: DutApi):
    with pytest.raises(DutError, match="There is no /nothing"):
        api.get("/nothing")
    with pytest.raises(DutError, match="ENOENT"):
        api.get_file("/none")


def test_only_an_active_unit_is_discovered(api: DutApi):
    assert api.discover(2.0) is None
    api.set_config({"ACTIVE": 1})
    found = api.discover(10.0)
    assert found is not None
    assert found.data["FIRMWARE_VERSION"] == "4.0"
    api.set_config({"ACTIVE": 0})
