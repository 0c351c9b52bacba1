"""What is wrong with the bench, an instrument, an image or a unit ends in the phase that should catch it.

Every run ends as FAIL or ERROR with a plain sentence, and with the supply measured off. That every fault is
caught is proved by the coverage run in tests/faults; here is what it does not look at.
"""

import dataclasses
import os
import re

import pytest
from bench_station import ADJUST, BenchStation

from mfg.emulator.bootrom import RP2040_FAMILY
from mfg.emulator.images import ERASE_FILE, MICROPYTHON_FILE

RP2350_FAMILY = 0xE48BFF59
UF2_BLOCK_BYTES = 512
# What a machine that is busy can stand: the firmware's own time-outs shrink with the clock.
WITHOUT_FIRMWARE, WITH_FIRMWARE = 10, 5
CODE = re.compile(r"Traceback|\bNone\b|\\\\|b'|object at 0x|<class")


@dataclasses.dataclass(frozen=True)
class Case:
    """A fault, and how a run with it ends."""

    fault: str
    phase: str
    outcome: str
    sentence: str
    limit_s: float = 120.0  # bench time, with the phases before

    def __str__(self):
        return self.fault


def assert_ended(ended, case):
    assert (ended.outcome, ended.exit_code) == (case.outcome, {"FAIL": 1, "ERROR": 3}[case.outcome]), (
        ended.output
    )
    assert ended.bad_phases() == [case.phase], ended.record["outcome_reasons"]
    assert ended.record["bench_seconds"] < case.limit_s
    assert_plain(ended, case.sentence)


def assert_plain(ended, sentence):
    reasons = " ".join(ended.record["outcome_reasons"])
    assert re.search(sentence, reasons), reasons
    assert not CODE.search(reasons), reasons
    assert ended.record["next_action"].endswith(".")
    assert ended.record["next_action"].split(".")[0] in " ".join(ended.output.replace("│", " ").split())


def assert_safe(station, ended):
    assert ended.phase("switch_supply_off")["outcome"] == "PASS"
    assert ended.value("switch_supply_off", "supply_off_v") < 5
    assert not station.is_on("supply")
    assert station.all_off()


def test_a_gain_far_out_is_named_and_nothing_is_stored(tmp_path):
    station = BenchStation(tmp_path, faults=["voltage_gain_far_out"], factor=WITH_FIRMWARE)
    ended = station.run()
    sentence = r"cs4_voltage_before_pct is -11\.8.*cs0_voltage_gain_counts is \d+ counts, allowed 52820"
    assert_ended(ended, Case("voltage_gain_far_out", ADJUST, "FAIL", sentence))
    assert_safe(station, ended)
    assert "/factory.cfg" not in station.unit_files()
    assert not list(ended.folder.glob("*factory.cfg"))


def test_a_load_that_stays_on_is_measured_by_the_teardown(tmp_path):
    ended = BenchStation(tmp_path, instrument_faults=["load_stuck_on"], factor=WITH_FIRMWARE).run()
    assert (ended.outcome, ended.exit_code) == ("ERROR", 3), ended.output
    assert ended.bad_phases()[-1] == "switch_load_off"
    assert ended.value("switch_load_off", "load_off_a") > 5
    assert_plain(ended, r"^The bench was not proved to be off \(switch_load_off\): load_off_a is")
    assert ended.record["next_action"].startswith("Do not touch the bench: switch it off at the mains")
    assert ended.phase("switch_supply_off")["outcome"] == "PASS"


def test_a_supply_that_stays_on_is_said_before_what_is_wrong_with_the_unit(tmp_path):
    station = BenchStation(
        tmp_path, instrument_faults=["supply_stuck_on"], faults=["drive_read_only"], factor=WITHOUT_FIRMWARE
    )
    ended = station.run("--no-cal")
    assert (ended.outcome, ended.exit_code) == ("ERROR", 3), ended.output
    assert ended.bad_phases() == ["erase_flash", "switch_supply_off"]
    assert ended.value("switch_supply_off", "supply_off_v") > 9
    assert ended.record["outcome_reasons"][0].startswith("The bench was not proved to be off")
    assert ended.record["next_action"].startswith("Do not touch the bench: switch it off at the mains")


def test_a_hung_repl_on_a_unit_with_firmware_is_erased_by_hand_and_rejected(tmp_path, calibrated):
    station = BenchStation(tmp_path, faults=["repl_hung"], factor=WITHOUT_FIRMWARE).adopt(calibrated)
    ended = station.run("--no-cal")
    assert ended.value("archive_unit", "unit_state") == "bare"
    case = Case(
        "repl_hung", "load_micropython", "FAIL", "gave no MicroPython prompt within 8 s", limit_s=80.0
    )
    assert_ended(ended, case)
    assert_safe(station, ended)


@pytest.mark.parametrize(
    ("port", "limit_s"),
    [({"path": "nowhere/ttyACM9"}, 75.0), ({"path": "", "usb_location": "1-1.4"}, 75.0)],
    ids=["path", "USB location"],
)
def test_no_drive_and_no_port_is_said_within_the_deadlines(tmp_path, port, limit_s):
    station = BenchStation(tmp_path, factor=WITHOUT_FIRMWARE)
    station.content["slots"][0] |= {"serial_port": port, "drive_roots": ["nowhere"]}
    station.write()
    ended = station.run("--no-cal")
    assert ended.value("archive_unit", "unit_state") == "silent"
    case = Case("no drive", "erase_flash", "ERROR", "No RPI-RP2 drive appeared under .*nowhere", limit_s)
    assert_ended(ended, case)
    assert_safe(station, ended)


USB_PORTS = """
from serial.tools import list_ports, list_ports_common

def comports(include_links=False):
    ports = [list_ports_common.ListPortInfo(f"/dev/ttyACM{number}", True) for number in (0, 1)]
    for port in ports:
        port.vid, port.pid, port.serial_number, port.location = 0x2E8A, 0x0005, "E6614C311B", "1-1.4"
    return ports

list_ports.comports = comports
"""


def test_two_serial_ports_that_fit_stop_the_run(tmp_path):
    station = BenchStation(tmp_path, factor=WITHOUT_FIRMWARE)
    station.content["slots"][0]["serial_port"] = {"usb_serial_number": "E6614C311B"}
    station.write()
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(USB_PORTS)
    path = os.pathsep.join([str(tmp_path / "python"), os.environ.get("PYTHONPATH", "")])
    ended = station.run("--no-cal", env={"PYTHONPATH": path})
    sentence = "2 serial ports fit the unit: /dev/ttyACM0, /dev/ttyACM1"
    assert_ended(ended, Case("two ports", "load_micropython", "ERROR", sentence, 30.0))
    assert_safe(station, ended)


def of_another_family(image):
    return image.replace(RP2040_FAMILY.to_bytes(4, "little"), RP2350_FAMILY.to_bytes(4, "little"))


def test_a_wrong_image_is_refused_before_anything_is_copied(tmp_path):
    station = BenchStation(tmp_path, factor=WITHOUT_FIRMWARE)
    images = tmp_path / ".bench" / "images"
    wrong = [
        (ERASE_FILE, "erase_flash", lambda image: image[: -UF2_BLOCK_BYTES // 2], "truncated|incomplete|cut"),
        (ERASE_FILE, "erase_flash", of_another_family, "family"),
        (ERASE_FILE, "erase_flash", lambda _image: (images / MICROPYTHON_FILE).read_bytes(), "MicroPython"),
        (MICROPYTHON_FILE, "load_micropython", lambda image: image[: -2 * UF2_BLOCK_BYTES], "block"),
    ]
    with station.bench():
        for file, phase, spoil, sentence in wrong:
            good = (images / file).read_bytes()
            (images / file).write_bytes(spoil(good))
            ended = station.run("--no-cal")
            (images / file).write_bytes(good)
            assert_ended(ended, Case(file, phase, "ERROR", sentence, 20.0))
            assert file in ended.record["outcome_reasons"][0]
            assert_safe(station, ended)
            log = (tmp_path / ".bench" / "unit1" / "log.txt").read_text()
            assert log.count("image complete") == (phase == "load_micropython")
