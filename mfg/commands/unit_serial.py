"""`mfg unit console` and `mfg unit shell`: a unit at its USB port."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Event

from rich.console import Console

from mfg.clock import Deadline
from mfg.commands.unit_arguments import Wanted
from mfg.commands.unit_target import Place, find_slot, held, open_place, port_of
from mfg.commands.unit_watch import FOREVER_S
from mfg.errors import FixtureError, UsageError
from mfg.fixtures.console import ConsoleLine, SerialConsole
from mfg.runner.credentials import wifi_credentials
from mfg.runner.signals import stop_requested
from mfg.station import Slot, Station

LOOK_S = 0.5
PORT_S = 10.0


def follow_console(console: Console, station_path: Path, wanted: Wanted, seconds: float | None) -> int:
    """Print the unit's console until Ctrl-C; the port may vanish and return as often as it likes.

    Raises:
        UsageError: The slot is not clear, or a run is in it.
    """
    place = open_place(station_path)
    slot = find_slot(place, wanted)
    with held(place, slot):
        pass  # no run has the port now; one that comes finds it in use
    deadline = place.clock.deadline(FOREVER_S if seconds is None else seconds)
    with stop_requested() as stop:
        _Follower(console, place, slot, stop, deadline).run()
    return 0


class _Follower:
    """Prints what the port says, and what becomes of the port."""

    def __init__(self, console: Console, place: Place, slot: Slot, stop: Event, deadline: Deadline) -> None:
        self._console = console
        self._place = place
        self._slot = slot
        self._stop = stop
        self._deadline = deadline
        self._secrets = _secrets(place.station)
        self._noted = ""

    def run(self) -> None:
        """Follow until the end of the watch."""
        while self._goes_on():
            try:
                path = port_of(self._place, self._slot, LOOK_S)
                with SerialConsole(path, self._place.clock, self._secrets) as port:
                    self._note(f"{path} is open")
                    self._read(port)
            except FixtureError as error:
                self._note(str(error))
                self._stop.wait(self._place.clock.wall_s(LOOK_S))
            else:
                if self._goes_on():
                    self._note(f"{path} has vanished")

    def _read(self, port: SerialConsole) -> None:
        seen = 0
        while self._goes_on():
            lines, seen = port.follow(seen, LOOK_S)
            for line in lines:
                self._print(line)
            if port.gone and not lines:
                return

    def _goes_on(self) -> bool:
        return not self._stop.is_set() and not self._deadline.expired()

    def _print(self, line: ConsoleLine) -> None:
        text = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in line.text)
        self._console.print(f"{line.t_s:10.3f} {text}", markup=False, soft_wrap=True)

    def _note(self, text: str) -> None:
        """Say what becomes of the port, once."""
        if text != self._noted:
            self._console.print(f"--- {text}", markup=False, soft_wrap=True)
        self._noted = text


def shell(console: Console, station_path: Path, wanted: Wanted) -> int:
    """Open the unit's MicroPython prompt through mpremote, until Ctrl-].

    Raises:
        UsageError: There is no terminal, or a run is in the slot.
        FixtureError: The port is not there, or mpremote ended by itself.
    """
    if not sys.stdin.isatty():
        raise UsageError("The shell needs a terminal.", "Use mpremote itself for scripts.")
    place = open_place(station_path)
    slot = find_slot(place, wanted)
    with held(place, slot):
        path = port_of(place, slot, PORT_S)
        console.print(
            "Ctrl-] leaves. Ctrl-C interrupts the application; its watchdog then resets the unit in 8.3 s."
        )
        ended = subprocess.run([sys.executable, "-m", "mpremote", "connect", path, "repl"], check=False)
    if ended.returncode:
        raise FixtureError(
            f"The shell on {path} ended by itself.", "The unit was reset, or its cable pulled."
        )
    return 0


def _secrets(station: Station) -> tuple[str, ...]:
    """Return what must not be shown of the test network; nothing is asked for it."""
    if station.wifi_credentials == Path() or not station.wifi_credentials.exists():
        return ()
    return (wifi_credentials(station).passphrase,)
