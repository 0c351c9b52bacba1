"""The ports of a unit at the bench's high point, for what only judges it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mfg.calibration.windows import StopRule
from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import PowerSwitchPlug, ReferenceMeterPlug, UnitApiPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.evaluation import Evaluated, Evaluator
from mfg.readings.load_points import LoadBench
from mfg.readings.notes import note_dwell
from mfg.readings.operating_state import note_state, operating_state
from mfg.readings.paired import Dwell
from mfg.readings.port_by_port import take_ports, together
from mfg.readings.standard import bench_limits, bench_standard
from mfg.readings.window_sources import window_source


@dataclass(frozen=True)
class HighPoint:
    """What the dwells gave.

    Attributes:
        dwells: By port under test: the same for all, or one of its own where one CT at a time is taken.
        has_power: Whether the reference measures active power.
    """

    dwells: Mapping[int, Dwell]
    evaluator: Evaluator
    has_power: bool

    def errors(self, port: int) -> Iterator[tuple[str, Evaluated]]:
        """Give the port's errors in percent by quantity; of power only where it can be compared."""
        dwell = self.dwells[port]
        yield "voltage", self.evaluator.voltage(dwell, port)
        yield "current", self.evaluator.current(dwell, port)
        if self.has_power:
            yield "power", self.evaluator.power(dwell, port)


def take_high_point(
    sheet: Traveller,
    unit: UnitApiPlug,
    power: PowerSwitchPlug,
    reference: ReferenceMeterPlug,
    operator: OperatorPlug,
    name: str,
) -> HighPoint:
    """Bring the load to its high point and take the ports there; nothing is written to the unit.

    Args:
        sheet: Of the run; what was taken is noted on it.
        unit, power, reference, operator: The slot's plugs; the load is prepared.
        name: What the dwell is for, such as "verify restored".

    Raises:
        DutError, FixtureError, StationError: By who must act; the load may be on.
    """
    clock, station = unit.slot_context.clock, unit.slot_context.station
    rule = StopRule(wanted_ppm=sheet.limits.rule("verify_ppm"))

    def feed(done: int) -> None:
        power.switch.feed()
        sheet.report_progress(name, done, rule.least)

    bench = LoadBench(station, clock, power.switch, reference.open(), sheet.ports)
    point = station.load_points[0]
    dwells: dict[int, Dwell] = {}

    def take(placed: LoadBench) -> None:
        placed.go_to(point, sheet.deadline_s("settle_s"), feed)
        note_state(sheet.operating_states, operating_state(unit.api, clock, sheet.features))
        source = window_source(unit.api, clock, sheet.features, clock.now_s())
        dwell = placed.dwell(point, source, rule, sheet.deadline_s("dwell_s"), feed)
        dwells.update(dict.fromkeys(placed.ports, dwell))
        note_dwell(sheet, name, point, together(dwells))

    take_ports(bench, sheet, power, operator, name, take)
    standard = bench_standard(station, sheet)
    evaluator = Evaluator(standard, bench_limits(station), station.conductor, point.range_a)
    return HighPoint(dwells, evaluator, sheet.has_power)
