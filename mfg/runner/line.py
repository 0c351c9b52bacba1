"""The line between supervisor and runner: one JSON object per text line, over a pair of pipes.

Neither side ever waits for the other: what is sent goes through a queue, and a side that has died shows as
the end of its pipe.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

Message = dict[str, Any]

MESSAGE_LIMIT_BYTES = 1024 * 1024
QUEUE_LIMIT = 1000
FLUSH_WALL_S = 5.0  # a side that takes nothing for this long is not waited for any longer

_LOG = logging.getLogger("mfg.runner")


class Line:
    """One end of the line."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO, on_message: Callable[[Message], None]) -> None:
        """Start to read and write.

        Args:
            reader: What the other side writes.
            writer: What the other side reads.
            on_message: Called from a thread of its own with each message, and at last, when the other side
                has ended, with `{"kind": "end"}`.
        """
        self._reader = reader
        self._writer = writer
        self._on_message = on_message
        self._outgoing: queue.Queue[bytes | None] = queue.Queue(QUEUE_LIMIT)
        self._threads = [
            threading.Thread(target=self._read, name="line-read", daemon=True),
            threading.Thread(target=self._write, name="line-write", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def send(self, kind: str, **content: Any) -> None:
        """Send a message; it is dropped when the other side has taken nothing for long.

        Dropped are signs of life and of progress; whatever a verdict rests on is on the disk.
        """
        data = json.dumps({"kind": kind, **content}).encode() + b"\n"
        try:
            self._outgoing.put_nowait(data)
        except queue.Full:
            _LOG.warning("the other side takes nothing: %s was dropped", kind)

    def close(self) -> None:
        """Send what is waiting, then end the sending side."""
        try:
            self._outgoing.put(None, timeout=FLUSH_WALL_S)
        except queue.Full:
            _LOG.warning("the other side takes nothing")
        self._threads[1].join(FLUSH_WALL_S)

    def _read(self) -> None:
        try:
            while data := self._reader.readline(MESSAGE_LIMIT_BYTES):
                message = _parsed(data)
                if message is not None:
                    self._on_message(message)
        except (OSError, ValueError) as error:  # ValueError: the pipe was closed on this side
            _LOG.debug("the line ended: %s", error)
        self._on_message({"kind": "end"})

    def _write(self) -> None:
        try:
            while (data := self._outgoing.get()) is not None:
                self._writer.write(data)
                self._writer.flush()
            self._writer.close()
        except (OSError, ValueError) as error:
            _LOG.debug("the line takes nothing more: %s", error)


def _parsed(data: bytes) -> Message | None:
    try:
        message = json.loads(data)
    except ValueError:
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        _LOG.warning("no message: %r", data[:200])
        return None
    return message
