"""What the adjustment did to each channel, gathered from the measurements of a run.

The names are those of `mfg/limits/ct6.toml`, tables `adjust_gains` and `verify_gains`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mfg.records.record import SKIP, AdjustmentEntry, MeasurementEntry, PhaseEntry

PORTS = (1, 2, 3, 4, 5, 6)
PORTS_OF_CHIP = {"CS4": (1, 2, 3), "CS0": (4, 5, 6)}  # ct6-interface 1.2


def adjustments_of_phases(
    phases: Sequence[PhaseEntry], old_gains: Mapping[str, int] | None = None
) -> list[AdjustmentEntry]:
    """Gather before, after, gain and offset of every channel that was adjusted or verified.

    Args:
        phases: The phases of the run; of a repeated one the last try counts.
        old_gains: The gain in force while `before_pct` was taken, by channel (`CT1`, `CS4`, …).

    Returns:
        The two voltages (`CS4`, `CS0`), then `CT1` to `CT6`; a channel without any value is left out. A
        chip's voltage error is that of its worst port.
    """
    found: dict[str, MeasurementEntry] = {}
    for phase in phases:
        if phase["outcome"] != SKIP:
            found.update({entry["name"]: entry for entry in phase["measurements"]})
    old = old_gains or {}
    entries = [_voltage(chip, found, old.get(chip)) for chip in PORTS_OF_CHIP]
    entries += [_current(port, found, old.get(f"CT{port}")) for port in PORTS]
    return [entry for entry in entries if entry is not None]


def _voltage(
    chip: str, found: Mapping[str, MeasurementEntry], gain_old: int | None
) -> AdjustmentEntry | None:
    key = chip.lower()
    ports = [found.get(f"port{port}_voltage_error_pct") for port in PORTS_OF_CHIP[chip]]
    after = _worst(entry for entry in ports if entry is not None)
    return _entry(
        chip,
        "voltage",
        found.get(f"{key}_voltage_before_pct"),
        after,
        found.get(f"{key}_voltage_gain"),
        None,
        gain_old,
    )


def _current(
    port: int, found: Mapping[str, MeasurementEntry], gain_old: int | None
) -> AdjustmentEntry | None:
    return _entry(
        f"CT{port}",
        "current",
        found.get(f"port{port}_before_pct"),
        found.get(f"port{port}_current_error_pct"),
        found.get(f"port{port}_igain"),
        found.get(f"port{port}_ioffset"),
        gain_old,
    )


def _entry(
    channel: str,
    quantity: str,
    before: MeasurementEntry | None,
    after: MeasurementEntry | None,
    gain: MeasurementEntry | None,
    offset: MeasurementEntry | None,
    gain_old: int | None,
) -> AdjustmentEntry | None:
    if _number(before) is None and _number(after) is None and _number(gain) is None:
        return None
    return {
        "port": channel,
        "quantity": quantity,
        "before_pct": _number(before),
        "after_pct": _number(after),
        "low_pct": after["low"] if after else None,
        "high_pct": after["high"] if after else None,
        "gain_old": gain_old if _number(gain) is not None else None,
        "gain_new": _counts(gain),
        "offset": _counts(offset),
    }


def _worst(entries: Iterable[MeasurementEntry]) -> MeasurementEntry | None:
    numbers = [(abs(value), entry) for entry in entries if (value := _number(entry)) is not None]
    return max(numbers, key=lambda pair: pair[0])[1] if numbers else None


def _number(entry: MeasurementEntry | None) -> float | None:
    value = entry["value"] if entry else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _counts(entry: MeasurementEntry | None) -> int | None:
    value = _number(entry)
    return None if value is None else round(value)
