"""What an emulated bench is made of before it starts: its certificates, its faults, its turns."""

from __future__ import annotations

import dataclasses
import datetime
import json

import pytest

from mfg.certificates import load_certificates
from mfg.clock import BenchClock
from mfg.emulator.config import InstrumentsConfig
from mfg.errors import UsageError
from mfg.runner.emulated_bench import bench_config
from mfg.runner.emulated_certificates import write_certificates
from mfg.station import load_station

TODAY = datetime.date(2026, 11, 20)


def test_certificates_are_issued_relative_to_today(tmp_path):
    certificates = load_certificates(write_certificates(tmp_path, InstrumentsConfig(), TODAY))
    assert set(certificates) == {
        "reference_meter",
        "power_switch",
        "thermometer",
        "hand_held_meter",
        "plug_meter",
    }
    for certificate in certificates.values():
        assert certificate.days_left(TODAY) == 200
        assert certificate.issued < TODAY
    assert certificates["reference_meter"].serial_number == "GEU000123"


def test_a_bench_can_be_past_due(tmp_path):
    instruments = InstrumentsConfig(certificate_days=-10)
    certificates = load_certificates(write_certificates(tmp_path, instruments, TODAY))
    assert certificates["reference_meter"].is_due(TODAY)
    assert certificates["reference_meter"].due == datetime.date(2026, 11, 10)


def test_the_corrections_undo_the_emulated_meters_own_error(tmp_path):
    instruments = InstrumentsConfig(meter_gain_error_pct=0.05)
    reference = load_certificates(write_certificates(tmp_path, instruments, TODAY))["reference_meter"]
    corrections = {name: quantity.correction for name, quantity in reference.quantities.items()}
    assert corrections == {"voltage": -0.05, "current": -0.05, "power": -0.1, "angle": 0.0}


def test_so_do_those_of_the_meters_that_take_its_place(tmp_path):
    instruments = InstrumentsConfig(shelly_gain_error_pct=-0.3, hand_meter_gain_error_pct=0.2)
    certificates = load_certificates(write_certificates(tmp_path, instruments, TODAY))
    corrections = {
        role: certificates[role].quantities["current"].correction
        for role in ("plug_meter", "hand_held_meter")
    }
    assert corrections == {"plug_meter": 0.3, "hand_held_meter": -0.2}


def bench_of(plant, tmp_path, shipped, backend="unix"):
    path = tmp_path / "plant.json"
    path.write_text(json.dumps(plant))
    station = load_station(shipped)
    assert station.emulated_bench is not None
    bench = dataclasses.replace(station.emulated_bench, plant=path)
    return bench_config(station, bench, BenchClock(), backend)


@pytest.fixture
def shipped(request):
    return request.config.rootpath / "station.yaml"


def test_the_conductor_has_the_turns_of_the_station_unless_the_plant_says_otherwise(tmp_path, shipped):
    assert bench_of({}, tmp_path, shipped).turns == 6
    assert bench_of({"turns": 5}, tmp_path, shipped).turns == 5


def test_faults_of_plant_unit_and_instruments_are_taken_over(tmp_path, shipped):
    config = bench_of(
        {
            "faults": ["wrong_turns"],
            "units": [{"faults": ["ports_swapped_5_2"]}],
            "instruments": {"faults": ["meter_lagging"], "certificate_days": -1},
            "load": {"current_a": 8.0, "settle_s": 2.5},
        },
        tmp_path,
        shipped,
    )
    assert config.faults == ("wrong_turns",)
    assert config.units[0].faults == ("ports_swapped_5_2",)
    assert config.instruments.faults == ("meter_lagging",)
    assert config.instruments.certificate_days == -1
    assert config.load.settle_s == 2.5


@pytest.mark.parametrize(
    "plant",
    [
        {"faults": ["led_green_dark"]},
        {"units": [{"faults": ["wrong_turns"]}]},
        {"instruments": {"faults": ["meter_wet"]}},
    ],
)
def test_a_fault_that_nothing_can_have_is_refused(tmp_path, shipped, plant):
    with pytest.raises(UsageError, match=r"plant\.json: nothing on the bench has the fault"):
        bench_of(plant, tmp_path, shipped)


def test_a_unit_from_the_field_is_taken_over_with_its_quirks(tmp_path, shipped):
    config = bench_of({"units": [{"profile": "original", "quirks": ["pga_x4"]}]}, tmp_path, shipped)
    assert (config.units[0].profile, config.units[0].quirks) == ("original", ("pga_x4",))
    assert bench_of({}, tmp_path, shipped).units[0].profile == "blank"


@pytest.mark.parametrize(
    ("unit", "backend", "words"),
    [
        ({"profile": "foreign"}, "unix", "no unit of the profile 'foreign'"),
        ({"profile": "original", "quirks": ["colour"]}, "unix", "no unit has the quirk 'colour'"),
        ({"profile": "original"}, "rp2040", "runs on the back end unix"),
    ],
)
def test_a_unit_that_the_bench_cannot_make_is_refused(tmp_path, shipped, unit, backend, words):
    with pytest.raises(UsageError, match=words):
        bench_of({"units": [unit]}, tmp_path, shipped, backend)


def test_the_shipped_station_names_the_certificates_that_its_bench_issues(shipped):
    station = load_station(shipped)
    assert station.emulated_bench is not None
    assert station.certificates == station.emulated_bench.folder / "certificates.toml"


def test_a_station_need_not_name_certificates(tmp_path, shipped):
    path = tmp_path / "station.yaml"
    path.write_text(shipped.read_text().replace("certificates: .bench/certificates.toml\n", ""))
    assert load_station(path).certificates is None
