"""How well ports are calibrated: the original tool's algorithm against this project's, on one plant.

Run with `python benchmarks/calibration_accuracy.py --ports 1000 --seed 1 --benches 4`.

The plant is simulated: mains that wander, a heater that warms up, ports with a noise floor, windows of 16
cycles that a poll may see twice or not yet, registers with steps. Every algorithm meets the same ports
and the same mains. It is judged on the registers it leaves behind, against the true port: the error of
the reference itself is in none of them.

The original's algorithm is written from prose (ct6-interface 9.1): gain 8000, then gain := trunc(reference
over reading times gain) until one reading is within 0.02 A; offset 0, then minus 1000 until one reading
is 0.0; voltage within 0.3 V. Manual order is gain, then offset, with a number that an operator types;
Shelly order is offset, then gain, with a plug meter that updates each second. Ours uses the functions of
`mfg.calibration`. The last row is ours through the full stack: the station itself on emulated benches, judged
on the chips of the units against the truth of the plant. Mains and warm-up are sized by the log of a run of
the original tool (metrology 3.3).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.signal
from full_stack import Calibrated, calibrate_benches

from mfg.calibration.gains import CURRENT_OFFSET_A_PER_COUNT, gain, offset_for_zero
from mfg.calibration.pairing import Sample, interpolated, mean, spread_pct
from mfg.calibration.phase_angles import angle_deg, degrees_per_count, phase_counts
from mfg.calibration.windows import LEAST_WINDOWS, StopRule

STEP_S = 0.01  # half a cycle of 50 Hz: the finest piece of the plant
SPAN_S = 200.0
WINDOW_STEPS, WINDOW_S = 32, 0.32
MAINS_V, MAINS_HZ = 230.0, 50.0
TEST_CURRENTS_A = np.array([1.0, 5.0, 10.0, 50.0])

_SIGNAL: Any = scipy.signal  # ships no types

# The plant
SLOW_SHARE, SLOW_S = 0.003, 60.0
FAST_SHARE, FAST_S = 0.0003, 1.0
WARM_SHARE, WARM_S = 0.006, 8.0
CURRENT_GAIN, VOLTAGE_GAIN = 42720, 55600  # PGA x1
GAIN_SPREAD = 0.005
NOISE_A = (0.0015, 0.005)
NOISE_SAMPLES = 2560  # 8 kHz over a window
CT_LEADS_DEG, ADAPTOR_LEADS_DEG = (0.5, 2.0), (0.3, 0.8)

# The reference of the bench: a power meter with five digits, 10 A and 300 V
UPDATE_STEPS, UPDATE_S = 25, 0.25
REFERENCE_NOISE = 3e-5
REFERENCE_STEP_A, REFERENCE_STEP_V = 1e-4, 1e-2

# What the original's bench takes, in s (ct6-interface 7.2 and 9.1; metrology 3.3 and 7)
SET_CONFIG_S, RESET_S, CHIP_WAIT_S, STATS_S, PAUSE_S = 0.10, 0.02, 0.20, 0.15, 0.40
SWITCH_LOAD_S, MOVE_CT_S, TYPE_S = 3.0, 5.0, (4.0, 12.0)
SHELLY_S, SHELLY_STEP_A, SHELLY_STEP_V, SHELLY_NOISE = 1.0, 1e-3, 0.1, 2e-4
GAIN_START, VOLTAGE_GAIN_START, FRESH_GAIN, FRESH_OFFSET = 8000, 50000, 45000, 45000 - 65536
LOOP_LIMIT = 60  # the original has none
MANUAL_LOAD_A = 11.4

# Ours
TURNS, LOAD_A = 6, 9.0
ZERO_LIMIT_A = 0.010
POLL_S, DISCARDED, STABLE_PCT, STABLE_READINGS = 0.07, 2, 0.15, 5
WRITE_S = 0.15


class Mains:
    """The mains of one port's calibration, relative to nominal; the same for every algorithm."""

    def __init__(self, draw: np.random.Generator) -> None:
        steps = round(SPAN_S / STEP_S)
        self.t_s = np.arange(steps) * STEP_S
        self.share = 1 + _wander(draw, SLOW_SHARE, SLOW_S, steps) + _wander(draw, FAST_SHARE, FAST_S, steps)
        self._squares = _cumulated(self.share**2)

    def rms(self, start: int, end: int) -> float:
        """Return the RMS between two steps."""
        return math.sqrt((self._squares[end] - self._squares[start]) / (end - start))

    def load(self, current_a: float, on_s: float) -> Load:
        """Switch a heater on."""
        since_s = np.maximum(0.0, self.t_s - on_s)
        warm = 1 + WARM_SHARE * np.exp(-since_s / WARM_S)
        current = np.where(self.t_s >= on_s, current_a * self.share * warm, 0.0)
        return Load(_cumulated(current**2))


@dataclass
class Load:
    """The current of one conductor."""

    squares: np.ndarray

    def rms(self, start: int, end: int) -> float:
        """Return the RMS between two steps, in A."""
        return math.sqrt((self.squares[end] - self.squares[start]) / (end - start))


@dataclass
class Port:
    """One port with its chip: what gain it needs, and what registers it has."""

    needed_gain: float
    needed_voltage_gain: float
    noise_a: float
    lag_deg: float
    on_second_chip: bool
    gain: int = CURRENT_GAIN
    offset: int = 0
    voltage_gain: int = VOLTAGE_GAIN
    phase: int = 0
    started_s: float = 0.0

    def window(self, t_s: float) -> tuple[int, int, int] | None:
        """Return number, first and last step of the last complete window, None while there is none."""
        number = int((t_s - self.started_s) / WINDOW_S + 1e-9)
        if number < 1:
            return None
        end = round(self.started_s / STEP_S) + number * WINDOW_STEPS
        return number, end - WINDOW_STEPS, end

    def current_a(self, primary_a: float, draw: np.random.Generator, step_a: float) -> float:
        """Return what the port reads in a window with a primary current."""
        floor = self.noise_a**2 * (1 + draw.normal(0, math.sqrt(2 / NOISE_SAMPLES)))
        cross = 2 * primary_a * draw.normal(0, self.noise_a / math.sqrt(NOISE_SAMPLES))
        seen_a = math.sqrt(max(0.0, primary_a**2 + floor + cross)) * self.gain / self.needed_gain
        return math.floor(max(0.0, seen_a + self.offset * CURRENT_OFFSET_A_PER_COUNT) / step_a) * step_a

    def voltage_v(self, true_v: float, step_v: float) -> float:
        """Return what the port reads in a window with a voltage."""
        return math.floor(true_v * self.voltage_gain / self.needed_voltage_gain / step_v) * step_v

    def current_errors_pct(self) -> np.ndarray:
        """Return the error at `TEST_CURRENTS_A` by the registers, in percent."""
        seen = np.hypot(TEST_CURRENTS_A, self.noise_a) * self.gain / self.needed_gain
        shown = np.maximum(0.0, seen + self.offset * CURRENT_OFFSET_A_PER_COUNT)
        errors: np.ndarray = (shown / TEST_CURRENTS_A - 1) * 100
        return errors

    def voltage_error_pct(self) -> float:
        """Return the error of the voltage by the registers, in percent."""
        return (self.voltage_gain / self.needed_voltage_gain - 1) * 100

    def phase_error_deg(self) -> float:
        """Return the error of the angle by the registers, in degrees."""
        return self.lag_deg + self.phase * degrees_per_count(MAINS_HZ)


@dataclass
class Bill:
    """What a calibration of one port took."""

    readings: int = 0
    port_s: float = 0.0  # per port, one after the other
    voltage_s: float = 0.0  # per chip
    unit_s: float = 0.0  # for all six at once
    gave_up: int = 0


@dataclass
class Result:
    """All ports of one algorithm."""

    current_pct: list[np.ndarray] = field(default_factory=list)
    voltage_pct: list[float] = field(default_factory=list)
    phase_deg: list[float] = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)

    def add(self, port: Port, bill: Bill) -> None:
        """Judge a port on its registers."""
        self.current_pct.append(port.current_errors_pct())
        self.voltage_pct.append(port.voltage_error_pct())
        self.phase_deg.append(port.phase_error_deg())
        self.bills.append(bill)

    def unit_s(self) -> float:
        """Return the mean bench time of a unit with six ports and two voltage inputs, in s."""
        bills = self.bills
        return float(np.mean([6 * bill.port_s + 2 * bill.voltage_s + bill.unit_s for bill in bills]))

    def readings(self) -> float:
        """Return the mean number of readings that a port took."""
        return float(np.mean([bill.readings for bill in self.bills]))


Algorithm = Callable[[Port, Mains, np.random.Generator], Bill]


# ---- the original ---------------------------------------------------------------------------------


def initialise(port: Port, t_s: float) -> float:
    """Write the configuration and reset both chips; return the time afterwards."""
    t_s += SET_CONFIG_S + RESET_S
    port.started_s = _on_step(t_s + (CHIP_WAIT_S if port.on_second_chip else 0.0))
    return t_s + 2 * CHIP_WAIT_S


def read_once(port: Port, primary: Load | None, t_s: float, draw: np.random.Generator) -> float:
    """Read the port's current over HTTP; what is not measured yet reads 0."""
    window = port.window(t_s + STATS_S / 2)
    if window is None:
        return 0.0
    return port.current_a(primary.rms(*window[1:]) if primary else 0.0, draw, 1e-3)


def original_offset(port: Port, t_s: float, bill: Bill, draw: np.random.Generator) -> float:
    """Lower the offset by 1000 until one reading is 0.0."""
    port.offset = 0
    for _loop in range(LOOP_LIMIT):
        t_s = initialise(port, t_s)
        reading = read_once(port, None, t_s, draw)
        bill.readings += 1
        t_s += STATS_S
        if reading == 0.0:
            return t_s
        port.offset -= 1000
        t_s += PAUSE_S
    bill.gave_up += 1
    return t_s


def original_gain(
    port: Port,
    primary: Load,
    reference: Callable[[float], float],
    t_s: float,
    bill: Bill,
    draw: np.random.Generator,
) -> float:
    """Multiply the gain until one reading is within 0.02 A."""
    port.gain = GAIN_START
    t_s = initialise(port, t_s) + PAUSE_S
    for _loop in range(LOOP_LIMIT):
        wanted_a = reference(t_s)
        t_s += STATS_S
        reading = read_once(port, primary, t_s, draw)
        bill.readings += 1
        t_s += STATS_S
        if abs(wanted_a - reading) < 0.02:
            return t_s
        if reading == 0.0:
            continue
        port.gain = int(wanted_a / reading * port.gain)
        port.gain = 64535 if port.gain > 65535 else port.gain
        t_s = initialise(port, t_s) + PAUSE_S
    bill.gave_up += 1
    return t_s


def original_voltage(port: Port, mains: Mains, reference_v: float, t_s: float, bill: Bill) -> float:
    """Multiply the voltage gain until one reading is within 0.3 V."""
    port.voltage_gain = VOLTAGE_GAIN_START
    t_s = initialise(port, t_s) + PAUSE_S
    for _loop in range(LOOP_LIMIT):
        window = port.window(t_s + STATS_S / 2)
        reading = port.voltage_v(MAINS_V * mains.rms(*window[1:]), 1e-2) if window else 0.0
        bill.readings += 1
        t_s += STATS_S
        if abs(reference_v - reading) < 0.3:
            return t_s
        if reading:
            port.voltage_gain = min(int(reference_v / reading * port.voltage_gain), 65535)
            t_s = initialise(port, t_s) + PAUSE_S
    bill.gave_up += 1
    return t_s


def shelly_order(port: Port, mains: Mains, draw: np.random.Generator) -> Bill:
    """Calibrate a fresh unit as the original does with a Shelly: offset, then gain, six turns."""
    bill = Bill()
    port.gain, port.offset = FRESH_GAIN, FRESH_OFFSET

    def shelly(load: Callable[[int, int], float], step: float) -> Callable[[float], float]:
        def read(t_s: float) -> float:
            end = int(t_s / SHELLY_S) * round(SHELLY_S / STEP_S)
            value = load(end - round(SHELLY_S / STEP_S), end) * (1 + draw.normal(0, SHELLY_NOISE))
            return math.floor(value / step) * step

        return read

    start_s = 3.0
    # The second chip reuses the number that was read for the first.
    read_v = shelly(lambda start, end: MAINS_V * mains.rms(start, end), SHELLY_STEP_V)
    reference_v = read_v(start_s)
    later_s = start_s + (4.0 if port.on_second_chip else 0.0)
    t_s = original_voltage(port, mains, reference_v, later_s, bill)
    bill.voltage_s = t_s - later_s
    start_s = t_s
    t_s = original_offset(port, t_s + 5 * SHELLY_S, bill, draw)
    load = mains.load(LOAD_A, t_s)
    primary = Load(load.squares * TURNS**2)
    read_a = shelly(load.rms, SHELLY_STEP_A)
    t_s = original_gain(
        port, primary, lambda now_s: TURNS * read_a(now_s), t_s + 5 * SHELLY_S + 1.0, bill, draw
    )
    bill.port_s = t_s - start_s + MOVE_CT_S / 6
    return bill


def manual_order(port: Port, mains: Mains, draw: np.random.Generator, *, fresh: bool) -> Bill:
    """Calibrate as the original does with an operator: gain, then offset, one turn."""
    bill = Bill()
    port.offset = FRESH_OFFSET if fresh else 0
    typed_v = round(MAINS_V * mains.rms(0, UPDATE_STEPS), 1)
    later_s = draw.uniform(*TYPE_S) + (3.0 if port.on_second_chip else 0.0)
    t_s = original_voltage(port, mains, typed_v, later_s, bill)
    bill.voltage_s = t_s - later_s + sum(TYPE_S) / 4
    start_s, t_s = t_s, t_s + MOVE_CT_S + SWITCH_LOAD_S
    load = mains.load(MANUAL_LOAD_A, t_s)
    end = round((t_s + 5.0) / STEP_S)
    typed_a = round(load.rms(end - UPDATE_STEPS, end) * (1 + draw.normal(0, REFERENCE_NOISE)), 2)
    t_s += 5.0 + draw.uniform(*TYPE_S)
    t_s = original_gain(port, load, lambda _now_s: typed_a, t_s, bill, draw)
    t_s = original_offset(port, t_s + SWITCH_LOAD_S, bill, draw)
    bill.port_s = t_s - start_s
    return bill


def manual_fresh(port: Port, mains: Mains, draw: np.random.Generator) -> Bill:
    """Calibrate a unit that still has its default offset of 45000."""
    return manual_order(port, mains, draw, fresh=True)


def manual_again(port: Port, mains: Mains, draw: np.random.Generator) -> Bill:
    """Calibrate a unit whose offset is 0."""
    return manual_order(port, mains, draw, fresh=False)


# ---- ours -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interface:
    """What a unit's firmware offers for calibration."""

    current_step_a: float
    voltage_step_v: float
    power_step_w: float
    jitter_s: float  # half-width of a window's time, of all windows alike and of each
    has_phase: bool


OWN = Interface(1e-3 / 256, 1e-2 / 256, 0.00032 * 256, 0.010, has_phase=True)
ORIGINAL = Interface(1e-3, 1e-2, 0.00032 * 256, 0.040, has_phase=False)


@dataclass
class Windows:
    """Paired windows of one port."""

    current_a: list[float] = field(default_factory=list)
    voltage_v: list[float] = field(default_factory=list)
    active_w: list[float] = field(default_factory=list)
    reactive_var: list[float] = field(default_factory=list)
    reference_v: list[float] = field(default_factory=list)
    reference_a: list[float] = field(default_factory=list)


def reference_sample(mains: Mains, load: Load, update: int, draw: np.random.Generator) -> Sample:
    """Return one update of the reference meter."""
    start, end = (update - 1) * UPDATE_STEPS, update * UPDATE_STEPS
    values = (
        (MAINS_V * mains.rms(start, end), REFERENCE_STEP_V),
        (load.rms(start, end), REFERENCE_STEP_A),
    )
    noisy = tuple(
        round(value * (1 + draw.normal(0, REFERENCE_NOISE)) / step) * step for value, step in values
    )
    return Sample((update - 0.5) * UPDATE_S, noisy)


def closed_form(port: Port, mains: Mains, draw: np.random.Generator, interface: Interface) -> Bill:
    """Calibrate as this project does: zero, one dwell, everything in closed form, one write."""
    bill = Bill()
    port.gain, port.offset, port.voltage_gain, port.phase = CURRENT_GAIN, 0, VOLTAGE_GAIN, 0
    port.started_s = _on_step(draw.uniform(0.0, WINDOW_S))
    zeros_a = [port.current_a(0.0, draw, interface.current_step_a) for _zero in range(LEAST_WINDOWS)]
    t_s = 1.0 + (DISCARDED + LEAST_WINDOWS) * WINDOW_S
    load = mains.load(LOAD_A, _on_step(t_s))
    update = math.ceil(t_s / UPDATE_S) + 1
    samples: list[Sample] = []
    while not _stable(samples):
        samples.append(reference_sample(mains, load, update, draw))
        update += 1
    t_s = update * UPDATE_S
    windows, t_s = dwell(port, mains, load, t_s, draw, interface)
    solve(port, windows, mean(zeros_a), interface)
    bill.readings = LEAST_WINDOWS + len(windows.current_a)
    bill.unit_s = t_s + WRITE_S
    return bill


def dwell(
    port: Port, mains: Mains, load: Load, t_s: float, draw: np.random.Generator, interface: Interface
) -> tuple[Windows, float]:
    """Poll windows until the stop rule is content; a window that was seen before does not count."""
    rule, windows, primary = StopRule(), Windows(), Load(load.squares * TURNS**2)
    first = port.window(t_s)
    last = (first[0] if first else 0) + DISCARDED
    update = int(t_s / UPDATE_S) - 1
    samples: list[Sample] = []
    pending: list[tuple[float, int, int]] = []
    late_s = draw.uniform(-1, 1) * interface.jitter_s
    while True:
        t_s += POLL_S
        seen = port.window(t_s)
        if seen is not None and seen[0] > last:
            last = seen[0]
            centre_s = (seen[1] + seen[2]) / 2 * STEP_S
            stamped_s = centre_s + late_s + draw.uniform(-1, 1) * interface.jitter_s
            pending.append((stamped_s, seen[1], seen[2]))
        while (update + 1) * UPDATE_S <= t_s:
            update += 1
            samples.append(reference_sample(mains, load, update, draw))
        while pending and (pair := interpolated(samples[-12:], pending[0][0])) is not None:
            _stamped_s, start, end = pending.pop(0)
            read_window(windows, port, primary, mains, (start, end), draw, interface)
            windows.reference_v.append(pair[0])
            windows.reference_a.append(pair[1])
            if len(windows.current_a) >= rule.least and rule.progress({1: ratios(windows)}).done:
                return windows, t_s


def read_window(
    windows: Windows,
    port: Port,
    primary: Load,
    mains: Mains,
    steps: tuple[int, int],
    draw: np.random.Generator,
    interface: Interface,
) -> None:
    """Read everything that the port measured in a window."""
    primary_a, true_v = primary.rms(*steps), MAINS_V * mains.rms(*steps)
    windows.current_a.append(port.current_a(primary_a, draw, interface.current_step_a))
    windows.voltage_v.append(port.voltage_v(true_v, interface.voltage_step_v))
    noise_w = true_v * draw.normal(0, port.noise_a / math.sqrt(NOISE_SAMPLES), 2)
    scale = port.gain / port.needed_gain * port.voltage_gain / port.needed_voltage_gain
    lag_rad = math.radians(port.phase_error_deg())
    for values, part, noise in (
        (windows.active_w, math.cos(lag_rad), noise_w[0]),
        (windows.reactive_var, math.sin(lag_rad), noise_w[1]),
    ):
        power = (true_v * primary_a * part + float(noise)) * scale
        values.append(math.floor(power / interface.power_step_w) * interface.power_step_w)


def ratios(windows: Windows) -> list[float]:
    """Return the paired ratios of the current."""
    return [own / other for own, other in zip(windows.current_a, windows.reference_a, strict=True)]


def solve(port: Port, windows: Windows, zero_a: float, interface: Interface) -> None:
    """Solve all registers of a port at once, as the phases do."""
    port.offset = offset_for_zero(zero_a, ZERO_LIMIT_A, CURRENT_OFFSET_A_PER_COUNT)
    wanted_a = TURNS * mean(windows.reference_a) - port.offset * CURRENT_OFFSET_A_PER_COUNT
    port.gain = gain(wanted_a, mean(windows.current_a) + interface.current_step_a / 2, port.gain)
    measured_v = mean(windows.voltage_v) + interface.voltage_step_v / 2
    port.voltage_gain = gain(mean(windows.reference_v), measured_v, port.voltage_gain)
    if interface.has_phase:
        half = interface.power_step_w / 2
        measured_deg = angle_deg(mean(windows.active_w) + half, mean(windows.reactive_var) + half)
        port.phase = phase_counts(0.0, measured_deg, MAINS_HZ, port.phase)


def ours(port: Port, mains: Mains, draw: np.random.Generator) -> Bill:
    """Calibrate a unit with our firmware."""
    return closed_form(port, mains, draw, OWN)


def ours_original_interface(port: Port, mains: Mains, draw: np.random.Generator) -> Bill:
    """Calibrate a unit that offers the original interface only: no low words, no phase."""
    return closed_form(port, mains, draw, ORIGINAL)


def full_stack(runs: Sequence[Calibrated]) -> Result:
    """Return what the station itself left behind on emulated benches, port by port."""
    result = Result()
    for run in runs:
        result.current_pct += list(run.current_pct)
        result.voltage_pct += [float(error) for error in run.voltage_pct]
        result.phase_deg += [float(error) for error in run.phase_deg]
        result.bills += [Bill(readings=run.readings, unit_s=run.bench_s)] * len(run.phase_deg)
    return result


# ---- the comparison -------------------------------------------------------------------------------

FULL_STACK = "ours, full stack, emulated bench"
ALGORITHMS: dict[str, Algorithm] = {
    "original, Shelly order": shelly_order,
    "original, manual order, fresh unit": manual_fresh,
    "original, manual order, offset 0": manual_again,
    "ours, original interface": ours_original_interface,
    "ours": ours,
}


def simulate(ports: int, seed: int) -> dict[str, Result]:
    """Calibrate the same ports with every algorithm.

    Args:
        ports: How many ports, >= 1.
        seed: The same seed gives the same ports and the same mains.

    Returns:
        Results by the name of the algorithm.
    """
    results = {name: Result() for name in ALGORITHMS}
    for number in range(ports):
        mains = Mains(np.random.default_rng([seed, number, 0]))
        for name, algorithm in ALGORITHMS.items():
            port = drawn_port(np.random.default_rng([seed, number, 1]), number)
            bill = algorithm(port, mains, np.random.default_rng([seed, number, 2]))
            results[name].add(port, bill)
    return results


def drawn_port(draw: np.random.Generator, number: int) -> Port:
    """Draw a port; the second three of six are on the second chip."""
    return Port(
        needed_gain=CURRENT_GAIN * (1 + draw.normal(0, GAIN_SPREAD)),
        needed_voltage_gain=VOLTAGE_GAIN * (1 + draw.normal(0, GAIN_SPREAD)),
        noise_a=draw.uniform(*NOISE_A),
        lag_deg=draw.uniform(*ADAPTOR_LEADS_DEG) - draw.uniform(*CT_LEADS_DEG),
        on_second_chip=number % 6 >= 3,
    )


def worst(errors: np.ndarray) -> tuple[float, float]:
    """Return the 95th percentile and the maximum of the absolute errors."""
    absolute = np.abs(errors)
    return float(np.percentile(absolute, 95)), float(absolute.max())


def table(results: dict[str, Result]) -> str:
    """Return the comparison as text: p95 / maximum of the absolute error."""
    currents = [f"I {current:g} A %" for current in TEST_CURRENTS_A]
    heads = [*currents, "V %", "phase deg", "reads", "unit s", "gave up"]
    lines = [
        f"{'p95 / max':36}"
        + "".join(f"{head:>16}" for head in heads[:6])
        + "".join(f"{head:>9}" for head in heads[6:])
    ]
    for name, result in results.items():
        errors = [*np.array(result.current_pct).T, np.array(result.voltage_pct), np.array(result.phase_deg)]
        cells = [f"{p95:7.4f} /{most:7.4f}" for p95, most in map(worst, errors)]
        gave_up = sum(bill.gave_up for bill in result.bills)
        tail = f"{result.readings():9.1f}{result.unit_s():9.1f}{gave_up:9d}"
        lines.append(f"{name:36}" + "".join(f"{cell:>16}" for cell in cells) + tail)
    return "\n".join(lines)


def _wander(draw: np.random.Generator, sigma: float, tau_s: float, steps: int) -> np.ndarray:
    """Return an Ornstein-Uhlenbeck process."""
    keep = math.exp(-STEP_S / tau_s)
    noise = draw.normal(0, sigma * math.sqrt(1 - keep**2), steps)
    noise[0] = draw.normal(0, sigma)
    wander: np.ndarray = _SIGNAL.lfilter([1.0], [1.0, -keep], noise)
    return wander


def _cumulated(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(values)])


def _on_step(t_s: float) -> float:
    return round(t_s / STEP_S) * STEP_S


def _stable(samples: list[Sample]) -> bool:
    last = [sample.values[1] for sample in samples[-STABLE_READINGS:]]
    return len(last) == STABLE_READINGS and spread_pct(last) < STABLE_PCT


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compare calibration algorithms on simulated ports.")
    parser.add_argument("--ports", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--benches", type=int, default=0, help="runs of the station itself, by seed")
    options = parser.parse_args()
    start_s = time.perf_counter()
    results = simulate(options.ports, options.seed)
    computed_s = time.perf_counter() - start_s
    if options.benches:
        seeds = range(options.seed, options.seed + options.benches)
        results[FULL_STACK] = full_stack(calibrate_benches(seeds, list(TEST_CURRENTS_A)))
    print(table(results))
    print(
        f"{options.ports} ports, seed {options.seed}, {computed_s:.1f} s of computing; "
        f"full stack: {options.benches} units. "
        "Reads are per port; unit s is bench time for six ports and two voltage inputs, without verification."
    )


if __name__ == "__main__":
    main()
