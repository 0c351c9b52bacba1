"""The faults of the SCPI instruments, by name; what is physically wrong is in fault_catalogue.toml.

A fault holds from the start when the configuration lists it; an event of unit 0 in the bench's event
log switches it, and wins.
"""

from __future__ import annotations

from pathlib import Path

from mfg.emulator.config import InstrumentsConfig
from mfg.emulator.events import Event, EventLog, append_event
from mfg.emulator.fault_catalogue import INSTRUMENT_NAMES
from mfg.emulator.instruments.scpi import Clock
from mfg.errors import UsageError

METER_SILENT = "meter_silent"
METER_LATE_REPLY = "meter_late_reply"
METER_WRONG_IDENTITY = "meter_wrong_identity"
METER_OVER_RANGE = "meter_over_range"
METER_NAN = "meter_nan"
METER_STUCK = "meter_stuck"  # repeats one reading; its updates look fresh
METER_LAGGING = "meter_lagging"  # gives the reading of two seconds ago; its updates look fresh
METER_JUMPING = "meter_jumping"
METER_ERROR_QUEUE_FULL = "meter_error_queue_full"
METER_DROPS_CONNECTION = "meter_drops_connection"
METER_GAIN_FAR_OUT = "meter_gain_far_out"
METER_GAIN_DRIFTED = "meter_gain_drifted"
SWITCH_SILENT = "switch_silent"
SWITCH_WRONG_IDENTITY = "switch_wrong_identity"
SWITCH_DROPS_CONNECTION = "switch_drops_connection"
LOAD_STUCK_ON = "load_stuck_on"
LOAD_STUCK_OFF = "load_stuck_off"
IDENTIFICATION_STUCK_ON = "identification_stuck_on"
IDENTIFICATION_STUCK_OFF = "identification_stuck_off"
SUPPLY_STUCK_ON = "supply_stuck_on"
SUPPLY_STUCK_OFF = "supply_stuck_off"
THERMOMETER_SILENT = "thermometer_silent"
THERMOMETER_BROKEN = "thermometer_broken"


class InstrumentFaults:
    """Answers which faults of the instruments hold, and switches them."""

    def __init__(self, config: InstrumentsConfig, events: EventLog, folder: Path, clock: Clock) -> None:
        self._initial = frozenset(config.faults)
        self._events = events
        self._folder = folder
        self._clock = clock

    def __call__(self, name: str) -> bool:
        """Return whether the fault holds now."""
        self._events.sync()
        return self._events.fault(name, 0, default=name in self._initial)

    def switch(self, name: str, on: bool) -> None:
        """Switch a fault by an event in the log.

        Raises:
            UsageError: No instrument has such a fault; nothing was switched.
        """
        if name not in INSTRUMENT_NAMES:
            raise UsageError(
                f"No instrument has the fault {name!r}.", f"One of {', '.join(sorted(INSTRUMENT_NAMES))}."
            )
        event = Event(self._clock.now_s(), "fault", {"name": name, "on": on})
        append_event(self._folder, event)

    def active(self) -> list[str]:
        """Return the names of the faults that hold now."""
        return [name for name in sorted(INSTRUMENT_NAMES) if self(name)]
