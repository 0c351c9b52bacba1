"""Every job on both kinds of unit, with everything that may happen to it. Run by `nox -s job_faults`."""

from __future__ import annotations

import pytest
from faulted_job import judged, judged_killed, run_case, run_killed
from job_faults import CASES, KILLED, lines

ALL, ALL_KILLED = lines(CASES), lines(KILLED)


@pytest.mark.parametrize(("case", "kind"), ALL.values(), ids=ALL)
def test_a_unit_ends_in_its_old_state_or_in_its_new_one(case, kind, tmp_path):
    wrong = judged(case, run_case(tmp_path, case, kind))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("case", "kind"), ALL_KILLED.values(), ids=ALL_KILLED)
def test_a_killed_run_is_cleared_up_after_and_the_next_one_passes(case, kind, tmp_path):
    wrong = judged_killed(case, *run_killed(tmp_path, case, kind))
    assert not wrong, "\n".join(wrong)
