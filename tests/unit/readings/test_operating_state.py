"""The unit is read in the state in which its user reads it, as far as its interface goes."""

from __future__ import annotations

from typing import Any

import pytest
from bench_fakes import TurnedClock

from mfg.errors import DutError
from mfg.readings.operating_state import BY_TIMER, ON, UNKNOWN, note_state, operating_state


class Unit:
    """A unit whose display goes on after some time, and that has been running for a while."""

    def __init__(self, clock: TurnedClock, display_on_s: float = 0.0, uptime_s: float = 20.0) -> None:
        self.clock, self.display_on_s, self.running_s = clock, display_on_s, uptime_s

    def keep_display_on(self) -> bool:
        return self.clock.now_s() >= self.display_on_s

    def uptime_s(self) -> float:
        return self.running_s


def state(unit: Any, *features: str) -> str:
    return operating_state(unit, unit.clock, features)


def test_a_display_that_can_be_switched_is_waited_for():
    unit = Unit(TurnedClock.at(10.0), display_on_s=11.0)
    assert state(unit, "windows", "display") == ON
    assert unit.clock.now_s() >= 11.0


def test_a_display_that_does_not_go_on_rejects_the_unit():
    with pytest.raises(DutError, match="display did not go on within 3 s"):
        state(Unit(TurnedClock.at(10.0), display_on_s=99.0), "display")


@pytest.mark.parametrize(
    ("uptime_s", "known"), [(0.0, BY_TIMER), (49.0, BY_TIMER), (50.0, UNKNOWN), (900.0, UNKNOWN)]
)
def test_another_units_display_is_on_for_a_minute_after_the_start_and_then_not_known(uptime_s, known):
    assert state(Unit(TurnedClock.at(0.0), uptime_s=uptime_s), "windows") == known


def test_each_state_is_noted_once():
    states: list[str] = []
    for seen in (ON, ON, BY_TIMER, ON):
        note_state(states, seen)
    assert states == [ON, BY_TIMER]
