"""The comparison with the original algorithm, on few enough ports to run with the tests."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "calibration_accuracy.py"


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("calibration_accuracy", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]
    sys.path.remove(str(SCRIPT.parent))


@pytest.fixture(scope="module")
def results(benchmark):
    return benchmark.simulate(ports=1000, seed=20260101)


def p95_and_most(errors):
    absolute = np.abs(np.array(errors))
    return np.percentile(absolute, 95, axis=0), absolute.max(axis=0)


@pytest.mark.parametrize("name", ["ours", "ours, original interface"])
def test_a_thousand_ports_are_within_a_hundredth_of_a_percent(results, name):
    """Issue 3, done when 1: V and I at every point: p95 at most 0.01 %, none above 0.03 %."""
    for errors in (results[name].current_pct, results[name].voltage_pct):
        p95, most = p95_and_most(errors)
        assert np.all(p95 <= 0.01)
        assert np.all(most <= 0.03)


def test_a_thousand_ports_are_within_two_hundredths_of_a_degree(results):
    _p95, most = p95_and_most(results["ours"].phase_deg)
    assert most <= 0.02


def test_the_original_algorithm_leaves_what_the_notes_say(results):
    """Metrology 0.4 and 3.3; ct6-interface 9.2 no. 10: +0.35 % at 11.4 A on a fresh unit."""
    shelly, _most = p95_and_most(results["original, Shelly order"].current_pct)
    assert 0.06 < shelly[3] < 0.13
    assert 0.3 < shelly[0] < 0.6
    manual, _most = p95_and_most(results["original, manual order, offset 0"].current_pct)
    assert np.all((manual > 0.3) & (manual < 0.6))
    fresh = np.mean(results["original, manual order, fresh unit"].current_pct, axis=0)
    again = np.mean(results["original, manual order, offset 0"].current_pct, axis=0)
    assert fresh[3] - again[3] == pytest.approx(100 * 0.0401 / 11.4, abs=0.03)


def test_every_algorithm_meets_the_same_ports(benchmark):
    first, second = (benchmark.simulate(ports=6, seed=3) for _run in range(2))
    for name, result in first.items():
        assert np.array_equal(result.current_pct, second[name].current_pct)
    before_deg = first["original, Shelly order"].phase_deg
    assert before_deg == first["ours, original interface"].phase_deg


def test_runs_of_the_station_are_a_row_of_the_same_table(benchmark):
    ports = np.arange(6.0)
    run = benchmark.Calibrated(np.outer(ports, [1e-3] * 4), ports * 1e-3, ports * 1e-2, 11, 7.5)
    result = benchmark.full_stack([run, run])
    assert np.array(result.current_pct).shape == (12, 4)
    assert (result.readings(), result.unit_s()) == (11, 7.5)
    text = benchmark.table({benchmark.FULL_STACK: result})
    assert "full stack" in text
    assert "0.0050" in text


def test_the_table_names_every_algorithm(benchmark, results):
    text = benchmark.table(results)
    for name in benchmark.ALGORITHMS:
        assert name in text
    assert results["ours"].unit_s() < 20
    assert results["original, Shelly order"].unit_s() > 60
