"""Check both LEDs: the operator counts flashes that nobody told him."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import openhtf as htf

from mfg.clock import BenchClock
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.operator import OperatorPlug, parse_colour_and_count
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug
from mfg.readings.restarts import require_no_restart
from mfg.readings.window_sources import WINDOWS_FEATURE

FLASH_S = 0.25  # lit and dark alike: slow enough to count, fast enough not to bore
BEFORE_FIRST_S = 0.6  # the eye needs a moment after the question
MIN_FLASHES, MAX_FLASHES = 2, 6
ATTEMPTS = 2  # one repeat for a miscount, recorded
QUESTION = "Watch the LEDs. One of them flashes a few times. Which colour, and how often?"
GREEN_QUESTION = (
    "Watch the green LED alone; the blue one flickers all the time. How often does the green flash?"
)


@htf.PhaseOptions(timeout_s=600)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, operator=OperatorPlug)
def check_leds(
    test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, operator: OperatorPlug
) -> None:
    """Flash a random LED first, two to six times each; the operator gives colour and count.

    The original's firmware toggles the blue LED by a timer, whatever it is told (ct6-interface 3.3): there
    the green one alone is judged.

    Needs: the unit on the network. Leaves: both LEDs under the firmware's control again.
    """
    timeout_s = traveller.sheet.deadline_s("operator_s")
    clock = unit.slot_context.clock
    colours = ["green", "blue"]
    secrets.SystemRandom().shuffle(colours)
    question = QUESTION
    if WINDOWS_FEATURE not in unit.api.features():
        colours, question = ["green"], GREEN_QUESTION
        test.measurements.set_measurement_outcome_to_skipped("blue_seen")
        traveller.sheet.left_out.add(("check_leds", "blue_seen"))
    repeats = 0
    try:
        for colour in colours:
            seen, attempts = _ask(unit.api, clock, operator, colour, question, timeout_s)
            test.measurements[f"{colour}_seen"] = seen
            repeats = max(repeats, attempts - 1)
    finally:
        unit.api.set_wifi_led("release")
        unit.api.set_bluetooth_led(False)
    test.measurements["led_repeats"] = repeats
    require_no_restart(traveller.sheet, unit.api, clock)


def _ask(
    api: DutApi, clock: BenchClock, operator: OperatorPlug, colour: str, question: str, timeout_s: float
) -> tuple[bool, int]:
    """Flash and ask until the answer is right, at most `ATTEMPTS` times."""
    for attempt in range(1, ATTEMPTS + 1):
        sent = MIN_FLASHES + secrets.randbelow(MAX_FLASHES - MIN_FLASHES + 1)
        api.set_wifi_led("force_off")
        api.set_bluetooth_led(False)
        answer = operator.begin("count", question, timeout_s)
        clock.sleep_s(BEFORE_FIRST_S)
        _flash(clock, _switch_of(api, colour), sent)
        if parse_colour_and_count(answer.wait()) == (colour, sent):
            return True, attempt
    return False, ATTEMPTS


def _switch_of(api: DutApi, colour: str) -> Callable[[bool], None]:
    if colour == "green":
        return lambda on: api.set_wifi_led("force_on" if on else "force_off")
    return api.set_bluetooth_led


def _flash(clock: BenchClock, switch: Callable[[bool], None], count: int) -> None:
    for _flash_number in range(count):
        switch(True)
        clock.sleep_s(FLASH_S)
        switch(False)
        clock.sleep_s(FLASH_S)
