"""What a faulty radio makes of a unit's answers; a sound unit is not touched."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from mfg.clock import BenchClock
from mfg.emulator.air_link import HALF_BYTES, HEADER_END, AirLink
from mfg.emulator.control import LOOPBACK
from mfg.emulator.launch import free_ports

BODY = b'{"FIRMWARE_VERSION": "4.0", "more": "' + b"x" * 400 + b'"}'
ANSWER = b"HTTP/1.0 200 OK\r\nContent-type: application/json\r\n\r\n" + BODY
READ_LIMIT_BYTES = 50_000


def nothing():
    """Reset nothing."""


async def answer_through(fault, path=b"/fw_version", wifi=None, resets=None):
    """Return what a host gets of the unit's answer, and how long it took in bench time."""
    (port,) = free_ports(1)
    clock = BenchClock(0.0, 50.0)
    resets = [] if resets is None else resets
    wifi = wifi or SimpleNamespace(lost=False)
    link = AirLink(port, {fault}.__contains__, wifi, clock, lambda: resets.append("reset"))
    await link.open()

    async def serve(reader, writer):
        await reader.readuntil(HEADER_END)
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    unit = await asyncio.start_server(serve, LOOPBACK, link.inner_port)
    started_s = clock.now_s()
    got = b""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(b"GET " + path + b" HTTP/1.1\r\n\r\n")
        while len(got) < READ_LIMIT_BYTES and (data := await reader.read(4096)):
            got += data
        writer.close()
    finally:
        unit.close()
        await link.close()
    return got, clock.now_s() - started_s


def through(fault, **more):
    return asyncio.run(asyncio.wait_for(answer_through(fault, **more), 10))


def test_garbage_spoils_the_body_and_leaves_the_headers():
    got, _took_s = through("rest_garbage")
    head, _, body = got.partition(HEADER_END)
    assert head == ANSWER.partition(HEADER_END)[0]
    assert len(body) == len(BODY) != 0
    assert body != BODY


def test_half_an_answer_is_cut_off():
    assert through("rest_half")[0] == ANSWER[:HALF_BYTES]


def test_a_slow_answer_is_whole_and_late():
    got, took_s = through("rest_slow")
    assert got == ANSWER
    assert took_s > 10.0


def test_an_oversize_answer_does_not_end():
    assert len(through("rest_oversize")[0]) >= READ_LIMIT_BYTES


def test_a_link_that_is_lost_in_a_write_gives_no_answer_and_stays_lost():
    wifi = SimpleNamespace(lost=False)
    assert through("wifi_lost_in_write", wifi=wifi)[0] == ANSWER
    assert not wifi.lost
    got, _took_s = through("wifi_lost_in_write", path=b"/save_factory_cfg", wifi=wifi)
    assert got == b""
    assert wifi.lost


def test_a_chip_that_is_reset_in_a_write_gives_no_answer():
    resets = []
    assert through("reset_in_write", resets=resets)[0] == ANSWER
    assert resets == []
    assert through("reset_in_write", path=b"/reset_wifi_config", resets=resets)[0] == b""
    assert resets == ["reset"]


def test_a_chip_that_is_reset_when_asked_for_its_uptime_gives_no_answer():
    resets = []
    assert through("reset_when_asked", path=b"/get_stats", resets=resets)[0] == ANSWER
    assert resets == []
    assert through("reset_when_asked", path=b"/get_uptime", resets=resets)[0] == b""
    assert resets == ["reset"]


def test_a_link_is_lost_after_some_answers_with_readings():
    wifi = SimpleNamespace(lost=False)
    assert through("wifi_lost_in_readings", path=b"/get_stats", wifi=wifi)[0] == ANSWER
    assert not wifi.lost


def test_half_an_upload_arrives_at_a_unit_whose_link_is_lost_in_it():
    body = bytes(range(200))
    upload = b"FILE factory.cfg / 200 %s HTTP/1.1\n" % (b"0" * 64)

    async def uploaded():
        (port,) = free_ports(1)
        wifi, came = SimpleNamespace(lost=False), bytearray()
        link = AirLink(port, {"wifi_lost_in_write"}.__contains__, wifi, BenchClock(0.0, 50.0), nothing)
        await link.open()

        async def serve(reader, writer):
            came.extend(await reader.read())
            writer.close()

        unit = await asyncio.start_server(serve, LOOPBACK, link.inner_port)
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(upload + body)
        answer = await reader.read()
        writer.close()
        await asyncio.sleep(0.05)
        unit.close()
        await link.close()
        return answer, bytes(came), wifi.lost

    assert asyncio.run(asyncio.wait_for(uploaded(), 10)) == (b"", upload + body[:100], True)


def test_a_sound_unit_keeps_its_own_port():
    async def opened():
        link = AirLink(1, {"led_green_dark"}.__contains__, SimpleNamespace(lost=True), BenchClock(), nothing)
        await link.open()
        return link.inner_port

    assert asyncio.run(opened()) == 0


@pytest.mark.parametrize("fault", ["rest_half"])
def test_the_port_is_given_back(fault):
    async def twice():
        (port,) = free_ports(1)
        for _ in range(2):
            link = AirLink(port, {fault}.__contains__, SimpleNamespace(lost=False), BenchClock(), nothing)
            await link.open()
            await link.close()
        server = await asyncio.start_server(lambda _r, _w: None, LOOPBACK, port)
        server.close()

    asyncio.run(twice())
