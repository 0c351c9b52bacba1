"""A dwell against a reading that a person types: paired over the time it took, and honest about that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from bench_fakes import dwell, with_port

from mfg.calibration.windows import StopRule
from mfg.clock import BenchClock
from mfg.errors import FixtureError, StationError
from mfg.fixtures.hand_held_meter import HandHeldMeter, Plausible, TypedPair, TypedReading
from mfg.fixtures.reference_meter import ReferenceReading
from mfg.fixtures.shelly_meter import ShellyMeter
from mfg.readings.feeds import ReferenceFeed, TypedFeed, feed_of
from mfg.readings.load_points import require_believable, typed_checks
from mfg.readings.settling import around, wait_until_settled
from mfg.station import Endpoint, HandHeldMeterSettings

RULE = StopRule(wanted_ppm=25.0)
TYPED = TypedReading(TypedPair(230.4, 8.97, 0.1, 0.01), 0.0, 2.0, 0.5)


def hand_held(ask: Callable[[str, float], str], clock: BenchClock) -> HandHeldMeter:
    settings = HandHeldMeterSettings("Fluke", "87V", "1", 600.0, 10.0)
    made = HandHeldMeter(settings, Plausible(230.0, None, 15.0, 10.0, 0.5), ask, 120.0, clock)
    made.expect(9.0)
    return made


def wait_for(seen: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 10
    while not seen():
        assert time.monotonic() < end_s
        time.sleep(0.01)


class TestATypedReading:
    def test_holds_from_the_question_until_now_and_nothing_holds_before_the_answer(self):
        clock, answered = BenchClock(0.0, 10.0), threading.Event()

        def ask(_text: str, _timeout_s: float) -> str:
            assert answered.wait(10)
            return "230.4 8.97"

        asked_s = clock.now_s()
        with feed_of(hand_held(ask, clock), clock) as feed:
            assert isinstance(feed, TypedFeed)
            assert feed.samples() == []
            assert feed.typed() is None
            answered.set()
            wait_for(lambda: feed.typed() is not None)
            first, last = feed.samples()
            assert asked_s <= first.t_s < last.t_s <= clock.now_s()
            assert first.values == last.values == (230.4, 8.97, pytest.approx(230.4 * 8.97))
            assert (feed.frequency_hz(), feed.angle_deg()) == (None, None)
            feed.check()

    def test_needs_the_least_number_of_windows_whatever_they_scatter(self):
        clock = BenchClock()
        feed = TypedFeed(hand_held(lambda _text, _timeout_s: "", clock), clock)
        rule = feed.rule(RULE)
        drifting = [6.0 * (1 + 0.001 * number / RULE.least) for number in range(RULE.least)]
        assert rule.progress({1: drifting}).done
        assert not rule.progress({1: drifting[:-1]}).done

    @pytest.mark.parametrize("failure", [StationError("gone"), FixtureError("late"), EOFError("closed")])
    def test_that_does_not_come_ends_the_dwell_by_who_must_act(self, failure: Exception):
        clock = BenchClock()

        def ask(_text: str, _timeout_s: float) -> str:
            raise failure

        expected = type(failure) if isinstance(failure, StationError) else FixtureError
        with TypedFeed(hand_held(ask, clock), clock) as feed, pytest.raises(expected):
            wait_for(lambda: bool(feed.check()))

    def test_waits_for_nobody_when_the_dwell_is_given_up(self):
        clock, never = BenchClock(), threading.Event()

        def ask(_text: str, _timeout_s: float) -> str:
            never.wait(10)
            return ""

        begun_s = time.monotonic()
        with TypedFeed(hand_held(ask, clock), clock):
            pass
        assert time.monotonic() - begun_s < 5
        never.set()

    def test_is_not_believed_where_the_load_moved_meanwhile(self):
        steady = replace(dwell(), typed=TYPED)
        require_believable(typed_checks(steady, [1, 2]))
        windows = list(steady.windows[2])
        windows[3] = replace(windows[3], current_a=windows[3].current_a * 1.006)
        moved = replace(steady, windows={**steady.windows, 2: tuple(windows)})
        with pytest.raises(FixtureError, match=r"Port 2 moved by 0\.60 % while the meter was read"):
            require_believable(typed_checks(moved, [1, 2]))
        assert typed_checks(replace(moved, typed=None), [1, 2]) == []

    def test_nor_where_the_mains_did(self):
        steady = replace(dwell(), typed=TYPED)
        windows = list(steady.windows[1])
        windows[0] = replace(windows[0], voltage_v=windows[0].voltage_v * 0.99)
        with pytest.raises(FixtureError, match="Port 1 moved by 1"):
            require_believable(
                typed_checks(replace(steady, windows={**steady.windows, 1: tuple(windows)}), [1])
            )

    def test_may_be_of_the_moment_that_was_farthest_from_the_mean(self):
        window = dwell().windows[1][0]
        rising = tuple(replace(window, current_a=current_a) for current_a in (53.0, 53.0, 53.0, 54.0))
        found = replace(dwell(), windows={1: rising})
        assert found.current_wander_pct(1) == pytest.approx(0.75 / 53.25 * 100)
        assert found.voltage_wander_pct(1) == 0.0

    def test_spans_are_those_of_the_port_that_is_asked_for(self):
        assert with_port(dwell(), 3, voltage_v=240.0).voltage_spread_pct(3) == 0.0
        assert dwell().current_spread_pct(1) == pytest.approx(0.004, rel=0.01)

    def test_leaves_a_port_that_sees_no_conductor_to_the_checks_that_name_it(self):
        dead = replace(with_port(dwell(), 2, current_a=0.0), typed=TYPED)
        require_believable(typed_checks(dead, [1, 2]))
        assert typed_checks(dead, [2]) == []


class TestAHandHeldMetersLoad:
    def test_settles_by_the_power_switch_which_says_what_may_be_typed(self):
        clock = BenchClock(0.0, 50.0)
        currents = iter([9.4, 9.2, *[9.0] * 20])
        meter = hand_held(lambda _text, _timeout_s: "230.0 8.2", clock)
        fed: list[int] = []
        deadline = clock.deadline(60.0)
        found = wait_until_settled(
            meter, lambda: next(currents), clock, around(9.0), 1.0, deadline, fed.append
        )
        assert found == pytest.approx(9.0)
        assert len(fed) == 7
        assert meter.read().pair.current_a == 8.2

    def test_that_does_not_settle_is_named_with_its_last_currents(self):
        clock = BenchClock(0.0, 50.0)
        currents = iter(range(5, 10_000))
        meter = hand_held(lambda _text, _timeout_s: "", clock)
        deadline = clock.deadline(3.0)
        with pytest.raises(
            FixtureError, match=r"not become stable within 3 s; last readings of the power switch"
        ):
            wait_until_settled(
                meter, lambda: float(next(currents)), clock, around(9.0), 1.0, deadline, lambda _done: None
            )


class TestAMeterThatReadsByItself:
    def test_keeps_the_rule(self):
        assert ReferenceFeed(object()).rule(RULE) == RULE  # type: ignore[arg-type]

    def test_a_shelly_scatters_more_than_the_rule_wants(self):
        shelly = ShellyMeter(Endpoint("127.0.0.1", 1), BenchClock())
        assert ReferenceFeed(shelly).rule(RULE) == replace(RULE, wanted_ppm=100.0)
        assert ReferenceFeed(shelly).rule(replace(RULE, wanted_ppm=500.0)).wanted_ppm == 500.0

    def test_may_give_no_frequency(self):
        clock = BenchClock(0.0, 20.0)

        class Meter:
            def read(self) -> ReferenceReading:
                clock.sleep_s(0.2)
                return ReferenceReading(clock.now_s(), 230.0, 9.0, 2070.0, None)

        with ReferenceFeed(Meter()) as feed:  # type: ignore[arg-type]
            wait_for(lambda: len(feed.samples()) > 1)
            assert (feed.frequency_hz(), feed.angle_deg(), feed.typed()) == (None, None, None)
