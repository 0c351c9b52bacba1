"""The bench clock runs faster than the wall clock, and says the same in every process."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.clock import LINK_FLOOR_WALL_S, BenchClock
from mfg.errors import UsageError


@given(st.floats(0, 1e9), st.floats(1, 100))
def test_a_clock_survives_its_own_text(epoch_s, factor):
    clock = BenchClock(epoch_s, factor)
    assert BenchClock.parse(str(clock)) == clock


@pytest.mark.parametrize("factor", [0.0, 0.99, 100.1, -1.0, float("nan"), float("inf")])
def test_a_factor_outside_1_to_100_is_refused(factor):
    with pytest.raises(UsageError, match=r"outside 1\.\.100"):
        BenchClock(0.0, factor)


@pytest.mark.parametrize("text", ["", "x", "1.0", "1x", "ax2", "1x2x3"])
def test_a_text_that_is_no_clock_is_refused(text):
    with pytest.raises(ValueError, match="could not convert"):
        BenchClock.parse(text)


def test_a_real_bench_runs_on_the_monotonic_clock():
    assert BenchClock().now_s() == pytest.approx(time.monotonic(), abs=0.05)


def test_bench_time_passes_factor_times_as_fast():
    clock = BenchClock(time.monotonic(), 50.0)
    before_s, wall_before_s = clock.now_s(), time.monotonic()
    clock.sleep_s(2.0)
    wall_s = time.monotonic() - wall_before_s
    assert 0.04 <= wall_s < 1.0
    assert clock.now_s() - before_s == pytest.approx(wall_s * 50.0, rel=0.2)


def test_another_process_sees_the_same_time():
    clock = BenchClock(time.monotonic() - 3.0, 10.0)
    program = f"from mfg.clock import BenchClock; print(BenchClock.parse('{clock}').now_s())"
    before_s = clock.now_s()
    other_s = float(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)
    assert before_s <= other_s <= clock.now_s()


def test_no_time_passes_for_a_duration_of_zero_or_less():
    clock = BenchClock()
    before_s = time.monotonic()
    clock.sleep_s(0.0)
    clock.sleep_s(-5.0)
    assert time.monotonic() - before_s < 0.5


def test_wall_time_is_bench_time_divided_by_the_factor():
    assert BenchClock(0.0, 10.0).wall_s(5.0) == 0.5


@given(st.floats(0, 1000), st.floats(1, 100))
def test_a_link_waits_at_least_its_floor_but_never_longer_than_at_factor_1(duration_s, factor):
    wall_s = BenchClock(0.0, factor).link_timeout_wall_s(duration_s)
    assert duration_s / factor <= wall_s <= duration_s
    assert wall_s >= min(duration_s, LINK_FLOOR_WALL_S)


def test_a_deadline_expires_and_has_nothing_left_then():
    deadline = BenchClock(time.monotonic(), 100.0).deadline(1.0)
    assert not deadline.expired()
    assert 0.0 < deadline.remaining_s() <= 1.0
    time.sleep(0.02)
    assert deadline.expired()
    assert deadline.remaining_s() == 0.0


def test_waiting_ends_as_soon_as_the_condition_holds():
    clock = BenchClock(time.monotonic(), 100.0)
    answers = iter([False, False, True])
    assert clock.wait_until(lambda: next(answers), timeout_s=60.0)


def test_waiting_ends_with_false_when_the_time_is_over():
    clock = BenchClock(time.monotonic(), 100.0)
    before_s = clock.now_s()
    assert not clock.wait_until(lambda: False, timeout_s=2.0)
    assert clock.now_s() - before_s >= 2.0


def test_a_condition_that_holds_is_believed_without_any_time_left():
    assert BenchClock().wait_until(lambda: True, timeout_s=0.0)
