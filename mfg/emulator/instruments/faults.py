"""The faults of the SCPI instruments, by name.

A fault holds from the start when the configuration lists it; an event of unit 0 in the bench's event
log switches it, and wins.
"""

from __future__ import annotations

from pathlib import Path

from mfg.emulator.config import InstrumentsConfig
from mfg.emulator.events import Event, EventLog, append_event
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
SWITCH_SILENT = "switch_silent"
LOAD_STUCK_ON = "load_stuck_on"
LOAD_STUCK_OFF = "load_stuck_off"
SUPPLY_STUCK_ON = "supply_stuck_on"

INSTRUMENT_FAULTS = (
    METER_SILENT,
    METER_LATE_REPLY,
    METER_WRONG_IDENTITY,
    METER_OVER_RANGE,
    METER_NAN,
    METER_STUCK,
    METER_LAGGING,
    METER_JUMPING,
    METER_ERROR_QUEUE_FULL,
    METER_DROPS_CONNECTION,
    SWITCH_SILENT,
    LOAD_STUCK_ON,
    LOAD_STUCK_OFF,
    SUPPLY_STUCK_ON,
)


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
        if name not in INSTRUMENT_FAULTS:
            raise UsageError(f"No instrument has the fault {name!r}.", f"One of {INSTRUMENT_FAULTS}.")
        event = Event(self._clock.now_s(), "fault", {"name": name, "on": on})
        append_event(self._folder, event)

    def active(self) -> list[str]:
        """Return the names of the faults that hold now."""
        return [name for name in INSTRUMENT_FAULTS if self(name)]
