"""What a run compares with, where the command names something else than the station file."""

from __future__ import annotations

import re
from dataclasses import replace

from mfg.certificates import HAND_HELD_METER, PLUG_METER
from mfg.errors import UsageError
from mfg.fixtures import shelly_meter
from mfg.fixtures.references import FOUND_DIALECT, HAND_HELD_DIALECT, SHELLY_DIALECT, SHELLY_SCHEME
from mfg.station import Endpoint, ReferenceMeterSettings, Station

MANUAL = "manual"
SHELLY_RANGE_V, SHELLY_RANGE_A = 260.0, 16.0
HTTP_PORT = 80
TYPED_UPDATE_S = 1.0  # a hand-held meter's display
_VISA = re.compile(r"(?:TCPIP|USB|GPIB|ASRL|PRLGX-TCPIP)[^\s]*::\S+", re.IGNORECASE)


def with_reference(station: Station, chosen: str) -> Station:
    """Return the station with the reference that a run has chosen; its own where `chosen` is empty.

    Args:
        station: As its file describes it.
        chosen: `manual`, `shelly://HOST` or `shelly://HOST:PORT`, or a VISA resource: there the meter must
            answer to which the station's certificate belongs.

    Raises:
        UsageError: It is none of these, or the station has no hand-held meter; nothing was touched.
    """
    if not chosen:
        return station
    if chosen == MANUAL:
        return _ranged(station, _hand_held(station))
    if chosen.startswith(SHELLY_SCHEME):
        return _ranged(station, _shelly(chosen))
    if not _VISA.fullmatch(chosen):
        raise UsageError(
            f"--reference {chosen}: this is no reference.",
            f"Give {MANUAL}, {SHELLY_SCHEME}ADDR[:PORT], or a VISA resource like TCPIP::192.0.2.9::INSTR.",
        )
    own = station.reference_meter
    return replace(station, reference_meter=replace(own, resource=chosen, identity="", dialect=FOUND_DIALECT))


def _hand_held(station: Station) -> ReferenceMeterSettings:
    meter = station.hand_held_meter
    if meter is None:
        raise UsageError(
            f"--reference {MANUAL}: {station.path} describes no hand-held meter.",
            "Describe it under 'hand_held_meter', and its certificate in the certificates file.",
        )
    return ReferenceMeterSettings(
        MANUAL,
        "",
        HAND_HELD_DIALECT,
        meter.voltage_range_v,
        meter.current_range_a,
        TYPED_UPDATE_S,
        HAND_HELD_METER,
    )


def _shelly(chosen: str) -> ReferenceMeterSettings:
    address = chosen.removeprefix(SHELLY_SCHEME)
    try:
        endpoint = Endpoint.parse(address if ":" in address else f"{address}:{HTTP_PORT}")
    except ValueError as error:
        raise UsageError(f"--reference {chosen}: {error}.", f"Give {SHELLY_SCHEME}192.0.2.9.") from error
    return ReferenceMeterSettings(
        f"{SHELLY_SCHEME}{endpoint}",
        "",
        SHELLY_DIALECT,
        SHELLY_RANGE_V,
        SHELLY_RANGE_A,
        shelly_meter.UPDATE_S,
        PLUG_METER,
    )


def _ranged(station: Station, meter: ReferenceMeterSettings) -> Station:
    """Give every load point the one current range that such a meter has."""
    points = tuple(replace(point, range_a=meter.current_range_a) for point in station.load_points)
    return replace(station, reference_meter=meter, load_points=points)
