"""Adjust the voltage gains of both chips, and nothing else."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.readings.operating_state import note_state, operating_state
from mfg.readings.restarts import require_no_restart
from mfg.readings.standard import bench_standard
from mfg.readings.voltage import dwell_voltage, solve_voltage_gains


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
    note_state(sheet.operating_states, operating_state(unit.api, clock, sheet.features))
    clock.sleep_s(station.conductor.soak_s - unit.api.uptime_s())
    sheet.soak_s = unit.api.uptime_s()
    dwell = dwell_voltage(sheet, unit, reference.open(), "adjust voltage")
    held = unit.api.config()
    test.measurements["line_frequency_held_hz"] = held["LINE_FREQ_HZ"]
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
