"""A sample of what may happen to a unit in a job; `nox -s job_faults` runs all of it."""

from __future__ import annotations

import itertools

import pytest
from faulted_job import judged, judged_killed, run_case, run_killed
from job_faults import CASES, GOOD, KILLED, KINDS, NOT_TRIED, SAMPLE, lines
from job_strikes import FAULTS, JOBS

from mfg.plans import mode

pytestmark = pytest.mark.job


ALL, ALL_KILLED = lines(CASES), lines(KILLED)
SOME = {name: ALL[name] for name in SAMPLE if name not in ALL_KILLED}
SOME_KILLED = {name: ALL_KILLED[name] for name in SAMPLE if name not in ALL}


@pytest.mark.parametrize(("case", "kind"), SOME.values(), ids=SOME)
def test_a_unit_ends_in_its_old_state_or_in_its_new_one(case, kind, tmp_path):
    wrong = judged(case, run_case(tmp_path, case, kind))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("case", "kind"), SOME_KILLED.values(), ids=SOME_KILLED)
def test_a_killed_run_is_cleared_up_after_and_the_next_one_passes(case, kind, tmp_path):
    wrong = judged_killed(case, *run_killed(tmp_path, case, kind))
    assert not wrong, "\n".join(wrong)


def test_every_job_of_the_station_is_in_the_table():
    started = {argument for job in JOBS.values() for argument in job.arguments}
    assert [job for job in mode.JOBS if job != mode.FULL and f"--{job}" not in started] == []


@pytest.mark.parametrize("job", JOBS)
def test_every_job_is_tried_on_both_kinds_of_unit_with_every_fault_that_it_can_meet(job):
    cases = [case for case in CASES if case.job == job]
    assert [case.kinds for case in cases if case.what == GOOD] == [KINDS]
    lines = {(case.strike.fault, kind) for case in cases for kind in case.kinds}
    for fault, kind in itertools.product(FAULTS, KINDS):
        assert ((fault, kind) in lines) != ((job, fault) in NOT_TRIED), (job, fault, kind)
