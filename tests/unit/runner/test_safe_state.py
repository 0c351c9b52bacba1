"""A bench with a Shelly is safe when its relay is open, too."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from http_script import answering, whole

from mfg.clock import BenchClock
from mfg.errors import FixtureError
from mfg.runner.chosen_reference import with_reference
from mfg.runner.safe_state import WRITTEN_S, SafeState
from mfg.station import load_station

STATION = load_station(Path(__file__).parents[3] / "station.yaml")
OPENED = whole(b'{"id":0, "output":false}')
WAS_ON = whole(b'{"was_on":true}')


class Switch:
    """A power switch that switches everything off, and notes when."""

    def __init__(self) -> None:
        self.switched: list[tuple[float, tuple[int, ...]]] = []

    def open(self) -> None:
        """Be there."""

    def close(self) -> None:
        """Be gone."""

    def all_off(self, channels: Any) -> None:
        self.switched.append((time.monotonic(), tuple(channels)))

    def is_on(self, _channel: int) -> bool:
        return True

    def measured_current_a(self, channel: int) -> float:
        return 0.0

    def measured_voltage_v(self, channel: int) -> float:
        return 0.0


@pytest.fixture
def make_safe(monkeypatch: pytest.MonkeyPatch) -> Any:
    def of(chosen: str) -> list[str]:
        station = with_reference(STATION, chosen)
        safe = SafeState(station, station.slots[0], BenchClock(0.0, 10.0))
        monkeypatch.setattr(safe, "_new_switch", Switch)
        return safe.make_safe()

    return of


def test_the_relay_is_opened_and_seen_to_be(make_safe: Any) -> None:
    with answering(WAS_ON, OPENED) as (port, requests):
        assert make_safe(f"shelly://127.0.0.1:{port}") == []
    assert requests[0].startswith(b"GET /rpc/Switch.Set?id=0&on=false HTTP/1.1\r\n")


def test_one_that_stays_closed_is_said_in_words_after_a_second_try(make_safe: Any) -> None:
    stays = whole(b'{"id":0, "output":true}')
    with answering(WAS_ON, stays, WAS_ON, stays) as (port, _requests):
        (problem,) = make_safe(f"shelly://127.0.0.1:{port}")
    assert "does not open its relay" in problem


def test_a_bench_without_one_is_not_asked(make_safe: Any) -> None:
    assert make_safe("") == []


def test_the_loads_go_off_at_once_and_the_supply_when_the_unit_can_have_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    safe, switch = SafeState(STATION, STATION.slots[0], BenchClock(0.0, 10.0)), Switch()
    monkeypatch.setattr(safe, "_new_switch", lambda: switch)
    began_s = time.monotonic()
    assert safe.make_safe() == []
    (loads_s, loads), (supply_s, supply) = switch.switched
    assert supply == (STATION.slots[0].supply_channel,)
    assert STATION.power_switch.load_channel in loads
    assert loads_s - began_s < 0.5
    assert supply_s - loads_s >= WRITTEN_S, "of wall time: no unit writes faster with the clock"


def test_the_supply_goes_off_though_a_load_is_not_confirmed_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(Switch):
        def all_off(self, channels: Any) -> None:
            super().all_off(channels)
            if STATION.power_switch.load_channel in channels:
                raise FixtureError("Not switched off: the load.")

    safe, switch = SafeState(STATION, STATION.slots[0], BenchClock(0.0, 10.0)), Stuck()
    monkeypatch.setattr(safe, "_new_switch", lambda: switch)
    assert safe.make_safe() == ["Not switched off: the load."]
    assert (STATION.slots[0].supply_channel,) in [channels for _at_s, channels in switch.switched]
