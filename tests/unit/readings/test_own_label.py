"""The unit in the slot must be the one whose label was scanned, by its own files."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from mfg.errors import DutError, FixtureError
from mfg.readings.identity import take_identity
from mfg.readings.own_label import require_own_label

OWN, OTHER = "ASY0398_V003.200_SN00001823", "ASY0398_V003.200_SN00000009"
SHEET = SimpleNamespace(unit_label=OWN)


def labelled(text):
    return json.dumps({"ASSY": text}).encode()


@pytest.mark.parametrize(
    ("factory", "machine"),
    [
        (labelled(OWN), b""),
        (b"", labelled(OWN)),
        (b"", b""),
        (b'{"ASSY": "ASY03', b""),
        (b"", labelled("ASY0197_V00.0000_SN00000000")),
        (labelled(OWN), labelled(OTHER)),  # the factory file lies over the configuration
    ],
)
def test_a_unit_with_its_own_label_or_none_is_taken(factory, machine):
    require_own_label(SHEET, factory, machine)


@pytest.mark.parametrize(
    ("factory", "machine"), [(labelled(OTHER), b""), (b"", labelled(OTHER)), (b"no JSON", labelled(OTHER))]
)
def test_a_unit_with_another_label_is_refused(factory, machine):
    with pytest.raises(FixtureError, match=r"SN00000009 .* not what was scanned"):
        require_own_label(SHEET, factory, machine)


def test_a_unit_whose_label_cannot_be_read_is_to_be_given_one():
    with pytest.raises(DutError, match="carries no label that can be read") as caught:
        take_identity(SHEET, "scratched", "The unit in the slot")
    assert "--set-labels" in caught.value.action
