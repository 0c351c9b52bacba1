"""Take dwells of all ports at once, or of one port after the other where the bench takes one CT at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mfg.calibration.pairing import mean
from mfg.calibration.windows import StopRule
from mfg.errors import FixtureError
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import PowerSwitchPlug
from mfg.fixtures.traveller import Traveller
from mfg.readings.load_points import LoadBench, switch_off_measured
from mfg.readings.notes import note_dwell
from mfg.readings.operating_state import note_state, operating_state, soak
from mfg.readings.paired import Dwell, read_unpaired
from mfg.readings.settling import OnPoll
from mfg.readings.window_sources import window_source
from mfg.untrusted import quoted

ZERO_WINDOWS = 3
BACK = "b"
MOST_BACK = 6  # times in one round
PUT_CT = (
    "Put the CT of port {port} of the unit in slot {slot} around the conductor, and no other "
    "({name}, {place} of {count})."
)
GO_BACK = " B goes back to port {before}."
NONE_BEFORE = "There is no port before port {port}. "
NEITHER = "{answer} is neither Enter nor B. "
NOT_ENTER = "{answer} is not Enter. What was read in this round counts: no port is taken twice. "


@dataclass(frozen=True)
class Taken:
    """What the adjustment of some ports is solved from.

    Attributes:
        zeros_a: Readings of all ports with the load off, in A.
        settled_a: The load at the reference once it was stable, in A.
        dwell: At the high point.
    """

    zeros_a: dict[int, float]
    settled_a: float
    dwell: Dwell


def take_for_adjustment(
    api: DutApi, sheet: Traveller, bench: LoadBench, rule: StopRule, feed: OnPoll
) -> None:
    """Read the zeros, then take the dwell that the registers of the bench's ports are solved from.

    Both are on the sheet then, under `taken`, in place of what was taken of these ports before.

    Needs: nominal gains, no offsets and no phases in force, both conductors off. Leaves: the load on at its
    high point, as when it raises.

    Raises:
        DutError, FixtureError, StationError: As `LoadBench.go_to` and `LoadBench.dwell`.
    """
    clock, station = bench.clock, bench.station
    run_s = soak(api, clock, station.conductor.soak_s, feed)
    sheet.soak_s = sheet.soak_s or run_s  # of the port that is taken first
    source = window_source(api, clock, sheet.features, clock.now_s())
    found = read_unpaired(source, clock, ZERO_WINDOWS, sheet.deadline_s("dwell_s"))
    zeros_a = {port: mean([current_a for current_a, _active_w in values]) for port, values in found.items()}
    point = station.load_points[0]
    settled_a = bench.go_to(point, sheet.deadline_s("settle_s"), feed)
    note_state(sheet.operating_states, operating_state(api, clock, sheet.features))
    source = window_source(api, clock, sheet.features, clock.now_s())
    taken = Taken(zeros_a, settled_a, bench.dwell(point, source, rule, sheet.deadline_s("dwell_s"), feed))
    sheet.taken |= dict.fromkeys(bench.ports, taken)
    note_dwell(sheet, "adjust", point, together({port: held.dwell for port, held in sheet.taken.items()}))


def take_ports(
    bench: LoadBench,
    sheet: Traveller,
    power: PowerSwitchPlug,
    operator: OperatorPlug,
    name: str,
    take: Callable[[LoadBench], None],
    goes_back: bool = False,
) -> None:
    """Have all ports taken at once, or each after its CT was put around the conductor.

    Args:
        bench: With all ports under test.
        sheet: Of the run.
        power: Load and identification conductor; both are measured to be off before anybody is asked.
        operator: Moves the CTs.
        name: What the round is for, such as "verify"; the sheet notes under it the CTs in their order.
        take: Takes the ports of the bench it is given: those with a CT on the conductor. It is called once
            more for a port that the operator goes back to.
        goes_back: Whether the operator may. Never where ports are judged: the reading that suits would count.

    Raises:
        FixtureError: The load is not off, nobody answered, or the operator went back too often; as `take`
            otherwise.
    """
    if not bench.station.conductor.one_at_a_time:
        take(bench)
        return

    def ask(question: str) -> str:
        switch_off_measured(power.switch, (power.load, power.identification), bench.clock)
        power.switch.clear_watchdog()  # nobody feeds it meanwhile, and nothing is on
        answer = operator.ask("move", question, sheet.deadline_s("operator_s"))
        power.switch.set_watchdog(bench.station.power_switch.watchdog_s)
        return answer

    def take_one(port: int) -> None:
        sheet.ct_rounds.setdefault(name, []).append(port)
        take(replace(bench, ports=(port,)))

    walk_ports(name, power.slot_context.slot.number, bench.ports, ask, take_one, goes_back)


def walk_ports(
    name: str,
    slot: int,
    ports: Sequence[int],
    ask: Callable[[str], str],
    take: Callable[[int], None],
    goes_back: bool,
) -> None:
    """Go from port to port, and back where the operator says so and may.

    Args:
        name: Of the round, and
        slot: number engraved on the slot, for the question.
        ports: In the order in which they are taken.
        ask: Has a CT put around the conductor; returns what was answered. Enter alone says that it is there.
        take: Takes the readings of a port; those that it took before no longer count.
        goes_back: Whether a port may be taken again.

    Raises:
        FixtureError: The operator went back, or answered otherwise, more than `MOST_BACK` times.
    """
    position, others, remark = 0, 0, ""
    while position < len(ports):
        port = ports[position]
        back = GO_BACK.format(before=ports[position - 1]) if position and goes_back else ""
        put = PUT_CT.format(port=port, slot=slot, name=name, place=position + 1, count=len(ports))
        answer = ask(remark + put + back).strip().lower()
        remark = ""
        if not answer:
            take(port)
            position += 1
            continue
        others += 1
        if others > MOST_BACK:
            raise FixtureError(
                f"The operator went back, or answered neither Enter nor B, {others} times; the last time it "
                f"was {quoted(answer)} at port {port}.",
                "Look at the CTs and the conductor, then start the unit again.",
            )
        if not goes_back:
            remark = NOT_ENTER.format(answer=quoted(answer))
        elif answer != BACK:
            remark = NEITHER.format(answer=quoted(answer))
        elif not position:
            remark = NONE_BEFORE.format(port=port)
        else:
            position -= 1


def together(dwells: Mapping[int, Dwell]) -> Dwell:
    """Return one dwell with the windows that each port had in its own, each with the reference beside it.

    Ports that were not under test show what they read in the first one. What a dwell has only once, its
    samples and what was typed, is that of the first: a port is judged by its own.
    """
    first = next(iter(dwells.values()))
    windows = {port: dwells.get(port, first).windows[port] for port in first.windows}
    return replace(first, windows=windows)
