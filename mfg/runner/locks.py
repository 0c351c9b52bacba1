"""One lock per slot and one per serial number, held by a process and gone with it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import filelock

from mfg.errors import StationError, UsageError


class RunLocks:
    """The locks of one run, as files in the records folder."""

    def __init__(self, records_folder: Path) -> None:
        self._folder = records_folder / ".locks"
        self._held: dict[str, filelock.BaseFileLock] = {}

    def __enter__(self) -> RunLocks:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for lock in self._held.values():
            lock.release()
        self._held.clear()

    def claim_slot(self, number: int) -> None:
        """Hold a slot; UsageError when another run is in it."""
        if not self._claim(f"slot-{number}"):
            raise UsageError(f"Slot {number} of this station is in use by another run.", "Wait for its end.")

    def claim_run(self, run_id: str) -> bool:
        """Hold a run by its id; False when its own process is alive."""
        return self._claim(f"run-{run_id}")

    def claim_serial(self, serial_number: str) -> bool:
        """Hold a serial number; False when another run has it under test."""
        return self._claim(f"serial-{serial_number}")

    def _claim(self, name: str) -> bool:
        if name in self._held:
            return True
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # The serial number is claimed by a phase's thread and released by the runner's.
            lock = filelock.FileLock(self._folder / f"{name}.lock", timeout=0, thread_local=False)
            lock.acquire()
        except filelock.Timeout:
            return False
        except OSError as error:
            raise StationError(
                f"{self._folder} cannot be written: {error.strerror or error}.",
                "Check the disk and its rights.",
            ) from error
        self._held[name] = lock
        return True
