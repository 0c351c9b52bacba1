"""A test can be watched and ended; a plan that OpenHTF would pass without running is refused."""

from __future__ import annotations

import threading
import time
from typing import Any

import openhtf as htf
import pytest
from openhtf.core import phase_executor
from plan_runner import measured, phase, plan_of, run_plan, setting, wait_for_openhtf

from mfg.errors import StationError
from mfg.plans.plan import Plan
from mfg.records.record import ABORTED, ERROR, PASS
from mfg.runner import execute as execute_module
from mfg.runner.execute import abort_limit_s, check_plan, execute

# A phase that is killed late dies loudly.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class HoldsALock:
    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, _value: Any) -> bool:
        return True


class CannotBePrinted:
    def __call__(self, _value: Any) -> bool:
        return True

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Driver:
    """A driver whose bound method somebody takes for a validator."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def is_fine(self, _value: Any) -> bool:
        return True


def never(_record: Any, _running: str) -> None:
    """Show nothing."""


class TestCheckPlan:
    def test_a_good_plan_is_let_through(self):
        check_plan(plan_of([phase("look", measurements=[measured()])]))

    @pytest.mark.parametrize("validator", [HoldsALock(), CannotBePrinted(), Driver().is_fine])
    def test_a_validator_that_would_kill_openhtf_is_refused_by_name(self, validator):
        bad = htf.Measurement("level_v").with_validator(validator)
        with pytest.raises(StationError, match=r"look\.level_v cannot be judged"):
            check_plan(plan_of([phase("look", setting(level_v=1.0), [bad])]))

    def test_a_measurement_without_a_limit_is_refused(self):
        with pytest.raises(StationError, match=r"look\.level_v has no limit"):
            check_plan(plan_of([phase("look", setting(level_v=1.0), [htf.Measurement("level_v")])]))

    def test_a_plan_without_phases_is_refused(self):
        with pytest.raises(StationError, match="are not its cases"):
            check_plan(plan_of([]))

    def test_a_phase_without_a_case_number_is_refused(self):
        plan = plan_of([phase("look"), phase("listen")])
        del plan.cases["look"]
        with pytest.raises(StationError, match="are not its cases"):
            check_plan(plan)

    def test_a_case_without_a_phase_is_refused(self):
        plan = Plan("tiny", [phase("look")], {"look": 1000, "listen": 2000}, (), "all")
        with pytest.raises(StationError, match="listen"):
            check_plan(plan)

    @pytest.mark.parametrize("timeout_s", [None, "300"])
    def test_a_phase_without_its_own_timeout_is_refused(self, timeout_s):
        with pytest.raises(StationError, match="look has no timeout in seconds"):
            check_plan(plan_of([phase("look", timeout_s=timeout_s)]))

    def test_a_phase_that_may_be_left_out_is_refused(self):
        with pytest.raises(StationError, match="look runs under a condition"):
            check_plan(plan_of([phase("look", run_if=lambda: True)]))


class TestTheDisplay:
    def test_every_phase_is_shown_while_it_runs_and_when_it_has_ended(self):
        seen: list[tuple[str, int]] = []

        def look(_test: Any) -> None:
            time.sleep(0.3)

        run_plan(
            plan_of([phase("one", look), phase("two", look)]),
            on_change=lambda record, running: seen.append((running, len(record.phases))),
        )
        assert ("one", 0) in seen
        assert ("two", 1) in seen
        assert seen[-1] == ("", 2)

    def test_a_display_that_breaks_leaves_no_bench_on_and_no_pass(self):
        calls: list[str] = []

        def broken(_record: Any, running: str) -> None:
            calls.append(running)
            raise OSError("the terminal is gone")

        group = htf.PhaseGroup(
            main=[phase("look", lambda _test: time.sleep(0.2))],
            teardown=[phase("off", measurements=[measured()])],
        )
        ran = run_plan(plan_of([group], teardowns=["off"]), on_change=broken)
        assert len(calls) == 1
        assert ran.names() == ["look", "off"]
        assert ran.verdict.outcome == ERROR
        assert ran.verdict.reasons == ("The display broke: OSError: the terminal is gone.",)


class TestAbort:
    def test_a_stop_after_the_last_phase_changes_nothing(self):
        stop = threading.Event()
        ran = run_plan(
            plan_of([phase("look", measurements=[measured()])]),
            stop,
            on_change=lambda record, running: (
                stop.set() if record.outcome is not None and not running else None
            ),
        )
        assert ran.verdict.outcome in {PASS, ABORTED}
        assert ran.execution.aborted == (ran.verdict.outcome == ABORTED)

    def test_a_teardown_that_never_ends_is_reported_instead_of_awaited(self, monkeypatch):
        stop, let_go = threading.Event(), threading.Event()
        monkeypatch.setattr(execute_module, "abort_limit_s", lambda _plan: 0.5)
        monkeypatch.setattr(phase_executor, "_JOIN_TRY_INTERVAL_SECONDS", 0.2)

        def off(_test: Any) -> None:
            stop.set()
            let_go.wait(20)

        group = htf.PhaseGroup(main=[phase("look")], teardown=[phase("off", off)])
        execution = execute(plan_of([group], teardowns=["off"]), stop, never)
        let_go.set()
        wait_for_openhtf()
        assert execution.test_record is None
        assert execution.aborted
        assert execution.troubles == ("The test did not end after it was aborted.",)

    def test_the_limit_of_an_abort_leaves_the_teardown_its_timeouts(self):
        class Relay(htf.BasePlug):
            """Something to be torn down."""

        @htf.PhaseOptions(timeout_s=60)
        @htf.plug(relay=Relay)
        def off(_test: htf.TestApi, relay: Relay) -> None:
            assert relay

        group = htf.PhaseGroup(main=[phase("look")], teardown=[off])
        assert abort_limit_s(plan_of([group], teardowns=["off"])) == 60 + 3 + 2 * 20


def test_what_openhtf_refuses_to_execute_is_a_crash_without_a_record():
    twice = htf.Measurement("level_v").in_range(0, 2)
    nodes = [htf.Subtest("same", phase("look", measurements=[twice])), htf.Subtest("same", phase("listen"))]
    execution = execute(plan_of(nodes), threading.Event(), never)
    assert execution.test_record is None
    assert execution.troubles[0].startswith("The test framework crashed: ")
