"""The plant of the emulated bench: mains, loads, conductors, temperatures. Physical quantities only.

Every value is a pure function of the configuration's seed, the bench time and the event log. There is
no state to step, so every process of the bench sees the same mains at the same bench time.

The main conductor carries the load current and passes `turns` times through every CT; the event log
says to which share of its nominal current the load is set. The identification conductor carries the
identification load's current and passes k times through CT k.

Phase angles count from the mains voltage; a positive angle is a lagging current.
"""

from __future__ import annotations

import cmath
import itertools
import math
import random
import threading
from collections import OrderedDict
from dataclasses import dataclass

from mfg.emulator.config import BenchConfig, LoadConfig, UnitConfig
from mfg.emulator.events import EventLog, Step
from mfg.emulator.faults import PlantFaults, UnitFaults

PORTS = 6
CACHED_WINDOWS = 256

# Gauss-Legendre, four points: exact for polynomials of degree 7 over each piece of a window.
GAUSS_NODES = (-0.8611363115940526, -0.3399810435848563, 0.3399810435848563, 0.8611363115940526)
GAUSS_WEIGHTS = (0.34785484513745385, 0.6521451548625461, 0.6521451548625461, 0.34785484513745385)
LONGEST_PIECE_S = 0.1

# Periods of the wander's sinusoids, in s, and their shares of the amplitude.
SLOW_PERIODS_S = ((61.0, 0.5), (37.0, 0.3), (149.0, 0.2))
FAST_PERIODS_S = ((1.07, 0.5), (0.73, 0.3), (1.61, 0.2))
FREQUENCY_PERIODS_S = ((43.0, 0.5), (19.0, 0.3), (97.0, 0.2))
AMBIENT_PERIODS_S = ((613.0, 0.6), (311.0, 0.4))
AMBIENT_DRIFT_DEGC = 0.15
SELF_HEATING_TIME_S = 25.0


class Wander:
    """A smooth seeded wander between -1 and 1: a sum of sinusoids with seeded phases."""

    def __init__(self, seed: int, name: str, periods_s: tuple[tuple[float, float], ...]) -> None:
        generator = random.Random(f"{seed}:{name}")
        self._terms = tuple(
            (2 * math.pi / period_s, generator.uniform(0, 2 * math.pi), share)
            for period_s, share in periods_s
        )

    def at(self, t_s: float) -> float:
        """Return the wander at a bench time."""
        sin = math.sin
        return sum(share * sin(omega * t_s + phase) for omega, phase, share in self._terms)


@dataclass(frozen=True)
class PortTruth:
    """What a perfect instrument would have shown over a window."""

    voltage_v: float
    current_a: float
    active_w: float
    reactive_var: float


@dataclass(frozen=True)
class ConductorMeans:
    """Means over one window, from which every port's and the reference's values follow."""

    voltage_square: float  # V^2
    load_square: float  # A^2
    identification_square: float
    load_identification: float  # A^2, mean of the product of the two magnitudes
    voltage_load: float  # VA
    voltage_identification: float
    load_rad: float  # by which the load's current lags


MEANS = tuple(ConductorMeans.__dataclass_fields__)[:-1]  # those that are integrated, in this order


@dataclass(frozen=True)
class PrimaryWindow:
    """The conductors inside one CT over one window; current counted once per pass."""

    voltage_square: float  # V^2
    current_square: float  # A^2
    power: complex  # W + j var, at the angles of the loads


class Plant:
    """Mains, loads and temperatures as functions of bench time."""

    def __init__(self, config: BenchConfig, events: EventLog) -> None:
        self.config = config
        self.events = events
        self._units = {unit.number: unit for unit in config.units}
        self._faults = {unit.number: UnitFaults(unit, events) for unit in config.units}
        self._plant_faults = PlantFaults(config, events)
        self._slow = Wander(config.seed, "mains slow", SLOW_PERIODS_S)
        self._fast = Wander(config.seed, "mains fast", FAST_PERIODS_S)
        self._frequency = Wander(config.seed, "frequency", FREQUENCY_PERIODS_S)
        self._ambient = Wander(config.seed, "ambient", AMBIENT_PERIODS_S)
        self._cache: OrderedDict[tuple[float, float, int], ConductorMeans] = OrderedDict()
        self._cache_lock = threading.Lock()
        self.harmonic_weights = _harmonic_weights(config.mains.harmonics_pct)

    # ---- values at one moment -------------------------------------------------------------------

    def mains_voltage_v(self, t_s: float) -> float:
        """Return the RMS voltage of the mains, harmonics included, in V."""
        self.events.sync()
        return self._mains_v(t_s)

    def frequency_hz(self, t_s: float) -> float:
        """Return the mains frequency, in Hz."""
        self.events.sync()
        mains = self.config.mains
        nominal_hz = self._plant_faults.frequency_hz(mains.frequency_hz, t_s)
        return nominal_hz + mains.frequency_drift_hz * self._frequency.at(t_s)

    def leaking_a(self, t_s: float) -> float:
        """Return what flows through a load that is off, in A."""
        return self._plant_faults.leaking_a(t_s)

    def supply_v(self, supply_v: float, unit: int, t_s: float) -> float:
        """Return what arrives at a unit whose supply is on.

        Args:
            supply_v: What leaves the adaptor, in V.
            unit: Number of the unit.
            t_s: Bench time, in s.
        """
        self.events.sync()
        return self._plant_faults.supply_v(supply_v, bool(self.events.at("sag", t_s, unit)), t_s)

    def turns(self, t_s: float) -> int:
        """Return how often the main conductor passes through every CT that it passes through."""
        return self._plant_faults.turns(self.config.turns, t_s)

    def passes(self, unit: int, port: int, t_s: float) -> tuple[float, float]:
        """Return how often main and identification conductor pass through the CT of a port."""
        if self.config.ct_jig == "bundle":
            return self.turns(t_s), float(port)
        return (self.turns(t_s) if self.events.at("ct", t_s, unit) == port else 0.0), 0.0

    def load_current_a(self, t_s: float) -> float:
        """Return the RMS current of the load in the main conductor, in A."""
        return self._load_a(t_s, self.mains_voltage_v(t_s))

    def identification_current_a(self, t_s: float) -> float:
        """Return the RMS current in the identification conductor, in A."""
        return self._identification_a(t_s, self.mains_voltage_v(t_s))

    def reference_current_a(self, t_s: float) -> float:
        """Return the RMS current through the reference meter, in series with both conductors, in A."""
        load_a, identification_a = self.load_current_a(t_s), self.identification_current_a(t_s)
        return abs(self._phasor(load_a, identification_a, 1.0, 1.0, t_s))

    def port_primary_current_a(self, unit: int, port: int, t_s: float) -> float:
        """Return the current inside the CT of a port, in A; negative when the CT is reversed.

        Args:
            unit: Number of the unit.
            port: 1 to 6.
            t_s: Bench time, in s.
        """
        magnitude = abs(
            self._phasor(
                self.load_current_a(t_s),
                self.identification_current_a(t_s),
                *self.passes(unit, port, t_s),
                t_s,
            )
        )
        return magnitude * self.ct_direction(unit, port)

    def ct_direction(self, unit: int, port: int) -> int:
        """Return 1 for a CT that faces the expected way, -1 for a reversed one."""
        turned = self._units[unit].ports[port - 1].reversed
        return -1 if turned != self._faults[unit].port_reversed(port) else 1

    def ambient_degc(self, t_s: float) -> float:
        """Return the air temperature at the bench, in degrees Celsius."""
        return self.config.ambient_degc + AMBIENT_DRIFT_DEGC * self._ambient.at(t_s)

    def board_degc(self, unit: int, t_s: float) -> float:
        """Return the temperature of a unit's board: the supply warms it, without supply it cools."""
        self.events.sync()
        heating_degc = self._units[unit].self_heating_degc
        rise_degc = 0.0
        changes = [*self.events.changes("supply", float("-inf"), t_s, unit), t_s]
        for start_s, end_s in itertools.pairwise(changes):
            target_degc = heating_degc if self.events.at("supply", start_s, unit) else 0.0
            share = math.exp(-(end_s - start_s) / SELF_HEATING_TIME_S)
            rise_degc = target_degc + (rise_degc - target_degc) * share
        return self.ambient_degc(t_s) + rise_degc

    # ---- means over a window --------------------------------------------------------------------

    def mean_square(self, quantity: str, start_s: float, end_s: float) -> float:
        """Return the mean square of a quantity over a window that may contain switch events.

        Args:
            quantity: "voltage", "load", "identification" or "reference" (both conductors in series).
            start_s: Bench time at which the window starts, in s.
            end_s: Bench time at which it ends, in s, > start_s.

        Returns:
            V^2 or A^2.
        """
        means = self.conductor_means(start_s, end_s)
        if quantity == "reference":
            return self._current_square(means, 1.0, 1.0)
        squares = {
            "voltage": means.voltage_square,
            "load": means.load_square,
            "identification": means.identification_square,
        }
        return squares[quantity]

    def reference_truth(self, start_s: float, end_s: float) -> PortTruth:
        """Return what a perfect meter in the place of the reference meter would show over a window."""
        share = self._plant_faults.reference_share(end_s)
        return self._truth(self.conductor_means(start_s, end_s), share, share, 1)

    def port_truth(self, unit: int, port: int, start_s: float, end_s: float) -> PortTruth:
        """Return what a perfect port would show over a window; power is negative for a reversed CT."""
        means = self.conductor_means(start_s, end_s)
        return self._truth(means, *self.passes(unit, port, end_s), self.ct_direction(unit, port))

    def primary_window(self, unit: int, port: int, start_s: float, end_s: float) -> PrimaryWindow:
        """Return the conductors inside a unit's CT with the number `port` over a window."""
        means = self.conductor_means(start_s, end_s)
        turns, passes = self.passes(unit, port, end_s)
        return PrimaryWindow(
            means.voltage_square,
            self._current_square(means, turns, passes),
            self._power(means, turns, passes),
        )

    def conductor_means(self, start_s: float, end_s: float) -> ConductorMeans:
        """Return the means over a window, in pieces between the switch events inside it."""
        key = (start_s, end_s, self.events.sync())
        with self._cache_lock:
            means = self._cache.get(key)
        if means is None:
            means = self._integrate(start_s, end_s)
            with self._cache_lock:
                self._cache[key] = means
                while len(self._cache) > CACHED_WINDOWS:
                    self._cache.popitem(last=False)
        return means

    # ---- internals ------------------------------------------------------------------------------

    def _mains_v(self, t_s: float) -> float:
        mains = self.config.mains
        wander_pct = mains.slow_drift_pct * self._slow.at(t_s) + mains.fast_drift_pct * self._fast.at(t_s)
        return mains.voltage_v * (1 + wander_pct / 100) * self._plant_faults.mains_factor(t_s)

    def _load_a(self, t_s: float, voltage_v: float) -> float:
        step = self.events.step("load", t_s)
        current_a = self._current_a(step, self.config.load, t_s, voltage_v)
        if not current_a or not self._relay_closed(t_s):
            return self._plant_faults.leaking_a(t_s) * voltage_v / self.config.mains.voltage_v
        return current_a * self._plant_faults.load_factor(step.t_s, t_s)

    def _relay_closed(self, t_s: float) -> bool:
        """Return whether the relay in series with the load is closed; without one nothing is open."""
        return not self.config.instruments.shelly_port or bool(self.events.at("relay", t_s))

    def _identification_a(self, t_s: float, voltage_v: float) -> float:
        step = self.events.step("identification", t_s)
        return self._current_a(step, self.config.identification_load, t_s, voltage_v)

    def _current_a(self, step: Step, load: LoadConfig, t_s: float, voltage_v: float) -> float:
        """Return a load's current: a cold heater draws more, one that is still hot draws less."""
        share = float(step.value)
        if not share:
            return 0.0
        off = load.warm_up_pct / 100 * math.exp(-(t_s - step.t_s) / load.settle_s)
        settling = 1 + off if share > step.before else 1 - off
        return load.current_a * share * settling * voltage_v / self.config.mains.voltage_v

    def _phasor(
        self, load_a: float, identification_a: float, turns: float, passes: float, t_s: float
    ) -> complex:
        load_rad, identification_rad = self._load_rad(t_s), self._identification_rad()
        return turns * load_a * cmath.exp(-1j * load_rad) + passes * identification_a * cmath.exp(
            -1j * identification_rad
        )

    def _load_rad(self, t_s: float) -> float:
        return math.radians(self.config.load.angle_deg + self._plant_faults.lagging_deg(t_s))

    def _identification_rad(self) -> float:
        return math.radians(self.config.identification_load.angle_deg)

    def _current_square(self, means: ConductorMeans, turns: float, passes: float) -> float:
        apart_rad = means.load_rad - self._identification_rad()
        cross = 2 * turns * passes * means.load_identification * math.cos(apart_rad)
        return turns**2 * means.load_square + passes**2 * means.identification_square + cross

    def _power(self, means: ConductorMeans, turns: float, passes: float) -> complex:
        load = turns * means.voltage_load * cmath.exp(1j * means.load_rad)
        identification = cmath.exp(1j * self._identification_rad())
        return load + passes * means.voltage_identification * identification

    def _truth(self, means: ConductorMeans, turns: float, passes: float, direction: int) -> PortTruth:
        power = direction * self._power(means, turns, passes)
        return PortTruth(
            math.sqrt(means.voltage_square),
            math.sqrt(self._current_square(means, turns, passes)),
            power.real,
            power.imag,
        )

    def _integrate(self, start_s: float, end_s: float) -> ConductorMeans:
        if not end_s > start_s:
            raise ValueError(f"A window from {start_s} s to {end_s} s has no length.")
        sums = [0.0] * 6
        for piece_start_s, piece_end_s in self._pieces(start_s, end_s):
            half_s = (piece_end_s - piece_start_s) / 2
            for node, weight in zip(GAUSS_NODES, GAUSS_WEIGHTS, strict=True):
                t_s = piece_start_s + half_s * (1 + node)
                voltage_v = self._mains_v(t_s)
                load_a = self._load_a(t_s, voltage_v)
                other_a = self._identification_a(t_s, voltage_v)
                share = weight * half_s / (end_s - start_s)
                products = (
                    voltage_v * voltage_v,
                    load_a * load_a,
                    other_a * other_a,
                    load_a * other_a,
                    voltage_v * load_a,
                    voltage_v * other_a,
                )
                sums = [total + share * product for total, product in zip(sums, products, strict=True)]
        means = dict(zip(MEANS, sums, strict=True))
        return ConductorMeans(**means, load_rad=self._load_rad(end_s))

    def _pieces(self, start_s: float, end_s: float) -> list[tuple[float, float]]:
        edges = {start_s, end_s} | self._plant_faults.edges_s(start_s, end_s)
        for channel in ("load", "identification", "relay"):
            edges.update(self.events.changes(channel, start_s, end_s))
        ordered = sorted(edges)
        pieces: list[tuple[float, float]] = []
        for low_s, high_s in itertools.pairwise(ordered):
            count = math.ceil((high_s - low_s) / LONGEST_PIECE_S)
            cuts = [low_s + (high_s - low_s) * index / count for index in range(count)] + [high_s]
            pieces += itertools.pairwise(cuts)
        return pieces

    def unit(self, number: int) -> UnitConfig:
        """Return the configuration of a unit."""
        return self._units[number]


def _harmonic_weights(harmonics_pct: dict[str, float]) -> dict[int, float]:
    """Return the share of the mean square of each order; the loads are resistive, so of power, too."""
    squares = {1: 1.0} | {int(order): (pct / 100) ** 2 for order, pct in harmonics_pct.items()}
    total = sum(squares.values())
    return {order: square / total for order, square in squares.items()}
