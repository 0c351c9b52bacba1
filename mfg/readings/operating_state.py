"""Bring a unit into the state in which its user reads it, and say what is known of that state.

WiFi and display load the adaptor, and with it the voltage that the unit senses: 0.5 to 1 % by estimate
(metrology 3.4). WiFi is on wherever the unit answers. The display is on for a minute after the start.
"""

from __future__ import annotations

from collections.abc import Collection

from mfg.clock import BenchClock
from mfg.errors import DutError
from mfg.fixtures.dut_api import DutApi
from mfg.readings.settling import OnPoll

DISPLAY_FEATURE = "display"
DISPLAY_S = 60.0  # ct6-interface 1.6: after power-up or a press
WAKE_S = 3.0
SOAK_POLL_S = 1.0
DWELL_S = 10.0  # what the display must still stay on for to count as on
ON, BY_TIMER = "WiFi joined, display on", "WiFi joined, display on by its timer"
UNKNOWN = "WiFi joined, display not known"


def operating_state(api: DutApi, clock: BenchClock, features: Collection[str]) -> str:
    """Have the display on where the unit's interface allows it.

    Returns:
        What is known of WiFi and display, in words for the record.

    Raises:
        DutError: The unit offers to switch its display on and does not. FixtureError: It does not answer.
    """
    if DISPLAY_FEATURE in features:
        if not clock.wait_until(api.keep_display_on, WAKE_S, poll_s=0.1):
            raise DutError(f"The display did not go on within {WAKE_S:g} s.", "Reject the unit.")
        return ON
    return BY_TIMER if api.uptime_s() + DWELL_S < DISPLAY_S else UNKNOWN


def soak(api: DutApi, clock: BenchClock, soak_s: float, on_poll: OnPoll) -> float:
    """Wait until the unit has run for the soak time, in s.

    Args:
        on_poll: Called about every second; keeps a watchdog fed.

    Returns:
        How long it has run, in s; the state stays as it was.

    Raises:
        FixtureError: The unit does not answer.
    """
    deadline = clock.deadline(soak_s - api.uptime_s())
    while not deadline.expired():
        on_poll(0)
        clock.sleep_s(min(deadline.remaining_s(), SOAK_POLL_S))
    return api.uptime_s()


def note_state(states: list[str], state: str) -> None:
    """Add a state to those of a run, once."""
    if state not in states:
        states.append(state)
