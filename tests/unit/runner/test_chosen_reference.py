"""The reference of one run: `--reference` in place of what the station file names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mfg.errors import UsageError
from mfg.runner.chosen_reference import with_reference
from mfg.station import HandHeldMeterSettings, load_station

STATION = load_station(Path(__file__).parents[3] / "station.yaml")
HAND_HELD = replace(STATION, hand_held_meter=HandHeldMeterSettings("Fluke", "87V", "1", 600.0, 10.0))


def test_without_a_choice_the_station_is_as_its_file_says() -> None:
    assert with_reference(STATION, "") is STATION


def test_a_hand_held_meter_brings_its_ranges_and_its_certificate() -> None:
    chosen = with_reference(HAND_HELD, "manual")
    meter = chosen.reference_meter
    assert (meter.dialect, meter.certificate) == ("hand-held", "hand_held_meter")
    assert (meter.voltage_range_v, meter.current_range_a) == (600.0, 10.0)
    assert {point.range_a for point in chosen.load_points} == {10.0}


def test_a_station_without_one_refuses_and_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="describes no hand-held meter") as caught:
        with_reference(STATION, "manual")
    assert "hand_held_meter" in str(caught.value.action)


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        ("shelly://192.0.2.9", "shelly://192.0.2.9:80"),
        ("shelly://127.0.0.1:8080", "shelly://127.0.0.1:8080"),
        ("shelly://plug.example", "shelly://plug.example:80"),
    ],
)
def test_a_shelly_has_one_range_and_a_certificate_of_its_own(text: str, resource: str) -> None:
    chosen = with_reference(STATION, text)
    meter = chosen.reference_meter
    assert (meter.resource, meter.dialect, meter.certificate) == (resource, "shelly-gen2", "plug_meter")
    assert {point.range_a for point in chosen.load_points} == {16.0}


def test_a_visa_resource_keeps_the_ranges_and_leaves_the_dialect_to_the_meter() -> None:
    chosen = with_reference(STATION, "TCPIP::192.0.2.9::23::SOCKET")
    assert chosen.reference_meter == replace(
        STATION.reference_meter, resource="TCPIP::192.0.2.9::23::SOCKET", identity="", dialect="found"
    )
    assert chosen.load_points == STATION.load_points


@pytest.mark.parametrize(
    "text", ["Manual", "shelly:192.0.2.9", "shelly://", "shelly://a:b", "gpm8310", "http://a"]
)
def test_anything_else_is_refused_before_anything_is_touched(text: str) -> None:
    with pytest.raises(UsageError, match="--reference"):
        with_reference(HAND_HELD, text)
