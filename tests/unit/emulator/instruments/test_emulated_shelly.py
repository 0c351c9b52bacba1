"""The emulated Shelly and the hand-held meter: what they show of the plant, and the relay."""

import asyncio
import dataclasses
import json
from pathlib import Path

import pytest
from fake_bench import FakeClock

from mfg.emulator.config import BenchConfig, InstrumentsConfig
from mfg.emulator.events import Event, EventLog, append_event
from mfg.emulator.instruments.hand_meter import display
from mfg.emulator.instruments.shelly import Shelly
from mfg.emulator.plant import Plant

GAIN_ERROR_PCT = -0.3


@pytest.fixture
def bench(tmp_path):
    instruments = InstrumentsConfig(shelly_port=1, shelly_gain_error_pct=GAIN_ERROR_PCT)
    config = dataclasses.replace(BenchConfig(), folder=str(tmp_path), instruments=instruments)
    clock, events = FakeClock(100.0), EventLog(tmp_path)
    plant = Plant(config, events)
    return Shelly(config, plant, events, clock), clock, plant, config


def call(shelly, target):
    status, content = shelly.answer(f"/rpc/{target}")
    assert status == "200 OK", content
    return content


def load_on(config, t_s):
    append_event(Path(config.folder), Event(t_s, "load", 1.0))


def test_the_load_draws_its_current_only_through_a_closed_relay(bench):
    shelly, clock, plant, config = bench
    load_on(config, 100.0)
    clock.t_s = 110.0
    assert plant.load_current_a(clock.t_s) == 0.0
    assert call(shelly, "Switch.GetStatus?id=0")["output"] is False
    assert call(shelly, "Switch.Set?id=0&on=true&toggle_after=600") == {"was_on": False}
    clock.t_s = 111.0
    assert plant.load_current_a(clock.t_s) == pytest.approx(9.0, rel=0.02)
    assert call(shelly, "Switch.GetStatus?id=0")["timer_duration"] == 600.0


def test_its_numbers_are_means_of_whole_seconds_with_its_error_and_steps(bench):
    shelly, clock, plant, config = bench
    call(shelly, "Switch.Set?id=0&on=true&toggle_after=600")
    load_on(config, 100.0)
    clock.t_s = 121.3
    status = call(shelly, "Switch.GetStatus?id=0")
    clock.t_s = 121.9
    assert call(shelly, "Switch.GetStatus?id=0") == status
    truth = plant.reference_truth(120.0, 121.0)
    assert status["current"] == pytest.approx(truth.current_a * (1 + GAIN_ERROR_PCT / 100), rel=1e-3)
    assert status["voltage"] == pytest.approx(truth.voltage_v * (1 + GAIN_ERROR_PCT / 100), abs=0.3)
    for name, digits in (("voltage", 1), ("current", 3), ("apower", 1)):
        assert round(status[name], digits) == status[name]


def test_a_relay_with_a_timer_opens_by_itself(bench):
    shelly, clock, _plant, _config = bench
    call(shelly, "Switch.Set?id=0&on=true&toggle_after=600")
    clock.t_s = 699.0
    assert call(shelly, "Switch.GetStatus?id=0")["output"] is True
    clock.t_s = 701.0
    status = call(shelly, "Switch.GetStatus?id=0")
    assert status["output"] is False
    assert "timer_duration" not in status


def test_what_it_does_not_know_is_404(bench):
    shelly, *_rest = bench
    assert shelly.answer("/rpc/Switch.GetStatus?id=7")[0] == "404 Not Found"


def test_it_answers_over_http_and_closes_the_connection(bench):
    shelly, *_rest = bench

    async def exchange():
        await shelly.start(0)
        port = shelly._server.sockets[0].getsockname()[1]
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /rpc/Shelly.GetDeviceInfo HTTP/1.1\r\nHost: x\r\n\r\n")
            raw = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            return raw
        finally:
            await shelly.stop()

    head, _, body = asyncio.run(exchange()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(body)["app"] == "Plus1PM"


def test_the_hand_held_meter_shows_four_digits_of_the_moment(bench):
    shelly, clock, plant, config = bench
    call(shelly, "Switch.Set?id=0&on=true&toggle_after=600")
    load_on(config, 100.0)
    clock.t_s = 130.0
    volts, unit_v, amps, unit_a = display(config, plant, clock.t_s).split()
    assert (unit_v, unit_a) == ("V", "A")
    truth = plant.reference_truth(129.5, 130.0)
    assert float(volts) == pytest.approx(truth.voltage_v * 1.002, abs=0.3)
    assert float(amps) == pytest.approx(truth.current_a * 1.002, abs=0.02)
