"""A record says how its run left the unit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mfg.errors import StationError
from mfg.plans.mode import FULL, RESET_WIFI, Mode
from mfg.records.unit_after import (
    BETWEEN,
    NEW,
    OLD,
    UNFINISHED,
    UNKNOWN,
    is_unit_after,
    unit_after,
    unit_after_text,
)
from mfg.runner.run_facts import facts_of_unit_after

RESET = Mode(job=RESET_WIFI, address="10.0.0.2")
SEEN = unit_after(NEW, "It was read back.")


@pytest.mark.parametrize(
    ("seen", "mode", "acts", "outcome", "state"),
    [
        (None, RESET, [], "ERROR", OLD),
        (None, RESET, ["reset the WiFi configuration"], "ERROR", UNKNOWN),
        (SEEN, RESET, ["reset the WiFi configuration"], "FAIL", NEW),
        (None, Mode(job=FULL), [], "ERROR", OLD),
        (None, Mode(job=FULL), ["erase the flash"], "FAIL", UNFINISHED),
        (None, Mode(job=FULL), ["erase the flash"], "ABORTED", UNFINISHED),
        (None, Mode(job=FULL), ["erase the flash"], "PARTLY CALIBRATED", NEW),
    ],
)
def test_what_a_phase_saw_counts_then_what_was_begun(seen, mode, acts, outcome, state):
    assert facts_of_unit_after(SimpleNamespace(unit_after=seen), mode, acts, outcome)["state"] == state


def test_the_words_name_what_was_not_proved():
    text = unit_after_text(unit_after(NEW, "The files were read back over USB.", ["power under load"]))
    assert text == (
        "The unit is as the run was to leave it. The files were read back over USB. "
        "Not proved: power under load."
    )
    assert "Calibrate it" in unit_after_text(unit_after(BETWEEN, ""))


def test_a_state_that_there_is_not_is_refused():
    with pytest.raises(StationError, match="state"):
        is_unit_after({"state": "good", "basis": "", "not_proved": []}, "unit_after")
