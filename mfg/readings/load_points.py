"""Bring the bench to a load point, and take a dwell there that can be believed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mfg.calibration.one_ct import check_only_asked, check_way_round
from mfg.calibration.pairing import Sample, mean, window_s
from mfg.calibration.windows import (
    FIRST_WINDOW_LIMIT_PPM,
    SCATTER_LIMIT_PPM,
    Finding,
    StopRule,
    check_first_window,
    check_line_frequency,
    check_load_angle,
    check_load_current,
    check_mains_steady,
    check_not_saturated,
    check_reference_fresh,
    check_scatter,
    check_steady_while_read,
)
from mfg.clock import BenchClock
from mfg.errors import DutError, FixtureError, MfgError, StationError
from mfg.fixtures.power_switch import PowerSwitch
from mfg.fixtures.references import Reference
from mfg.fixtures.shelly_meter import ShellyMeter
from mfg.limits.loader import PORTS
from mfg.readings.paired import Dwell, collect_windows
from mfg.readings.settling import OnPoll, around, wait_until_settled, wait_until_switched
from mfg.readings.window_sources import WindowSource
from mfg.station import LoadPoint, Station

REPEATED_SHARE = 2  # a steady load repeats readings by chance; a meter that holds gives nothing else
STEP_FACTOR = 2.0  # a reading that sits between two steps scatters by half a step, not by its root of 12
WANDER_PPM = 600.0  # twice the mains' wander within a second (metrology 3.1)
OFF_TIMEOUT_S, OFF_A = 5.0, 0.010
LEAST_SHARE = 0.5  # of a dwell's highest current below which the load went away
Check = Callable[[], Finding | None]
_ERRORS: dict[str, type[MfgError]] = {"dut": DutError, "fixture": FixtureError, "station": StationError}
_ACTIONS = {
    "dut": "Reject the unit.",
    "fixture": "Check the load, the conductor and the CTs, then start the unit again.",
    "station": "Call the engineer.",
}


@dataclass(frozen=True)
class LoadBench:
    """The load with its reference, as the calibration uses them."""

    station: Station
    clock: BenchClock
    switch: PowerSwitch
    meter: Reference
    ports: tuple[int, ...] = PORTS  # those with a CT on the conductor: only they are to be believed

    def go_to(self, point: LoadPoint, settle_s: float, on_poll: OnPoll) -> float:
        """Set the load to a point and wait until its current is stable.

        The reference's range follows the current as the power switch measures it: never a current above it.

        Returns:
            The current at the reference, in A.

        Raises:
            FixtureError: The current does not arrive or become stable within `settle_s`, or the switch fails.
            StationError: The reference failed, or gives earlier readings.
        """
        channel = self.station.power_switch.load_channel

        def measured_a() -> float:
            return self.switch.measured_current_a(channel)

        deadline, change = self.clock.deadline(settle_s), around(point.current_a)
        before_a = measured_a()
        if before_a < point.current_a:
            self._set_range(point.range_a)
        if len(self.station.load_points) > 1:
            self.switch.set_current(channel, point.current_a)
        self.switch.on(channel)
        if not change.reached(before_a):
            change = wait_until_switched(measured_a, self.clock, change, deadline, on_poll)
        if before_a >= point.current_a:
            self._set_range(point.range_a)
        update_s = self.station.reference_meter.update_s
        return wait_until_settled(self.meter, measured_a, self.clock, change, update_s, deadline, on_poll)

    def _set_range(self, range_a: float) -> None:
        settings = self.station.reference_meter
        self.meter.configure(settings.voltage_range_v, range_a, settings.update_s)

    def dwell(
        self, point: LoadPoint, source: WindowSource, rule: StopRule, timeout_s: float, on_poll: OnPoll
    ) -> Dwell:
        """Collect windows at a point, where the load is already, and check that they can be believed.

        Raises:
            DutError, FixtureError, StationError: By who must act on what is unbelievable; as
            `collect_windows` otherwise.
        """
        dwell = collect_windows(source, self.meter, self.clock, rule, timeout_s, on_poll, self.ports)
        currents = {port: [window.current_a for window in dwell.windows[port]] for port in self.ports}

        def ratios() -> dict[int, list[float]]:  # only for a load that stayed
            return {port: dwell.current_ratios(port) for port in self.ports}

        believable_ppm = self._believable_scatter_ppm(dwell)
        later = {port: readings[1:] for port, readings in currents.items()}  # the first one may be stale
        angle_deg = self.station.conductor.load_angle_deg
        require_believable(
            [
                *reference_checks(dwell, float(self.station.line_frequency_hz)),
                *typed_checks(dwell, self.ports),
                lambda: check_not_saturated(currents),
                lambda: check_load_stayed(dwell.samples),
                lambda: check_load_current(mean([s.values[1] for s in dwell.samples]), point.current_a),
                lambda: self._check_placed(dwell),
                lambda: check_currents_there(later),
                lambda: check_first_window(ratios(), max(believable_ppm, FIRST_WINDOW_LIMIT_PPM)),
                lambda: check_scatter(ratios(), believable_ppm),
                lambda: check_load_angle(dwell.reference_angle_deg, angle_deg),
            ]
        )
        return dwell

    def _check_placed(self, dwell: Dwell) -> Finding | None:
        """Find the wrong CT on the conductor, or one that is turned, where the bench takes one at a time."""
        conductor = self.station.conductor
        if not conductor.one_at_a_time:
            return None
        # A port's first window may be stale.
        ratios = {port: mean(dwell.current_ratios(port)[1:]) for port in dwell.windows}
        for asked in self.ports:
            finding = check_only_asked(asked, ratios, conductor.turns)
            active_w = mean([window.active_w for window in dwell.windows[asked][1:]])
            finding = finding or check_way_round(asked, active_w, conductor.sign)
            if finding is not None:
                return finding
        return None

    def _believable_scatter_ppm(self, dwell: Dwell) -> float:
        """Return the scatter that windows may have: the load's, that of the steps, and what pairing leaves.

        A reference that averages longer than a window does not show how the mains wanders within its update.
        Against one reading of a person windows scatter with the mains; `typed_checks` has judged that.
        """
        if dwell.typed is not None:
            return dwell.typed.spread_limit_pct * 1e4
        smallest_a = min(abs(dwell.means(port).current_a) for port in self.ports)
        if smallest_a == 0:
            return SCATTER_LIMIT_PPM
        step_a = dwell.current_step_a
        if isinstance(self.meter, ShellyMeter):
            step_a = math.hypot(step_a, self.station.conductor.turns * self.meter.current_step_a)
        steps_ppm = step_a / smallest_a / math.sqrt(12) * 1e6
        slow = self.station.reference_meter.update_s > window_s(float(self.station.line_frequency_hz))
        return math.hypot(SCATTER_LIMIT_PPM, STEP_FACTOR * steps_ppm, WANDER_PPM if slow else 0.0)


def switch_off_measured(switch: PowerSwitch, channels: Sequence[int], clock: BenchClock) -> None:
    """Switch conductors off, and measure that they are.

    Raises:
        FixtureError: Current still flows; names how much, and where it was measured.
        StationError: The switch does not answer.
    """
    for channel in channels:
        switch.off(channel)

    def highest_a() -> float:
        return max(abs(switch.measured_current_a(channel)) for channel in channels)

    if not clock.wait_until(lambda: highest_a() < OFF_A, OFF_TIMEOUT_S):
        raise FixtureError(
            f"The load still draws {highest_a():.2f} A {OFF_TIMEOUT_S:g} s after it was switched off, by "
            f"channel {' and '.join(map(str, channels))} of the power switch.",
            "Switch the bench off at the mains: a contact may be welded.",
        )


def reference_checks(dwell: Dwell, expected_hz: float) -> list[Check]:
    """Return what is checked of the reference and the mains in every dwell."""
    return [
        lambda: check_line_frequency(dwell.reference_frequency_hz, expected_hz),
        lambda: check_line_frequency(dwell.frequency_hz, expected_hz),
        lambda: check_reference_fresh(dwell.samples, len(dwell.samples) // REPEATED_SHARE),
        lambda: check_mains_steady(dwell.samples),
    ]


def typed_checks(dwell: Dwell, ports: Sequence[int]) -> list[Check]:
    """Return what is checked where a person read the reference: that nothing moved meanwhile.

    A port that sees no conductor is not judged here: checks of its own name it.
    """
    typed = dwell.typed
    if typed is None:
        return []
    least_a = LEAST_SHARE * typed.pair.current_a
    seeing = [port for port in ports if dwell.means(port).current_a > least_a]
    wandered = {port: max(dwell.voltage_spread_pct(port), dwell.current_spread_pct(port)) for port in seeing}
    return [lambda: check_steady_while_read(wandered, typed.spread_limit_pct)] if wandered else []


def check_load_stayed(samples: Sequence[Sample]) -> Finding | None:
    """Find a load that went away in the dwell: one reading far below the highest, or no current at all."""
    currents_a = [sample.values[1] for sample in samples]
    lowest, least = min(currents_a), max(currents_a) * LEAST_SHARE
    if lowest > 0 and lowest >= least:
        return None
    return Finding(
        "load_lost",
        "fixture",
        f"The load's current fell to {lowest:.3f} A in the dwell, from {max(currents_a):.3f} A.",
        lowest,
        least,
    )


def check_currents_there(currents_a: Mapping[int, Sequence[float]]) -> Finding | None:
    """Find a port that reads no current though the load is on."""
    for port, readings in currents_a.items():
        if min(readings) <= 0:
            return Finding(
                "no_current",
                "fixture",
                f"Port {port} reads no current with the load on: its CT is open or not on the conductor.",
                min(readings),
                0.0,
            )
    return None


def require_believable(checks: Sequence[Check]) -> None:
    """Raise what the first check finds, by who must act; checks are given as functions without arguments."""
    for check in checks:
        finding = check()
        if finding is not None:
            raise _ERRORS[finding.culprit](finding.message, _ACTIONS[finding.culprit])
