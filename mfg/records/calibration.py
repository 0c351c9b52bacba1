"""The facts of a calibration as a record holds them: with what, where, how, and what was left out."""

from __future__ import annotations

import re
from typing import NotRequired, TypedDict

from mfg.records.checks import (
    has_keys,
    is_date,
    is_integer,
    is_number,
    is_positive,
    is_seconds,
    is_text,
    is_word,
    list_of,
    map_of,
    matches,
    one_of,
    optional,
)

_ADDRESS = re.compile(r"0x[0-9A-Fa-f]{2}")
_FILE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,119})?")
_POINT = re.compile(r"[a-z][a-z0-9]{0,19}")


class ReferenceFacts(TypedDict):
    """The standard that the unit was compared with, and its certificate."""

    maker: str
    model: str
    serial_number: str
    certificate: str
    issued: str  # date
    due: str  # date
    overridden_by: str  # who allowed a reference past its due date, empty when nobody had to


class CertifiedInstrument(TypedDict):
    """Another instrument whose certificate matters."""

    role: str
    certificate: str
    due: str  # date


class LoadPoint(TypedDict):
    """One load at which every port was measured."""

    name: str  # as in the names of the measurements: high, mid, low
    current_a: float  # through each CT
    range_a: float  # of the reference
    windows: int


class Conditions(TypedDict):
    """The conditions of the calibration; None where one is not known."""

    ambient_degc: float | None
    soak_s: float | None
    adaptor: str
    adaptor_serial: str
    line_frequency_hz: float | None
    pga: int | None
    jig_cycles: int | None
    operating_state: NotRequired[str]  # of the unit in the dwells: WiFi, display
    ct_rounds: NotRequired[dict[str, list[int]]]  # CTs asked for one by one; the later of two counts


class CalibrationFacts(TypedDict):
    """What the calibration of a run rests on."""

    reference: ReferenceFacts
    instruments: list[CertifiedInstrument]
    load_points: list[LoadPoint]
    registers: dict[str, dict[str, int]]  # by chip (CS4, CS0), by address (0x61)
    windows_file: str  # in the run folder, empty when there is none
    not_done: list[str]
    conditions: Conditions
    waivers: list[str]


is_calibration = has_keys(
    {
        "reference": has_keys(
            {
                "maker": is_text,
                "model": is_text,
                "serial_number": is_text,
                "certificate": is_text,
                "issued": is_date,
                "due": is_date,
                "overridden_by": is_text,
            }
        ),
        "instruments": list_of(has_keys({"role": is_text, "certificate": is_text, "due": is_date})),
        "load_points": list_of(
            has_keys(
                {
                    "name": matches(_POINT, "high"),
                    "current_a": is_positive,
                    "range_a": is_positive,
                    "windows": is_integer,
                }
            )
        ),
        "registers": map_of(one_of(("CS4", "CS0")), map_of(matches(_ADDRESS, "0x61"), is_word)),
        "windows_file": matches(_FILE, "windows.csv, or empty"),
        "not_done": list_of(is_text),
        "conditions": has_keys(
            {
                "ambient_degc": optional(is_number),
                "soak_s": optional(is_seconds),
                "adaptor": is_text,
                "adaptor_serial": is_text,
                "line_frequency_hz": optional(is_positive),
                "pga": optional(is_integer),
                "jig_cycles": optional(is_integer),
            },
            {"operating_state": is_text, "ct_rounds": map_of(is_text, list_of(is_integer))},
        ),
        "waivers": list_of(is_text),
    }
)
