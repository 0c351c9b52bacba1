"""`mfg unit` on an emulated station with units from the field: two of ours, two with the original interface.

46 recorded responders answer beside the four, at once, and what else may come to a port.
"""

import contextlib
import dataclasses
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from bench_station import BenchStation
from responders import Responders, recorded

from mfg import cli
from mfg.clock import BenchClock
from mfg.emulator.control import ControlClient
from mfg.emulator.quirks import USUAL
from mfg.emulator.typical import typical_unit
from mfg.fixtures.discovery import discover
from mfg.runner.locks import RunLocks

FACTOR = 3
ADDRESSES = ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"]
HTML = "<script>alert('x')</script>\x1b[2J"
READY_WALL_S = 40.0
ANSWER = "six times seven 42"


def field_unit(number, profile):
    # No watchdog: it would bite at the prompt of the shell when this machine stalls.
    quirks = tuple(quirk for quirk in USUAL if quirk != "watchdog_at_prompt")
    unit = dataclasses.replace(typical_unit(7, number), profile=profile, quirks=quirks)
    return dataclasses.replace(unit, label_serial=f"SN{1822 + number:08d}")


def mfg(station, *words, exit_code=0):
    """Run `mfg unit` in this process, which saves its start; return what it printed."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", sys.argv)  # main() shortens it
        patch.setenv("COLUMNS", "260")
        ended = cli.main(["unit", *words, "--station", str(station.path)])
    assert ended == exit_code, printed.getvalue()
    return printed.getvalue()


def said(station, *words, exit_code=0):
    """Run `mfg unit`; return what it printed on one line."""
    return " ".join(mfg(station, *words, exit_code=exit_code).split())


def objects(station, *words):
    """Run `mfg unit` with JSON lines; return their objects."""
    return [json.loads(line) for line in mfg(station, *words, "--json").splitlines()]


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """Four units that run, on a bench that stays up."""
    profiles = ("ours", "original", "ours", "original")
    first, *others = [field_unit(number, profile) for number, profile in enumerate(profiles, start=1)]
    made = BenchStation(tmp_path_factory.mktemp("units"), factor=FACTOR, unit=first, units=others)
    with made.bench() as bench:
        for number in range(1, 5):
            made.switch(bench, "supply", 1, unit=number)
        made.wait_for(lambda: len(answering(made)) == 4, READY_WALL_S)
        yield made


def answering(station):
    """Return what the four units answer to discovery, by their discovery port."""
    routes = [route for slot in station.content["slots"] for route in slot["address_map"].values()]
    targets = [("127.0.0.1", int(route["discovery"].split(":")[1])) for route in routes]
    found = discover(targets, BenchClock(), 1.5, expected=4).units
    return {address[1]: unit.data for address, unit in found.items()}


@contextlib.contextmanager
def beside(station, scripts):
    """Let responders answer beside the units; the station file names them for the block."""
    with Responders(scripts) as responders:
        station.content["discovery_targets"] = [f"127.0.0.1:{port}" for port in responders.ports]
        station.write()
        try:
            yield responders
        finally:
            del station.content["discovery_targets"]
            station.write()


def garbage(answer):
    """What comes to a port, and must neither end a scan nor appear in it."""
    return [
        b"", b"\x00", b"not JSON", b"\xff\xfe\xfd", b"[]", b"null", b"[" * 5000, b'{"PRODUCT_ID": "CT5"}',
        b'{"PRODUCT_ID": "CT6"', b'{"PRODUCT_ID": "CT6", "RSSI": NaN}', b"x" * 60000,
        recorded(answer, 0, UNIT_NAME="n" * 9000), b'{"AYT": "who?"}',
    ]  # fmt: skip


@pytest.fixture(scope="module")
def scripts(station):
    """46 recorded units; some answer twice, change their label, or carry a name that means harm."""
    answer = next(iter(answering(station).values()))
    scripts = [[recorded(answer, number)] for number in range(46)]
    scripts[1] *= 2  # every answer comes twice
    scripts[2] = [recorded(answer, 2), recorded(answer, 77)]  # two units behind one address
    scripts[3] = [recorded(answer, 4)]  # the label of another unit
    scripts[5] = [recorded(answer, 5, IP_ADDRESS="192.168.7.7")]
    scripts[6] = [recorded(answer, 6, UNIT_NAME=HTML)]
    scripts[7] = [recorded(answer, 7, UNIT_NAME=2.0, CT1="broken", RSSI="strong")]
    scripts[8] = [*garbage(answer), recorded(answer, 8), *garbage(answer)]
    return scripts


def test_a_scan_shows_four_units_and_46_responders_and_survives_garbage(station, scripts):
    with beside(station, [*scripts, garbage({})]) as responders:
        listed = objects(station, "scan", "--seconds", "15")
        table = said(station, "scan", "--seconds", "15")
        ports = responders.ports
    rows = {row["address"]: row for row in listed}
    assert len(rows) == len(listed) == 50
    for number, address in enumerate(ADDRESSES, start=1):
        assert rows[address]["slot"] == number
        assert rows[address]["label"] == f"ASY0398_V003.200_SN{1822 + number:08d}"
        assert rows[address]["firmware_version"] == ("3.1" if number in (2, 4) else "4.0")
        assert rows[address]["notes"] == []
    responding = [rows[f"127.0.0.1:{port}"] for port in ports[:46]]
    for number, row in enumerate(responding):
        assert row["slot"] is None
        assert row["answers"] >= 3
        if number not in (2, 3):
            assert row["label"] == f"ASY0398_V003.200_SN{9000 + number:08d}"
        if number not in (2, 3, 4, 5):
            assert row["notes"] == [], row
        assert (row["duplicates"] > 0) is (number == 1), row
    assert any("was ASY0398_V003.200_SN00009" in note for note in responding[2]["notes"])
    assert any(f"same label as 127.0.0.1:{ports[4]}" in note for note in responding[3]["notes"])
    assert responding[5]["notes"] == ["says it is 192.168.7.7"]
    assert "50 units" in table
    assert int(re.search(r"(\d+) other datagrams ignored", table)[1]) >= 3 * len(garbage({}))
    assert "<script>alert" in table  # as text
    assert "\x1b" not in table


def test_stats_give_every_answer_once_with_its_values(station, scripts):
    with beside(station, [*scripts, garbage({})]) as responders:
        lines = objects(station, "stats", "--seconds", "15")
    by_address = {}
    for line in lines:
        by_address.setdefault(line["address"], []).append(line["stats"])
    assert len(by_address) == 50
    for address in ADDRESSES:
        assert len(by_address[address]) >= 2
        for stats in by_address[address][1:]:
            assert stats["IP_ADDRESS"] == address
            assert stats["CT1"]["VRMS"] == pytest.approx(232, rel=0.02)
    rounds = responders.asked / 47
    for number, port in enumerate(responders.ports[:46]):
        answers = by_address[f"127.0.0.1:{port}"]
        expected = 2 * rounds if number == 2 else rounds
        assert abs(len(answers) - expected) <= 2, (number, len(answers), rounds)
        sent = {datagram for datagram in scripts[number] if b"recorded" in datagram or number in (6, 7)}
        assert {json.dumps(answer) for answer in answers} <= {
            json.dumps(json.loads(datagram)) for datagram in sent
        }


def test_stats_of_one_unit_are_read_from_it_and_a_table_names_what_it_measures(station):
    lines = objects(station, "stats", "--slot", "2", "--seconds", "4")
    assert len(lines) >= 2
    assert {(line["address"], line["slot"]) for line in lines} == {("10.0.0.3", 2)}
    assert all(line["stats"]["CT1"]["VRMS"] == pytest.approx(232, rel=0.02) for line in lines)
    table = said(station, "stats", "-a", "10.0.0.2", "--seconds", "1")
    assert "ASY0398_V003.200_SN00001823 firmware 4.0" in table
    assert "CT6" in table


def test_a_unit_that_stays_silent_is_said_and_does_not_end_the_watch(station, tmp_path):
    other = BenchStation(tmp_path, factor=FACTOR)
    with other.bench():
        assert all("error" in line for line in objects(other, "stats", "--slot", "1", "--seconds", "2"))
        assert "does not answer" in said(other, "stats", "--slot", "1", "--seconds", "1")
        assert "No unit answers" in said(other, "apps", exit_code=3)
    assert "The bench is not up." in said(other, "scan", exit_code=2)


def test_ctrl_c_ends_json_lines_cleanly(station):
    with subprocess.Popen(
        station.command_line("unit", "stats", "--json"),
        cwd=station.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            first = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    assert not errors
    assert all(json.loads(line)["stats"] for line in [first, *rest.splitlines()])


def test_the_watch_ends_when_nobody_reads_any_more(station):
    with subprocess.Popen(
        station.command_line("unit", "stats", "--json"),
        cwd=station.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout.readline()
            process.stdout.close()
            assert process.wait(20) == 0
            assert not process.stderr.read()
        finally:
            process.kill()


def test_ctrl_c_ends_a_live_table_cleanly(station):
    with at_a_terminal(station, "scan") as (terminal, ended):
        read_until(terminal, "4 units", 30.0)
        os.write(terminal, b"\x03")
        assert ended() == 0


def test_several_units_must_be_named_and_an_unknown_one_is_refused(station):
    assert "4 units answer: 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5" in said(station, "apps", exit_code=2)
    assert "has no slot 9" in said(station, "apps", "--slot", "9", exit_code=2)
    assert "several slots" in said(station, "console", "--seconds", "1", exit_code=2)


@pytest.mark.parametrize(("slot", "value"), [("1", "42721"), ("2", "42721.0")])
def test_the_configuration_is_read_masked_and_written_checked(station, slot, value):
    shown = said(station, "config", "get", "--slot", slot)
    assert "bench-only-passphrase" not in shown
    assert '"PASSWD": "****"' in shown
    assert "LINE_FREQ_HZ = 50" in shown
    pairs = ("CT1_IGAIN=42721", "CT1_NAME=kitchen", "MQTT_PASSWORD=topsecret")
    written = said(station, "config", "set", *pairs, "--slot", slot)
    assert "holds CT1_IGAIN, CT1_NAME, MQTT_PASSWORD" in written
    assert "topsecret" not in written
    keys = ("CT1_IGAIN", "CT1_NAME", "MQTT_PASSWORD")
    held = said(station, "config", "get", *keys, "--slot", slot)
    assert held == f'CT1_IGAIN = {value} CT1_NAME = "kitchen" MQTT_PASSWORD = "****"'


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("CT1_IGAIN=70000", "is outside 1 to 65535"),
        ("CT1_IGAIN=many", "is not a number"),
        ("CT1_NAME=2", "would take for a number"),
        ("LINE_FREQ_HZ=55", "is not one of 50, 60"),
        ("CT9_IGAIN=1", "no key 'CT9_IGAIN'"),
        ("CT1_IGAIN", "is not KEY=VALUE"),
        ("MQTT_PASSWORD=a,b", "MQTT_PASSWORD = ****"),
    ],
)
def test_a_value_that_a_unit_may_not_hold_is_refused_before_anything_is_sent(station, pair, words):
    assert words in said(station, "config", "set", pair, "--slot", "2", exit_code=2)


@pytest.mark.parametrize("slot", ["1", "2"])
def test_files_are_stored_listed_fetched_and_removed(station, tmp_path, slot):
    note = tmp_path / "note.txt"
    note.write_text("hello")
    unit = ("--slot", slot)
    said(station, "files", "mkdir", "/notes", *unit)
    assert "the hash is right" in said(station, "files", "put", str(note), "/notes/", *unit)
    assert said(station, "files", "ls", "/notes", *unit) == "/notes/note.txt"
    fetched = tmp_path / "fetched.txt"
    said(station, "files", "get", "/notes/note.txt", str(fetched), *unit)
    assert fetched.read_text() == "hello"
    again = said(station, "files", "get", "/notes/note.txt", str(fetched), *unit, exit_code=2)
    assert "is there already" in again
    said(station, "files", "rm", "/notes/note.txt", *unit)
    said(station, "files", "rm", "/notes", *unit)
    assert "/notes" not in said(station, "files", "ls", *unit)
    assert "has no /notes" in said(station, "files", "rm", "/notes", *unit, exit_code=2)


def test_a_configuration_is_fetched_masked_and_not_put_where_the_mask_would_become_the_password(
    station, tmp_path
):
    fetched = tmp_path / "machine.json"
    said(station, "files", "get", "/this.machine.cfg", str(fetched), "--slot", "2")
    assert json.loads(fetched.read_text())["WIFI"]["PASSWD"] == "****"
    put = ("files", "put", str(fetched), "/this.machine.cfg", "--slot", "2")
    assert "holds masked secrets" in said(station, *put, exit_code=2)


def test_apps_names_the_versions_and_the_active_application(station):
    ours = said(station, "apps", "--slot", "1")
    assert "10.0.0.2: firmware 4.0 runs" in ours
    assert re.search(r"/app1 │ runs +│ an application", ours)
    original = said(station, "apps", "--slot", "2")
    assert "firmware 3.1 runs" in original


@pytest.mark.parametrize(("action", "slot"), [("reboot", "3"), ("power-cycle", "4")])
def test_a_restart_is_proved_by_the_uptime_and_the_console_follows_it(station, action, slot):
    with subprocess.Popen(
        station.command_line("unit", "console", "--slot", slot),
        cwd=station.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            heard = read_until(process.stdout.fileno(), "is open", 20.0)
            restarted = said(station, action, "--slot", slot)
            assert re.search(r"restarted; it measures again after \d+\.\d s", restarted)
            heard += read_until(process.stdout.fileno(), "WiFi interface IP address", 30.0)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert "has vanished" in heard
    assert heard.count("is open") == 2
    assert "bench-only-passphrase" not in heard


def test_a_slot_with_a_run_in_it_is_left_alone(station):
    with RunLocks(station.folder / "records") as locks:
        locks.claim_slot(1)
        for job in (("reboot",), ("config", "set", "CT1_NAME=x"), ("console", "--seconds", "1")):
            assert "in use by another run" in said(station, *job, "--slot", "1", exit_code=2)


def test_the_shell_is_a_micropython_prompt(station, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert "needs a terminal" in said(station, "shell", "--slot", "4", exit_code=2)
    # The unix VM breaks when Ctrl-C meets its garbage collector; the unit then resets and the shell ends.
    for _ in range(3):
        answer = answer_at_the_prompt(station)
        if answer == ANSWER:
            break
    assert answer == ANSWER


def answer_at_the_prompt(station):
    """Open the shell, ask something, leave; return the answer, what went wrong if the prompt did not come."""
    ControlClient(station.unit_ports[3]).call("reset")  # its application starts, whatever it did
    station.wait_for(lambda: len(answering(station)) == 4, READY_WALL_S)
    with at_a_terminal(station, "shell", "--slot", "4") as (terminal, ended):
        read_until(terminal, "Use Ctrl-]", 30.0)
        os.write(terminal, b"\x03")
        try:
            read_until(terminal, ">>>", 10.0)
        except AssertionError as error:
            return str(error)
        os.write(terminal, b"print('six times', 'seven', 6 * 7)\r")
        read_until(terminal, ANSWER, 20.0)
        os.write(terminal, b"\x1d")
        assert ended() == 0
    return ANSWER


@contextlib.contextmanager
def at_a_terminal(station, *words):
    """Run `mfg unit` at a terminal; give its other end and a wait for the exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(station.folder)
        line = station.command_line("unit", *words)
        os.execve(line[0], line, {**os.environ, "COLUMNS": "200", "TERM": "xterm"})

    def ended():
        end_s = time.monotonic() + 20.0
        while (found := os.waitpid(pid, os.WNOHANG)) == (0, 0):
            assert time.monotonic() < end_s, "it does not end"
            if select.select([terminal], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):  # its end of the terminal is closed
                    os.read(terminal, 4096)
        return os.waitstatus_to_exitcode(found[1])

    try:
        yield terminal, ended
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
        os.close(terminal)


def read_until(descriptor, words, wall_s):
    """Read until some words have come; return everything."""
    heard, end_s = b"", time.monotonic() + wall_s
    while words.encode() not in heard:
        assert time.monotonic() < end_s, heard.decode(errors="replace")
        if select.select([descriptor], [], [], 0.1)[0]:
            try:
                data = os.read(descriptor, 4096)
            except OSError:  # the other end of a terminal is closed
                data = b""
            assert data, heard.decode(errors="replace")
            heard += data
    return heard.decode(errors="replace")
