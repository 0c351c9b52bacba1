"""Adjust two voltage gains and six current gains from one dwell."""

from __future__ import annotations

import openhtf as htf

from mfg.calibration.gains import CURRENT_OFFSET_A_PER_COUNT, error_pct, gain, offset_for_zero
from mfg.calibration.pairing import mean
from mfg.errors import StationError
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.paired import CHIP_PORTS, Dwell, collect_windows, read_zeros, wait_until_stable

WINDOWS = 8  # metrology 3.2: comfortable against a reference of 900 ppm
ZERO_READINGS = 3
HALF_CURRENT_STEP_A, HALF_VOLTAGE_STEP_V = 0.0005, 0.005  # undo the truncation of 1 mA and 10 mV
FREQUENCY_TOLERANCE_HZ = 1.0


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, power=PowerSwitchPlug, reference=ReferenceMeterPlug)
def adjust_gains(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
) -> None:
    """Adjust every gain in closed form from averaged, time-paired readings; one write, rounded.

    Needs: nominal gains and zero offsets in force, both conductors off. Leaves: the load on, the new
    gains in force in the chips and in the configuration, not yet in factory.cfg.
    """
    sheet = traveller.sheet
    clock = unit.slot_context.clock
    zeros_a = read_zeros(unit.api, clock, unit.slot_context.station.line_frequency_hz, ZERO_READINGS)
    meter = reference.open()
    power.switch.on(power.load)

    def feed(done: int) -> None:
        power.switch.feed()
        sheet.report_progress("adjust", done, WINDOWS)

    test.measurements["reference_a"] = wait_until_stable(meter, clock, sheet.deadline_s("settle_s"), feed)
    dwell = collect_windows(unit.api, meter, clock, WINDOWS, sheet.deadline_s("dwell_s"), feed)
    _check_frequency(dwell, unit.slot_context.station.line_frequency_hz)
    test.measurements["frequency_hz"] = dwell.frequency_hz
    test.measurements["windows"] = dwell.count()
    old = {key: int(value) for key, value in unit.api.config().items() if key.endswith("GAIN")}
    registers = _voltage_registers(test, sheet, dwell, old)
    for port in sheet.ports:
        registers |= _current_registers(test, sheet, dwell, old, port, zeros_a[port], _turns(unit))
    unit.api.set_config(registers)
    unit.api.init_chips()
    after = unit.api.config()
    equal = all(int(after[key]) == value for key, value in registers.items())
    test.measurements["registers_read_back"] = equal


def _turns(unit: UnitApiPlug) -> int:
    return unit.slot_context.station.conductor.turns


def _check_frequency(dwell: Dwell, line_frequency_hz: int) -> None:
    for name, seen_hz in (("unit", dwell.frequency_hz), ("reference", dwell.reference_frequency_hz)):
        if abs(seen_hz - line_frequency_hz) > FREQUENCY_TOLERANCE_HZ:
            raise StationError(
                f"The {name} sees {seen_hz:.2f} Hz, but the station file says {line_frequency_hz} Hz.",
                "Correct line_frequency_hz.",
            )


def _voltage_registers(
    test: htf.TestApi, sheet: Traveller, dwell: Dwell, old: dict[str, int]
) -> dict[str, int]:
    """Solve one gain per chip from its three ports, which share one voltage input."""
    registers: dict[str, int] = {}
    for chip, ports in CHIP_PORTS.items():
        sums = [dwell.sums(port) for port in ports]
        measured_v = mean([voltage_v for voltage_v, *_rest in sums]) + HALF_VOLTAGE_STEP_V
        reference_v = mean([reference_v for _v, _a, reference_v, _ra in sums])
        key = f"{chip}_VOLTAGE_GAIN"
        registers[key] = gain(reference_v, measured_v, old[key])
        sheet.old_gains[chip] = old[key]
        test.measurements[f"{chip.lower()}_voltage_before_pct"] = error_pct(measured_v, reference_v)
        test.measurements[f"{chip.lower()}_voltage_gain"] = registers[key]
    return registers


def _current_registers(
    test: htf.TestApi,
    sheet: Traveller,
    dwell: Dwell,
    old: dict[str, int],
    port: int,
    zero_a: float,
    turns: int,
) -> dict[str, int]:
    _voltage_v, current_a, _reference_v, reference_a = dwell.sums(port)
    measured_a, expected_a = current_a + HALF_CURRENT_STEP_A, turns * reference_a
    limit_a = sheet.limits.limit("adjust_gains", f"port{port}_zero_a").high or 0.0
    offset = offset_for_zero(zero_a, limit_a, CURRENT_OFFSET_A_PER_COUNT)
    sheet.old_gains[f"CT{port}"] = old[f"CT{port}_IGAIN"]
    # The offset is added after the gain, so the gain is solved for what is left without it.
    counts = gain(expected_a - offset * CURRENT_OFFSET_A_PER_COUNT, measured_a, old[f"CT{port}_IGAIN"])
    test.measurements[f"port{port}_zero_a"] = zero_a
    test.measurements[f"port{port}_before_pct"] = error_pct(measured_a, expected_a)
    test.measurements[f"port{port}_igain"] = counts
    test.measurements[f"port{port}_ioffset"] = offset
    return {f"CT{port}_IGAIN": counts, f"CT{port}_IOFFSET": offset & 0xFFFF}
