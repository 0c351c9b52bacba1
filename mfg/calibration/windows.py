"""How many windows a dwell needs, and whether what it gave can be believed.

A check returns a `Finding` that names what is wrong, or None, and never repairs anything; the phase
decides by `culprit` who must act. Only what is no measurement at all (no window, a NaN) is a ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from mfg.calibration.pairing import Sample, mean, spread_pct
from mfg.calibration.registers import CURRENT_CEILING_A

LEAST_WINDOWS, MOST_WINDOWS = 8, 64
WANTED_PPM = 25.0  # standard uncertainty of a mean ratio; the reference is at 900 ppm
SCATTER_LIMIT_PPM = 200.0  # metrology 3.1: a load on the mains, paired, gives about 50 ppm
MAINS_STEP_LIMIT_PCT = 0.25  # between two readings; the mains wanders by 0.03 % within a second
PORT_RATIOS_LIMIT_PCT = 3.0  # inside one unit
FREQUENCY_LIMIT_HZ = 1.0
REPEATED_READINGS_LIMIT = 1  # a meter with five digits may give one reading twice
OUTLIER_FACTOR = 6.0
# A stale window is from before a load or a gain was changed, by a percent at least. What the tail of a
# settling load does to the first one is a tenth of that, an eighth of it in the mean; scatter bounds it too.
FIRST_WINDOW_LIMIT_PPM = 1000.0
CT6_PORTS = 6
LEAST_PORTS = 3  # two may be off alike by chance
COMMON_SCALE_LIMIT_PCT = 8.0  # an unadjusted unit's ports are within 5 % (ct6-interface 7.4)
LEAST_MAINS_V = 50.0  # below, the chips do not meter
TURNS_LIMIT_PCT = 8.0  # one turn of six more or less is at least 16 %
LOAD_MARGIN_PCT = 10.0  # mains above its nominal voltage, and the load cold
LOAD_LACK_PCT = 20.0  # mains below its nominal voltage, and a heater at the low end of its tolerance
GAIN_MARGIN_PCT = 5.0  # before its gain is adjusted a port may read high by this
LOAD_ANGLE_LIMIT_DEG = 0.5  # meters know an angle at PF 1 to 0.2 deg; 0.5 deg are 1.5 % of power at PF 0.5
CONVERTER_CLIP_A = 102.6  # RMS of a sine that fits the converter at PGA x1 (metrology 0.7)
NOMINAL_CURRENT_GAINS = {1: 42720, 2: 21360, 4: 10680}  # by PGA (ct6-interface 7.4)
NOMINAL_VOLTAGE_GAIN = 55600

Culprit = Literal["dut", "fixture", "station"]


@dataclass(frozen=True)
class Finding:
    """Something that makes a dwell or its result unbelievable.

    Attributes:
        name: Which check found it, one word with underscores.
        culprit: Who must act: "dut" reject the unit, "fixture" stop the line, "station" call the engineer.
        message: What was seen and what would have been right.
        value: The figure that was judged.
        limit: What it was judged by.
    """

    name: str
    culprit: Culprit
    message: str
    value: float
    limit: float


# ---- how many windows -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """Where a dwell stands.

    Attributes:
        count: Windows of the port that has fewest.
        uncertainty_ppm: Standard uncertainty of the worst port's mean ratio; infinite below two windows.
        reached: Whether the wanted uncertainty is reached with enough windows.
        done: Whether to stop: reached, or no more windows are allowed.
        expected: How many windows it will take by the scatter so far.
    """

    count: int
    uncertainty_ppm: float
    reached: bool
    done: bool
    expected: int


@dataclass(frozen=True)
class StopRule:
    """When a dwell has enough windows.

    Attributes:
        wanted_ppm: Standard uncertainty wanted of each mean ratio, > 0.
        least: Fewest windows, >= 2: fewer have no scatter to speak of.
        most: Most windows, >= `least`.
    """

    wanted_ppm: float = WANTED_PPM
    least: int = LEAST_WINDOWS
    most: int = MOST_WINDOWS

    def __post_init__(self) -> None:
        """Refuse a rule that never or always stops, with a ValueError."""
        if not (math.isfinite(self.wanted_ppm) and self.wanted_ppm > 0 and 2 <= self.least <= self.most):
            raise ValueError(f"{self}")

    def progress(self, ratios_by_port: Mapping[int, Sequence[float]]) -> Progress:
        """Judge the paired ratios of DUT to reference so far.

        Args:
            ratios_by_port: Ratios of each port, all positive; at least one port.

        Returns:
            Whether to go on.

        Raises:
            ValueError: No port, or a ratio that is not finite and positive.
        """
        count = min(len(ratios) for ratios in ratios_by_port.values())
        if count < 2:
            return Progress(count, math.inf, reached=False, done=False, expected=self.least)
        scatters = {port: scatter_ppm(ratios) for port, ratios in ratios_by_port.items()}
        worst = max(scatters[port] / math.sqrt(len(ratios_by_port[port])) for port in ratios_by_port)
        reached = count >= self.least and worst <= self.wanted_ppm
        expected = windows_needed(max(scatters.values()), self)
        return Progress(count, worst, reached, reached or count >= self.most, expected)


def windows_needed(scatter: float, rule: StopRule) -> int:
    """Return how many windows bring a scatter down to what is wanted, within the rule's bounds.

    Args:
        scatter: Standard deviation of the paired ratios, in ppm, >= 0.
        rule: What is wanted.

    Raises:
        ValueError: The scatter is negative or no number.

    Source:
        Metrology notes 3.2: N = (s/u)^2.
    """
    if not (math.isfinite(scatter) and scatter >= 0):
        raise ValueError(f"{scatter=}")
    return int(min(max(rule.least, math.ceil((scatter / rule.wanted_ppm) ** 2)), rule.most))


def scatter_ppm(ratios: Sequence[float]) -> float:
    """Return the standard deviation of some positive ratios relative to their mean, in ppm.

    Raises:
        ValueError: Fewer than two ratios, or one that is not finite and positive.
    """
    if len(ratios) < 2 or not all(math.isfinite(ratio) and ratio > 0 for ratio in ratios):
        raise ValueError(f"cannot judge the scatter of {list(ratios)!r}")
    middle = mean(ratios)
    square = math.fsum((ratio / middle - 1) ** 2 for ratio in ratios) / (len(ratios) - 1)
    return math.sqrt(square) * 1e6


# ---- checks on a dwell ----------------------------------------------------------------------------


def check_scatter(
    ratios_by_port: Mapping[int, Sequence[float]], limit_ppm: float = SCATTER_LIMIT_PPM
) -> Finding | None:
    """Find a port whose ratios to the reference scatter more than paired readings can."""
    scatters = {port: scatter_ppm(ratios) for port, ratios in ratios_by_port.items()}
    port, worst = max(scatters.items(), key=lambda item: item[1])
    if worst <= limit_ppm:
        return None
    return Finding(
        "scatter",
        "fixture",
        f"The windows of port {port} scatter by {worst:.0f} ppm against the reference; "
        f"{limit_ppm:.0f} ppm are believable. The load or the mains is not steady.",
        worst,
        limit_ppm,
    )


def check_first_window(
    ratios_by_port: Mapping[int, Sequence[float]], limit_ppm: float = FIRST_WINDOW_LIMIT_PPM
) -> Finding | None:
    """Find a first window that does not belong to the others: stale, or before the load had settled.

    It is judged against the scatter of the later windows, of which there must be at least two, and never
    found within `limit_ppm` of their mean.
    """
    for port, ratios in ratios_by_port.items():
        later = ratios[1:]
        allowed = max(limit_ppm, OUTLIER_FACTOR * scatter_ppm(later))
        away = abs(ratios[0] / mean(later) - 1) * 1e6
        if away > allowed:
            return Finding(
                "stale_first_window",
                "station",
                f"The first window of port {port} is {away:.0f} ppm away from the others; "
                f"{allowed:.0f} ppm are believable. It is stale, or from before the load had settled.",
                away,
                allowed,
            )
    return None


def check_reference_fresh(
    samples: Sequence[Sample], allowed: int = REPEATED_READINGS_LIMIT
) -> Finding | None:
    """Find a reference that gives an earlier reading again, or readings that do not advance in time.

    Readings without any current are left out: a meter shows 0 for what is too small, again and again.

    Args:
        samples: Readings of the reference in the order they came, at least one value each.
        allowed: How many readings may equal an earlier one by chance.
    """
    backward = sum(later.t_s <= earlier.t_s for earlier, later in pairwise(samples))
    seen: set[tuple[float, ...]] = set()
    repeated = 0
    for sample in samples:
        repeated += sample.values in seen
        if all(sample.values):
            seen.add(sample.values)
    if backward:
        return Finding(
            "reference_order",
            "station",
            f"{backward} of {len(samples)} readings of the reference are not later than the one before.",
            float(backward),
            0.0,
        )
    if repeated <= allowed:
        return None
    return Finding(
        "reference_repeated",
        "station",
        f"{repeated} of {len(samples)} readings of the reference equal an earlier one in every value; "
        f"{allowed} may by chance. The meter holds, or its answers come late.",
        float(repeated),
        float(allowed),
    )


def check_mains_steady(
    samples: Sequence[Sample], limit_pct: float = MAINS_STEP_LIMIT_PCT, quantity: int = 0
) -> Finding | None:
    """Find a jump of the mains, or of the load, between two readings of the reference.

    Args:
        samples: Readings in ascending time, at least two, all positive.
        limit_pct: Largest step between two, in percent.
        quantity: Index into `Sample.values`; 0 is the voltage, 1 the current.
    """
    values = [sample.values[quantity] for sample in samples]
    _require_numbers(values)
    steps = [abs(later / earlier - 1) * 100 for earlier, later in pairwise(values)]
    largest = max(steps)
    if largest <= limit_pct:
        return None
    at_s = samples[steps.index(largest) + 1].t_s
    name, what = ("mains_jump", "mains voltage") if quantity == 0 else ("load_jump", "load current")
    return Finding(
        name,
        "fixture",
        f"The {what} jumped by {largest:.2f} % at {at_s:.2f} s in the dwell; "
        f"{limit_pct:g} % between two readings are believable.",
        largest,
        limit_pct,
    )


def check_steady_while_read(spreads_pct: Mapping[int, float], limit_pct: float) -> Finding | None:
    """Find mains or a load that moved while a person read the reference.

    Args:
        spreads_pct: Span of a port's windows from the question to the answer, in percent, by port.
        limit_pct: Largest span.
    """
    _require_numbers(list(spreads_pct.values()))
    port, widest = max(spreads_pct.items(), key=lambda item: item[1])
    if widest <= limit_pct:
        return None
    return Finding(
        "moved_while_read",
        "fixture",
        f"Port {port} moved by {widest:.2f} % while the meter was read; {limit_pct:g} % are believable.",
        widest,
        limit_pct,
    )


def check_not_saturated(readings_a: Mapping[int, Sequence[float]]) -> Finding | None:
    """Find a port that reads the largest current its register holds."""
    _require_numbers([reading for values in readings_a.values() for reading in values])
    port, highest = max(((port, max(values)) for port, values in readings_a.items()), key=lambda i: i[1])
    if highest < CURRENT_CEILING_A:
        return None
    return Finding(
        "saturation",
        "station",
        f"Port {port} reads {highest:.3f} A, the most its register holds: the true current may be larger.",
        highest,
        CURRENT_CEILING_A,
    )


# ---- checks on what is about to be written, or to be started --------------------------------------


def check_ports_agree(
    ratios: Mapping[int, float], limit_pct: float = PORT_RATIOS_LIMIT_PCT
) -> Finding | None:
    """Find ports whose ratios to the reference differ more than parts of one unit do.

    Catches a CT in the wrong port, open, or not fully closed. Ratios must be positive.
    """
    span = spread_pct(list(ratios.values()))
    if span <= limit_pct:
        return None
    middle = mean(list(ratios.values()))
    port = max(ratios, key=lambda port: abs(ratios[port] - middle))
    return Finding(
        "ports_differ",
        "fixture",
        f"The ports differ by {span:.1f} %, port {port} most; {limit_pct:g} % are believable. "
        "Look for a CT that is not fully closed or in the wrong port.",
        span,
        limit_pct,
    )


def check_turns(ratios: Mapping[int, float], turns: int) -> Finding | None:
    """Find a bundle with another number of turns than the station file says.

    Args:
        ratios: DUT's current over the reference's current of one turn, by port, with gains near nominal.
        turns: Turns by the station file, >= 1.
    """
    seen = mean(list(ratios.values()))
    away_pct = abs(seen / turns - 1) * 100
    if away_pct <= TURNS_LIMIT_PCT:
        return None
    return Finding(
        "turns",
        "fixture",
        f"The unit reads {seen:.2f} times the reference's current, but the station file says {turns} turns.",
        seen,
        float(turns),
    )


def check_plugs_shifted(turns: Mapping[int, float]) -> Finding | None:
    """Find plugs that are all one jack further on: each port then shows its neighbour's conductor.

    Args:
        turns: What each port reads of the identification conductor, in turns, by port; the conductor passes
            k times through the CT of port k. Fewer than three ports prove no shift.
    """
    if len(turns) < LEAST_PORTS:
        return None
    for shift, where in ((-1, "before"), (1, "behind")):
        neighbours = {port: (port - 1 + shift) % CT6_PORTS + 1 for port in turns}
        if all(abs(turns[port] / seen - 1) * 100 <= TURNS_LIMIT_PCT for port, seen in neighbours.items()):
            port, seen = next(iter(neighbours.items()))
            return Finding(
                "plugs_shifted",
                "fixture",
                f"Every port shows the conductor of the jack {where} it: port {port} reads "
                f"{turns[port]:.2f} turns like CT{seen}. The plugs are shifted by one.",
                turns[port],
                float(port),
            )
    return None


def check_common_scale(
    turns: Mapping[int, float], limit_pct: float = COMMON_SCALE_LIMIT_PCT
) -> Finding | None:
    """Find a reference that is far out: all ports are then off by one factor, as no unit's parts are.

    Args:
        turns: As for `check_plugs_shifted`.
        limit_pct: From which on a factor that all ports share is not the unit's.
    """
    scales = {port: seen / port for port, seen in turns.items()}
    if len(scales) < LEAST_PORTS or min(scales.values()) <= 0:
        return None
    middle = mean(list(scales.values()))
    alike = spread_pct(list(scales.values())) <= PORT_RATIOS_LIMIT_PCT
    if not alike or abs(middle - 1) * 100 <= limit_pct:
        return None
    return Finding(
        "common_scale",
        "station",
        f"All ports read {middle:.3f} times what the reference makes of their turns: the reference meter, "
        "its wiring or the conductor is wrong, not the unit.",
        middle,
        1.0,
    )


def check_mains_in_range(voltages_v: Mapping[int, float], allowed: Callable[[float], bool]) -> Finding | None:
    """Find mains out of range: all ports agree on it, though they belong to two chips.

    Args:
        voltages_v: Reading by port, in V, before any adjustment.
        allowed: Whether a port may read a voltage.
    """
    readings = list(voltages_v.values())
    lowest, highest = min(readings), max(readings)
    if lowest < LEAST_MAINS_V or any(map(allowed, readings)) or spread_pct(readings) > PORT_RATIOS_LIMIT_PCT:
        return None
    return Finding(
        "mains_range",
        "fixture",
        f"All ports agree on {lowest:.0f} to {highest:.0f} V, which is no mains for this unit: "
        "the mains or the adaptor is wrong.",
        lowest,
        highest,
    )


def check_line_frequency(
    measured_hz: float, expected_hz: float, limit_hz: float = FREQUENCY_LIMIT_HZ
) -> Finding | None:
    """Find mains of another frequency than the unit is set to, or a frequency that is no number."""
    if abs(measured_hz - expected_hz) <= limit_hz:
        return None
    return Finding(
        "line_frequency",
        "station",
        f"The mains has {measured_hz:.2f} Hz, but LINE_FREQ_HZ is {expected_hz:g}.",
        measured_hz,
        expected_hz,
    )


def check_load_angle(
    measured_deg: float | None, expected_deg: float, limit_deg: float = LOAD_ANGLE_LIMIT_DEG
) -> Finding | None:
    """Find a load whose current lags or leads otherwise than the station file says.

    Every port would be adjusted to that wrong angle, and all would agree. Meters sign the angle differently,
    so its magnitude is judged.

    Args:
        measured_deg: By the reference meter; None where it does not say: then nothing is found.
        expected_deg: Of the load, by the station file.
        limit_deg: How far the two may be apart.
    """
    if measured_deg is None or abs(abs(measured_deg) - abs(expected_deg)) <= limit_deg:
        return None
    return Finding(
        "load_angle",
        "fixture",
        f"The load's current is {abs(measured_deg):.2f} deg away from the voltage by the reference, "
        f"but {abs(expected_deg):g} deg by the station file: the load is not what it should be.",
        abs(measured_deg),
        abs(expected_deg),
    )


def check_load_current(drawn_a: float, nominal_a: float) -> Finding | None:
    """Find a load that draws another current than the station file says: a heater with an open element.

    Args:
        drawn_a: At the reference, mean of a dwell, in A.
        nominal_a: Of the load point, in A, > 0.
    """
    away_pct = (drawn_a / nominal_a - 1) * 100
    if -LOAD_LACK_PCT <= away_pct <= LOAD_MARGIN_PCT:
        return None
    return Finding(
        "load_current",
        "fixture",
        f"The load draws {drawn_a:.3f} A, {away_pct:+.0f} % from the {nominal_a:g} A of the station file; "
        f"-{LOAD_LACK_PCT:g} to +{LOAD_MARGIN_PCT:g} % are believable. Look at the heaters and at the mains.",
        drawn_a,
        nominal_a,
    )


def largest_reading_a(load_a: float, turns: int) -> float:
    """Return the largest current a port may read, with the load's and the gain's margin, in A.

    Args:
        load_a: Nominal current of the load, in A, > 0.
        turns: Turns of the bundle, >= 1.

    Raises:
        ValueError: An argument is outside its range.
    """
    if not (math.isfinite(load_a) and load_a > 0 and turns >= 1):
        raise ValueError(f"{load_a=}, {turns=}")
    return load_a * turns * (1 + LOAD_MARGIN_PCT / 100) * (1 + GAIN_MARGIN_PCT / 100)


def check_reach(load_a: float, range_a: float, turns: int, pga: int = 1) -> Finding | None:
    """Find a combination of load, turns and range that a port or the reference cannot measure.

    Args:
        load_a: Nominal current of the load, in A, > 0.
        range_a: Current range of the reference in force, in A, > 0.
        turns: Turns of the bundle, >= 1.
        pga: Gain of the chip's amplifier: 1, 2 or 4.

    Returns:
        What cannot be measured: the reference beyond its range, or a port beyond 65.535 A or its converter.

    Raises:
        ValueError: An argument is outside its range.
    """
    reach_a = largest_reading_a(load_a, turns)
    if pga not in NOMINAL_CURRENT_GAINS or not (math.isfinite(range_a) and range_a > 0):
        raise ValueError(f"{range_a=}, {pga=}")
    load_high_a = load_a * (1 + LOAD_MARGIN_PCT / 100)
    if load_high_a > range_a:
        return Finding(
            "reference_range",
            "station",
            f"The load may draw {load_high_a:.2f} A, but the reference's range is {range_a:g} A.",
            load_high_a,
            range_a,
        )
    ceiling_a = min(CURRENT_CEILING_A, CONVERTER_CLIP_A / pga)
    if reach_a < ceiling_a:
        return None
    return Finding(
        "saturation",
        "station",
        f"A load of {load_a:g} A through {turns} turns may reach {reach_a:.1f} A at a port, which measures "
        f"up to {ceiling_a:g} A. Take fewer turns or a smaller load.",
        reach_a,
        ceiling_a,
    )


def _require_numbers(values: Sequence[float]) -> None:
    """Refuse NaN and infinity, which compare with nothing, with a ValueError."""
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"cannot judge {list(values)!r}")
