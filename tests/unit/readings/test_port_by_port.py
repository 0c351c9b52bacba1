"""Ports that are taken one after the other: forward, back, and never while the load is on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from bench_fakes import TurnedClock, dwell, station, with_port

from mfg.calibration.windows import StopRule
from mfg.errors import FixtureError
from mfg.readings import port_by_port
from mfg.readings.load_points import LoadBench
from mfg.readings.port_by_port import MOST_BACK, take_for_adjustment, take_ports, together, walk_ports


class Walk:
    """Answers from a list, then with Enter; keeps what was asked and taken."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.taken: list[int] = []

    def ask(self, text: str) -> str:
        self.asked.append(text)
        return self.answers.pop(0) if self.answers else ""

    def through(self, *ports: int, goes_back: bool = True) -> list[int]:
        walk_ports("verify", 7, ports, self.ask, self.taken.append, goes_back)
        return self.taken


class TestAWalk:
    def test_takes_each_port_after_its_question(self):
        walk = Walk("", " ")
        assert walk.through(1, 4) == [1, 4]
        put = "Put the CT of port {} of the unit in slot 7 around the conductor, and no other"
        put += " (verify, {} of 2)."
        assert walk.asked == [put.format(1, 1), put.format(4, 2) + " B goes back to port 1."]

    @pytest.mark.parametrize("back", ["B", "b", " B "])
    def test_goes_back_one_port_whose_readings_are_taken_again(self, back):
        walk = Walk("", "", back)
        assert walk.through(1, 2, 4) == [1, 2, 2, 4]

    def test_goes_back_as_far_as_the_first_port(self):
        assert Walk("", "", "B", "B").through(1, 2, 4) == [1, 2, 1, 2, 4]

    def test_says_that_there_is_nothing_before_the_first_port_and_asks_again(self):
        walk = Walk("B")
        assert walk.through(3, 5) == [3, 5]
        assert walk.asked[1].startswith("There is no port before port 3. Put the CT of port 3 ")
        assert not walk.asked[2].startswith("There is no port")

    def test_takes_nothing_for_done_that_is_not_enter_and_asks_again(self):
        walk = Walk("", "{SN00001823}")
        assert walk.through(1, 2) == [1, 2]
        assert walk.asked[2].startswith("'{sn00001823}' is neither Enter nor B. Put the CT of port 2 ")
        assert len(walk.asked) == 3

    def test_takes_no_port_twice_where_ports_are_judged_and_says_so(self):
        walk = Walk("", "B")
        assert walk.through(1, 2, goes_back=False) == [1, 2]
        assert not any("B goes back" in text for text in walk.asked)
        told = "'b' is not Enter. What was read in this round counts: no port is taken twice. "
        assert walk.asked[2].startswith(f"{told}Put the CT of port 2 ")

    @pytest.mark.parametrize("answers", [["B"] * 20, ["", "", *["B", ""] * 20], ["what?"] * 20])
    def test_ends_when_nothing_comes_of_it(self, answers):
        walk = Walk(*answers)
        with pytest.raises(FixtureError, match=f"answered neither Enter nor B, {MOST_BACK + 1} times"):
            walk.through(1, 2, 3)


class Switch:
    """A power switch and an operator in one; refuses a question while something is on or armed."""

    def __init__(self, welded: bool = False, answers: Sequence[str] = ()) -> None:
        self.answers = list(answers)
        self.told: list[str] = []
        self.live = True
        self.welded = welded

    def off(self, channel: int) -> None:
        self.live = self.welded

    def measured_current_a(self, channel: int) -> float:
        return 9.0 if self.live else 0.0

    def clear_watchdog(self) -> None:
        self.told.append("disarm")

    def set_watchdog(self, delay_s: float) -> None:
        self.told.append(f"arm {delay_s:g}")

    def ask(self, kind: str, text: str, timeout_s: float) -> str:
        assert kind == "move"
        assert not self.live
        self.told.append(text)
        return self.answers.pop(0) if self.answers else ""


def single() -> Any:
    shipped = station()
    return replace(shipped, conductor=replace(shipped.conductor, ct_jig="single"))


def take_all(bench_station: Any, switch: Any, rounds: Any = None) -> list[tuple[int, ...]]:
    bench = LoadBench(bench_station, TurnedClock.at(0.0), switch, switch, (2, 5))
    rounds = {} if rounds is None else rounds
    sheet: Any = SimpleNamespace(deadline_s=lambda name: 120.0, ct_rounds=rounds)
    slot = SimpleNamespace(slot=SimpleNamespace(number=7))
    power: Any = SimpleNamespace(switch=switch, load=2, identification=3, slot_context=slot)
    placed: list[tuple[int, ...]] = []

    def take(one: LoadBench) -> None:
        switch.live = True
        placed.append(one.ports)

    take_ports(bench, sheet, power, switch, "adjust", take, goes_back=True)
    return placed


class TestTakingPorts:
    def test_takes_all_at_once_on_a_bundle_and_asks_nobody(self):
        switch, rounds = Switch(), {}
        assert take_all(station(), switch, rounds) == [(2, 5)]
        assert switch.told == []
        assert not rounds

    def test_takes_each_alone_and_asks_only_with_the_load_off_and_its_watchdog_disarmed(self):
        switch = Switch()
        assert take_all(single(), switch) == [(2,), (5,)]
        first, second = (text for text in switch.told if text.startswith("Put"))
        assert first.startswith(
            "Put the CT of port 2 of the unit in slot 7 around the conductor, and no other"
        )
        assert switch.told == ["disarm", first, "arm 10", "disarm", second, "arm 10"]

    def test_notes_every_ct_that_was_taken_in_its_order(self):
        rounds: dict[str, list[int]] = {}
        take_all(single(), Switch(answers=["", "b", "", ""]), rounds)
        assert rounds == {"adjust": [2, 2, 5]}

    def test_asks_nobody_to_touch_a_conductor_whose_contact_is_welded(self):
        switch = Switch(welded=True)
        with pytest.raises(FixtureError, match=r"still draws 9.00 A 5 s after"):
            take_all(single(), switch)
        assert switch.told == []


def test_a_port_keeps_its_own_windows_and_an_untested_one_those_of_the_first():
    first, second = dwell(), with_port(dwell(), 5, current_a=50.0)
    merged = together({2: first, 5: second})
    assert merged.windows[5] == second.windows[5] != first.windows[5]
    assert merged.windows[1] == first.windows[1]
    assert together({2: first}) == first


class TestWhatTheAdjustmentIsSolvedFrom:
    SOAK_S = 30.0

    def take(self, monkeypatch, clock: TurnedClock, sheet: Any, port: int) -> list[float]:
        """Take a port; return when the watchdog was fed."""
        shipped, fed = station(), []
        warm = replace(shipped, conductor=replace(shipped.conductor, soak_s=self.SOAK_S))
        zeros = {1: [(0.001, 0.0), (0.003, 0.0)], 2: [(0.0, 0.0)]}
        for name, value in (("window_source", None), ("read_unpaired", zeros)):
            monkeypatch.setattr(port_by_port, name, lambda *_args, value=value: value)
        done = self.done = []
        monkeypatch.setattr(port_by_port, "operating_state", lambda *_args: done.append("display on") or "")
        found = with_port(dwell(), port, current_a=50.0 + port)
        bench: Any = SimpleNamespace(clock=clock, station=warm, ports=(port,))
        bench.go_to = lambda *_args: done.append("load settled") or 8.9
        bench.dwell = lambda *_args: done.append("dwell") or found
        api: Any = SimpleNamespace(uptime_s=clock.now_s)
        take_for_adjustment(api, sheet, bench, StopRule(), lambda _done: fed.append(clock.now_s()))
        return fed

    def test_is_read_once_the_unit_is_warm_and_the_watchdog_hears_of_it_meanwhile(self, monkeypatch):
        clock, sheet = TurnedClock.at(4.0), blank_sheet()
        fed = self.take(monkeypatch, clock, sheet, 1)
        assert clock.now_s() == pytest.approx(self.SOAK_S)
        assert max(later - earlier for earlier, later in pairwise([4.0, *fed, self.SOAK_S])) <= 1.0
        assert sheet.taken[1].zeros_a == {1: pytest.approx(0.002), 2: 0.0}
        assert sheet.taken[1].settled_a == 8.9

    def test_is_read_with_the_display_on_which_goes_off_by_its_timer(self, monkeypatch):
        self.take(monkeypatch, TurnedClock.at(4.0), blank_sheet(), 1)
        assert self.done == ["load settled", "display on", "dwell"]

    def test_is_of_each_port_what_was_taken_last_and_the_warm_up_that_of_the_first(self, monkeypatch):
        clock, sheet = TurnedClock.at(4.0), blank_sheet()
        for port in (1, 2, 1):
            self.take(monkeypatch, clock, sheet, port)
            clock.sleep_s(10.0)
        assert list(sheet.taken) == [1, 2]
        assert [sheet.taken[port].dwell.means(port).current_a for port in (1, 2)] == [51.0, 52.0]
        assert [noted["name"] for noted in sheet.dwells] == ["adjust"]
        assert sum(row.startswith("adjust,1,") for row in sheet.window_rows) == 8
        assert sheet.soak_s == pytest.approx(self.SOAK_S)


def blank_sheet() -> Any:
    return SimpleNamespace(
        operating_states=[],
        features=(),
        soak_s=0.0,
        deadline_s=lambda name: 60.0,
        taken={},
        dwells=[],
        window_rows=[],
    )
