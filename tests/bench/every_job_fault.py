"""Every job on both kinds of unit, with everything that may happen to it. Run by `nox -s job_faults`."""

from __future__ import annotations

import pytest
from faulted_job import judged, run_case
from job_faults import CASES

LINES = [
    pytest.param(case, kind, id=f"{case.job}, {kind}: {case.what}") for case in CASES for kind in case.kinds
]


@pytest.mark.parametrize(("case", "kind"), LINES)
def test_a_unit_ends_in_its_old_state_or_in_its_new_one(case, kind, tmp_path):
    wrong = judged(case, tmp_path, run_case(tmp_path, case, kind))
    assert not wrong, "\n".join(wrong)
