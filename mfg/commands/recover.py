"""`mfg recover`: make the bench safe and close the runs that were killed."""

from __future__ import annotations

import threading
from pathlib import Path

from rich.console import Console

from mfg.clock import BenchClock
from mfg.commands.bench_of import LIMITS_FILE, bench_of, front_end_of
from mfg.errors import UsageError
from mfg.records.journal import Story, open_journals, read_journal
from mfg.records.outcomes import EXIT_CODES, INTERRUPTED
from mfg.runner.locks import RunLocks
from mfg.runner.signals import stop_requested
from mfg.runner.supervisor import Supervisor
from mfg.runner.terminal import TerminalDisplay, show_verdict
from mfg.station import Slot, Station, load_station


def recover(console: Console, station_path: Path) -> int:
    """Close every run that was killed; 0 when there was none, 4 when there were.

    Raises:
        MfgError: One could not be closed; its journal stays for the next attempt.
    """
    station = load_station(station_path)
    if not open_journals(station.records_folder):
        console.print("No run was killed.")
        return 0
    with bench_of(console, station) as (station, clock, backend), stop_requested() as stop:
        closed = close_killed_runs(console, station, clock, backend, stop)
    if not closed:
        console.print("No run was killed; those that are open are under way.")
    return EXIT_CODES[INTERRUPTED] if closed else 0


def close_killed_runs(
    console: Console, station: Station, clock: BenchClock, backend: str, stop: threading.Event
) -> int:
    """Close every run whose process is dead; return how many there were.

    Raises:
        UsageError: Another run is in the slot of one; its journal waits.
    """
    closed = 0
    for journal in open_journals(station.records_folder):
        if _is_alive(station, journal):
            continue
        story = read_journal(journal)
        slot = _slot_of(station, story)
        with RunLocks(station.records_folder) as locks, front_end_of(console, station, clock) as front_end:
            locks.claim_slot(slot.number)  # else the supply of a unit that is under test would go off
            display = TerminalDisplay(console)
            supervisor = Supervisor(station, slot, clock, backend, LIMITS_FILE, display, front_end, stop)
            began = story.facts.get("started_utc", "an unknown time")
            result = supervisor.recover(journal, f"The run that began at {began} was killed.")
        show_verdict(console, result, backend)
        closed += 1
    return closed


def _is_alive(station: Station, journal: Path) -> bool:
    """Tell whether a process holds the run; a finished one may have moved its journal meanwhile."""
    with RunLocks(station.records_folder) as locks:
        return not locks.claim_run(journal.stem) or not journal.exists()


def _slot_of(station: Station, story: Story) -> Slot:
    """Return the slot of a killed run, the first one when the journal does not tell."""
    try:
        return station.slot(int(story.facts["slot"]))
    except (KeyError, TypeError, ValueError, UsageError):
        return station.slots[0]
