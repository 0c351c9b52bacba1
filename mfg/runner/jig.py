"""How often the CT jig was closed: split cores and contacts wear."""

from __future__ import annotations

import json
from pathlib import Path

import filelock

from mfg.errors import StationError
from mfg.records.run_folder import write_atomic

FILE_NAME = "jig-cycles.json"
LOCK_NAME = ".jig-cycles.lock"
LOCK_TIMEOUT_S = 10.0  # of wall time; whoever counts holds it for milliseconds


def count_jig_cycle(records_folder: Path) -> int:
    """Add one closing to the jig's counter and return the new number; slots may count at the same time.

    Raises:
        StationError: The counter cannot be read or written, or is held by another run; it keeps its number.
    """
    try:
        with filelock.FileLock(records_folder / LOCK_NAME, timeout=LOCK_TIMEOUT_S):
            return _count(records_folder / FILE_NAME)
    except filelock.Timeout as error:
        raise StationError(
            f"The jig's counter in {records_folder} is held by another run.", "Look for a run that hangs."
        ) from error
    except OSError as error:
        raise StationError(
            f"The jig's counter in {records_folder} was not written: {error.strerror or error}.",
            "Check the disk and its rights.",
        ) from error


def _count(path: Path) -> int:
    try:
        count = int(json.loads(path.read_text(encoding="utf-8"))["cycles"]) if path.exists() else 0
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise StationError(
            f"The jig's counter {path} cannot be read: {error}.", "Restore or delete it."
        ) from error
    write_atomic(path, json.dumps({"cycles": count + 1}).encode())
    return count + 1
