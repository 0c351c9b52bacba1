"""A run with a fault is judged as the coverage page says it is."""

from __future__ import annotations

import dataclasses

import pytest
from coverage_run import pairs, singles
from injection import PHASE_LINE
from page import write_page
from verdicts import (
    AFTER,
    BEFORE,
    CAUGHT,
    EARLIER,
    ESCAPED,
    GOOD,
    HARMLESS,
    LATE,
    NOT_AS_SAID,
    NOT_RUN,
    SECOND_STANDARD,
    WRONG_BLAME,
    Ended,
    Line,
    judge,
)

from mfg.emulator.fault_catalogue import CATALOGUE, HAND, REBOOT_PHASES, Fault

CASES = {"identify_unit": 1000, "check_leds": 7000, "check_display": 10000}
UNIT_FAULT = Fault("led", "led", "DUT", "unit", "an LED", "no light", "check_leds", ("FAIL",))
SPOKEN_FAULT = dataclasses.replace(UNIT_FAULT, says="light")
BENCH_FAULT = dataclasses.replace(
    UNIT_FAULT, name="meter", scope="instrument", phase="check_display", outcomes=("ERROR",)
)
BLIND_FAULT = dataclasses.replace(BENCH_FAULT, phase="", outcomes=("PASS",), needs="a second standard")
HARMLESS_FAULT = dataclasses.replace(UNIT_FAULT, phase="", outcomes=("PASS",), harmless=True)


def ended(outcome, phase=AFTER, **more):
    return Ended(outcome, phase, "a sentence", **more)


@pytest.mark.parametrize(
    ("faults", "how", "kind"),
    [
        ([UNIT_FAULT], ended("FAIL", "check_leds"), CAUGHT),
        ([UNIT_FAULT], ended("INDETERMINATE", "check_leds"), CAUGHT),
        ([SPOKEN_FAULT], ended("FAIL", "identify_unit"), EARLIER),
        ([SPOKEN_FAULT], ended("FAIL", BEFORE), EARLIER),
        ([SPOKEN_FAULT], ended("FAIL", "identify_unit", unsaid="nothing of a light"), NOT_AS_SAID),
        ([UNIT_FAULT], ended("FAIL", "identify_unit"), NOT_AS_SAID),
        ([SPOKEN_FAULT], ended("FAIL", "check_leds", unsaid="nothing of a light"), NOT_AS_SAID),
        ([SPOKEN_FAULT], ended("PASS", unsaid="nothing of a light"), ESCAPED),
        ([UNIT_FAULT], ended("FAIL", "check_display"), LATE),
        ([UNIT_FAULT], ended("FAIL", AFTER), LATE),
        ([UNIT_FAULT], ended("ERROR", "check_leds"), WRONG_BLAME),
        ([BENCH_FAULT], ended("FAIL", "check_display"), WRONG_BLAME),
        ([UNIT_FAULT], ended("ABORTED", "check_leds"), WRONG_BLAME),
        ([UNIT_FAULT], ended("PASS"), ESCAPED),
        ([UNIT_FAULT], ended("NOT CALIBRATED"), ESCAPED),
        ([UNIT_FAULT], ended("PARTLY CALIBRATED"), ESCAPED),
        ([UNIT_FAULT], ended(""), ESCAPED),
        ([UNIT_FAULT], ended("FAIL", "check_leds", live=("load",)), ESCAPED),
        ([UNIT_FAULT], ended("FAIL", "check_leds", wrong="the report holds <script>"), ESCAPED),
        ([UNIT_FAULT], ended("FAIL", "check_display", struck="check_display"), CAUGHT),
        ([UNIT_FAULT], ended("FAIL", "identify_unit", undone=True), NOT_RUN),
        ([BLIND_FAULT], ended("PASS"), SECOND_STANDARD),
        ([BLIND_FAULT], ended("ERROR", "check_display"), NOT_AS_SAID),
        ([HARMLESS_FAULT], ended("PASS"), HARMLESS),
        ([HARMLESS_FAULT], ended("PASS", wrong="port 1 reads 3 % wrong"), ESCAPED),
        ([HARMLESS_FAULT], ended("FAIL", "check_leds"), NOT_AS_SAID),
        ([UNIT_FAULT, BENCH_FAULT], ended("ERROR", "check_display"), CAUGHT),
        ([UNIT_FAULT, BENCH_FAULT], ended("FAIL", "check_leds"), EARLIER),
        ([UNIT_FAULT, BENCH_FAULT], ended("ERROR", AFTER), LATE),
        ([UNIT_FAULT, BENCH_FAULT], ended("PASS"), ESCAPED),
        ([UNIT_FAULT, HARMLESS_FAULT], ended("PASS"), ESCAPED),
    ],
)
def test_a_run_is_judged_by_outcome_and_place(faults, how, kind):
    assert judge(faults, how, CASES) == kind


def test_whatever_is_not_as_it_must_be_ends_the_coverage_with_an_error():
    bad = {ESCAPED, LATE, WRONG_BLAME, NOT_AS_SAID}
    assert not bad.intersection(GOOD)


def test_every_fault_is_injected_and_of_those_that_differ_by_their_port_one():
    chosen = singles(seed=4, every=False, only=())
    assert {fault.template for fault in chosen} == {fault.template for fault in CATALOGUE}
    assert len([fault for fault in chosen if fault.template == "port{port}_dead"]) == 1
    assert len([fault for fault in chosen if "{phase}" in fault.template]) == len(REBOOT_PHASES)
    assert singles(seed=4, every=True, only=()) == list(CATALOGUE)


def test_pairs_follow_the_seed_and_hold_nothing_that_may_pass():
    drawn = pairs(seed=4, count=20)
    assert drawn == pairs(seed=4, count=20) != pairs(seed=5, count=20)
    for pair in drawn:
        assert len(set(pair)) == 2
        assert not any(fault.part == HAND or fault.needs or fault.harmless for fault in pair)


def test_the_line_of_a_phase_is_found_in_what_the_command_prints():
    assert PHASE_LINE.match("✔  3000  erase flash                    1.3 s").groups() == ("✔", "erase flash")
    assert PHASE_LINE.match("✘ 12100  adjust registers             12.0 s")[2] == "adjust registers"
    assert not PHASE_LINE.match("        firmware: 3 of 30")


def test_the_page_shows_escapes_first_and_escapes_what_a_unit_says(tmp_path):
    script = "<script>alert(1)</script>"
    lines = [
        Line((UNIT_FAULT,), ESCAPED, Ended("PASS", AFTER, script, live=("load",))),
        Line((BLIND_FAULT,), SECOND_STANDARD, ended("PASS")),
        Line((UNIT_FAULT, BENCH_FAULT), CAUGHT, ended("ERROR", "check_display")),
    ]
    write_page(tmp_path / "page.html", lines, seed=4, wall_s=60.0)
    page = (tmp_path / "page.html").read_text()
    assert script not in page
    assert "1 of 3 runs not as they must be" in page
    assert "Left on: load." in page
    assert "<b>PASS</b> at the end of the run" in page
    assert "<b>ERROR</b> in check display" in page
    assert "Only a second standard could show it." in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_page_says_so_when_nothing_escaped(tmp_path):
    lines = [Line((UNIT_FAULT,), CAUGHT, ended("FAIL", "check_leds"))]
    write_page(tmp_path / "page.html", lines, seed=4, wall_s=60.0)
    assert "No fault escaped" in (tmp_path / "page.html").read_text()
