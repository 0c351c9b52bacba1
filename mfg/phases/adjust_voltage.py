"""Adjust the voltage gains of both chips, and nothing else."""

from __future__ import annotations

import openhtf as htf

from mfg.errors import UsageError
from mfg.fixtures.plugs import ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.fixtures.unit_config import HeldValues
from mfg.readings.operating_state import soak
from mfg.readings.restarts import require_no_restart
from mfg.readings.standard import bench_standard
from mfg.readings.voltage import dwell_voltage, solve_voltage_gains
from mfg.station import Station
from mfg.untrusted import quoted


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, reference=ReferenceMeterPlug)
def adjust_voltage(
    test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, reference: ReferenceMeterPlug
) -> None:
    """Solve both gains from one dwell with the gains in force, and write them once.

    Needs: the unit's calibration known to be whole. Leaves: the new gains in force and in the configuration,
    not yet in factory.cfg.
    """
    sheet = traveller.sheet
    clock, station = unit.slot_context.clock, unit.slot_context.station
    sheet.soak_s = soak(unit.api, clock, station.conductor.soak_s, lambda _done: None)
    dwell = dwell_voltage(sheet, unit, reference.open(), "adjust voltage")
    held = unit.api.config()
    _require_line_frequency(held, station)
    test.measurements["frequency_hz"] = dwell.frequency_hz
    test.measurements["voltage_windows"] = dwell.count()
    solved = solve_voltage_gains(dwell, held, bench_standard(station, sheet))
    for chip, found in solved.items():
        sheet.old_gains[chip] = found.old_counts
        test.measurements[f"{chip.lower()}_voltage_before_pct"] = found.before_pct
        test.measurements[f"{chip.lower()}_voltage_gain_counts"] = found.new_counts
    wanted = {found.key: found.new_counts for found in solved.values()}
    sheet.adjusted |= wanted
    sheet.about_to("write the adjusted voltage gains")
    unit.api.set_config(wanted)
    unit.api.init_chips()
    after = unit.api.config()
    test.measurements["gains_read_back"] = all(after.word(key) == value for key, value in wanted.items())
    require_no_restart(sheet, unit.api, clock)


def _require_line_frequency(held: HeldValues, station: Station) -> None:
    """Refuse a unit that is set to other mains: its LINE_FREQ_HZ is not this job's to change."""
    expected_hz = station.line_frequency_hz
    if held["LINE_FREQ_HZ"] != expected_hz:
        raise UsageError(
            f"The unit is set to {quoted(held['LINE_FREQ_HZ'])} Hz, the run is for {expected_hz} Hz.",
            "Calibrate it with --cal-only, and with --ac-60hz where it is for 60 Hz.",
        )
