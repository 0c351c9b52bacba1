"""Every fault that the code asks for is in the catalogue, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mfg.emulator
from mfg.emulator import air_link
from mfg.emulator.fault_catalogue import (
    CATALOGUE,
    DUT,
    FIXTURE,
    HAND,
    INSTRUMENT,
    INSTRUMENT_NAMES,
    NAMES,
    PLANT_NAMES,
    STATION,
    is_fault,
    load_catalogue,
)
from mfg.emulator.instruments import faults as instrument_faults
from mfg.limits import load_limits
from mfg.plans.ct6 import ct6_plan
from mfg.plans.mode import Mode

FOLDER = Path(mfg.emulator.__file__).parent
LIMITS = FOLDER.parent / "limits" / "ct6.toml"
PATTERN = re.compile(r'(?:self\.on|self\._fault|fault|faults\.on)\(f?"([^"]+)"(?:, t_s)?\)')
MISO_FAULTS = ("miso_stuck", "miso_open")  # one look for both: each register read asks
OUTCOMES = {"PASS", "FAIL", "ERROR"}


def _asked_for() -> set[str]:
    files = ("faults.py", "unit.py", "unix_core.py")
    found = {name for file in files for name in PATTERN.findall((FOLDER / file).read_text())}
    return found | set(air_link.FAULTS) | set(MISO_FAULTS)


def test_every_fault_that_the_code_asks_for_is_in_the_catalogue():
    names = _asked_for()
    assert len(names) > 40
    for name in names:
        examples = [name.replace("{port}", "3").replace("{name.lower()}", chip) for chip in ("u4", "u5")]
        assert all(is_fault(example) or example in PLANT_NAMES for example in examples), name


def test_every_fault_of_unit_and_plant_does_something():
    asked = {re.sub(r"\{[^}]+\}", "*", name) for name in _asked_for()} | {"ports_swapped_*"}
    patterns = [re.compile(name.replace("*", r"\w+")) for name in asked]
    for name in NAMES | PLANT_NAMES:
        assert any(pattern.fullmatch(name) for pattern in patterns), name


def test_every_fault_of_an_instrument_is_one_that_an_instrument_knows():
    constants = {value for name, value in vars(instrument_faults).items() if name.isupper()}
    assert constants - {INSTRUMENT_NAMES} == INSTRUMENT_NAMES


def test_swapped_ports_may_be_named_in_either_order():
    assert is_fault("ports_swapped_5_2")
    assert not is_fault("ports_swapped_2_2")
    assert not is_fault("ports_swapped_0_7")


def test_names_are_unique_and_everything_is_said():
    assert len({fault.name for fault in CATALOGUE}) == len(CATALOGUE)
    for fault in CATALOGUE:
        assert len(fault.cause) > 10, fault.name
        assert len(fault.breaks) > 8, fault.name
        assert fault.scope in (DUT, FIXTURE, INSTRUMENT, STATION), fault.name
        assert set(fault.outcomes) <= OUTCOMES, fault.name
        assert fault.mode in ("full", "no-cal"), fault.name


def test_the_phase_that_must_catch_a_fault_is_one_that_the_coverage_run_runs():
    limits = load_limits(LIMITS)
    cases = {
        full: ct6_plan(limits, Mode(calibrate=full), lambda phase: phase).cases for full in (True, False)
    }
    for fault in CATALOGUE:
        if fault.phase:
            assert fault.phase in {*cases[fault.mode == "full"], "before", "after"}, fault.name


def test_only_what_is_harmless_or_needs_another_standard_may_pass():
    for fault in CATALOGUE:
        passes = fault.outcomes == ("PASS",)
        assert passes == bool(fault.harmless or fault.needs), fault.name
        assert passes or "PASS" not in fault.outcomes, fault.name
        assert bool(fault.phase) != passes, fault.name


def test_a_bench_or_an_instrument_at_fault_never_condemns_the_unit():
    for fault in CATALOGUE:
        if fault.scope != DUT and not fault.needs:
            assert fault.outcomes == ("ERROR",), fault.name


def test_what_only_a_hand_can_do_is_done_by_the_coverage_run_or_proved_elsewhere():
    assert all(fault.part == HAND for fault in CATALOGUE if fault.proved)


def test_an_entry_that_lacks_something_is_refused(tmp_path):
    file = tmp_path / "catalogue.toml"
    file.write_text('[odd]\nscope = "DUT"\ncause = "something is wrong"\n')
    with pytest.raises((KeyError, TypeError)):
        load_catalogue(file)
