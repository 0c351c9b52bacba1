"""The stated uncertainty holds what it promises: the true error lies within it as often as it says.

Calibrations are drawn from the budget's own errors and go through the functions that the phases use:
ratio of paired means, rounded gain, type A from the windows, budget. The true error is then known.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from mfg.calibration.accuracy import Conditions, accuracy_of
from mfg.calibration.gains import gain
from mfg.calibration.pairing import mean
from mfg.calibration.uncertainty import (
    BenchLimits,
    Certificate,
    Contribution,
    ReferencePoint,
    current_budget,
    gain_step_pct,
    reference_lines,
    resolution_pct,
    type_a_pct,
)

TURNS, LOAD_A, RANGE_A, WINDOWS, NOMINAL = 6, 9.0, 10.0, 8, 42720
STEP_A = 0.001 / 256
BENCH = BenchLimits()
POINT = ReferencePoint(
    LOAD_A,
    accuracy_of("GPM-8310").current_limit(LOAD_A, RANGE_A, Conditions(50.0)),
    Certificate("simulated", correction_pct=0.0, expanded_pct=0.03),
)


def drawn_pct(lines: Sequence[Contribution], draw: np.random.Generator, count: int) -> np.ndarray:
    """Draw errors from type B lines, each by its distribution; returns their sum, (count,) float64."""
    total = np.zeros(count)
    for line in lines:
        if line.distribution == "rectangular":
            total += draw.uniform(-line.limit, line.limit, count)
        else:
            total += draw.normal(0.0, line.standard, count)
    return total


def coverage(count: int, scatter_ppm: float, seed: int) -> tuple[float, float]:
    """Calibrate `count` ports; return the coverage of the true error and that of the budget itself."""
    draw = np.random.default_rng(seed)
    example = current_budget(
        POINT, Contribution("windows", 0.0, "A"), resolution_pct(STEP_A, TURNS * LOAD_A), BENCH
    )
    of_reference = reference_lines(POINT)
    of_bench = [
        line for line in example.contributions if line not in of_reference and line.source != "half a step"
    ]
    assert len(of_bench) == 4
    reference = LOAD_A * (1 + drawn_pct(of_reference, draw, count) / 100)
    seen = 1 + drawn_pct(of_bench, draw, count) / 100
    needed = NOMINAL * (1 + draw.normal(0, 0.005, count))
    noise = 1 + draw.normal(0, scatter_ppm * 1e-6, (count, WINDOWS))
    indicated = TURNS * LOAD_A * (NOMINAL / needed * seen)[:, None] * noise
    indicated = np.floor(indicated / STEP_A) * STEP_A + STEP_A / 2
    inside = 0
    stated: list[float] = []
    for port in range(count):
        readings = [float(reading) for reading in indicated[port]]
        expected_a = TURNS * float(reference[port])
        counts = gain(expected_a, mean(readings), NOMINAL)
        budget = current_budget(
            POINT,
            type_a_pct("windows", [reading / expected_a for reading in readings]),
            resolution_pct(STEP_A, readings[0]),
            BENCH,
            gain_step_pct(counts),
        )
        stated.append(budget.evaluate().expanded)
        true_error_pct = (counts / float(needed[port]) - 1) * 100
        inside += abs(true_error_pct) <= stated[-1]
    whole = drawn_pct([*of_reference, *of_bench], draw, 1_000_000)
    whole += draw.normal(0, scatter_ppm * 1e-4 / np.sqrt(WINDOWS), whole.size)
    promised = np.mean(np.abs(whole) <= draw.choice(stated, whole.size))
    return inside / count, float(promised)


def test_the_true_error_lies_within_the_expanded_uncertainty_as_often_as_promised():
    """Issue 3, done when 4: 94.5 to 99.5 %, within 0.5 points of the budget's own coverage."""
    found, promised = coverage(20_000, scatter_ppm=50.0, seed=20260101)
    assert 0.945 <= found <= 0.995
    assert found == pytest.approx(promised, abs=0.005)


def test_a_budget_of_windows_alone_is_saved_by_its_degrees_of_freedom():
    found, promised = coverage(4_000, scatter_ppm=20_000.0, seed=7)
    assert 0.945 <= found <= 0.995
    assert found == pytest.approx(promised, abs=0.01)
