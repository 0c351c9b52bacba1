"""Publishing of the whole firmware in the VM, to a real broker and to peers that misbehave."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mqtt_broker import PASSWORD, USERNAME, BrokerAtHand, OneUser
from vm_unit import STA_CONFIG, VmUnit, free_port

FACTOR = 5.0
FREE_HEAP_BYTES = 60 * 1024
ASSEMBLY = "ASY0398_V003.200_SN00001823"
PERIOD_MS = 1000
IDENTITY = {"IP_ADDRESS", "OS", "UNIT_NAME", "PRODUCT_ID", "DEVICE_TYPE", "SERVICE_LIST", "GROUP_NAME"}


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerAtHand]:
    with BrokerAtHand(free_port(socket.SOCK_STREAM)) as running:
        yield running


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmUnit]:
    config = STA_CONFIG | {
        "ASSY": ASSEMBLY,
        "MQTT_SERVER_ADDRESS": "127.0.0.1",
        "MQTT_TOPIC": "shop/ct6",
        "MQTT_USERNAME": USERNAME,
        "MQTT_PASSWORD": PASSWORD,
        "MQTT_TX_PERIOD_MS": PERIOD_MS,
    }
    files = {"/this.machine.cfg": json.dumps(config).encode()}
    with VmUnit(tmp_path_factory.mktemp("unit"), files, FACTOR) as running:
        running.ready()
        yield running


@contextlib.contextmanager
def publishing(unit: VmUnit, port: int, **more: object) -> Iterator[None]:
    """Let the unit publish to a port of this machine while the block runs."""
    values = {"ACTIVE": 1, "MQTT_SERVER_PORT": port} | more
    before = unit.get("/get_config")
    unit.console = ""
    unit.get("/set_config?" + ",".join(f"{key}={value}" for key, value in values.items()))
    try:
        yield
    finally:
        back = {key: before[key] for key in more} | {"ACTIVE": 0}
        unit.get("/set_config?" + ",".join(f"{key}={value}" for key, value in back.items()))


def meters(unit: VmUnit) -> bool:
    return all(unit.get("/get_stats")[f"CT{port}"]["VRMS"] > 200 for port in range(1, 7))


def test_the_averaged_readings_are_published_at_the_configured_period(unit: VmUnit, broker: BrokerAtHand):
    OneUser.asked.clear()
    with publishing(unit, broker.port):
        messages = broker.wait_for_messages(6)
        asked = unit.get("/get_stats")
    assert OneUser.asked == [(ASSEMBLY.encode().hex(), USERNAME, PASSWORD)]
    assert {topic for _, topic, _, _ in messages} == {"shop/ct6"}
    assert {qos for _, _, _, qos in messages} == {0}
    shown = json.loads(messages[-1][2])
    assert set(shown) == set(asked) | {"TIMESENT"}
    assert not IDENTITY & set(shown)
    assert set(shown["CT1"]) == set(asked["CT1"])
    assert shown["CT6"]["VRMS"] == pytest.approx(asked["CT6"]["VRMS"], rel=0.02)
    assert len(shown["TIMESENT"]) == 9
    assert (shown["ASSY"], shown["ACTIVE"]) == (ASSEMBLY, 1)
    took_s = (messages[-1][0] - messages[-5][0]) * FACTOR
    assert took_s == pytest.approx(4 * PERIOD_MS / 1000, rel=0.3)


def test_no_message_comes_without_a_reading_of_its_own(unit: VmUnit, broker: BrokerAtHand):
    with publishing(unit, broker.port, MQTT_TX_PERIOD_MS=200):
        messages = broker.wait_for_messages(10)[-10:]
    took_s = (messages[-1][0] - messages[0][0]) * FACTOR
    assert took_s >= 8 * 0.32  # the chips have new values every 320 ms
    assert all(b"null" not in data for _, _, data, _ in messages)


def test_enough_heap_is_free_while_readings_are_published_and_all_of_it_is_given_back(
    unit: VmUnit, broker: BrokerAtHand
):
    def free() -> int:
        for _ in range(5):
            unit.get("/get_stats")
            unit.get("/get_config")
        return unit.get("/get_sys_stats")["RAM_FREE_BYTES"]

    unit.get("/set_config?ACTIVE=0")
    time.sleep(10 / FACTOR)
    before = free()
    with publishing(unit, broker.port):
        broker.wait_for_messages(5)
        # A reading may meet a message in the making, which is gone a moment later.
        assert statistics.median(free() for _ in range(5)) >= FREE_HEAP_BYTES
    time.sleep(10 / FACTOR)
    assert free() > before - 2048


def test_nothing_is_published_by_a_unit_that_is_not_active(unit: VmUnit, broker: BrokerAtHand):
    time.sleep(2 * PERIOD_MS / 1000 / FACTOR)
    count = len(broker.messages)
    time.sleep(5 * PERIOD_MS / 1000 / FACTOR)
    assert len(broker.messages) == count


def test_a_changed_configuration_is_followed(unit: VmUnit, broker: BrokerAtHand):
    with publishing(unit, broker.port):
        broker.wait_for_messages(1)
        unit.get("/set_config?MQTT_TOPIC=shop/other")
        end = time.monotonic() + 10
        while broker.wait_for_messages(1)[-1][1] != "shop/other":
            assert time.monotonic() < end
        unit.get("/set_config?MQTT_TOPIC=shop/ct6")


def test_the_unit_comes_back_to_a_broker_that_was_away(unit: VmUnit):
    port = free_port(socket.SOCK_STREAM)
    with BrokerAtHand(port) as first, publishing(unit, port):
        first.wait_for_messages(2)
        first.__exit__()
        unit.wait_for("ERROR: MQTT 127.0.0.1")
        assert meters(unit)
        with BrokerAtHand(port) as second:
            second.wait_for_messages(2)
        first.__exit__ = lambda *_: None
    assert meters(unit)


def pauses_s(unit: VmUnit) -> list[int]:
    return [int(text) for text in re.findall(r"ERROR: MQTT .*; again in (\d+) s", unit.console)]


def serve(server: socket.socket, answer: bytes | None) -> None:
    """Accept every link; answer its first bytes, or nothing; None closes it at once."""
    links = []
    while True:
        try:
            link, _ = server.accept()
        except OSError:
            return
        links.append(link)
        if answer is None:
            link.close()
        else:
            link.recv(1000)
            link.sendall(answer)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, ""),
        (b"", "TimeoutError"),
        (b"\x20\x02\x00\x05", "refuses with code 5"),
        (b"HTTP/1.0 400 Bad Request\r\n\r\n", "refuses with code 80"),
        (b"\x20\x02\x00\x00\x30\x05\x00\x01a12", "the broker sends"),
    ],
    ids=["closing", "silent", "refusing", "web server", "talking"],
)
def test_a_peer_that_is_no_broker_costs_a_growing_pause_and_nothing_else(unit: VmUnit, answer, says):
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server, answer), daemon=True)
        thread.start()
        with publishing(unit, server.getsockname()[1]):
            end = time.monotonic() + 20
            while len(pauses_s(unit)) < (2 if answer == b"" else 3):  # silence takes its time
                assert meters(unit)
                assert time.monotonic() < end, unit.console
                time.sleep(0.05)
            assert says in unit.console
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert pauses_s(unit)[:3] in ([1, 2, 4], [1, 2])
    assert unit.resets == []


def test_a_name_that_nobody_resolves_and_a_topic_with_a_wildcard_are_errors_and_nothing_else(unit: VmUnit):
    for change, says in (
        ({"MQTT_SERVER_ADDRESS": "no-such-broker"}, "ERROR: MQTT no-such-broker"),
        ({"MQTT_TOPIC": "shop/%23"}, "MQTT_TOPIC holds a wildcard"),
        ({"MQTT_SERVER_ADDRESS": "1.2.3"}, "ERROR: MQTT 1.2.3"),
    ):
        with publishing(unit, 1883, **change):
            unit.wait_for(says)
            assert meters(unit)
    assert unit.resets == []


def test_no_line_of_the_console_holds_the_password(unit: VmUnit, broker: BrokerAtHand):
    with publishing(unit, broker.port):
        broker.wait_for_messages(1)
        assert "INFO:  MQTT connected to 127.0.0.1:" in unit.console
        assert PASSWORD not in unit.console


def test_a_unit_whose_broker_never_answers_starts_and_runs(tmp_path: Path):
    broker = {"MQTT_SERVER_ADDRESS": "127.0.0.1", "MQTT_SERVER_PORT": 1, "MQTT_TOPIC": "t"}
    config = STA_CONFIG | broker | {"ACTIVE": 1}
    with VmUnit(tmp_path, {"/this.machine.cfg": json.dumps(config).encode()}, FACTOR) as unit:
        unit.ready()
        unit.wait_for("again in 2 s")
        assert meters(unit)
        assert unit.resets == []
