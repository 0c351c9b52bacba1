"""The supervisor: starts the runner, listens to it, and answers for the bench when it dies.

The runner is a process of its own, so that one that hangs in C code, or that the operating system kills, can
be dealt with from outside. It is killed when it is not heard of for as long as it said it would be silent.
Whatever ends it, the supervisor switches load and supply off over its own connection, measures that they are
off, and has another runner close the run that was killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from mfg import errors
from mfg.clock import BenchClock
from mfg.errors import MfgError, StationError
from mfg.fixtures.front_end import FrontEnd
from mfg.records.journal import JOURNAL_FOLDER
from mfg.records.record import load_record
from mfg.records.run_folder import RECORD_FILE
from mfg.runner.guard import judge_record
from mfg.runner.line import Line, Message
from mfg.runner.remote import question_from
from mfg.runner.request import RunRequest
from mfg.runner.result import RunResult
from mfg.runner.safe_state import SafeState
from mfg.station import Slot, Station, WifiCredentials

START_WALL_S = 60.0  # from the start of the process to its first sign of life: nothing is on yet
ABORT_WALL_S = 60.0  # from an abort to the end of the process: teardown and record
EXIT_WALL_S = 10.0  # from the end of the line to the end of the process
POLL_WALL_S = 0.1
LAST_WORDS = 20  # lines of its standard error that are shown of a runner that died

_LOG = logging.getLogger("mfg.runner")


class Watcher(Protocol):
    """Whom the supervisor tells what it hears, and what it does."""

    def phase_started(self, case: int, name: str) -> None:
        """A phase began."""

    def phase_ended(self, case: int, name: str, outcome: str, seconds: float) -> None:
        """A phase ended."""

    def progress(self, what: str, done: int, total: int) -> None:
        """Something lengthy advanced."""

    def say(self, text: str) -> None:
        """Something happened that the person at the station must know."""


@dataclass
class _Heard:
    """What a runner has said until its end."""

    run_id: str = ""
    done: Message | None = None
    failed: Message | None = None
    died: str = ""  # why it ended without a word


class Supervisor:
    """Supervises the runs of one slot."""

    def __init__(
        self,
        station: Station,
        slot: Slot,
        clock: BenchClock,
        backend: str,
        limits_file: Path,
        watcher: Watcher,
        front_end: FrontEnd,
        stop: threading.Event,
    ) -> None:
        self._station = station
        self._slot = slot
        self._clock = clock
        self._backend = backend
        self._limits_file = limits_file
        self._watcher = watcher
        self._front_end = front_end
        self._stop = stop

    def run(self, request: RunRequest, credentials: WifiCredentials) -> RunResult:
        """Have a unit tested.

        Returns:
            The run as it is on record: INTERRUPTED when its runner died.

        Raises:
            MfgError: The runner could not run the unit or not store its record, or the killed run could not
                be closed; the bench was made safe.
        """
        safe = SafeState(self._station, self._slot, self._clock)
        try:
            safe.open()
            wanted = {"request": request.to_json(), "credentials": vars(credentials)}
            heard = self._listen(self._job("run", **wanted, backend=self._backend))
            if heard.done is not None:
                return self._result(heard.done)
            return self._clear_up(heard, safe)
        finally:
            safe.close()

    def recover(self, journal: Path, cause: str) -> RunResult:
        """Make the bench safe and close a run that was killed.

        Args:
            journal: Of the run.
            cause: Why it is over, in a sentence.

        Raises:
            MfgError: It could not be closed; its journal stays for the next attempt.
        """
        safe = SafeState(self._station, self._slot, self._clock)
        try:
            return self._recover(journal, cause, safe)
        finally:
            safe.close()

    def _clear_up(self, heard: _Heard, safe: SafeState) -> RunResult:
        """Deal with a run that did not end as it should."""
        error = _error_of(heard.failed) if heard.failed is not None else None
        if not heard.run_id:  # it had touched nothing: another run may be in this slot
            raise error or StationError(f"The runner did not start. {heard.died}", "Call the engineer.")
        journal = self._station.records_folder / JOURNAL_FOLDER / f"{heard.run_id}.jsonl"
        if not journal.exists():
            if error is not None:
                raise error
            return self._on_record(heard)
        cause = heard.died or f"The run ended without a record: {error}"
        try:
            result = self._recover(journal, cause, safe)
        except MfgError as trouble:
            if error is None:
                raise
            self._watcher.say(f"The run could not be closed either: {trouble}")
            raise error from trouble
        if error is not None:
            raise error
        return result

    def _on_record(self, heard: _Heard) -> RunResult:
        """Return the run of a runner that died after it had put it on record."""
        found = list(self._station.records_folder.glob(f"*/{heard.run_id}/{RECORD_FILE}"))
        if len(found) != 1:
            raise StationError(f"{heard.died} It left neither a journal nor a record.", "Call the engineer.")
        self._watcher.say(f"{heard.died} The run was on record by then.")
        folder = found[0].parent
        return self._result({"folder": str(folder), "bench_s": load_record(folder)["bench_seconds"]})

    def _recover(self, journal: Path, cause: str, safe: SafeState) -> RunResult:
        unsafe = safe.make_safe()
        self._watcher.say(cause)
        self._watcher.say(" ".join(unsafe) or "The bench is off: load and supply, switched and measured.")
        heard = self._listen(self._job("recover", journal=str(journal), cause=cause, unsafe=unsafe))
        if heard.done is not None:
            return self._result(heard.done)
        left_on = safe.make_safe()
        if heard.failed is not None:
            raise _error_of(heard.failed)
        raise StationError(
            f"The run could not be closed: {heard.died} {' '.join(left_on)}", "Run `mfg recover` again."
        )

    def _job(self, kind: str, **content: Any) -> Message:
        station = self._station
        return {
            "kind": kind,
            "station": str(station.path.resolve()),
            "station_sha256": station.sha256,
            "images": {
                "folder": str(station.images_folder),
                "erase": station.erase_image,
                "micropython": station.micropython_image,
            },
            "unit_keeps_time": station.unit_keeps_time,
            "limits": str(self._limits_file),
            "clock": str(self._clock),
            **content,
        }

    def _result(self, done: Message) -> RunResult:
        """Read the stored record and derive its verdict once more, in this process."""
        folder = Path(done["folder"])
        record = load_record(folder)
        verdict = judge_record(record)
        if verdict.outcome != record["outcome"]:
            raise StationError(
                f"{folder} says {record['outcome']}, but what it holds is {verdict.outcome}.",
                "The unit is not judged. Call the engineer.",
            )
        return RunResult(record, folder, float(done["bench_s"]))

    def _listen(self, job: Message) -> _Heard:
        """Start a runner for a job and listen to it until it has ended, by itself or not."""
        runner = _RunnerProcess()
        heard = _Heard()
        try:
            runner.line.send(**job)
            heard.died = self._follow(runner, heard)
        finally:
            runner.end()
        if heard.done is None and heard.failed is None and not heard.died:
            heard.died = runner.last_words()
        return heard

    def _follow(self, runner: _RunnerProcess, heard: _Heard) -> str:
        """Return why the runner had to be killed, "" when it ended by itself."""
        within_s, heard_s, stopped_s = START_WALL_S, time.monotonic(), 0.0
        while True:
            message = runner.next_message(POLL_WALL_S)
            now_s = time.monotonic()
            if message is not None:
                heard_s = now_s
                within_s = float(message.get("within_s", within_s))
                if message["kind"] == "end":
                    return ""
                self._take(runner, heard, message)
            elif now_s - heard_s > within_s:
                runner.kill()
                return f"The runner hung: it was not heard of for {within_s:g} s and was killed."
            if self._stop.is_set() and not stopped_s:
                stopped_s = now_s
                runner.line.send("stop")
            if stopped_s and now_s - stopped_s > ABORT_WALL_S:
                runner.kill()
                return f"The runner did not end within {ABORT_WALL_S:g} s of the abort and was killed."

    def _take(self, runner: _RunnerProcess, heard: _Heard, message: Message) -> None:
        content = {name: value for name, value in message.items() if name != "kind"}
        match message["kind"]:
            case "began":
                heard.run_id = str(content["run_id"])
            case "done":
                heard.done = message
            case "failed":
                heard.failed = message
            case "ask":
                threading.Thread(target=self._answer, args=(runner, content), daemon=True).start()
            case "phase_started":
                self._watcher.phase_started(**content)
            case "phase_ended":
                self._watcher.phase_ended(**content)
            case "progress":
                self._watcher.progress(**content)

    def _answer(self, runner: _RunnerProcess, content: Message) -> None:
        number = content["number"]
        try:
            text = self._front_end.answer(question_from(content["question"]))
        except (StationError, EOFError, OSError) as error:
            runner.line.send("answer", number=number, problem=f"The question could not be asked: {error}")
        else:
            runner.line.send("answer", number=number, text=text)


class _RunnerProcess:
    """One runner process and the line to it."""

    def __init__(self) -> None:
        options: dict[str, Any] = {}
        if os.name == "posix":
            options["start_new_session"] = True  # Ctrl-C at the terminal is for the supervisor, which aborts
        else:
            options["creationflags"] = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mfg.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )
        self._messages: queue.Queue[Message] = queue.Queue()
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._listener = threading.Thread(target=self._listen_to_words, daemon=True)
        self._listener.start()
        reader, writer = cast(BinaryIO, self._process.stdout), cast(BinaryIO, self._process.stdin)
        self.line = Line(reader, writer, self._messages.put)

    def next_message(self, timeout_s: float) -> Message | None:
        """Return the next message, None when none came within the time."""
        try:
            return self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def end(self) -> None:
        """See the process end; kill it when it does not by itself."""
        self.line.close()
        try:
            self._process.wait(EXIT_WALL_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait(EXIT_WALL_S)
        self._listener.join(EXIT_WALL_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def last_words(self) -> str:
        """Say how the process ended, and what it said last."""
        code = self._process.returncode
        how = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"{signal.Signals(-code).name}"
        for line in self._words:
            _LOG.warning("runner: %s", line)
        said = f' It said last: "{self._words[-1]}"' if self._words else ""
        return f"The runner died ({how}).{said}"

    def _listen_to_words(self) -> None:
        pipe = self._process.stderr
        if pipe is None:
            return
        with contextlib.suppress(OSError, ValueError):
            while line := pipe.readline(4096):
                self._words.append(line.decode("utf-8", "replace").strip())


def _error_of(failed: Message) -> MfgError:
    """Make the error again that ended the job."""
    kind = getattr(errors, str(failed["error"]), StationError)
    if not (isinstance(kind, type) and issubclass(kind, MfgError)):
        kind = StationError
    return kind(str(failed["message"]), str(failed["action"]))
