"""The voltage of a unit against the reference: the gains that it needs, and a dwell without a load."""

from __future__ import annotations

from dataclasses import dataclass

from mfg.calibration.gains import error_pct, gain
from mfg.calibration.pairing import mean
from mfg.calibration.windows import StopRule, check_first_window, check_scatter
from mfg.errors import DutError
from mfg.fixtures.plugs import UnitApiPlug
from mfg.fixtures.references import Reference
from mfg.fixtures.traveller import Traveller
from mfg.fixtures.unit_config import HeldValues
from mfg.readings.load_points import reference_checks, require_believable
from mfg.readings.notes import note_dwell
from mfg.readings.operating_state import note_state, operating_state
from mfg.readings.paired import Dwell, collect_windows
from mfg.readings.standard import ReferenceStandard
from mfg.readings.window_sources import CHIP_PORTS, window_source


@dataclass(frozen=True)
class VoltageGain:
    """What a dwell came to for one chip.

    Attributes:
        key: Of the configuration.
        old_counts, new_counts: The gain in force in the dwell, and the one that makes it right.
        before_pct: Error with the old gain.
    """

    key: str
    old_counts: int
    new_counts: int
    before_pct: float


def solve_voltage_gains(
    dwell: Dwell, held: HeldValues, standard: ReferenceStandard
) -> dict[str, VoltageGain]:
    """Solve one gain per chip from its three ports, which share one voltage input.

    Args:
        dwell: Windows of every port with the reference beside them.
        held: The unit's configuration in force in the dwell.
        standard: What corrects the reference.

    Returns:
        By chip, CS4 and CS0.

    Raises:
        DutError: A chip reads no voltage, or its gain is no word of 16 bits.
        AdjustmentError: A gain does not fit its register.
    """
    found: dict[str, VoltageGain] = {}
    for chip, ports in CHIP_PORTS.items():
        means = [dwell.means(port) for port in ports]
        measured_v = mean([port.voltage_v for port in means])
        if measured_v <= 0:
            raise DutError(f"{chip} reads no voltage.", "Reject the unit: look at its voltage input.")
        reference_v = standard.corrected("voltage", mean([port.reference_v for port in means]))
        key = f"{chip}_VOLTAGE_GAIN"
        old = held.word(key)
        found[chip] = VoltageGain(
            key, old, gain(reference_v, measured_v, old), error_pct(measured_v, reference_v)
        )
    return found


def dwell_voltage(sheet: Traveller, unit: UnitApiPlug, meter: Reference, name: str) -> Dwell:
    """Collect windows of the mains voltage alone, whatever the load, and see that they can be believed.

    Args:
        sheet: Of the run; the dwell is noted on it.
        unit: The slot's unit, its registers as they stay.
        meter: The reference, configured.
        name: What the dwell is for, such as "verify voltage".

    Raises:
        DutError, FixtureError, StationError: By who must act on what is unbelievable; as `collect_windows`
        otherwise. Nothing was written anywhere.
    """
    clock, station = unit.slot_context.clock, unit.slot_context.station
    rule = StopRule(wanted_ppm=sheet.limits.rule("wanted_ppm"))

    def report(done: int) -> None:
        sheet.report_progress(name, done, rule.least)

    note_state(sheet.operating_states, operating_state(unit.api, clock, sheet.features))
    source = window_source(unit.api, clock, sheet.features, clock.now_s())
    dwell = collect_windows(source, meter, clock, rule, sheet.deadline_s("dwell_s"), report, ports=())
    note_dwell(sheet, name, None, dwell)

    def ratios() -> dict[int, list[float]]:  # only for voltages that are there
        return {port: dwell.voltage_ratios(port) for port in dwell.windows}

    require_believable(
        [
            *reference_checks(dwell, float(station.line_frequency_hz)),
            lambda: check_first_window(ratios()),
            lambda: check_scatter(ratios()),
        ]
    )
    return dwell
