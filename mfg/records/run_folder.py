"""Where a run's files lie, and how they are written so that none is ever half there.

`records/<serial number>/<run id>/`; a run whose unit was never identified goes to
`records/unidentified/<run id>/`. A file appears under its name only when its content is on the disk. A run
folder without `record.json` belongs to a run that did not end.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mfg.errors import StationError, UsageError
from mfg.untrusted import quoted

RECORD_FILE = "record.json"
REPORT_FILE = "report.html"
CERTIFICATE_FILE = "certificate.html"
LOG_FILE = "log.txt"
UNIDENTIFIED = "unidentified"

PUBLIC = 0o644
PRIVATE = 0o600  # for whatever holds a unit's configuration

_SERIAL = re.compile(r"SN[0-9]{1,8}")
_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{3}Z-[0-9a-f]{6}")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_DISK_ACTION = "Free space on the disk and check its rights, then run the unit again."


@dataclass(frozen=True)
class StoredFile:
    """A file of a run folder, as the record lists it."""

    name: str
    file: str
    sha256: str


def new_run_id(started: datetime.datetime) -> str:
    """Make a run id that sorts by time: UTC to the millisecond and a random suffix.

    Args:
        started: When the run started, with a time zone.

    Returns:
        E.g. `20261120T120354.123Z-3f9a1c`.
    """
    if started.tzinfo is None:
        raise ValueError("a run id needs a time zone")
    utc = started.astimezone(datetime.UTC)
    return f"{utc:%Y%m%dT%H%M%S}.{utc.microsecond // 1000:03d}Z-{secrets.token_hex(3)}"


def is_run_id(text: str) -> bool:
    """Tell whether a text has the form of a run id."""
    return _RUN_ID.fullmatch(text) is not None


def serial_folder_name(serial_number: str | None) -> str:
    """Name the folder of a unit.

    Args:
        serial_number: `SN` and one to eight digits, or None for a unit that was not identified.

    Returns:
        `SN` and eight digits, or `unidentified`; never anything that leads out of the records folder.

    Raises:
        UsageError: It is not a serial number.
    """
    if serial_number is None:
        return UNIDENTIFIED
    if not _SERIAL.fullmatch(serial_number):
        raise UsageError(
            f"{quoted(serial_number)} is not a serial number; it must be SN and up to eight digits.",
            "Scan the serial number again.",
        )
    return f"SN{int(serial_number[2:]):08d}"


def run_folder_name(serial_number: str | None, run_id: str) -> str:
    """Name a run's folder below the records folder, with a forward slash.

    Raises:
        UsageError: The serial number or the run id has a wrong form.
    """
    serial = serial_folder_name(serial_number)
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"{quoted(run_id)} is not a run id.")
    return f"{serial}/{run_id}"


def safe_file_name(name: str, fallback: str = "attachment") -> str:
    """Turn any text into a file name that is safe on Linux, macOS and Windows.

    Args:
        name: What the file should be called; may come from a unit.
        fallback: What it is called when nothing of `name` can stay.

    Returns:
        Letters, digits, dot, hyphen and underscore only, starting with a letter or digit, at most 120 long.
    """
    safe = _UNSAFE.sub("_", name).strip("._-")[:120].rstrip(".")
    return safe if FILE_NAME.fullmatch(safe) else fallback


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def write_atomic(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """Write a file so that it is there whole or not at all, even after a power cut.

    A temporary file in the same folder is written and synced, takes the name, and the folder is synced.

    Args:
        path: The file; an existing one is replaced.
        data: Its whole content.
        mode: Its access rights.

    Raises:
        StationError: The disk is full, read-only or broken. The old file, if any, is intact; no temporary
            file is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        _write_synced(temporary, data, mode)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StationError(f"{path} was not written: {error.strerror or error}.", _DISK_ACTION) from error
    sync_folder(path.parent)


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make renames and new entries of a folder last; Windows has no such call and needs none.

    Raises:
        StationError: The disk refuses; what was renamed may be lost with the power.
    """
    if os.name == "nt":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StationError(f"{folder} was not synced: {error.strerror or error}.", _DISK_ACTION) from error


def _make_folder(folder: Path, exist_ok: bool) -> None:
    try:
        folder.mkdir(exist_ok=exist_ok)
    except OSError as error:
        raise StationError(f"{folder} was not created: {error.strerror or error}.", _DISK_ACTION) from error
    sync_folder(folder.parent)


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Attributes:
        root: The records folder of the station.
        path: The run folder itself.
        run_id: Its name.
    """

    root: Path
    path: Path
    run_id: str

    @classmethod
    def create(cls, root: Path, serial_number: str | None, run_id: str) -> RunFolder:
        """Create the folder of a new run.

        Args:
            root: The records folder; created when it is missing.
            serial_number: The unit, or None when it was not identified.
            run_id: From `new_run_id`.

        Returns:
            The empty folder, synced.

        Raises:
            UsageError: The serial number or the run id has a wrong form; nothing was created.
            StationError: The disk refuses, the run folder exists already, or a link leads out of `root`.
        """
        serial, _, _ = run_folder_name(serial_number, run_id).partition("/")
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StationError(f"{root} was not created: {error.strerror or error}.", _DISK_ACTION) from error
        unit = root / serial
        _make_folder(unit, exist_ok=True)
        if unit.resolve() != root.resolve() / serial:
            raise StationError(
                f"{unit} is a link that leads out of the records folder.", "Replace it by a folder."
            )
        _make_folder(unit / run_id, exist_ok=False)
        return cls(root, unit / run_id, run_id)

    @classmethod
    def reopen(cls, root: Path, serial_number: str | None, run_id: str) -> RunFolder:
        """Open the folder of a run that was killed; it is created when the run had not come so far.

        Raises:
            UsageError, StationError: As `create`, an existing run folder apart.
        """
        path = root / serial_folder_name(serial_number) / run_id
        if is_run_id(run_id) and path.is_dir() and not path.is_symlink():
            return cls(root, path, run_id)
        return cls.create(root, serial_number, run_id)

    @property
    def complete(self) -> bool:
        """Whether the run's record is there."""
        return is_complete(self.path)

    def file(self, name: str) -> Path:
        """Return the path of a file of this run.

        Raises:
            UsageError: `name` is not a plain, safe file name.
        """
        if not FILE_NAME.fullmatch(name):
            raise UsageError(f"{quoted(name)} is not a file name for a run folder.")
        return self.path / name

    def write(self, name: str, data: bytes, title: str = "", mode: int = PUBLIC) -> StoredFile:
        """Write a file of this run, whole or not at all.

        Args:
            name: Plain file name.
            data: Its content.
            title: What the record calls it; the file name when empty.
            mode: Access rights, `PRIVATE` for a unit's configuration.

        Returns:
            The entry for the record's list of attachments.

        Raises:
            UsageError: `name` is not a plain, safe file name.
            StationError: As `write_atomic`.
        """
        write_atomic(self.file(name), data, mode)
        return StoredFile(title or name, name, sha256_hex(data))


def is_complete(folder: Path) -> bool:
    """Tell whether a run folder holds a record; without one its run did not end."""
    return (folder / RECORD_FILE).is_file()


def run_folders(root: Path) -> Iterator[Path]:
    """List every run folder below the records folder, complete or not, oldest first.

    Raises:
        StationError: The records folder cannot be read.
    """
    try:
        units = [unit for unit in root.iterdir() if _is_unit_folder(unit)] if root.is_dir() else []
        runs = [run for unit in units for run in unit.iterdir() if _RUN_ID.fullmatch(run.name)]
    except OSError as error:
        raise StationError(
            f"{root} cannot be read: {error.strerror or error}.", "Check the disk and its rights."
        ) from error
    yield from sorted((run for run in runs if run.is_dir()), key=lambda run: (run.name, run.parent.name))


def incomplete_runs(root: Path) -> list[Path]:
    """List the run folders whose run did not end, oldest first."""
    return [folder for folder in run_folders(root) if not is_complete(folder)]


def _is_unit_folder(folder: Path) -> bool:
    named = folder.name == UNIDENTIFIED or _SERIAL.fullmatch(folder.name) is not None
    return named and folder.is_dir() and not folder.is_symlink()
