"""The firmware's MQTT packets and its name queries, byte by byte; the pure parts run under CPython."""

import asyncio
import socket
import threading

import pytest
from app1 import mqtt, mqtt_connect, resolver, schema


def test_a_connection_is_asked_for_as_the_standard_has_it():
    """MQTT 3.1.1, figure 3.2 to 3.6: protocol name and level, flags, keep-alive, then the payload."""
    packet = mqtt_connect.connect_packet("ab", "user", "secret")
    assert packet == (
        b"\x10\x1c" + b"\x00\x04MQTT\x04\xc2\x00\x3c" + b"\x00\x02ab" + b"\x00\x04user" + b"\x00\x06secret"
    )


@pytest.mark.parametrize(("user", "password", "flags"), [("", "", 0x02), ("u", "", 0x82), ("", "p", 0x02)])
def test_empty_names_are_left_out(user, password, flags):
    packet = mqtt_connect.connect_packet("a", user, password)
    assert packet[9] == flags
    assert len(packet) == 2 + packet[1] == 15 + (3 if user else 0)


@pytest.mark.parametrize(
    ("length", "field"),
    [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (16383, b"\xff\x7f"), (16384, b"\x80\x80\x01")],
)
def test_the_remaining_length_is_encoded_as_in_table_2_4(length, field):
    assert mqtt.packet_head(0x30, length) == b"\x30" + field


def test_publishing_is_asked_for_by_three_keys():
    config = schema.defaults()
    assert mqtt.settings_of(config) is None
    wanted = {"ACTIVE": 1, "MQTT_SERVER_ADDRESS": "broker", "MQTT_TOPIC": "ct6"}
    for key in wanted:
        assert mqtt.settings_of(config | {**wanted, key: schema.find(key)[1]}) is None
    assert mqtt.settings_of(config | wanted) == ["broker", 1883, "ct6", 2000, "", ""]


# ---- names ----

QUERY = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06broker\x04home\x00\x00\x01\x00\x01"
ALIAS = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01b\xc0\x13"
ADDRESS = b"\xc0\x2c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\xa8\x01\x07"


def answer(records: int, rest: bytes, number: bytes = b"\x12\x34", flags: bytes = b"\x81\x80") -> bytes:
    return number + flags + QUERY[4:6] + bytes((0, records)) + b"\x00\x00\x00\x00" + QUERY[12:] + rest


def test_a_name_is_asked_for_as_the_standard_has_it():
    assert resolver.question(b"\x12\x34", "broker.home") == QUERY
    assert resolver.question(b"\x12\x34", "broker.home.") == QUERY
    for name in ("a..b", "", "x" * 64):
        with pytest.raises(ValueError, match="no name of a host"):
            resolver.question(b"\x12\x34", name)


def test_the_first_address_of_an_answer_is_taken():
    assert resolver.address_in(answer(2, ALIAS + ADDRESS), b"\x12\x34") == "192.168.1.7"
    assert resolver.address_in(answer(1, ADDRESS), b"\x12\x34") == "192.168.1.7"


def test_what_is_not_the_answer_is_passed_over():
    good = answer(2, ALIAS + ADDRESS)
    assert resolver.address_in(good, b"\x12\x35") is None
    assert resolver.address_in(QUERY, b"\x12\x34") is None
    for size in range(len(good)):
        assert resolver.address_in(good[:size], b"\x12\x34") is None, size


def test_an_answer_without_an_address_says_so():
    for packet in (answer(0, b"", flags=b"\x81\x83"), answer(1, ALIAS)):
        with pytest.raises(OSError, match="has no address"):
            resolver.address_in(packet, b"\x12\x34")


def test_a_name_is_resolved_over_the_network_and_asked_again_when_nobody_answers():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        seen = []

        def serve() -> None:
            for _ in range(2):
                data, sender = server.recvfrom(512)
                seen.append(data)
            server.sendto(b"noise", sender)
            server.sendto(answer(1, ADDRESS, number=data[:2]), sender)

        thread = threading.Thread(target=serve)
        thread.start()
        found = asyncio.run(resolver.resolve("broker.home", "127.0.0.1", server.getsockname()[1]))
        thread.join(10)
    assert found == "192.168.1.7"
    assert seen[0] == seen[1]
