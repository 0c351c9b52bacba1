"""What is wrong on the command line or in a file is refused with a sentence, and nothing is touched."""

import contextlib
import re
import signal
import socket
import sys

import pytest
from bench_station import LABELS, BenchStation

from mfg.cli import main


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Return a station whose commands, given in this process, must be refused with nothing touched."""
    station = BenchStation(tmp_path)

    def check(*arguments, sentence):
        monkeypatch.setattr(sys, "argv", ["mfg"])  # main() shortens it
        code = main([*arguments, "--station", str(station.path)])
        printed = capsys.readouterr()
        output = " ".join((printed.out + printed.err).split())
        assert code == 2, output
        assert output.startswith("UsageError"), output
        assert re.search(sentence, output), output
        assert not (station.folder / "records").exists()
        assert not (station.folder / ".bench").exists()

    station.check = check
    return station


def unknown_key(content):
    content["slots"][0]["colour"] = "red"
    return r"station\.yaml:\d+: key 'slots\[0\]\.colour' is unknown; allowed here: number, serial_port"


def missing_key(content):
    del content["records"]["folder"]
    return r"station\.yaml:\d+: key 'records\.folder' is missing; it must be a text"


def wrong_value(content):
    content["station"]["line_frequency_hz"] = 55
    return r"station\.yaml:\d+: key 'station\.line_frequency_hz' is 55; it must be one of 50, 60"


@pytest.mark.parametrize("spoil", [unknown_key, missing_key, wrong_value])
def test_a_wrong_key_in_the_station_file_is_named_with_file_and_line(refused, spoil):
    sentence = spoil(refused.content)
    refused.write()
    refused.check("run", *LABELS, sentence=sentence)


def test_a_refusal_ends_the_process_with_exit_code_2_and_a_sentence(tmp_path):
    station = BenchStation(tmp_path)
    sentence = unknown_key(station.content)
    station.write()
    done = station.command("run", *LABELS)
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.search(sentence, " ".join(done.stdout.split()))
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--serial", "SN00001823"), "--serial and --assembly belong together"),
        (("--assembly", "ASY0398V03.2"), "--serial and --assembly belong together"),
        ((*LABELS, "--slot", "7"), "has no slot 7; it has 1"),
        ((*LABELS, "--ports", "0,9"), "a CT6 has ports 1 to 6"),
        ((*LABELS, "--ports", "one"), "--ports one: give numbers from 1 to 6"),
        (("--assembly", "ASY0398V03.2", "--serial", "1823"), "SN and"),
        (("--assembly", "ASY0399V03.2", "--serial", "SN00001823"), "ASY0399V03.2"),
        (("--assembly", "SN00001823", "--serial", "ASY0398V03.2"), "SN00001823"),
        ((*LABELS, "--reference", "a meter"), "--reference a meter: this is no reference"),
        ((*LABELS, "--reference", "manual"), "describes no hand-held meter"),
        ((*LABELS, "--reference", "shelly://192.0.2.9", "--no-cal"), "--reference does not go with no-cal"),
    ],
)
def test_a_wrong_argument_is_refused_before_the_bench_is_started(refused, arguments, sentence):
    refused.check("run", *arguments, sentence=sentence)


def test_a_station_file_that_is_not_there_is_named(refused):
    refused.path.unlink()
    refused.check("run", *LABELS, sentence="station.yaml: cannot be read .*Give the file with --station")


def test_a_port_of_another_program_is_named_before_anything_runs(tmp_path):
    station = BenchStation(tmp_path)
    route = station.content["slots"][0]["address_map"]["10.0.0.2"]["http"]
    with contextlib.closing(socket.create_server(("127.0.0.1", int(route.rpartition(":")[2])))):
        done = station.command("run", *LABELS)
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"Port {route.rpartition(':')[2]} for unit 1's HTTP is in use by another program" in done.stdout
    assert not (station.folder / "records").exists()
    assert station.events("supply") == []


def test_wifi_credentials_that_others_can_read_are_refused(tmp_path):
    station = BenchStation(tmp_path)
    with station.bench():
        file = station.folder / ".bench" / "wifi.toml"
        file.chmod(0o644)
        done = station.command("run", *LABELS)
        assert done.returncode == 2, done.stdout
        assert "can be read by others (-rw-r--r--)" in done.stdout
        assert "chmod 600" in done.stdout
        file.write_text("ssid = 1\n")
        file.chmod(0o600)
        done = station.command("run", *LABELS)
        assert done.returncode == 2, done.stdout
        assert "no ssid or no passphrase" in done.stdout
    assert not (station.folder / "records").exists()
    assert station.events("supply") == []


def test_a_slot_and_a_serial_number_are_in_one_run_at_a_time(tmp_path):
    first = BenchStation(make(tmp_path / "first"), faults=["drive_never_returns"])
    second = BenchStation(make(tmp_path / "second"), factor=10)
    second.content["records"]["folder"] = str(first.folder / "records")
    second.content["slots"][0]["number"] = 2
    second.write()
    with first.running(*LABELS) as run:
        first.wait_for(lambda: first.events("supply") == [1])
        same_slot = first.command("run", "--assembly", "ASY0398V03.2", "--serial", "SN00001824")
        assert same_slot.returncode == 2, same_slot.stdout
        assert "Slot 1 of this station is in use by another run." in same_slot.stdout
        assert first.events("supply") == [1]
        same_serial = second.command("run", *LABELS, "--slot", "2")
        assert same_serial.returncode == 3, same_serial.stdout
        assert "SN00001823 is under test in another slot" in " ".join(same_serial.stdout.split())
        assert 1 not in second.events("supply")
        run.send_signal(signal.SIGINT)
        output, _none = run.communicate(timeout=30)
    assert run.returncode == 4, output
    assert first.all_off()


def make(folder):
    folder.mkdir()
    return folder
