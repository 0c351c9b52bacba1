"""Whether the unit in the slot is the one whose label was scanned, by its own files over USB."""

from __future__ import annotations

from collections.abc import Mapping

from mfg.errors import DutError, FixtureError
from mfg.fixtures.traveller import Traveller
from mfg.records.factory_file import FACTORY_NAME, MACHINE_NAME
from mfg.records.labels import UnitLabel, parse_unit_label
from mfg.untrusted import parse_json


def object_of(content: bytes) -> dict[str, object]:
    """Return a file of a unit as an object; one that cannot be read is empty."""
    try:
        values = parse_json(content)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def own_label(files: Mapping[str, bytes]) -> tuple[str, UnitLabel] | None:
    """Return in which of a unit's files its label is, and the label; None where it was given none.

    Args:
        files: Of the unit, by plain name; `factory.cfg` lies over the configuration.
    """
    for name in (FACTORY_NAME, MACHINE_NAME):
        try:
            label = parse_unit_label(str(object_of(files.get(name, b"")).get("ASSY", "")))
        except DutError:
            continue
        if label.serial != 0:  # what unlabelled firmware carries
            return name, label
    return None


def require_own_label(sheet: Traveller, factory: bytes, machine: bytes) -> None:
    """Refuse a unit that carries another label than was scanned; one that was given none is not refused.

    Args:
        sheet: Of the run, with the label.
        factory: The unit's `factory.cfg`, empty where it has none.
        machine: Its `this.machine.cfg`, empty where it has none.

    Raises:
        FixtureError: The unit's own label is another one.
    """
    found = own_label({FACTORY_NAME: factory, MACHINE_NAME: machine})
    if found is not None and found[1].unit_text != sheet.unit_label:
        where, label = found
        raise FixtureError(
            f"The unit in the slot is {label.unit_text} by its {where}, not what was scanned: "
            f"{sheet.unit_label}.",
            "Put the right unit into the slot, or scan its own label.",
        )
