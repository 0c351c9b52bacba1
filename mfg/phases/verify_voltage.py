"""Verify the voltage of every port against the reference: adjusted, and again as it is stored."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import (
    PowerSwitchPlug,
    ReferenceMeterPlug,
    TravellerPlug,
    UnitApiPlug,
    UnitPortPlug,
)
from mfg.fixtures.traveller import Traveller
from mfg.readings.evaluation import Evaluated, Evaluator
from mfg.readings.notes import note_evaluated
from mfg.readings.paired import Dwell
from mfg.readings.restarts import require_no_restart
from mfg.readings.standard import bench_limits, bench_standard
from mfg.readings.unit_state import store_part
from mfg.readings.voltage import dwell_voltage
from mfg.readings.window_sources import CHIP_PORTS
from mfg.station import Station

GAIN_KEYS = tuple(f"{chip}_VOLTAGE_GAIN" for chip in CHIP_PORTS)
# Where the chip holds it; Source: ct6-interface 7.2.
GAIN_REGISTERS = tuple(f"{chip} 0x{at:02X}" for chip in CHIP_PORTS for at in (0x61, 0x65, 0x69))
MAY_CHANGE = (*GAIN_KEYS, *(f"factory.cfg {key}" for key in GAIN_KEYS), *GAIN_REGISTERS)


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, reference=ReferenceMeterPlug)
def verify_voltage(
    test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, reference: ReferenceMeterPlug
) -> None:
    """Judge the voltage of every port with the adjusted gains, with its uncertainty.

    Needs: the adjusted gains in force. Leaves: nothing written.
    """
    sheet = traveller.sheet
    dwell = dwell_voltage(sheet, unit, reference.open(), "verify voltage")
    for port, evaluated in _errors(sheet, unit.slot_context.station, dwell).items():
        name = f"port{port}_voltage_error_pct"
        test.measurements[name] = note_evaluated(sheet, "verify_voltage", name, evaluated)
    require_no_restart(sheet, unit.api, unit.slot_context.clock)


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(
    traveller=TravellerPlug,
    unit=UnitApiPlug,
    port=UnitPortPlug,
    power=PowerSwitchPlug,
    reference=ReferenceMeterPlug,
)
def verify_stored_voltage(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
) -> None:
    """Let the unit store its gains, take its supply away, prove all the rest unchanged, and judge it again.

    Needs: verified gains in force. Leaves: them in factory.cfg and in force, every other value as it was.
    """
    sheet = traveller.sheet
    stored = store_part(sheet, unit, port, power, MAY_CHANGE)
    test.measurements["files_hold_adjusted"] = stored.holds
    test.measurements["files_survived"] = stored.survived
    test.measurements["returned_s"] = stored.returned_s
    test.measurements["others_changed"] = stored.others_changed
    dwell = dwell_voltage(sheet, unit, reference.open(), "verify stored voltage")
    for number, evaluated in _errors(sheet, unit.slot_context.station, dwell).items():
        name = f"port{number}_stored_voltage_error_pct"
        test.measurements[name] = note_evaluated(sheet, "verify_stored_voltage", name, evaluated)
    require_no_restart(sheet, unit.api, unit.slot_context.clock)


def _errors(sheet: Traveller, station: Station, dwell: Dwell) -> dict[int, Evaluated]:
    range_a = station.reference_meter.current_range_a  # no current is judged
    evaluator = Evaluator(bench_standard(station, sheet), bench_limits(station), station.conductor, range_a)
    return {port: evaluator.voltage(dwell, port) for port in sheet.ports}
