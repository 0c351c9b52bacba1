"""What a run leaves out, what it does with a unit that was here before, and what it asks."""

import json
import stat

from bench_station import ADJUST, LABELS, VERIFY, BenchStation

from mfg.emulator.config import UnitConfig

PASSPHRASE = UnitConfig().passphrase
QUESTION = "is calibrated already. Erase it all the same?"


def wifi_of(station):
    return json.loads(station.unit_file("/this.machine.cfg"))["WIFI"]


def test_a_calibrated_unit_is_kept_when_the_operator_says_no(tmp_path, calibrated):
    station = BenchStation(tmp_path, factor=5).adopt(calibrated)
    station.content["operator"] = {"front_end": "terminal"}
    station.write()
    ended = station.run(labels=(), typed="r\nperhaps\nno\n")
    assert (ended.outcome, ended.exit_code) == ("ERROR", 3), ended.output
    assert ended.bad_phases() == ["archive_unit"]
    assert "r: the last unit again" in ended.output
    assert ended.record["serial_number"] == "SN00001823"
    assert ended.record["retest"] is True
    assert ended.output.count("Erase it all the same?") == 2
    assert "The unit is calibrated and was not erased." in ended.output
    assert station.unit_file("/factory.cfg") == calibrated.unit_file("/factory.cfg")
    assert station.all_off()


def test_without_calibration_a_unit_leaves_uncalibrated_and_what_it_held_is_archived(tmp_path, calibrated):
    factory = calibrated.unit_file("/factory.cfg")
    station = BenchStation(tmp_path, factor=5).adopt(calibrated)
    ended = station.run("--no-cal", "--no-default", labels=())  # the emulated operator scans, and says yes
    assert (ended.outcome, ended.exit_code) == ("NOT CALIBRATED", 5), ended.output
    assert "The unit was not calibrated." in ended.output
    assert (ended.record["serial_number"], ended.record["assembly"]) == ("SN00001823", "ASY0398V03.2")
    assert ended.record["retest"] is True
    assert ended.value("archive_unit", "unit_state") == "calibrated"
    assert QUESTION in (ended.folder / "log.txt").read_text()
    assert (ended.folder / "archive_factory.cfg").read_bytes() == factory
    for name in ("archive_factory.cfg", "archive_this.machine.cfg", "log.txt"):
        assert stat.S_IMODE((ended.folder / name).stat().st_mode) == 0o600, name
    archived = json.loads((ended.folder / "archive_this.machine.cfg").read_text())
    assert archived["WIFI"]["PASSWD"] != PASSPHRASE
    assert not list(ended.folder.glob("ASY*_factory.cfg"))
    assert "/factory.cfg" not in station.unit_files()
    assert len(list(ended.folder.glob("ASY*_this.machine.cfg"))) == 1
    assert (wifi_of(station)["WIFI_CFG"], wifi_of(station)["PASSWD"]) == (1, PASSPHRASE)
    assert "reset_to_factory_defaults" not in [phase["name"] for phase in ended.record["phases"]]
    assert all(PASSPHRASE.encode() not in path.read_bytes() for path in ended.folder.iterdir())


def test_two_ports_alone_leave_a_unit_partly_calibrated(tmp_path, calibrated):
    station = BenchStation(tmp_path, factor=5).adopt(calibrated)
    ended = station.run("--ports", "1,2", "--erase-calibrated")
    assert (ended.outcome, ended.exit_code) == ("PARTLY CALIBRATED", 5), ended.output
    assert "Not every port was calibrated." in ended.output
    assert ended.record["mode"] == "full ports-12"
    assert ended.value("archive_unit", "unit_state") == "calibrated"
    assert QUESTION not in (ended.folder / "log.txt").read_text()
    names = {entry["name"] for entry in ended.phase(VERIFY)["measurements"]}
    assert {name[:5] for name in names if name.startswith("port")} == {"port1", "port2"}
    gains = json.loads(station.unit_file("/factory.cfg"))
    assert all(gains[f"CT{port}_IGAIN"] == 42720 for port in (3, 4, 5, 6))
    assert all(gains[f"CT{port}_IGAIN"] != 42720 for port in (1, 2))
    assert (gains["CT1_IOFFSET"], ended.value(ADJUST, "port1_ioffset_counts")) == (0, 0)
    assert ended.value("verify_no_load", "port2_no_load_a") < 0.01
    assert wifi_of(station)["WIFI_CFG"] == 0


def test_another_serial_number_on_the_same_unit_is_refused(tmp_path, calibrated):
    station = BenchStation(tmp_path, factor=10).adopt(calibrated)
    labels = (*LABELS[:-1], "SN00001824")
    ended = station.run("--no-cal", "--erase-calibrated", labels=labels)
    assert (ended.outcome, ended.exit_code) == ("FAIL", 1), ended.output
    assert ended.bad_phases() == ["load_firmware"]
    assert "belongs to SN00001823, not to SN00001824" in " ".join(ended.record["outcome_reasons"])
    assert station.all_off()
