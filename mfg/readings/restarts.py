"""Did the unit restart by itself? Its own count of seconds tells when it was started.

A phase that waits for an operator, or for windows, does not see a unit that goes away and comes back in
between, and registers that live in the chips are gone afterwards. An emulated RP2040 keeps no time while it
is busy: there neither count is asked.
"""

from __future__ import annotations

from mfg.clock import BenchClock
from mfg.errors import DutError
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.traveller import Traveller

TOLERANCE_S = 3.0  # the unit counts whole seconds, and the exchange takes its time
TICKS_TOLERANCE_S = 0.05  # of the chip's own ticks, beyond the time that the exchange took
_ACTION = "Reject the unit: look at RUN, its supply and its solder joints."


def require_chip_ran_on(sheet: Traveller, repl: MicroPythonRepl) -> None:
    """Refuse a unit whose chip restarted since MicroPython was seen to run on it.

    Raises:
        DutError: It did; FixtureError: The port vanished.
    """
    if not sheet.unit_keeps_time:
        return
    earliest_s, _latest_s = repl.chip_started_s()
    later_s = earliest_s - sheet.chip_started_s
    if later_s > TICKS_TOLERANCE_S:
        raise DutError(f"The unit's chip restarted by itself, {later_s:.1f} s after its start.", _ACTION)


def note_start(sheet: Traveller, api: DutApi, clock: BenchClock) -> None:
    """Remember when the unit was started: after a start that the station asked for."""
    sheet.unit_started_s = clock.now_s() - api.uptime_s()


def require_no_restart(sheet: Traveller, api: DutApi, clock: BenchClock) -> None:
    """Refuse a unit that was started again since the station started it, or since it was asked first.

    Raises:
        DutError: It was; FixtureError: It does not answer: it may be starting just now.
    """
    if not sheet.unit_keeps_time:
        return
    if sheet.unit_started_s is None:  # the first phase that asks a unit that ran already
        note_start(sheet, api, clock)
        return
    uptime_s = api.uptime_s()
    expected_s = clock.now_s() - sheet.unit_started_s
    tolerance_s = clock.link_timeout_wall_s(TOLERANCE_S) * clock.factor
    if expected_s - uptime_s > tolerance_s:
        raise DutError(
            f"The unit restarted by itself: it has been running for {uptime_s:.0f} s, "
            f"but the station started it {expected_s:.0f} s ago.",
            _ACTION,
        )
