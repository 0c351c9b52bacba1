"""Every fault that the code asks for is in the catalogue, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import mfg.emulator
from mfg.emulator.fault_catalogue import CATALOGUE, NAMES, PLANT_NAMES, is_fault

FOLDER = Path(mfg.emulator.__file__).parent
PATTERN = re.compile(r'(?:self\.on|self\._fault)\(f?"([^"]+)"(?:, t_s)?\)')


def _asked_for() -> set[str]:
    return {
        name for file in ("faults.py", "unit.py") for name in PATTERN.findall((FOLDER / file).read_text())
    }


def test_every_fault_that_the_code_asks_for_is_in_the_catalogue():
    names = _asked_for()
    assert len(names) > 15
    for name in names:
        examples = [name.replace("{port}", "3").replace("{name.lower()}", chip) for chip in ("u4", "u5")]
        assert all(is_fault(example) or example in PLANT_NAMES for example in examples), name


def test_every_fault_of_the_catalogue_does_something():
    asked = {re.sub(r"\{[^}]+\}", "*", name) for name in _asked_for()} | {"ports_swapped_*"}
    patterns = [re.compile(name.replace("*", r"\w+")) for name in asked]
    for fault in CATALOGUE:
        assert any(pattern.fullmatch(fault.name) for pattern in patterns), fault.name


def test_swapped_ports_may_be_named_in_either_order():
    assert is_fault("ports_swapped_5_2")
    assert not is_fault("ports_swapped_2_2")
    assert not is_fault("ports_swapped_0_7")


def test_names_are_unique_and_causes_are_given():
    assert len(NAMES | PLANT_NAMES) == len(CATALOGUE)
    assert not NAMES & PLANT_NAMES
    assert all(len(fault.cause) > 10 for fault in CATALOGUE)
