"""The words for how something ended."""

from __future__ import annotations

PASS = "PASS"
FAIL = "FAIL"
INDETERMINATE = "INDETERMINATE"  # a value that its limit allows and its uncertainty does not
ERROR = "ERROR"
SKIP = "SKIP"
UNSET = "UNSET"
ABORTED = "ABORTED"
INTERRUPTED = "INTERRUPTED"  # the run was killed; its record was made from its journal
NOT_CALIBRATED = "NOT CALIBRATED"
PARTLY_CALIBRATED = "PARTLY CALIBRATED"

OUTCOMES = (PASS, FAIL, INDETERMINATE, ERROR, ABORTED, INTERRUPTED, NOT_CALIBRATED, PARTLY_CALIBRATED)
JUDGES_NOBODY = (ERROR, ABORTED, INTERRUPTED)
PHASE_OUTCOMES = (PASS, FAIL, INDETERMINATE, ERROR, SKIP)
MEASUREMENT_OUTCOMES = (PASS, FAIL, INDETERMINATE, UNSET)
# What the command ends with.
EXIT_CODES = {
    PASS: 0,
    FAIL: 1,
    INDETERMINATE: 1,
    ERROR: 3,
    ABORTED: 4,
    INTERRUPTED: 4,
    NOT_CALIBRATED: 5,
    PARTLY_CALIBRATED: 5,
}
VERDICTS = (PASS, INDETERMINATE, FAIL)  # of a decision rule, the best first


def worst(*verdicts: str) -> str:
    """Return the worst of some verdicts, each one of `VERDICTS`."""
    return max(verdicts, key=VERDICTS.index)
