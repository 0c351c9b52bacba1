"""The calibration on the emulated bench: true by the plant, and honest about its faults."""

import csv
import re

import pytest
from bench_station import PERFECT, BenchStation

from mfg.emulator.config import HEATERS, InstrumentsConfig
from mfg.emulator.field_units import write_sources
from mfg.emulator.quirks import USUAL

CALIBRATION = ("adjust_registers", "verify_points")


def errors_pct(readings, quantity):
    return {
        port: (reading["registers"][quantity] / reading["truth"][quantity] - 1) * 100
        for port, reading in readings.items()
    }


def test_voltage_current_and_power_are_true_by_the_plant(passed):
    readings = passed.readings
    for quantity, limit_pct in (("voltage_v", 0.05), ("current_a", 0.05), ("active_w", 0.1)):
        errors = errors_pct(readings, quantity)
        assert max(map(abs, errors.values())) < limit_pct, (quantity, errors)


def calibration_s(ended):
    """Return the bench time of zero, gain, write and verify at three points."""
    return sum(ended.phase(name)["seconds"] for name in CALIBRATION)


def test_zero_gain_write_and_verify_at_three_points_take_at_most_30_s_of_bench_time(passed):
    assert calibration_s(passed.ended) <= 30.0


@pytest.mark.slow
def test_with_heaters_they_take_at_most_60_s(tmp_path):
    """All of a run's own time runs three times as fast here, so that bench time counts it three times."""
    ended = BenchStation(tmp_path, factor=3, load=HEATERS).run()
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert calibration_s(ended) <= 60.0
    assert ended.record["calibration"]["conditions"]["operating_state"] == "WiFi joined, display on"


def test_the_operator_closes_the_jig_and_does_nothing_else_in_the_calibration(passed):
    ended = passed.ended
    log = (ended.folder / "log.txt").read_text()
    asked = re.findall(r'Displaying prompt \(\w+\): "(.*)", Expects', log)
    (before,) = [number for number, text in enumerate(asked) if text.startswith("Does the display show")]
    assert asked[before + 1 :] == ["Put the CTs of the unit in slot 1 around the bundle and close the jig."]


def test_every_judged_value_carries_its_uncertainty_and_its_decision(passed):
    entries = [
        entry
        for name in ("verify_points", "verify_stored")
        for entry in passed.ended.phase(name)["measurements"]
    ]
    judged = [entry for entry in entries if entry["name"].endswith(("_error_pct", "_error_deg"))]
    assert len(judged) == 6 * (3 * 3 + 1 + 3 + 1)
    for entry in judged:
        found = entry["uncertainty"]
        assert found["verdict"] == "PASS"
        assert 0 < found["expanded"] < entry["high"]
        assert found["accept_high"] == pytest.approx(entry["high"] - found["expanded"])
        assert found["tur"] >= found["required_tur"] == 1.5
        assert found["conformity_probability"] > 0.95
        assert {line["kind"] for line in found["budget"]} == {"A", "B"}


def test_the_true_error_lies_inside_the_stated_uncertainty(passed):
    readings, ended = passed.readings, passed.ended
    errors = errors_pct(readings, "current_a")
    for port, error in errors.items():
        entry = next(
            entry
            for entry in ended.phase("verify_stored")["measurements"]
            if entry["name"] == f"port{port}_stored_current_error_pct"
        )
        assert abs(entry["value"] - error) < entry["uncertainty"]["expanded"]


def test_phase_angles_are_adjusted_and_stored(passed):
    ended = passed.ended
    counts = [ended.value("adjust_registers", f"port{port}_phase_counts") for port in range(1, 7)]
    assert max(map(abs, counts)) > 20, counts  # the CTs lead by up to 1.5 degrees
    angles = [ended.value("verify_points", f"port{port}_high_phase_error_deg") for port in range(1, 7)]
    assert max(map(abs, angles)) < 0.02


def test_windows_registers_and_conditions_are_on_record(passed):
    ended = passed.ended
    facts = ended.record["calibration"]
    with (ended.folder / facts["windows_file"]).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 6 * 8 * 5
    assert [point["name"] for point in facts["load_points"]] == ["high", "mid", "low"]
    assert facts["reference"]["certificate"]
    assert facts["not_done"] == facts["waivers"] == []
    assert facts["conditions"]["jig_cycles"] == 1
    assert facts["conditions"]["operating_state"] == "WiFi joined, display on"
    assert facts["registers"]["CS4"]["0x62"] == ended.value("adjust_registers", "port1_igain_counts")


def test_the_certificate_page_is_written(passed):
    page = (passed.ended.folder / "certificate.html").read_text()
    assert "SN00001823" in page
    assert "EMULATED" in page.upper()


@pytest.mark.slow
def test_a_unit_with_the_original_interface_and_its_default_offsets_is_calibrated_too(tmp_path):
    # Without what no calibration can mend: a voltage offset of its own on four ports, a LED that blinks.
    quirks = set(USUAL) - {"default_gains", "voltage_offset_split", "bluetooth_led_blinks"}
    firmware = write_sources(tmp_path / "firmware", quirks, version="4.0")
    station = BenchStation(tmp_path, seed=12, factor=3, instruments=PERFECT)
    with station.bench() as bench:
        ended = station.run("--firmware", str(firmware))
        assert ended.exit_code == 0, ended.output
        errors = errors_pct(station.settled_readings(bench), "current_a")
    assert max(map(abs, errors.values())) < 0.05, errors
    assert any("Phase" in text for text in ended.record["calibration"]["not_done"])
    assert "display on by its timer" in ended.record["calibration"]["conditions"]["operating_state"]


def test_a_reference_past_its_due_date_is_refused_unless_somebody_takes_it_on(tmp_path):
    expired = InstrumentsConfig(certificate_days=-3)
    station = BenchStation(tmp_path, instruments=expired)
    refused = station.command("run", "--assembly", "ASY0398V03.2", "--serial", "SN00001823")
    assert refused.returncode == 3
    assert "Past due: " in refused.stdout
    assert "--past-due-by" in refused.stdout


def test_a_bench_that_is_too_uncertain_for_its_limits_refuses_to_start(tmp_path):
    station = BenchStation(tmp_path)
    station.content["uncertainty"]["turns_position_pct"] = 1.0
    station.write()
    refused = station.command("run", "--assembly", "ASY0398V03.2", "--serial", "SN00001823")
    assert refused.returncode == 3
    assert "too uncertain" in refused.stdout
    assert not list(tmp_path.glob("records/*/*/record.json"))
