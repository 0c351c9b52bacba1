"""Appendix B where it needs a network of its own: port 80, pings and broadcasts.

The unit runs as a process in a network namespace with a real address, which goes with its supply; the test
plays the tools in another one at the other end of a cable.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from network_namespace import TOOLS_ADDRESS, UNIT_ADDRESS, UNIT_INTERFACE, Namespaces, cabled, ping

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "firmware"))
from vm_unit import STA_CONFIG, flash_image

from mfg.clock import BenchClock
from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.emulator.events import Event, append_event

FACTOR = 5.0
AYT = json.dumps({"AYT": "-!#8[dkG^v's!dRznE}6}8sP9}QoIR#?O&pg)Qra"}).encode()
DISCOVERY_PORT = 29340
# Interface description, section 10: what the collectors need of an answer.
COLLECTED = {"IP_ADDRESS", "UNIT_NAME", "PRODUCT_ID", "ACTIVE", "BOARD_TEMPERATURE", "RSSI", "ASSY"}
PORT_COLLECTED = {"PRMS", "PREACT", "PAPPARENT", "PF", "NAME", "VRMS", "FREQ"}


class NetworkedUnit:
    """A unit process in its namespace, and the tools' hand at the other end of the cable."""

    def __init__(self, folder: Path, namespaces: Namespaces) -> None:
        self.folder = folder
        self.clock = BenchClock(time.monotonic(), FACTOR)
        unit = UnitConfig(address=UNIT_ADDRESS, interface=UNIT_INTERFACE, control_port=5000)
        config = BenchConfig(folder=str(folder), clock=str(self.clock), units=(unit,))
        config.write(folder / "bench-config.json")
        (folder / "unit1").mkdir()
        files = {"/this.machine.cfg": json.dumps(STA_CONFIG).encode()}
        (folder / "unit1" / "flash.bin").write_bytes(flash_image(files))
        command = [sys.executable, "-m", "mfg.emulator", "unit", str(folder / "bench-config.json"), "1"]
        with namespaces.of_the_unit():
            self.process = subprocess.Popen([*command, "--parent-pid", str(os.getpid())])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def supply(self, on: bool) -> None:
        """Switch the unit's supply."""
        append_event(self.folder, Event(self.clock.now_s(), "supply", int(on), 1))

    def wait(self, condition: Callable[[], bool], bench_s: float) -> float:
        """Wait for a condition; return the bench time it took."""
        begun_s = self.clock.now_s()
        while not condition():
            assert self.clock.now_s() - begun_s < bench_s, (self.folder / "unit1" / "log.txt").read_text()
            time.sleep(0.02)
        return self.clock.now_s() - begun_s

    def get(self, target: str) -> Any:
        """Return the JSON of a GET to port 80."""
        with socket.create_connection((UNIT_ADDRESS, 80), 10) as link:
            link.sendall(f"GET {target} HTTP/1.1\r\nHost: unit\r\n\r\n".encode())
            reply = b""
            while data := link.recv(4096):
                reply += data
        return json.loads(reply.partition(b"\r\n\r\n")[2])

    def answers(self) -> bool:
        """Return whether the unit answers a request."""
        try:
            return "FIRMWARE_VERSION" in self.get("/fw_version")
        except OSError:
            return False


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetworkedUnit]:
    with cabled() as namespaces:
        running = NetworkedUnit(tmp_path_factory.mktemp("networked"), namespaces)
        try:
            running.supply(True)
            running.wait(running.answers, 60)
            yield running
        finally:
            running.stop()


def test_b5_the_unit_serves_http_on_port_80_of_its_address(unit: NetworkedUnit):
    assert set(unit.get("/get_temperature")) == {"OK", "CT6_BOARD_TEMPERATURE"}
    assert unit.get("/set_config?CT1_NAME=oven,CT2_NAME=hob") == {"CT1_NAME": "oven", "CT2_NAME": "hob"}
    assert "CT1" in unit.get("/get_stats")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((UNIT_ADDRESS, 81), 2)


def test_b10_pings_stop_after_a_power_cycle_and_are_back_within_a_minute(unit: NetworkedUnit):
    unit.wait(unit.answers, 60)
    assert ping(UNIT_ADDRESS)
    assert unit.get("/power_cycle") == {"OK": "POWER CYCLE IN PROGRESS"}
    # The tools' probe: one packet, one second to answer.
    assert unit.wait(lambda: not ping(UNIT_ADDRESS, 1.0 / FACTOR), 60) < 60
    assert unit.wait(lambda: ping(UNIT_ADDRESS, 1.0 / FACTOR), 60) < 60
    unit.wait(unit.answers, 60)
    assert unit.get("/get_uptime")["UPTIME_SECONDS"] < 60


def test_b10_a_unit_without_supply_has_no_address(unit: NetworkedUnit):
    unit.wait(unit.answers, 60)
    unit.supply(False)
    unit.wait(lambda: not ping(UNIT_ADDRESS, 0.2), 10)
    with pytest.raises(OSError, match=r"\w"):
        socket.create_connection((UNIT_ADDRESS, 80), 0.5)
    unit.supply(True)
    unit.wait(unit.answers, 60)


def broadcasts(unit: NetworkedUnit, address: str, count: int) -> list[tuple[dict[str, Any], str]]:
    """Ask once a second as the collectors do, from their port to a broadcast address; return the answers."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        link.bind(("", DISCOVERY_PORT))
        for _ in range(count):
            link.sendto(AYT, (address, DISCOVERY_PORT))
            end_s = unit.clock.now_s() + 1.0
            while (left_s := end_s - unit.clock.now_s()) > 0:
                link.settimeout(left_s / FACTOR)
                try:
                    data, (sender, port) = link.recvfrom(4096)
                except TimeoutError:
                    break
                if data != AYT:  # its own question comes back
                    assert port == DISCOVERY_PORT
                    found.append((json.loads(data), sender))
    return found


@pytest.mark.parametrize("address", ["255.255.255.255", "10.0.0.255"])
def test_b12_a_broadcast_is_answered_to_the_asker_by_an_active_unit_only(unit: NetworkedUnit, address: str):
    unit.wait(unit.answers, 60)
    unit.get("/set_config?ACTIVE=0")
    assert broadcasts(unit, address, 2) == []
    unit.get("/set_config?ACTIVE=1,YDEV_UNIT_NAME=garage")
    time.sleep(1 / FACTOR)
    found = broadcasts(unit, address, 6)
    assert 4 <= len(found) <= 6
    for reply, sender in found:
        assert sender == reply["IP_ADDRESS"] == UNIT_ADDRESS
        assert (reply["PRODUCT_ID"], reply["UNIT_NAME"]) == ("CT6", "garage")
        assert set(reply) >= COLLECTED
        assert all(set(reply[f"CT{port}"]) >= PORT_COLLECTED for port in range(1, 7))


def test_a_broker_is_found_by_its_name_without_blocking_the_unit(unit: NetworkedUnit):
    """Beyond appendix B: while the name server is silent, the unit answers."""
    unit.wait(unit.answers, 60)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names,
        socket.create_server((TOOLS_ADDRESS, 1883)) as broker,
    ):
        names.bind((TOOLS_ADDRESS, 53))
        names.settimeout(10)
        broker.settimeout(10)
        unit.get("/set_config?ACTIVE=1,MQTT_TOPIC=ct6,MQTT_SERVER_ADDRESS=broker.home")
        names.recvfrom(512)  # nobody answers the first question
        assert "CT1" in unit.get("/get_stats")
        query, asker = names.recvfrom(512)
        head = query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + socket.inet_aton(TOOLS_ADDRESS)
        names.sendto(head + query[12:] + record, asker)
        link, (sender, _) = broker.accept()
        with link:
            assert sender == UNIT_ADDRESS
            assert link.recv(100).startswith(b"\x10")
    unit.get("/set_config?ACTIVE=0,MQTT_SERVER_ADDRESS=")
