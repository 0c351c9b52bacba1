"""What a runner's phases see of the person at the station: the supervisor, over the line."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from dataclasses import asdict
from typing import Any

from mfg.clock import BenchClock
from mfg.errors import StationError
from mfg.fixtures.front_end import Question
from mfg.runner.line import Line, Message

BEAT_WALL_S = 0.2
ANSWER_GRACE_WALL_S = 5.0  # beyond the question's own timeout, which the front end keeps


class RemoteDisplay:
    """Tells the supervisor what happens."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._beaten_wall_s = 0.0
        self._within_s = 0.0

    def run_began(self, run_id: str) -> None:
        """The journal of the run is open."""
        self._line.send("began", run_id=run_id)

    def phase_started(self, case: int, name: str) -> None:
        """A phase began."""
        self._line.send("phase_started", case=case, name=name)

    def phase_ended(self, case: int, name: str, outcome: str, seconds: float) -> None:
        """A phase ended."""
        self._line.send("phase_ended", case=case, name=name, outcome=outcome, seconds=seconds)

    def progress(self, what: str, done: int, total: int) -> None:
        """Something lengthy advanced."""
        self._line.send("progress", what=what, done=done, total=total)

    def working(self, within_s: float) -> None:
        """Give a sign of life, as seldom as will do."""
        now_s = time.monotonic()
        if within_s == self._within_s and now_s - self._beaten_wall_s < BEAT_WALL_S:
            return
        self._beaten_wall_s, self._within_s = now_s, within_s
        self._line.send("alive", within_s=within_s)


class RemoteFrontEnd:
    """Has the supervisor ask the operator."""

    def __init__(self, line: Line, clock: BenchClock) -> None:
        self._line = line
        self._clock = clock
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.Queue[Message]] = {}

    def answer(self, question: Question) -> str:
        """Ask; return the answer as typed.

        Raises:
            StationError: The front end broke, the supervisor is gone, or nobody answered in time.
        """
        number = next(self._numbers)
        arrived: queue.Queue[Message] = queue.Queue()
        with self._lock:
            self._waiting[number] = arrived
        try:
            self._line.send("ask", number=number, question=asdict(question))
            wall_s = self._clock.link_timeout_wall_s(question.timeout_s) + ANSWER_GRACE_WALL_S
            reply = arrived.get(timeout=wall_s)
        except queue.Empty as error:
            raise StationError(f"Nobody answered within {question.timeout_s:g} s.") from error
        finally:
            with self._lock:
                del self._waiting[number]
        if "text" not in reply:
            raise StationError(str(reply.get("problem", "The supervisor is gone.")))
        return str(reply["text"])

    def take(self, message: Message) -> None:
        """Hand an answer to who waits for it; the end of the line is everybody's."""
        with self._lock:
            for number, waiting in self._waiting.items():
                if message["kind"] == "end" or message.get("number") == number:
                    waiting.put(message)


def question_from(content: dict[str, Any]) -> Question:
    """Read a question as it came over the line."""
    return Question(
        str(content["kind"]), str(content["text"]), int(content["slot"]), float(content["timeout_s"])
    )
