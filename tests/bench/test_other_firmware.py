"""Another firmware than the station's own: loaded on request, on record, with the original interface only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_station import BenchStation
from original_interface import (
    FIRMWARE,
    PATHS,
    copied_firmware,
    paths_of,
    with_defaults,
    with_original_interface,
)

from mfg.errors import DutError
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.firmware_build import build_firmware

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "firmware"))
import vm_unit

PORT_KEYS = {"TYPE", "NAME", "IRMS", "IPEAK", "VRMS", "PRMS", "PREACT", "PAPPARENT", "PF", "TEMP", "FREQ"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DutApi]:
    folder = tmp_path_factory.mktemp("original")
    firmware = with_defaults(with_original_interface(copied_firmware(folder)), {"CTn_IOFFSET": 45000})
    files = {"/this.machine.cfg": json.dumps(vm_unit.STA_CONFIG).encode()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vm_unit, "FIRMWARE", firmware)
        with vm_unit.VmUnit(folder, files, factor=5.0) as unit:
            unit.ready()
            unit.switch("load", True)
            yield DutApi("127.0.0.1", unit.unit.http_port, unit.clock)


def test_the_original_interface_answers_as_before(api: DutApi):
    api.set_config({"CT1_IGAIN": 42720, "LINE_FREQ_HZ": 50})
    api.init_chips()
    stats = api.stats()
    assert all(port.voltage_v == pytest.approx(232.0, rel=0.02) for port in stats.ports)
    assert api.firmware_version() == "4.0"


def test_the_original_shows_main_words_only_and_nothing_else(api: DutApi):
    shown = api.get("/get_stats")
    assert isinstance(shown, dict)
    assert set(shown["CT4"]) == PORT_KEYS
    for port in range(1, 7):
        assert shown[f"CT{port}"]["IRMS"] == round(shown[f"CT{port}"]["IRMS"], 3)
        assert shown[f"CT{port}"]["VRMS"] == round(shown[f"CT{port}"]["VRMS"], 2)
    assert {"CT6", "READ_TIME_NS", "PF_WATTS_THRESHOLD"} <= set(shown)


def test_a_path_or_a_key_that_the_original_has_not_is_refused(api: DutApi):
    for path in ("/get_features", "/get_windows", "/get_registers", "/set_registers"):
        with pytest.raises(DutError, match=f"There is no {path}"):
            api.get(path)
    with pytest.raises(DutError, match="Config parameter unset"):
        api.get("/set_config", {"CT1_PHASE": "12"})
    assert "CT1_PHASE" not in api.config()


def test_every_path_of_the_original_is_left_and_no_other(tmp_path: Path):
    assert paths_of(with_original_interface(copied_firmware(tmp_path))) == set(PATHS.split())


def test_other_defaults_hold_on_a_fresh_unit(api: DutApi):
    config = api.config()
    assert {config[f"CT{port}_IOFFSET"] for port in range(1, 7)} == {45000}
    assert config["CT1_IGAIN"] == 42720


def test_a_default_of_a_setting_that_there_is_not_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="has no setting 'CTn_COLOUR'"):
        with_defaults(copied_firmware(tmp_path), {"CTn_COLOUR": 1})


def test_a_copied_firmware_is_our_firmware_until_it_is_changed(tmp_path: Path):
    copy = copied_firmware(tmp_path)
    own = build_firmware(FIRMWARE, None)
    assert build_firmware(copy, None).sha256 == own.sha256
    assert build_firmware(with_original_interface(copy), None).sha256 != own.sha256


def test_a_run_loads_the_named_firmware_and_its_record_says_which(tmp_path: Path):
    firmware = with_original_interface(copied_firmware(tmp_path))
    ended = BenchStation(tmp_path, factor=3).run("--no-cal", "--firmware", str(firmware))
    assert ended.exit_code == 5, ended.output
    assert ended.record["firmware"]["source"] == str(firmware)
    loaded = ended.value("load_firmware", "firmware_sha256")
    assert loaded == build_firmware(firmware, None).sha256


def test_a_folder_without_firmware_is_refused_before_anything_is_touched(tmp_path: Path):
    station = BenchStation(tmp_path)
    done = station.command("run", "--firmware", str(tmp_path))
    assert done.returncode == 2
    assert "no firmware is there" in done.stdout
    assert not (tmp_path / "records").exists()
