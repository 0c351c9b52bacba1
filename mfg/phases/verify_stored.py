"""Verify what is stored: after a power cycle the unit must measure as it did before."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import (
    PowerSwitchPlug,
    ReferenceMeterPlug,
    TravellerPlug,
    UnitApiPlug,
    UnitPortPlug,
)
from mfg.fixtures.traveller import Traveller
from mfg.readings.high_point import HighPoint, take_high_point
from mfg.readings.notes import note_evaluated
from mfg.readings.restarts import note_start, require_no_restart
from mfg.readings.stored import holds, stored_files, used_files
from mfg.readings.supply_cycle import cycle_supply
from mfg.records.journal import STORE

REGISTERS_FEATURE = "registers"


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(
    traveller=TravellerPlug,
    unit=UnitApiPlug,
    port=UnitPortPlug,
    power=PowerSwitchPlug,
    reference=ReferenceMeterPlug,
    operator=OperatorPlug,
)
def verify_stored(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
    operator: OperatorPlug,
) -> None:
    """Let the unit store its calibration, take its supply away, and judge it again at the high point.

    Its files are read back before and after, its registers after.

    Needs: verified registers in force, the load on. Leaves: the calibration in factory.cfg and in force.
    """
    sheet = traveller.sheet
    clock = unit.slot_context.clock
    sheet.touched_files = used_files(sheet.features)
    sheet.about_to(STORE)
    unit.api.save_factory()
    written = stored_files(unit.api, sheet.features)
    test.measurements["files_hold_adjusted"] = holds(written, sheet.unit_label, sheet.adjusted)
    test.measurements["returned_s"] = cycle_supply(sheet, unit, port, power, power.switch.feed)
    sheet.stored_files = stored_files(unit.api, sheet.features)
    test.measurements["files_survived"] = sheet.stored_files == written
    _judge_registers(test, sheet, unit.api)
    note_start(sheet, unit.api, clock)
    high = take_high_point(sheet, unit, power, reference, operator, "verify stored")
    test.measurements["stored_windows"] = min(dwell.count() for dwell in high.dwells.values())
    for number in sheet.ports:
        _judge_port(test, sheet, high, number)
    require_no_restart(sheet, unit.api, clock)


def _judge_registers(test: htf.TestApi, sheet: Traveller, api: DutApi) -> None:
    """Compare the chips with what they held when they were adjusted, where the unit shows its registers."""
    if REGISTERS_FEATURE not in sheet.features:
        _leave_out(test, sheet, "registers_lost")
        return
    test.measurements["registers_lost"] = sum(
        held[int(address, 16)] != value
        for chip, registers in sheet.registers.items()
        for held in [api.registers(chip)]
        for address, value in registers.items()
    )


def _judge_port(test: htf.TestApi, sheet: Traveller, high: HighPoint, port: int) -> None:
    stem = f"port{port}_stored"
    found = {f"{stem}_{quantity}_error_pct": evaluated for quantity, evaluated in high.errors(port)}
    if not high.has_power:
        _leave_out(test, sheet, f"{stem}_power_error_pct")
    if sheet.has_phase:
        found[f"{stem}_phase_error_deg"] = high.evaluator.phase(high.dwells[port], port)
    else:
        _leave_out(test, sheet, f"{stem}_phase_error_deg")
    for name, evaluated in found.items():
        test.measurements[name] = note_evaluated(sheet, "verify_stored", name, evaluated)


def _leave_out(test: htf.TestApi, sheet: Traveller, name: str) -> None:
    test.measurements.set_measurement_outcome_to_skipped(name)
    sheet.left_out.add(("verify_stored", name))
