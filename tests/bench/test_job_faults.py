"""A sample of what may happen to a unit in a job; `nox -s job_faults` runs all of it."""

from __future__ import annotations

import pytest
from faulted_job import judged, run_case
from job_faults import CASES, ORIGINAL, OURS

pytestmark = pytest.mark.job

SAMPLE = [
    pytest.param(case, kind, id=f"{case.job}, {kind}: {case.what}") for case in CASES for kind in case.sampled
]


@pytest.mark.parametrize(("case", "kind"), SAMPLE)
def test_a_unit_ends_in_its_old_state_or_in_its_new_one(case, kind, tmp_path):
    wrong = judged(case, tmp_path, run_case(tmp_path, case, kind))
    assert not wrong, "\n".join(wrong)


def test_every_job_is_tried_on_both_kinds_of_unit_with_a_fault_and_without():
    for job in {case.job for case in CASES}:
        for kind in (OURS, ORIGINAL):
            tried = [bool(case.phases) for case in CASES if case.job == job and kind in case.kinds]
            assert set(tried) == {True, False}, (job, kind)
