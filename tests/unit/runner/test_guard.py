"""The verdict is derived from the record: nothing that OpenHTF lets through may end as PASS."""

from __future__ import annotations

import threading
import time
from typing import Any

import openhtf as htf
import pytest
from openhtf.core import phase_executor
from openhtf.util import configuration
from plan_runner import Ran, measured, phase, plan_of, raising, run_plan, setting, wait_for_openhtf

from mfg.errors import AdjustmentError, DutError, FixtureError, StationError
from mfg.plans.plan import Plan
from mfg.records.record import (
    ABORTED,
    ERROR,
    FAIL,
    INDETERMINATE,
    NOT_CALIBRATED,
    PARTLY_CALIBRATED,
    PASS,
)
from mfg.runner.guard import Expectation, judge
from mfg.runner.promise import expectation_of

# OpenHTF's executor thread dies in some of these runs; that is what they are about.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class HoldsALock:
    """A validator that cannot be copied."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, _value: Any) -> bool:
        return True


class CannotBePrinted:
    """A validator whose text cannot be made."""

    def __call__(self, _value: Any) -> bool:
        return True

    def __str__(self) -> str:
        raise RuntimeError("no text")


def identified() -> htf.PhaseDescriptor:
    return phase("identify", measurements=[measured("first_v")])


def test_a_good_run_is_a_pass_with_exit_code_0():
    ran = run_plan(plan_of([identified(), phase("look", measurements=[measured()])]))
    assert ran.verdict.outcome == PASS
    assert ran.verdict.exit_code == 0
    assert ran.verdict.reasons == ()


class TestTheWaysInWhichOpenHtfPassesWhatDidNotRun:
    """openhtf.md section 5. Each test shows OpenHTF's own PASS and our ERROR."""

    def assert_error(self, ran: Ran, reason: str, framework: str = PASS) -> None:
        assert ran.framework_outcome == framework
        assert ran.verdict.outcome == ERROR
        assert ran.verdict.exit_code == 3
        assert reason in " ".join(ran.verdict.reasons)

    def test_a_validator_that_holds_a_lock_kills_the_executor(self):
        lock = htf.Measurement("level_v").with_validator(HoldsALock())
        ran = run_plan(plan_of([identified(), phase("look", setting(level_v=1.0), [lock])]))
        assert ran.names() == ["identify"]
        self.assert_error(ran, "cannot pickle '_thread.lock' object")

    def test_a_validator_that_cannot_be_printed_kills_the_executor(self):
        unprintable = htf.Measurement("level_v").with_validator(CannotBePrinted())
        look = phase("look", setting(level_v=1.0), [unprintable])
        ran = run_plan(plan_of([identified(), look, phase("after")]))
        assert "after" not in ran.names()
        self.assert_error(ran, "RuntimeError: no text")

    def test_phases_that_a_condition_leaves_out(self):
        nodes = [phase("identify", run_if=lambda: False), phase("look", run_if=lambda: False)]
        self.assert_error(run_plan(plan_of(nodes)), "planned phase identify did not run", framework=PASS)

    def test_a_plan_without_phases(self):
        self.assert_error(run_plan(plan_of([])), "The plan has no phases")

    def test_a_phase_that_skips_itself_after_a_failed_measurement(self):
        def body(test: Any) -> htf.PhaseResult:
            test.measurements["level_v"] = 9.0
            return htf.PhaseResult.SKIP

        ran = run_plan(plan_of([identified(), phase("look", body, [measured()])]))
        self.assert_error(ran, "2000 look: was skipped.")

    def test_a_default_timeout_that_is_a_text(self, monkeypatch):
        monkeypatch.setattr(phase_executor, "DEFAULT_PHASE_TIMEOUT_S", "300")  # --phase_default_timeout_s 300
        ran = run_plan(plan_of([phase("identify", timeout_s=None), phase("look", timeout_s=None)]))
        assert "look" not in ran.names()
        self.assert_error(ran, "The test framework crashed")

    def test_a_first_phase_that_is_left_out_while_the_first_failure_stops(self):
        @configuration.CONF.save_and_restore(stop_on_first_failure=True)
        def run() -> Ran:
            return run_plan(plan_of([phase("identify", run_if=lambda: False), phase("look")]))

        ran = run()
        assert ran.names() == []
        self.assert_error(ran, "IndexError")

    def test_a_plug_whose_tear_down_raises(self):
        class Leaking(htf.BasePlug):
            def tearDown(self) -> None:
                raise OSError("the relay does not answer")

        @htf.PhaseOptions(timeout_s=20)
        @htf.plug(relay=Leaking)
        def look(_test: htf.TestApi, relay: Leaking) -> None:
            assert relay

        self.assert_error(run_plan(plan_of([identified(), look])), "the relay does not answer")

    def test_a_plug_whose_tear_down_hangs(self, monkeypatch):
        monkeypatch.setattr("mfg.runner.execute.PLUG_TEARDOWN_WALL_S", 0.3)

        class Hanging(htf.BasePlug):
            def tearDown(self) -> None:
                for _ in range(200):
                    time.sleep(0.05)

        @htf.PhaseOptions(timeout_s=20)
        @htf.plug(relay=Hanging)
        def look(_test: htf.TestApi, relay: Hanging) -> None:
            assert relay

        ran = run_plan(plan_of([identified(), look]))
        wait_for_openhtf()
        self.assert_error(ran, "Killed tearDown")


class TestValuesThatAreNoMeasurement:
    def test_a_measurement_that_nobody_set_is_an_error(self):
        ran = run_plan(plan_of([identified(), phase("look", lambda _test: None, [measured()])]))
        assert ran.verdict.outcome == ERROR
        assert "look: level_v was not measured." in ran.verdict.reasons

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_a_number_that_is_not_finite_is_an_error(self, value):
        ran = run_plan(plan_of([identified(), phase("look", setting(level_v=value), [measured()])]))
        assert ran.verdict.outcome == ERROR
        assert "level_v is no number" in ran.verdict.reasons[0]

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
    def test_so_is_one_that_no_validator_refused(self, value):
        lax = htf.Measurement("level_v")
        ran = run_plan(plan_of([identified(), phase("look", setting(level_v=value), [lax])]))
        assert ran.framework_outcome == PASS
        assert ran.verdict.outcome in {ERROR, FAIL}

    def test_none_is_not_measured(self):
        ran = run_plan(plan_of([identified(), phase("look", setting(level_v=None), [measured()])]))
        assert ran.verdict.outcome == ERROR
        assert "look: level_v was not measured." in ran.verdict.reasons

    def test_a_text_where_a_number_belongs_is_an_error(self):
        ran = run_plan(plan_of([identified(), phase("look", setting(level_v="1.0"), [measured()])]))
        assert ran.verdict.outcome == ERROR


class TestWhoIsToBlame:
    def test_a_value_outside_its_limit_rejects_the_unit(self):
        ran = run_plan(plan_of([identified(), phase("look", setting(level_v=9.0), [measured()])]))
        assert ran.verdict.outcome == FAIL
        assert ran.verdict.exit_code == 1
        assert ran.verdict.reasons == ("2000 look: level_v is 9, allowed 0 … 2",)
        assert ran.verdict.next_action.startswith("Reject the unit")

    @pytest.mark.parametrize("kind", [DutError, AdjustmentError])
    def test_a_dut_error_rejects_the_unit_and_says_what_to_do(self, kind):
        ran = run_plan(plan_of([identified(), phase("look", raising(kind("No answer.", "Look at U3.")))]))
        assert ran.verdict.outcome == FAIL
        assert ran.verdict.exit_code == 1
        assert ran.verdict.reasons == ("2000 look: No answer.",)
        assert ran.verdict.next_action == "Reject the unit. Look at U3."

    def test_an_action_that_rejects_the_unit_already_is_not_said_twice(self):
        error = DutError("No answer.", "Reject the unit if it repeats.")
        ran = run_plan(plan_of([identified(), phase("look", raising(error))]))
        assert ran.verdict.next_action == "Reject the unit if it repeats."

    @pytest.mark.parametrize("kind", [StationError, FixtureError])
    def test_a_station_or_fixture_error_judges_no_unit(self, kind):
        ran = run_plan(plan_of([identified(), phase("look", raising(kind("No meter.", "Switch it on.")))]))
        assert ran.verdict.outcome == ERROR
        assert ran.verdict.exit_code == 3
        assert ran.verdict.reasons[0] == "2000 look: No meter."
        assert ran.verdict.next_action == "Switch it on."

    def test_an_error_of_the_software_judges_no_unit(self):
        ran = run_plan(plan_of([identified(), phase("look", raising(KeyError("typo")))]))
        assert ran.verdict.outcome == ERROR
        assert ran.verdict.next_action.startswith("Call the engineer")

    def test_an_error_outweighs_a_failed_measurement_but_both_are_told(self):
        def body(test: Any) -> None:
            test.measurements["level_v"] = 9.0
            raise StationError("No meter.")

        ran = run_plan(plan_of([identified(), phase("look", body, [measured()])]))
        assert ran.verdict.outcome == ERROR
        assert any("level_v is 9" in reason for reason in ran.verdict.reasons)

    def test_a_phase_that_does_not_end_in_its_time_is_an_error(self):
        def body(_test: Any) -> None:
            for _ in range(1000):
                time.sleep(0.01)

        ran = run_plan(plan_of([identified(), phase("look", body, timeout_s=0.2)]))
        assert ran.verdict.outcome == ERROR
        assert "did not end within its time" in ran.verdict.reasons[0]

    def test_a_failed_measurement_that_stops_the_run_is_the_units_failure(self):
        look = phase("look", setting(level_v=9.0), [measured()], stop_on_measurement_fail=True)
        ran = run_plan(plan_of([identified(), look, phase("after")]))
        assert ran.names() == ["identify", "look"]
        assert ran.verdict.outcome == FAIL

    def test_a_phase_that_stops_the_run_for_no_reason_is_an_error(self):
        stopping = phase("look", lambda _test: htf.PhaseResult.STOP)
        ran = run_plan(plan_of([identified(), stopping, phase("after")]))
        assert ran.verdict.outcome == ERROR
        assert "2000 look: The phase ended the run." in ran.verdict.reasons

    def test_a_plug_that_cannot_be_made_is_an_error_in_its_own_words(self):
        class Absent(htf.BasePlug):
            def __init__(self) -> None:
                raise StationError("No switch at port 18024.", "Look at its cable.")

        @htf.PhaseOptions(timeout_s=20)
        @htf.plug(switch=Absent)
        def look(_test: htf.TestApi, switch: Absent) -> None:
            assert switch

        ran = run_plan(plan_of([identified(), look]))
        assert ran.verdict.outcome == ERROR
        assert ran.verdict.reasons[0].endswith("No switch at port 18024. Look at its cable.")


class TestTheBenchIsOffOrWeSaySo:
    def plan(self, teardown: htf.PhaseDescriptor, *main: htf.PhaseDescriptor) -> Any:
        group = htf.PhaseGroup(name="supply", main=list(main), teardown=[teardown])
        return plan_of([identified(), group], teardowns=["switch_off"])

    def test_a_teardown_that_measured_too_much_is_an_error_with_a_warning_first(self):
        off = phase("switch_off", setting(level_v=9.0), [measured()])
        failing = phase("look", setting(other_v=9.0), [measured("other_v")])
        ran = run_plan(self.plan(off, failing))
        assert ran.verdict.outcome == ERROR
        assert ran.verdict.reasons[0].startswith(
            "The bench was not proved to be off (switch_off): level_v is 9"
        )
        assert ran.verdict.next_action.startswith("Do not touch the bench")
        assert any("other_v" in reason for reason in ran.verdict.reasons)

    @pytest.mark.parametrize("kind", [StationError, DutError])
    def test_so_is_one_that_raised_whoever_it_blames(self, kind):
        ran = run_plan(self.plan(phase("switch_off", raising(kind("no answer"))), phase("look")))
        assert ran.verdict.outcome == ERROR
        assert ran.verdict.reasons[0] == "The bench was not proved to be off (switch_off): no answer"

    def test_so_is_one_that_never_ran_although_its_group_had_begun(self):
        lock = htf.Measurement("level_v").with_validator(HoldsALock())
        off = phase("switch_off", measurements=[measured()])
        ran = run_plan(self.plan(off, phase("on"), phase("look", setting(level_v=1.0), [lock])))
        assert ran.names() == ["identify", "on"]
        assert ran.verdict.outcome == ERROR
        assert ran.verdict.reasons[0] == "The bench was not proved to be off: switch_off did not run."
        assert ran.verdict.next_action.startswith("Do not touch the bench")

    def test_a_group_that_was_never_entered_needs_no_teardown(self):
        off = phase("switch_off", measurements=[measured()])
        group = htf.PhaseGroup(main=[phase("on")], teardown=[off])
        plan = plan_of([phase("look", raising(DutError("dead"))), group], teardowns=["switch_off"])
        ran = run_plan(plan)
        assert ran.names() == ["look"]
        assert ran.verdict.outcome == FAIL

    def test_a_failed_unit_on_a_safe_bench_is_the_units_failure(self):
        off = phase("switch_off", measurements=[measured()])
        ran = run_plan(self.plan(off, phase("look", raising(DutError("dead")))))
        assert ran.names() == ["identify", "look", "switch_off"]
        assert ran.verdict.outcome == FAIL


class TestAbort:
    def test_an_abort_runs_the_teardown_and_is_no_verdict_on_the_unit(self):
        stop, entered = threading.Event(), threading.Event()

        def body(_test: Any) -> None:
            entered.set()
            for _ in range(1000):
                time.sleep(0.01)

        group = htf.PhaseGroup(main=[phase("look", body)], teardown=[phase("off", measurements=[measured()])])
        threading.Thread(target=lambda: (entered.wait(10), stop.set())).start()
        ran = run_plan(plan_of([group], teardowns=["off"]), stop)
        assert ran.names() == ["look", "off"]
        assert ran.verdict.outcome == ABORTED
        assert ran.verdict.exit_code == 4
        assert ran.verdict.next_action == "Start the unit again."

    def test_an_abort_that_leaves_the_bench_on_says_so(self):
        stop, entered = threading.Event(), threading.Event()

        def body(_test: Any) -> None:
            entered.set()
            for _ in range(1000):
                time.sleep(0.01)

        off = phase("off", raising(StationError("no switch")))
        group = htf.PhaseGroup(main=[phase("look", body)], teardown=[off])
        threading.Thread(target=lambda: (entered.wait(10), stop.set())).start()
        ran = run_plan(plan_of([group], teardowns=["off"]), stop)
        assert ran.verdict.outcome == ABORTED
        assert ran.verdict.next_action.startswith("Do not touch the bench")

    def test_an_abort_before_the_first_phase_is_heard(self):
        stop = threading.Event()
        stop.set()
        ran = run_plan(plan_of([phase(f"look{n}", lambda _test: time.sleep(0.2)) for n in range(20)]), stop)
        assert ran.verdict.outcome == ABORTED
        assert len(ran.names()) < 20


class TestTheCalibrationIsPartOfTheVerdict:
    @pytest.mark.parametrize(
        ("calibration", "outcome"), [("partly", PARTLY_CALIBRATED), ("none", NOT_CALIBRATED)]
    )
    def test_a_unit_that_is_not_calibrated_never_passes(self, calibration, outcome):
        ran = run_plan(plan_of([identified()], calibration=calibration))
        assert ran.verdict.outcome == outcome
        assert ran.verdict.exit_code == 5


class TestValuesThatAreJudgedByTheirUncertainty:
    EXPECTED = Expectation({"look": ["level_v"]}, {}, "all", {"look": ["level_v"]})

    def phases(
        self, outcome: str = PASS, uncertainty: bool = True, value: float = 1.0, tur: float = 1.6
    ) -> Any:
        """Give the record's phases as they are when the uncertainty has lowered a passed value."""
        (entry,) = run_plan(plan_of([phase("look", setting(level_v=value), [measured()])])).phases
        if uncertainty:
            held = {"tur": tur, "required_tur": 1.5}
            entry["measurements"][0]["uncertainty"] = held  # type: ignore[typeddict-item]
        if outcome != PASS:
            entry["measurements"][0]["outcome"] = entry["outcome"] = outcome
        return [entry]

    def judged(self, phases: Any, framework: str = PASS, expected: Expectation = EXPECTED) -> Any:
        return judge(phases, expected, framework, "SN1", aborted=False)

    def test_pass_with_their_uncertainty(self):
        assert self.judged(self.phases()).outcome == PASS

    def test_too_near_to_the_limit_are_indeterminate_and_reject_the_unit_in_their_own_words(self):
        verdict = self.judged(self.phases(INDETERMINATE, value=1.9))
        assert verdict.outcome == INDETERMINATE
        assert verdict.exit_code == 1
        assert verdict.reasons == (
            "1000 look: level_v is 1.9, allowed 0 … 2: inside its limit, but not by its uncertainty",
        )
        assert verdict.next_action.startswith("Reject the unit: it is not proved to be good.")

    def test_are_all_told_when_several_are_undecided(self):
        first, second = self.phases(INDETERMINATE), self.phases(INDETERMINATE)
        second[0]["name"] = "listen"
        expected = Expectation({"look": ["level_v"], "listen": ["level_v"]}, {}, "all")
        verdict = self.judged([*first, *second], expected=expected)
        assert verdict.outcome == INDETERMINATE
        assert len(verdict.reasons) == 2

    def test_that_fail_outweigh_those_that_are_undecided(self):
        undecided, failed = self.phases(INDETERMINATE)[0], self.phases(value=9.0)[0]
        failed["name"] = "listen"
        verdict = self.judged([undecided, failed], framework=FAIL)
        assert verdict.outcome == FAIL

    def test_undecided_are_no_verdict_where_the_record_is_incomplete(self):
        expected = Expectation({"look": ["level_v"], "listen": ["level_v"]}, {}, "all")
        verdict = self.judged(self.phases(INDETERMINATE), expected=expected)
        assert verdict.outcome == ERROR
        assert "The planned phase listen did not run." in verdict.reasons

    def test_undecided_never_leave_a_unit_partly_calibrated(self):
        expected = Expectation({"look": ["level_v"]}, {}, "partly")
        assert self.judged(self.phases(INDETERMINATE), expected=expected).outcome == INDETERMINATE

    def test_say_so_when_it_is_the_ratio_that_is_too_small(self):
        verdict = self.judged(self.phases(INDETERMINATE, tur=1.28))
        assert verdict.outcome == INDETERMINATE
        assert verdict.reasons[0].endswith("allowed 0 … 2: test uncertainty ratio 1.28, required 1.5")

    def test_without_an_uncertainty_judge_nobody(self):
        verdict = self.judged(self.phases(uncertainty=False))
        assert verdict.outcome == ERROR
        assert verdict.exit_code == 3
        assert verdict.reasons[0] == "look: level_v has no uncertainty."

    def test_without_an_uncertainty_judge_nobody_even_when_another_is_undecided(self):
        (entry,) = self.phases(INDETERMINATE)
        entry["measurements"].append({**entry["measurements"][0], "name": "other_v", "outcome": PASS})
        del entry["measurements"][1]["uncertainty"]
        expected = Expectation({"look": ["level_v", "other_v"]}, {}, "all", {"look": ["level_v", "other_v"]})
        verdict = self.judged([entry], expected=expected)
        assert verdict.outcome == ERROR
        assert verdict.reasons[0] == "look: other_v has no uncertainty."

    def test_that_no_rule_judges_need_none(self):
        plain = Expectation({"look": ["level_v"]}, {}, "all")
        assert self.judged(self.phases(uncertainty=False), expected=plain).outcome == PASS


class TestWhatAUnitDoesNotOffer:
    LEFT_OUT = ("look", "angle_deg")

    def ran(self, optional: bool) -> Any:
        """Run a phase that leaves one of its measurements out; give what is expected and what is recorded."""

        def body(test: Any) -> None:
            test.measurements["level_v"] = 1.0
            test.measurements.set_measurement_outcome_to_skipped("angle_deg")

        look = phase("look", body, [measured(), measured("angle_deg")])
        names = {"look": ["angle_deg"]}
        made = plan_of([look])
        plan = Plan(
            made.product,
            made.nodes,
            made.cases,
            made.teardowns,
            made.calibration,
            evaluated=names,
            optional=names if optional else {},
        )
        return plan, run_plan(plan)

    def verdict(self, optional: bool, said: bool) -> Any:
        plan, ran = self.ran(optional)
        assert ran.framework_outcome == PASS
        expected = expectation_of(plan, {self.LEFT_OUT} if said else ())
        return judge(ran.phases, expected, PASS, "SN1", aborted=False)

    def test_may_be_left_out_when_the_limits_call_it_optional_and_the_phase_says_so(self):
        assert self.verdict(optional=True, said=True).outcome == PASS

    @pytest.mark.parametrize(("optional", "said"), [(True, False), (False, True), (False, False)])
    def test_was_not_measured_otherwise(self, optional, said):
        verdict = self.verdict(optional, said)
        assert verdict.outcome == ERROR
        assert verdict.reasons[0] == "look: angle_deg was not measured."


class TestJudgeAlone:
    EXPECTED = Expectation({"look": ["level_v"]}, {}, "all")

    def good(self) -> Any:
        return run_plan(plan_of([phase("look", measurements=[measured()])])).phases

    def test_a_unit_that_was_never_identified_cannot_pass(self):
        verdict = judge(self.good(), self.EXPECTED, PASS, "", aborted=False)
        assert verdict.outcome == ERROR
        assert verdict.reasons[0] == "The unit was never identified."

    @pytest.mark.parametrize("outcome", ["", "FAIL", "ERROR", "TIMEOUT"])
    def test_a_pass_needs_the_frameworks_own_agreement(self, outcome):
        verdict = judge(self.good(), self.EXPECTED, outcome, "SN1", aborted=False)
        assert verdict.outcome == ERROR

    def test_a_crash_outweighs_everything_but_an_abort(self):
        verdict = judge(self.good(), self.EXPECTED, PASS, "SN1", aborted=False, troubles=["It crashed."])
        assert verdict.outcome == ERROR
        assert verdict.reasons == ("It crashed.",)

    def test_a_measurement_that_is_not_in_the_record_was_not_measured(self):
        phases = self.good()
        phases[0]["measurements"].clear()
        verdict = judge(phases, self.EXPECTED, PASS, "SN1", aborted=False)
        assert verdict.reasons[0] == "look: level_v was not measured."

    def test_the_last_try_of_a_phase_counts(self):
        good, failed = self.good()[0], {**self.good()[0], "outcome": "ERROR"}
        verdict = judge([good, failed], self.EXPECTED, PASS, "SN1", aborted=False)
        assert verdict.outcome == ERROR
