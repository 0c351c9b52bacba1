"""Verify a restored calibration under load."""

from __future__ import annotations

import openhtf as htf

from mfg.calibration.windows import StopRule
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.readings.evaluation import Evaluator
from mfg.readings.load_points import LoadBench
from mfg.readings.notes import NO_POWER, note_dwell
from mfg.readings.standard import bench_limits, bench_standard
from mfg.readings.window_sources import window_source


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, power=PowerSwitchPlug, reference=ReferenceMeterPlug)
def verify_restored(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
) -> None:
    """Judge voltage, current and power of every port at the high point, with their uncertainty.

    Needs: the restored calibration in force, the load prepared. Leaves: the load on; the files proved.
    """
    sheet = traveller.sheet
    clock, station = unit.slot_context.clock, unit.slot_context.station
    rule = StopRule(wanted_ppm=sheet.limits.rule("verify_ppm"))

    def feed(done: int) -> None:
        power.switch.feed()
        sheet.report_progress("verify restored", done, rule.least)

    bench = LoadBench(station, clock, power.switch, reference.open(), sheet.ports)
    point = station.load_points[0]
    bench.go_to(point, sheet.deadline_s("settle_s"), feed)
    source = window_source(unit.api, clock, sheet.features, clock.now_s())
    dwell = bench.dwell(source, rule, sheet.deadline_s("dwell_s"), feed)
    note_dwell(sheet, "verify restored", point, dwell)
    evaluator = Evaluator(
        bench_standard(station, sheet), bench_limits(station), station.conductor, point.range_a
    )
    passed = True
    for port in sheet.ports:
        found = {"voltage": evaluator.voltage(dwell, port), "current": evaluator.current(dwell, port)}
        power_name = f"port{port}_restored_power_error_pct"
        if sheet.has_power:
            found["power"] = evaluator.power(dwell, port)
        else:
            sheet.note_not_done(NO_POWER)
            test.measurements.set_measurement_outcome_to_skipped(power_name)
            sheet.left_out.add(("verify_restored", power_name))
        for quantity, evaluated in found.items():
            name = f"port{port}_restored_{quantity}_error_pct"
            entry = evaluated.entry(sheet.limits.limit("verify_restored", name))
            sheet.evaluations["verify_restored", name] = entry
            passed = passed and entry["verdict"] == "PASS"
            test.measurements[name] = evaluated.value
    sheet.proved_files = sheet.stored_files if passed else None
