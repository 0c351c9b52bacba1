"""How often the CT jig was closed: split cores and contacts wear."""

from __future__ import annotations

import json
from pathlib import Path

from mfg.errors import StationError
from mfg.records.run_folder import write_atomic

FILE_NAME = "jig-cycles.json"


def count_jig_cycle(records_folder: Path) -> int:
    """Add one calibration to the jig's counter and return the new number.

    Raises:
        StationError: The counter cannot be read or written; it keeps its number.
    """
    path = records_folder / FILE_NAME
    try:
        count = int(json.loads(path.read_text(encoding="utf-8"))["cycles"]) if path.exists() else 0
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise StationError(
            f"The jig's counter {path} cannot be read: {error}.", "Restore or delete it."
        ) from error
    write_atomic(path, json.dumps({"cycles": count + 1}).encode())
    return count + 1
