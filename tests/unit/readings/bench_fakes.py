"""A clock that a test turns, and a standard, limits and dwells whose figures are known."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfg.calibration.accuracy import accuracy_of
from mfg.calibration.pairing import Sample
from mfg.certificates import Certificate, CertifiedQuantity
from mfg.clock import BenchClock
from mfg.fixtures.dut_api import PortStats
from mfg.limits.loader import PORTS
from mfg.readings.paired import Dwell, PortWindow
from mfg.readings.standard import ReferenceStandard
from mfg.station import Station, load_station

SHIPPED = Path(__file__).parents[3] / "station.yaml"
VOLTAGE_V, CURRENT_A, TURNS = 230.0, 9.0, 6
TODAY = datetime.date(2026, 11, 20)


@dataclass(frozen=True)
class TurnedClock(BenchClock):
    """A bench clock on which time passes by sleeping alone."""

    turned: Any = None

    @classmethod
    def at(cls, t_s: float) -> TurnedClock:
        return cls(turned=[t_s])

    def now_s(self) -> float:
        return float(self.turned[0])

    def sleep_s(self, duration_s: float) -> None:
        self.turned[0] += max(duration_s, 0.0)


def station(**changes: Any) -> Station:
    """Give the shipped station with some attributes changed."""
    return replace(load_station(SHIPPED), **changes)


def paper(due: datetime.date = TODAY, **quantities: CertifiedQuantity) -> Certificate:
    """Give a certificate of the reference meter; it adds 0.1 % to a voltage and takes 0.2 % of a current."""
    stated = {
        "voltage": CertifiedQuantity(0.1, 0.03, 2.0, "pct"),
        "current": CertifiedQuantity(-0.2, 0.03, 2.0, "pct"),
    } | quantities
    issued = due - datetime.timedelta(days=365)
    return Certificate("reference_meter", "GWInstek", "GPM-8310", "GEU000123", "C-1", issued, due, stated)


def standard(certificate: Certificate | None = None, ambient_degc: float = 23.0) -> ReferenceStandard:
    """Give a GPM-8310 with its certificate."""
    return ReferenceStandard(accuracy_of("GPM-8310"), certificate or paper(), 300.0, 0.25, ambient_degc)


def window(t_s: float, **changes: float) -> PortWindow:
    """Give a window of a port that is right to the last digit, load resistive, reference uncorrected."""
    right = PortWindow(
        t_s,
        voltage_v=VOLTAGE_V,
        current_a=CURRENT_A * TURNS,
        active_w=VOLTAGE_V * CURRENT_A * TURNS,
        reactive_var=0.0,
        reference_v=VOLTAGE_V,
        reference_a=CURRENT_A,
        reference_w=VOLTAGE_V * CURRENT_A,
    )
    return replace(right, **changes)


def dwell(count: int = 8, **changes: Any) -> Dwell:
    """Give a dwell whose ports scatter by 20 ppm around what is right."""
    windows = []
    for number in range(count):
        share = 1 + 20e-6 * (-1) ** number
        watts = VOLTAGE_V * CURRENT_A * TURNS * share
        windows.append(window(0.32 * number, current_a=CURRENT_A * TURNS * share, active_w=watts))
    samples = tuple(
        Sample(0.25 * number, (VOLTAGE_V, CURRENT_A + 1e-6 * number, VOLTAGE_V * CURRENT_A))
        for number in range(count + 4)
    )
    right = Dwell(dict.fromkeys(PORTS, tuple(windows)), samples, 50.0, 50.0, 0.001 / 256, 0.01 / 256)
    return replace(right, **changes)


def with_port(found: Dwell, port: int, **changes: float) -> Dwell:
    """Give a dwell in which one port's windows have other values."""
    changed = tuple(replace(one, **changes) for one in found.windows[port])
    return replace(found, windows={**found.windows, port: changed})


def port_stats(port: int, **changes: Any) -> PortStats:
    """Give what a unit with the original interface says of a port."""
    right = PortStats(230.0, 54.0, 12420.0, 0.0, 12420.0, 1.0, 50.0, 30.0, 0.0, f"ct{port}", "")
    return replace(right, **changes)
