"""How a run left its unit: as it came, as it was to become, or neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from mfg.records.checks import has_keys, is_text, list_of, one_of

OLD, NEW, BETWEEN, UNFINISHED, UNKNOWN = "old", "new", "between", "unfinished", "unknown"
_MEANING = {
    OLD: "The unit is as it came.",
    NEW: "The unit is as the run was to leave it.",
    BETWEEN: "The unit is neither as it came nor as the run was to leave it. Calibrate it before it is used.",
    UNFINISHED: "The unit was erased and is not finished: its test begins from the beginning.",
    UNKNOWN: "How the unit was left is not known: it was not read any more.",
}


class UnitAfter(TypedDict):
    """How a run left its unit.

    `state` is old, new or, where it is neither, between; unfinished after an erase; unknown where nobody
    could look. `basis` says how that is known, `not_proved` what of a new state was not proved.
    """

    state: str
    basis: str
    not_proved: list[str]


is_unit_after = has_keys({"state": one_of(tuple(_MEANING)), "basis": is_text, "not_proved": list_of(is_text)})


def unit_after(state: str, basis: str, not_proved: Sequence[str] = ()) -> UnitAfter:
    """Make the facts of how a unit was left."""
    return {"state": state, "basis": basis, "not_proved": list(not_proved)}


def unit_after_text(held: UnitAfter) -> str:
    """Write how a unit was left as a person reads it."""
    missing = f" Not proved: {', '.join(held['not_proved'])}." if held["not_proved"] else ""
    return f"{_MEANING[held['state']]} {held['basis']}{missing}"
