"""Adjust two voltage gains, six current gains and six phase angles from one dwell."""

from __future__ import annotations

from dataclasses import dataclass

import openhtf as htf

from mfg.calibration.gains import CURRENT_OFFSET_A_PER_COUNT, error_pct, gain, offset_for_zero
from mfg.calibration.pairing import mean
from mfg.calibration.phase_angles import angle_deg, phase_counts, phase_register
from mfg.calibration.windows import StopRule, check_ports_agree, check_turns
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.fixtures.traveller import Traveller
from mfg.fixtures.unit_config import HeldValues
from mfg.readings.load_points import LoadBench, require_believable
from mfg.readings.paired import Dwell
from mfg.readings.port_by_port import take_for_adjustment, together
from mfg.readings.restarts import require_no_restart
from mfg.readings.standard import ReferenceStandard, bench_standard
from mfg.readings.voltage import solve_voltage_gains
from mfg.readings.window_sources import CHIP_PORTS
from mfg.station import Station

NO_PHASE = "Phase angles were neither adjusted nor verified: the unit's interface has no phase registers."
NO_ANGLE = "Phase angles were neither adjusted nor verified: the reference does not see the load's angle."
REGISTERS_FEATURE = "registers"
# Where the chip holds what; Source: ct6-interface 7.2.
VOLTAGE_GAIN_REGISTERS = (0x61, 0x65, 0x69)
CURRENT_GAIN_REGISTERS, CURRENT_OFFSET_REGISTERS = (0x62, 0x66, 0x6A), (0x64, 0x68, 0x6C)
PHASE_REGISTERS = (0x48, 0x4A, 0x4C)


@dataclass(frozen=True)
class Solved:
    """What the dwell came to: configuration values by key, and phases in signed counts by port."""

    values: dict[str, int]
    phases: dict[int, int]


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, power=PowerSwitchPlug, reference=ReferenceMeterPlug)
def adjust_registers(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
) -> None:
    """Adjust everything in closed form from averaged, time-paired windows; one write, rounded.

    Where one CT at a time is on the conductor, the dwells were taken when the ports were identified.

    Needs: nominal gains, no offsets and no phases in force, both conductors off. Leaves: the load on at its
    high point (off, where a CT has to be moved), the new registers in force and in the configuration, not yet
    in factory.cfg.
    """
    sheet = traveller.sheet
    clock, station = unit.slot_context.clock, unit.slot_context.station

    def feed(done: int) -> None:
        power.switch.feed()
        sheet.report_progress("adjust", done, rule.least)

    rule = StopRule(wanted_ppm=sheet.limits.rule("wanted_ppm"))
    if not station.conductor.one_at_a_time:
        bench = LoadBench(station, clock, power.switch, reference.open(), sheet.ports)
        take_for_adjustment(unit.api, sheet, bench, rule, feed)
    dwell = together({port: sheet.taken[port].dwell for port in sheet.ports})
    zeros_a = {port: sheet.taken[port].zeros_a[port] for port in sheet.ports}
    test.measurements["reference_a"] = sheet.taken[sheet.ports[0]].settled_a
    test.measurements["frequency_hz"] = dwell.frequency_hz
    test.measurements["adjust_windows"] = dwell.count()
    _check_bundle(dwell, station, sheet)
    old = unit.api.config()
    solved = _solve(test, sheet, dwell, old, zeros_a, station)
    sheet.adjusted = solved.values
    test.measurements["registers_read_back"] = _write(unit.api, sheet, solved)
    require_no_restart(sheet, unit.api, clock)


def _check_bundle(dwell: Dwell, station: Station, sheet: Traveller) -> None:
    """Refuse a bundle with other turns, or a CT that is not closed, before anything is written."""
    ratios = {port: mean(dwell.current_ratios(port)) for port in sheet.ports}
    turns = station.conductor.turns
    require_believable([lambda: check_turns(ratios, turns), lambda: check_ports_agree(ratios)])


def _solve(
    test: htf.TestApi,
    sheet: Traveller,
    dwell: Dwell,
    old: HeldValues,
    zeros_a: dict[int, float],
    station: Station,
) -> Solved:
    standard = bench_standard(station, sheet)
    values = _voltage_values(test, sheet, dwell, old, standard)
    phases: dict[int, int] = {}
    for port in sheet.ports:
        expected_a = station.conductor.turns * standard.corrected("current", dwell.means(port).reference_a)
        values |= _current_values(test, sheet, dwell, old, port, expected_a, zeros_a[port])
        if sheet.has_phase:
            phases[port] = _phase(dwell, port, station)
            values[f"CT{port}_PHASE"] = phase_register(phases[port])
            test.measurements[f"port{port}_phase_counts"] = phases[port]
        else:
            _leave_out(test, sheet, f"port{port}_phase_counts")
    return Solved(values, phases)


def _leave_out(test: htf.TestApi, sheet: Traveller, name: str) -> None:
    """Record that the unit does not offer what would be measured."""
    test.measurements.set_measurement_outcome_to_skipped(name)
    sheet.left_out.add(("adjust_registers", name))
    sheet.note_not_done(NO_PHASE if "angle_deg" in sheet.reference_gives else NO_ANGLE)


def _voltage_values(
    test: htf.TestApi, sheet: Traveller, dwell: Dwell, old: HeldValues, standard: ReferenceStandard
) -> dict[str, int]:
    """Solve both voltage gains and record them."""
    solved = solve_voltage_gains(dwell, old, standard)
    for chip, found in solved.items():
        sheet.old_gains[chip] = found.old_counts
        test.measurements[f"{chip.lower()}_voltage_before_pct"] = found.before_pct
        test.measurements[f"{chip.lower()}_voltage_gain_counts"] = found.new_counts
    return {found.key: found.new_counts for found in solved.values()}


def _current_values(
    test: htf.TestApi,
    sheet: Traveller,
    dwell: Dwell,
    old: HeldValues,
    port: int,
    expected_a: float,
    zero_a: float,
) -> dict[str, int]:
    measured_a = dwell.means(port).current_a
    offset = offset_for_zero(zero_a, sheet.limits.rule("zero_without_offset_a"), CURRENT_OFFSET_A_PER_COUNT)
    gain_old = old.word(f"CT{port}_IGAIN")
    sheet.old_gains[f"CT{port}"] = gain_old
    # The offset is added after the gain, so the gain is solved for what is left without it.
    gain_new = gain(expected_a - offset * CURRENT_OFFSET_A_PER_COUNT, measured_a, gain_old)
    test.measurements[f"port{port}_zero_a"] = zero_a
    test.measurements[f"port{port}_before_pct"] = error_pct(measured_a, expected_a)
    test.measurements[f"port{port}_igain_counts"] = gain_new
    test.measurements[f"port{port}_ioffset_counts"] = offset
    return {f"CT{port}_IGAIN": gain_new, f"CT{port}_IOFFSET": offset & 0xFFFF}


def _phase(dwell: Dwell, port: int, station: Station) -> int:
    means = dwell.means(port)
    direction = station.conductor.sign
    measured_deg = angle_deg(means.active_w, means.reactive_var, direction)
    return phase_counts(station.conductor.load_angle_deg, measured_deg, dwell.frequency_hz)


def _write(api: DutApi, sheet: Traveller, solved: Solved) -> bool:
    """Write configuration and chips, and read both back."""
    sheet.about_to("write the adjusted registers")
    api.set_config(solved.values)
    wanted = _chip_registers(solved.values)
    if REGISTERS_FEATURE in sheet.features:
        for chip, registers in wanted.items():
            api.set_registers(chip, registers)
            held = api.registers(chip)
            sheet.registers[chip] = {f"0x{address:02X}": held[address] for address in registers}
            if any(held[address] != value for address, value in registers.items()):
                return False
    else:
        api.init_chips()
    after = api.config()
    return all(after.word(key) == value for key, value in solved.values.items())


def _chip_registers(values: dict[str, int]) -> dict[str, dict[int, int]]:
    registers: dict[str, dict[int, int]] = {}
    for chip, ports in CHIP_PORTS.items():
        found = dict.fromkeys(VOLTAGE_GAIN_REGISTERS, values[f"{chip}_VOLTAGE_GAIN"])
        for phase, port in enumerate(ports):
            for addresses, key in (
                (CURRENT_GAIN_REGISTERS, f"CT{port}_IGAIN"),
                (CURRENT_OFFSET_REGISTERS, f"CT{port}_IOFFSET"),
                (PHASE_REGISTERS, f"CT{port}_PHASE"),
            ):
                if key in values:
                    found[addresses[phase]] = values[key]
        registers[chip] = found
    return registers
