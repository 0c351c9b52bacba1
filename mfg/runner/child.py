"""The runner: the process in which one unit is tested. Started by the supervisor, never by hand.

Its standard input and output are the line to the supervisor. When the supervisor dies, the line ends, and
the runner aborts its test: teardown phases switch the bench off.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from mfg.clock import BenchClock
from mfg.errors import MfgError, StationError
from mfg.limits import load_limits
from mfg.runner.chosen_reference import with_reference
from mfg.runner.line import Line, Message
from mfg.runner.recovery import recover_run
from mfg.runner.remote import RemoteDisplay, RemoteFrontEnd
from mfg.runner.request import RunRequest
from mfg.runner.session import UnitRun
from mfg.runner.signals import stop_requested
from mfg.station import Station, WifiCredentials, load_station

JOB_WALL_S = 30.0

_LOG = logging.getLogger("mfg.runner")


def main() -> int:
    """Do the one job that comes over the line."""
    reader, writer = _take_over_pipes()
    jobs: queue.Queue[Message] = queue.Queue()
    with stop_requested() as stop:
        runner = _Runner(reader, writer, jobs, stop)
        try:
            job = jobs.get(timeout=JOB_WALL_S)
        except queue.Empty:
            return 2
        runner.do(job)
    return 0


class _Runner:
    def __init__(
        self, reader: BinaryIO, writer: BinaryIO, jobs: queue.Queue[Message], stop: threading.Event
    ) -> None:
        self._jobs = jobs
        self._stop = stop
        self._front_end: RemoteFrontEnd | None = None
        self._line = Line(reader, writer, self._take)

    def _take(self, message: Message) -> None:
        if message["kind"] in ("stop", "end"):
            self._stop.set()
        if message["kind"] == "end":
            _fall_silent()
        if self._front_end is not None and message["kind"] in ("answer", "end"):
            self._front_end.take(message)
        if message["kind"] in ("run", "recover", "end"):
            self._jobs.put(message)

    def do(self, job: Message) -> None:
        """Do a job and say how it ended."""
        try:
            if job["kind"] == "run":
                self._line.send("done", **self._run(job))
            elif job["kind"] == "recover":
                self._line.send("done", **self._recover(job))
        except MfgError as error:
            _LOG.debug("the job failed", exc_info=True)
            message = str(error.args[0]) if error.args else type(error).__name__
            self._line.send("failed", error=type(error).__name__, message=message, action=error.action)
        finally:
            self._line.close()

    def _run(self, job: Message) -> dict[str, Any]:
        request = RunRequest.from_json(job["request"])
        station, clock = with_reference(_station(job), request.mode.reference), BenchClock.parse(job["clock"])
        if request.mode.ac_60hz:
            station = replace(station, line_frequency_hz=60)
        self._front_end = RemoteFrontEnd(self._line, clock)
        run = UnitRun(
            station,
            clock,
            load_limits(Path(job["limits"])),
            WifiCredentials(**job["credentials"]),
            request,
            self._front_end,
            RemoteDisplay(self._line),
            job["backend"],
        )
        result = run.run(self._stop)
        return {"folder": str(result.folder), "bench_s": result.bench_s}

    def _recover(self, job: Message) -> dict[str, Any]:
        folder = recover_run(
            _station(job),
            BenchClock.parse(job["clock"]),
            load_limits(Path(job["limits"])),
            Path(job["journal"]),
            job["cause"],
            job["unsafe"],
            RemoteDisplay(self._line),
            self._stop,
        )
        return {"folder": str(folder), "bench_s": 0.0}


def _fall_silent() -> None:
    """Lead what is printed to nowhere: its reader is gone, and nobody may trip over that."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for handle in (1, 2):
        os.dup2(nothing, handle)
    os.close(nothing)


def _station(job: Message) -> Station:
    """Read the station file again; it must be the one that the supervisor has read."""
    station = load_station(Path(job["station"]))
    if station.sha256 != job["station_sha256"]:
        raise StationError(f"{station.path} was changed while the run was started.", "Start the unit again.")
    images = job["images"]
    return replace(
        station,
        images_folder=Path(images["folder"]),
        erase_image=images["erase"],
        micropython_image=images["micropython"],
        unit_keeps_time=bool(job["unit_keeps_time"]),
    )


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output for the line; whoever prints or reads otherwise gets nothing of it."""
    reader = os.fdopen(os.dup(0), "rb")
    writer = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as the process
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    return reader, writer
