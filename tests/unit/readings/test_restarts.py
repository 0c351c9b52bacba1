"""A unit that restarted by itself is found by its own count of seconds."""

from types import SimpleNamespace

import pytest

from mfg.errors import DutError
from mfg.readings.restarts import TOLERANCE_S, note_start, require_chip_ran_on, require_no_restart


class Clock:
    factor = 1.0

    def __init__(self):
        self.t_s = 1000.0

    def now_s(self):
        return self.t_s

    def link_timeout_wall_s(self, duration_s):
        return max(duration_s / self.factor, 1.0)


class Unit:
    """Counts whole seconds since it was started."""

    def __init__(self, clock):
        self.clock = clock
        self.started_s = clock.now_s()

    def uptime_s(self):
        return float(int(self.clock.now_s() - self.started_s))


@pytest.fixture
def started():
    clock = Clock()
    unit, sheet = Unit(clock), SimpleNamespace(unit_started_s=0.0, unit_keeps_time=True)
    clock.t_s += 4.7
    note_start(sheet, unit, clock)
    return sheet, unit, clock


def test_a_unit_that_runs_on_is_let_pass(started):
    sheet, unit, clock = started
    for _ in range(50):
        clock.t_s += 1.3
        require_no_restart(sheet, unit, clock)


def test_a_unit_that_restarted_is_rejected_with_both_times(started):
    sheet, unit, clock = started
    clock.t_s += 30.0
    unit.started_s = clock.t_s
    clock.t_s += 2.0
    with pytest.raises(DutError, match=r"running for 2 s, but the station started it 3[67] s ago"):
        require_no_restart(sheet, unit, clock)


def test_a_unit_that_ran_already_is_followed_from_the_first_question_on(started):
    _sheet, unit, clock = started
    sheet = SimpleNamespace(unit_started_s=None, unit_keeps_time=True)
    clock.t_s += 500.0
    require_no_restart(sheet, unit, clock)
    clock.t_s += 20.0
    require_no_restart(sheet, unit, clock)
    unit.started_s = clock.t_s
    with pytest.raises(DutError, match="restarted by itself"):
        require_no_restart(sheet, unit, clock)


def test_a_start_that_the_station_asked_for_is_no_restart(started):
    sheet, unit, clock = started
    unit.started_s = clock.t_s + 20.0
    clock.t_s += 25.0
    note_start(sheet, unit, clock)
    clock.t_s += 5.0
    require_no_restart(sheet, unit, clock)


def test_a_fast_bench_clock_leaves_a_busy_machine_a_second(started):
    sheet, unit, clock = started
    clock.factor = 10.0
    sheet.unit_started_s -= TOLERANCE_S + 4.0
    require_no_restart(sheet, unit, clock)
    sheet.unit_started_s -= 4.0
    with pytest.raises(DutError):
        require_no_restart(sheet, unit, clock)


def repl_of(earliest_s):
    return SimpleNamespace(chip_started_s=lambda: (earliest_s, earliest_s + 0.3))


def test_a_chip_that_restarted_before_the_firmware_was_loaded_is_rejected():
    sheet = SimpleNamespace(chip_started_s=100.0, unit_keeps_time=True)
    require_chip_ran_on(sheet, repl_of(99.7))
    require_chip_ran_on(sheet, repl_of(100.02))
    with pytest.raises(DutError, match=r"restarted by itself, 1\.4 s after its start"):
        require_chip_ran_on(sheet, repl_of(101.4))


def test_a_unit_that_keeps_no_time_is_not_judged_by_it():
    sheet = SimpleNamespace(unit_started_s=0.0, chip_started_s=0.0, unit_keeps_time=False)
    require_no_restart(sheet, None, None)
    require_chip_ran_on(sheet, None)
