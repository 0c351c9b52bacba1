"""Limits as OpenHTF measurements."""

from __future__ import annotations

import re
from collections.abc import Sequence

import openhtf as htf
from openhtf.util.units import UnitDescriptor
from openhtf.util.validators import RegexMatcher

from mfg.limits.loader import POINTS, PORTS, Limit, LimitSet

# UNECE names that OpenHTF knows; anything else is kept as it is written.
_UNITS = {
    "V": htf.units.VOLT,
    "A": htf.units.AMPERE,
    "W": htf.units.WATT,
    "s": htf.units.SECOND,
    "Hz": htf.units.HERTZ,
    "%": htf.units.PERCENT,
    "degC": htf.units.DEGREE_CELSIUS,
}


def measurement(limit: Limit) -> htf.Measurement:
    """Build the OpenHTF measurement of one limit, always with a validator.

    A measurement without one would pass with infinity or None in it; both bounds of a range are finite,
    so that infinity and NaN fail.
    """
    built: htf.Measurement = htf.Measurement(limit.name).doc(limit.source)
    if limit.kind == "range":
        built = built.in_range(limit.low, limit.high)
    elif limit.kind == "matches":
        built = built.with_validator(_whole(f"(?:{limit.pattern})"))
    elif isinstance(limit.value, str):
        built = built.with_validator(_whole(re.escape(limit.value)))
    else:
        built = built.equals(limit.value)
    if limit.unit:
        own = UnitDescriptor(limit.unit, "", limit.unit)
        built = built.with_units(_UNITS.get(limit.unit, own))
    return built


def _whole(pattern: str) -> RegexMatcher:
    """Match a text from its first to its last character; OpenHTF's own lets a line feed follow."""
    return RegexMatcher(f"^{pattern}$", re.compile(rf"{pattern}\Z"))


def bind_limits(
    phase: htf.PhaseDescriptor,
    limits: LimitSet,
    ports: Sequence[int] = PORTS,
    points: Sequence[str] = POINTS,
) -> htf.PhaseDescriptor:
    """Return a copy of a phase that must set every measurement of its table in the limits file."""
    declared = [measurement(limit) for limit in limits.of_phase(phase.name, ports, points)]
    bound: htf.PhaseDescriptor = htf.measures(*declared)(phase)
    return bound
