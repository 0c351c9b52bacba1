"""The process that starts, watches and stops the other processes of an emulated bench.

All addresses are in the configuration; nothing is allocated here. What the bench is doing stands in
`bench-state.json` in the bench folder:

    {"pid": 4711, "ready": true, "backend": "unix", "clock": "0.0x1.0"}     ready to be used
    {"pid": 4711, "ready": false, ...}                                      starting, or stopped
    {"pid": 4711, "ready": false, "error": "unit 1 ended with 1", ...}      a process failed; all are stopped
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfg.clock import BenchClock
from mfg.emulator.config import BenchConfig
from mfg.emulator.control import LOOPBACK, serve_control
from mfg.emulator.events import FILE_NAME as EVENTS_NAME
from mfg.emulator.events import Event, append_event
from mfg.errors import StationError, UsageError

STATE_NAME = "bench-state.json"
LOG_NAME = "bench.log"
START_WALL_S = 25.0
READY_POLL_WALL_S = 0.03
STOP_WALL_S = 5.0
LOG_TAIL_LINES = 6


@dataclass
class Child:
    """One process of the bench."""

    name: str
    arguments: tuple[str, ...]
    port: int  # answers once the process is ready
    log: Path
    process: asyncio.subprocess.Process | None = None

    def tail(self) -> str:
        """Return the end of what the process printed."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        return " | ".join(lines[-LOG_TAIL_LINES:])


class Bench:
    """The processes of one emulated bench."""

    def __init__(self, config: BenchConfig, config_path: Path) -> None:
        self._config = config
        self._path = config_path
        self._folder = Path(config.folder)
        self._clock = BenchClock.parse(config.clock)
        self._stop = asyncio.Event()
        self._children = self._planned()

    def _planned(self) -> list[Child]:
        config = self._config
        plan: list[tuple[str, tuple[str, ...], int]] = [
            ("unit", (str(unit.number),), unit.control_port) for unit in config.units
        ]
        instruments = config.instruments
        ports = (instruments.control_port, instruments.meter_port, instruments.switch_port)
        plan.append(("instruments", (), next((port for port in ports if port), 0)))
        plan.append(("operator", (), config.operator_port))
        return [
            Child(" ".join((role, *rest)), (role, str(self._path), *rest), port, self._log(role, rest))
            for role, rest, port in plan
            if port
        ]

    def _log(self, role: str, rest: tuple[str, ...]) -> Path:
        return self._folder / f"{role}{''.join(rest)}.log"

    async def run(self) -> None:
        """Run the bench until it is told to stop.

        Raises:
            StationError: A process did not start or ended by itself; all the others were stopped.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._write_state(ready=False)
        # Bench time starts anew with the machine, so an old log would speak of another time.
        (self._folder / EVENTS_NAME).unlink(missing_ok=True)
        error = ""
        server: asyncio.Server | None = None
        try:
            await self._start()
            server = await serve_control(self._config.control_port, self._control)
            self._write_state(ready=True)
            await self._watch()
        except (StationError, OSError) as failure:
            error = str(failure)
            raise
        finally:
            self._write_state(ready=False, error=error)
            if server is not None:
                server.close()
            await self._stop_children()

    async def _start(self) -> None:
        for child in self._children:
            with child.log.open("wb") as output:
                child.process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-m", "mfg.emulator", *child.arguments, "--parent-pid", str(os.getpid())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=asyncio.subprocess.STDOUT,
                )
        deadline_s = asyncio.get_running_loop().time() + START_WALL_S
        for child in self._children:
            await self._wait_ready(child, deadline_s)

    async def _wait_ready(self, child: Child, deadline_s: float) -> None:
        while not await _answers(child.port):
            self._raise_if_ended()
            if asyncio.get_running_loop().time() > deadline_s:
                raise StationError(
                    f"The process {child.name!r} of the emulated bench does not answer on port {child.port}.",
                    f"Look into {child.log}: {child.tail()}",
                )
            if self._stop.is_set():
                return
            await asyncio.sleep(READY_POLL_WALL_S)

    async def _watch(self) -> None:
        waits: set[asyncio.Task[Any]] = {asyncio.create_task(self._stop.wait())}
        for child in self._children:
            if child.process is not None:
                waits.add(asyncio.create_task(child.process.wait()))
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not self._stop.is_set():
            self._raise_if_ended()

    def _raise_if_ended(self) -> None:
        for child in self._children:
            code = None if child.process is None else child.process.returncode
            if code is not None:
                raise StationError(
                    f"The process {child.name!r} of the emulated bench ended with {code}.",
                    f"Look into {child.log}: {child.tail()}",
                )

    async def _stop_children(self) -> None:
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in running:
            try:
                await asyncio.wait_for(process.wait(), STOP_WALL_S)
            except TimeoutError:
                process.kill()
                await process.wait()

    async def _control(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["op"] == "state":
            pids = {child.name: child.process.pid for child in self._children if child.process is not None}
            return {"pid": os.getpid(), "processes": pids, "now_s": self._clock.now_s()}
        if request["op"] == "down":
            self._stop.set()
            return {"stopping": True}
        if request["op"] == "event":
            event = Event(
                self._clock.now_s(), str(request["what"]), request["value"], int(request.get("unit", 0))
            )
            append_event(self._folder, event)
            return {"t_s": event.t_s}
        raise UsageError(f"The bench does not know {request['op']!r}.", "Use state, event or down.")

    def _write_state(self, ready: bool, error: str = "") -> None:
        state: dict[str, Any] = {
            "pid": os.getpid(),
            "ready": ready,
            "backend": self._config.backend,
            "clock": self._config.clock,
        }
        if error:
            state["error"] = error
        fresh = self._folder / f".{STATE_NAME}"
        fresh.write_text(json.dumps(state) + "\n", encoding="utf-8")
        fresh.replace(self._folder / STATE_NAME)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


def run_bench(config: BenchConfig, config_path: Path) -> None:
    """Run a whole bench until SIGTERM, SIGINT or the control operation `down`.

    Raises:
        StationError: A process did not start or ended by itself; all the others were stopped.
    """

    async def run() -> None:
        await Bench(config, config_path).run()

    asyncio.run(run())
