"""Ctrl-C once or ten times, SIGTERM, SIGHUP: all set one flag; nothing is done inside a handler.

OpenHTF's own SIGINT handler deadlocks when it is entered twice, and knows no other signal.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def stop_requested() -> Iterator[threading.Event]:
    """Give an event that is set by any of the signals while the block runs; handlers are restored after.

    Only the main thread may install handlers; elsewhere the event is never set by a signal.
    """
    event = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        event.set()

    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
