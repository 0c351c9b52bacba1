"""Processes of the emulated bench that never outlive the one that wanted them."""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT_POLL_WALL_S = 0.2
GRACE_WALL_S = 3.0
ORPHAN_EXIT_CODE = 4


def end_with(parent_pid: int) -> None:
    """End this process soon after another one has ended: by SIGTERM first, then without asking.

    A thread polls: the notice that Linux can give follows the parent's thread, not its process.
    """
    is_parent = os.getppid() == parent_pid

    def watch() -> None:
        while _lives(parent_pid, is_parent):
            time.sleep(PARENT_POLL_WALL_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_WALL_S)
        os._exit(ORPHAN_EXIT_CODE)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _lives(pid: int, is_parent: bool) -> bool:
    if is_parent:
        return os.getppid() == pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
