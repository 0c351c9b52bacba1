"""The small jobs on a unit that runs already: each with its record, and nothing else changed on the unit."""

import pytest
from bench_station import BenchStation

pytestmark = pytest.mark.job

ADDRESS = ("-a", "10.0.0.2")


@pytest.fixture(scope="module")
def station(tmp_path_factory, calibrated):
    """A calibrated unit in a slot of its own; its network was taken out when it left."""
    return BenchStation(tmp_path_factory.mktemp("jobs"), factor=5).adopt(calibrated)


@pytest.fixture(scope="module")
def joined(station):
    """The unit as a job brought it onto the test network."""
    before = station.unit_file("/factory.cfg")
    ended = station.run("--setup-wifi")
    assert ended.exit_code == 0, ended.output
    assert station.unit_file("/factory.cfg") == before
    assert station.all_off()
    return ended


def test_a_unit_is_brought_onto_the_network_over_usb_and_its_passphrase_is_nowhere(joined):
    assert (joined.outcome, joined.record["mode"]) == ("PASS", "setup-wifi")
    assert joined.value("configure_wifi", "address") == "10.0.0.2"
    for path in joined.folder.rglob("*"):
        assert b"bench-only-passphrase" not in path.read_bytes(), path


def test_a_power_cycle_study_gives_the_distribution_and_finds_every_chip_metering(station, joined):
    ended = station.run("--power-cycle", "3", *ADDRESS, labels=())
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert ended.record["serial_number"] == joined.record["serial_number"]
    values = {entry["name"]: entry["value"] for entry in ended.phase("cycle_power")["measurements"]}
    assert values["cycles"] == 3
    assert values["not_metering"] == 0
    assert 2 < values["shortest_off_s"] <= values["median_off_s"] <= values["longest_off_s"] < 10
    assert values["median_returned_s"] <= values["longest_returned_s"] < 60
    assert station.all_off()


def test_the_wrong_labels_for_a_running_unit_stop_a_job_before_it_begins(station, joined):
    ended = station.run(
        "--reset-wifi", *ADDRESS, labels=("--assembly", "ASY0398V03.2", "--serial", "SN00000009")
    )
    assert (ended.outcome, ended.exit_code) == ("ERROR", 3)
    assert "not what was scanned" in ended.record["outcome_reasons"][0]


def test_the_network_is_taken_out_and_everything_else_stays(station, joined):
    ended = station.run("--reset-wifi", *ADDRESS, labels=())
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert ended.value("reset_wifi", "others_unchanged") is True
    assert b"bench-only-passphrase" not in station.unit_file("/this.machine.cfg")


def test_a_unit_that_is_not_on_the_network_is_said_to_be_unreachable(station, joined):
    ended = station.run("--power-cycle", "1", "-a", "10.0.0.2", labels=())
    assert ended.exit_code in (1, 3)
    assert ended.bad_phases() == ["identify_running_unit"]
    assert "is not ready after" in ended.record["outcome_reasons"][0]
    assert station.all_off()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--power-cycle", "3"), "Give its address with -a ADDR"),
        (("--power-cycle", "2000", *ADDRESS), "give a number from 1 to 40"),
        (("--power-cycle", "0", *ADDRESS), "give a number from 1 to 40"),
        (ADDRESS, "names a running unit, which a full test would erase"),
        (("--power-cycle", "3", "--reset-wifi", *ADDRESS), "cannot be done in one run"),
        (("--setup-wifi", "--no-cal"), "do not go with --setup-wifi"),
    ],
)
def test_a_job_that_cannot_be_meant_is_refused_before_the_bench_is_started(tmp_path, arguments, sentence):
    station = BenchStation(tmp_path)
    done = station.command("run", *arguments)
    assert done.returncode == 2
    assert sentence in " ".join(done.stdout.split())
    assert not (tmp_path / ".bench").exists()
