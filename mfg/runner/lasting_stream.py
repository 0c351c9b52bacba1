"""A terminal that may go away in the middle of a run."""

from __future__ import annotations

import contextlib
import os
from typing import Any, TextIO


class LastingStream:
    """What is written after the terminal has gone is lost, and nobody is stopped by it.

    A run whose terminal was closed still has to be ended, recorded and left safe.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def gone(self) -> bool:
        """Whether the terminal has gone, as the last write or flush found it."""
        return self._gone

    def write(self, text: str) -> int:
        """Write, or do nothing once the terminal is gone."""
        if not self._gone:
            try:
                return self._stream.write(text)
            except (OSError, ValueError):
                self._lose()
        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing once the terminal is gone."""
        if not self._gone:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._lose()

    def _lose(self) -> None:
        """Lead what is still buffered to nowhere, so that the end of the process does not trip over it."""
        self._gone = True
        with contextlib.suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)
