"""The safe state of a bench: load, identification conductor and supply off, as measured.

The supervisor owns it, on a connection that no phase shares: whatever a phase blocks, this does not wait
for it.
"""

from __future__ import annotations

import logging
import time

from mfg.clock import BenchClock
from mfg.errors import MfgError
from mfg.fixtures.power_switch import PowerSwitch
from mfg.fixtures.references import SHELLY_DIALECT, shelly_at
from mfg.fixtures.visa_link import VisaLink
from mfg.station import Slot, Station

OFF_V, OFF_A = 5.0, 0.010  # as in the limits of switch_supply_off and switch_load_off
OFF_TIMEOUT_S = 5.0
# By then a unit has done what it was told last: a configuration takes tenths of a second.
WRITTEN_S = 1.0
LINK_TIMEOUT_S = 2.0
ATTEMPTS = 2  # the second one on a fresh connection

_LOG = logging.getLogger("mfg.runner")


class SafeState:
    """Makes one slot's bench safe; never raises, for there is nobody left to handle it."""

    def __init__(self, station: Station, slot: Slot, clock: BenchClock) -> None:
        self._station = station
        self._slot = slot
        self._clock = clock
        self._switch: PowerSwitch | None = None

    def open(self) -> None:
        """Connect now, so that the connection is there when it is needed.

        Raises:
            StationError: The power switch does not answer or is another instrument; nothing was switched.
        """
        switch = self._new_switch()
        try:
            switch.open()
        except BaseException:
            switch.close()
            raise
        self._switch = switch

    def close(self) -> None:
        """Close the connection; the outputs stay as they are."""
        if self._switch is not None:
            self._switch.close()
            self._switch = None

    def make_safe(self) -> list[str]:
        """Switch everything of this slot off and measure that it is off.

        Returns:
            Why the bench is not proved to be off, in sentences; empty when it is.
        """
        problems: list[str] = []
        for _attempt in range(ATTEMPTS):
            problems = self._switched_off()
            if not problems:
                return []
            self.close()
        return problems

    def _switched_off(self) -> list[str]:
        try:
            if self._switch is None:
                self.open()
            switch = self._switch
            if switch is None:
                return ["The power switch is not open."]
            settings = self._station.power_switch
            loads = (settings.load_channel, settings.identification_channel)
            self._switch_off(switch, loads)
            problems = self._measured(switch, loads)
            return [*problems, *self._relay_opened()]
        except MfgError as error:
            _LOG.warning("the bench could not be made safe: %s", error)
            return [str(error)]

    def _switch_off(self, switch: PowerSwitch, loads: tuple[int, ...]) -> None:
        """Switch the loads off at once, for they are what burns, and the supply when the unit has written.

        An original interface writes its configuration in place: without supply in that moment it loses it.
        """
        supply = self._slot.supply_channel
        try:
            switch.all_off(loads)
            if switch.is_on(supply):
                time.sleep(self._clock.link_timeout_wall_s(WRITTEN_S))
        finally:
            switch.all_off((supply,))

    def _relay_opened(self) -> list[str]:
        """Open the relay of a Shelly, in series with the load; say why it is not proved to be open."""
        settings = self._station.reference_meter
        if settings.dialect != SHELLY_DIALECT:
            return []
        try:
            shelly_at(settings, self._clock).relay_off()
        except MfgError as error:
            return [str(error)]
        return []

    def _measured(self, switch: PowerSwitch, loads: tuple[int, ...]) -> list[str]:
        supply = self._slot.supply_channel

        def off() -> bool:
            currents_a = [abs(switch.measured_current_a(channel)) for channel in loads]
            return max(currents_a) < OFF_A and switch.measured_voltage_v(supply) < OFF_V

        if self._clock.wait_until(off, OFF_TIMEOUT_S):
            return []
        currents = ", ".join(f"{switch.measured_current_a(channel):.3f} A" for channel in loads)
        supply_v = switch.measured_voltage_v(supply)
        return [f"The bench is not off: the loads draw {currents}, the supply has {supply_v:.1f} V."]

    def _new_switch(self) -> PowerSwitch:
        settings = self._station.power_switch
        link = VisaLink(
            settings.resource,
            self._clock,
            timeout_s=LINK_TIMEOUT_S,
            name="power switch (safe state)",
        )
        names = {
            self._slot.supply_channel: f"the supply of slot {self._slot.number}",
            settings.load_channel: "the load",
            settings.identification_channel: "the identification conductor",
        }
        return PowerSwitch(link, self._clock, settings.identity, names)
