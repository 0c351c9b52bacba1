"""What the adjustment did to each channel, gathered from the measurements of a run.

The names are those of `mfg/limits/ct6.toml`. What is left after the adjustment is the error at the high load
point, where the gains were adjusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mfg.records.points import (
    HIGH,
    PORTS,
    PORTS_OF_CHIP,
    PointKey,
    PointValues,
    last_measurements,
    number_of,
    point_values,
)
from mfg.records.record import AdjustmentEntry, MeasurementEntry, PhaseEntry


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
    found, values = last_measurements(phases), point_values(phases)
    old = old_gains or {}
    entries = [_voltage(chip, found, values, old.get(chip)) for chip in PORTS_OF_CHIP]
    entries += [_current(port, found, values, old.get(f"CT{port}")) for port in PORTS]
    return [entry for entry in entries if entry is not None]


def _voltage(
    chip: str, found: Mapping[str, MeasurementEntry], values: PointValues, gain_old: int | None
) -> AdjustmentEntry | None:
    key = chip.lower()
    ports = [values.errors.get(PointKey("voltage", HIGH, port)) for port in PORTS_OF_CHIP[chip]]
    after = _worst(entry for entry in ports if entry is not None)
    return _entry(
        chip,
        "voltage",
        found.get(f"{key}_voltage_before_pct"),
        after,
        _first(found, f"{key}_voltage_gain_counts", f"{key}_voltage_gain"),
        None,
        gain_old,
    )


def _current(
    port: int, found: Mapping[str, MeasurementEntry], values: PointValues, gain_old: int | None
) -> AdjustmentEntry | None:
    return _entry(
        f"CT{port}",
        "current",
        found.get(f"port{port}_before_pct"),
        values.errors.get(PointKey("current", HIGH, port)),
        _first(found, f"port{port}_igain_counts", f"port{port}_igain"),
        _first(found, f"port{port}_ioffset_counts", f"port{port}_ioffset"),
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
    if number_of(before) is None and number_of(after) is None and number_of(gain) is None:
        return None
    return {
        "port": channel,
        "quantity": quantity,
        "before_pct": number_of(before),
        "after_pct": number_of(after),
        "low_pct": after["low"] if after else None,
        "high_pct": after["high"] if after else None,
        "gain_old": gain_old if number_of(gain) is not None else None,
        "gain_new": _counts(gain),
        "offset": _counts(offset),
    }


def _first(found: Mapping[str, MeasurementEntry], *names: str) -> MeasurementEntry | None:
    """Return the measurement with the first of these names that occurs; older records have other names."""
    return next((found[name] for name in names if name in found), None)


def _worst(entries: Iterable[MeasurementEntry]) -> MeasurementEntry | None:
    numbers = [(abs(value), entry) for entry in entries if (value := number_of(entry)) is not None]
    return max(numbers, key=lambda pair: pair[0])[1] if numbers else None


def _counts(entry: MeasurementEntry | None) -> int | None:
    value = number_of(entry)
    return None if value is None else round(value)
