"""The parts of a record that come from a calibration: values at three loads with their uncertainty.

The budgets are those of the metrology notes 4.1, with the reference and the bundle of six turns of the bench.
"""

from __future__ import annotations

import math
from typing import Any

from mfg.records.uncertainty import cumulative

PORTS = range(1, 7)
# Load point: current through the CTs, range of the reference, reading of the reference.
LOADS = {"high": (54.0, 10.0, 9.0), "mid": (6.0, 1.0, 1.0), "low": (1.0, 0.5, 0.167)}
# Half-width of the limit in %, by quantity and point.
LIMITS = {
    "current": {"high": 0.5, "mid": 1.0, "low": 2.0, "stored": 0.5},
    "voltage": {"high": 0.5, "mid": 0.5, "low": 0.5, "stored": 0.5},
    "power": {"high": 1.0, "mid": 1.5, "low": 2.5},
}
# Errors in 0.001 % by port.
ERRORS = {
    ("current", "high"): (12, -8, 21, -31, 4, 17),
    ("current", "mid"): (-44, 18, 63, -71, 25, -9),
    ("current", "low"): (160, -92, 214, -303, 71, -188),
    ("current", "stored"): (9, -11, 24, -28, 2, 20),
    ("voltage", "high"): (9, 7, 11, -6, -4, -8),
    ("voltage", "mid"): (6, 9, 8, -3, -7, -5),
    ("voltage", "low"): (11, 5, 10, -8, -2, -9),
    ("voltage", "stored"): (8, 8, 9, -5, -6, -7),
    ("power", "high"): (23, -3, 34, -35, 1, 8),
    ("power", "mid"): (-36, 29, 70, -77, 17, -15),
    ("power", "low"): (172, -88, 225, -309, 70, -196),
}
PHASES_DEG = (0.021, -0.034, 0.008, 0.046, -0.012, 0.029)
PHASES_BEFORE_DEG = (1.83, 2.11, 1.42, 2.04, 1.66, 1.95)
NO_LOAD_A = (0.0011, 0.0008, 0.0014, 0.0023, 0.0009, 0.0012)
CURRENT_GAINS = (42157, 43775, 42563, 41456, 43082, 43441)
CURRENT_BEFORE_PCT = (1.32, -2.41, 0.37, 3.05, -0.84, -1.66)
VOLTAGE_GAINS = {"cs4": 55153, "cs0": 55891}
VOLTAGE_BEFORE_PCT = {"cs4": 0.81, "cs0": -0.52}
PHASE_COUNTS = (208, 240, 162, 232, 189, 222)
_NORMAL = ("normal", 1.0)
_RECTANGULAR = ("rectangular", math.sqrt(3))


def line(name: str, half_width: float, shape: tuple[str, float] = _RECTANGULAR) -> dict[str, Any]:
    """Return a contribution of type B."""
    distribution, divisor = shape
    standard = half_width / divisor
    return {"name": name, "kind": "B", "distribution": distribution, "standard": standard, "dof": None}


def repeatability(standard: float, windows: int = 16) -> dict[str, Any]:
    """Return a contribution of type A."""
    name, dof = f"repeatability, {windows} windows", float(windows - 1)
    return {"name": name, "kind": "A", "distribution": "normal", "standard": standard, "dof": dof}


def reference(quantity: str, point: str) -> list[dict[str, Any]]:
    """Return the lines of the reference: 0.1 % of reading and 0.1 % of range for a GPM-8310."""
    if quantity == "voltage":
        share = 0.1 + 0.1 * 300 / 231.4
    else:
        _current_a, range_a, reading_a = LOADS["high" if point == "stored" else point]
        share = 0.1 + 0.1 * range_a / reading_a * (0.5 if point == "low" else 1.0)
    return [line("reference, specification", share), line("reference, certificate", 0.02, _NORMAL)]


def budget(quantity: str, point: str) -> list[dict[str, Any]]:
    """Return the budget of one kind of value at one load, in the unit of the value."""
    if quantity == "phase":
        return [
            line("angle of the load", 0.05),
            repeatability(0.0031),
            line("step of the phase register", 0.0044),
        ]
    if quantity == "zero":
        return [line("pick-up", 0.0005), repeatability(0.00002), line("resolution of the unit", 0.000002)]
    turns = [line("position of the turns", 0.15), line("crosstalk", 0.05)]
    adaptor = [line("state of the adaptor", 0.15)]
    lines = reference(quantity, point)
    if quantity != "voltage":
        lines += [*turns, line("temperature of the unit, current", 0.05)]
    if quantity != "current":
        lines += [*adaptor, line("temperature of the unit, voltage", 0.008)]
    noise = {"high": 0.0014, "mid": 0.0028, "low": 0.0112, "stored": 0.0016}[point]
    lines.append(repeatability(noise))
    lines.append(line("resolution of the unit", {"low": 0.0004}.get(point, 0.0001)))
    return sorted(lines, key=lambda item: -item["standard"])


def uncertainty(
    value: float, low: float | None, high: float | None, lines: list[dict[str, Any]], **changes: Any
) -> dict[str, Any]:
    """Return the uncertainty object of a value judged with w = U.

    `low` is None where the quantity cannot go below its limit. `changes` go over the result.
    """
    standard = math.hypot(*(item["standard"] for item in lines))
    squares = [item["standard"] ** 4 / item["dof"] for item in lines if item["dof"]]
    dof = standard**4 / sum(squares) if squares and sum(squares) else None
    dof = None if dof is not None and dof > 1e9 else dof
    k = 2.0 if dof is None or dof > 400 else 2.0 + 2.4 / dof
    expanded = k * standard
    accept_low = None if low is None else low + expanded
    accept_high = None if high is None else high - expanded
    ends = (-math.inf if low is None else low, math.inf if high is None else high)
    above = cumulative((ends[1] - value) / standard, dof)
    inside = (accept_low is None or value >= accept_low) and (accept_high is None or value <= accept_high)
    beyond = max(ends[0] - value, value - ends[1])
    return {
        "expanded": expanded,
        "k": k,
        "dof": dof,
        "coverage_pct": 95.45,
        "rule": "guarded",
        "risk_pct": None,
        "accept_low": accept_low,
        "accept_high": accept_high,
        "tur": (ends[1] - ends[0]) / 2 / expanded if low is not None else None,
        "required_tur": 1.5 if low is not None else None,
        "conformity_probability": above - cumulative((ends[0] - value) / standard, dof),
        "verdict": "PASS" if inside else "FAIL" if beyond > expanded else "INDETERMINATE",
        "budget": lines,
    } | changes


def entry(name: str, value: Any, unit: str, low: Any, high: Any, **more: Any) -> dict[str, Any]:
    """Return a measurement that passed."""
    plain = {"name": name, "value": value, "unit": unit, "low": low, "high": high, "expected": None}
    return plain | {"outcome": "PASS", "limit_source": "metrology 4.3"} | more


def judged(name: str, value: float, unit: str, low: float, high: float, lines: Any) -> dict[str, Any]:
    """Return a measurement with its uncertainty, its outcome the verdict."""
    natural_zero = low == 0
    held = uncertainty(value, None if natural_zero else low, high, lines)
    outcome = held["verdict"] if low <= value <= high else "FAIL"
    return entry(name, value, unit, low, high, outcome=outcome, uncertainty=held)


def adjust_registers() -> list[dict[str, Any]]:
    """Return what the adjustment measures."""
    entries = []
    for port, before, gain, phase, counts in zip(
        PORTS, CURRENT_BEFORE_PCT, CURRENT_GAINS, PHASES_BEFORE_DEG, PHASE_COUNTS, strict=True
    ):
        entries += [
            entry(f"port{port}_zero_a", NO_LOAD_A[port - 1] * 0.9, "A", 0.0, 0.06),
            entry(f"port{port}_before_pct", before, "%", -5.0, 5.0),
            entry(f"port{port}_igain_counts", gain, "counts", 40584, 44856),
            entry(f"port{port}_ioffset_counts", 0, "counts", -32768, 32767),
            entry(f"port{port}_phase_deg", phase, "deg", -2.2, 2.2),
            entry(f"port{port}_phase_counts", counts, "counts", -255, 255),
        ]
    for chip, gain in VOLTAGE_GAINS.items():
        entries.append(entry(f"{chip}_voltage_before_pct", VOLTAGE_BEFORE_PCT[chip], "%", -5.0, 5.0))
        entries.append(entry(f"{chip}_voltage_gain_counts", gain, "counts", 52820, 58380))
    entries.append(entry("adjust_windows", 16, "", 8, 64))
    return entries


def verify_points(points: tuple[str, ...] = ("high", "mid", "low")) -> list[dict[str, Any]]:
    """Return what the verification measures at its load points."""
    entries = []
    for (quantity, point), errors in ERRORS.items():
        if point not in points:
            continue
        half = LIMITS[quantity][point]
        for port, error in zip(PORTS, errors, strict=True):
            name = f"port{port}_{point}_{quantity}_error_pct"
            entries.append(judged(name, error / 1000, "%", -half, half, budget(quantity, point)))
    if "high" in points:
        for port, angle in zip(PORTS, PHASES_DEG, strict=True):
            name = f"port{port}_high_phase_error_deg"
            entries.append(judged(name, angle, "deg", -0.3, 0.3, budget("phase", "high")))
    return entries


def verify_no_load() -> list[dict[str, Any]]:
    """Return what the verification measures with the load off."""
    lines = budget("zero", "")
    entries = [
        judged(f"port{port}_no_load_a", value, "A", 0.0, 0.010, lines)
        for port, value in zip(PORTS, NO_LOAD_A, strict=True)
    ]
    return entries + [entry(f"port{port}_no_load_w", 0.01 * port, "W", -0.4, 0.4) for port in PORTS]


def registers() -> dict[str, dict[str, int]]:
    """Return what was written to the two chips."""
    written: dict[str, dict[str, int]] = {}
    for index, chip in enumerate(("cs4", "cs0")):
        held = written[chip.upper()] = {}
        for position in range(3):
            port = 3 * index + position
            held[f"0x{0x61 + 4 * position:02X}"] = VOLTAGE_GAINS[chip]
            held[f"0x{0x62 + 4 * position:02X}"] = CURRENT_GAINS[port]
            held[f"0x{0x63 + 4 * position:02X}"] = 0
            held[f"0x{0x64 + 4 * position:02X}"] = 0
            held[f"0x{0x48 + 2 * position:02X}"] = 0x8000 | PHASE_COUNTS[port]
    return written


def calibration_facts() -> dict[str, Any]:
    """Return the facts of a calibration on the emulated bench."""
    return {
        "reference": {
            "maker": "GWInstek",
            "model": "GPM-8310",
            "serial_number": "GEU000123",
            "certificate": "EMULATED-GEU000123-20260801",
            "issued": "2026-08-01",
            "due": "2027-08-01",
            "overridden_by": "",
        },
        "instruments": [
            {"role": "power switch", "certificate": "EMULATED-SW000017-20260801", "due": "2027-08-01"},
            {"role": "thermometer", "certificate": "EMULATED-TH000004-20260801", "due": "2027-08-01"},
        ],
        "load_points": [
            {"name": name, "current_a": current_a, "range_a": range_a, "windows": 16}
            for name, (current_a, range_a, _reading_a) in LOADS.items()
        ],
        "registers": registers(),
        "windows_file": "windows.csv",
        "not_done": [
            "Power factor 0.5 was not measured: the load is resistive. Phase was adjusted at power factor 1."
        ],
        "conditions": {
            "ambient_degc": 22.4,
            "soak_s": 95.0,
            "adaptor": "12 VAC 500 mA",
            "adaptor_serial": "AD-0417",
            "line_frequency_hz": 50.0,
            "pga": 1,
            "jig_cycles": 1287,
        },
        "waivers": [],
    }
