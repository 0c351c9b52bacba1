"""The chain of a station's records: `chain.jsonl`, one line per run, each with the hash of the line before.

A run is on record from the moment its line, end included, is in the chain. Lines are only ever appended. A
verdict that had to be taken back gets a second line for the same run, with a reason. The last line of each
day is signed as `heads/<date>.json`; the file of today is written again with every line, so at most the one
line at which the station was stopped is not signed.

What a line covers: every file of the run folder, the journal that moves there as the last of them included,
but the pages that `mfg report` may render again.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import filelock

from mfg.errors import StationError
from mfg.records.journal import JOURNAL_FILE, JOURNAL_FOLDER
from mfg.records.links import MAX_LINE_BYTES, START, Link, SignedHead, read_head, read_link, sign_head
from mfg.records.record import StoredRecord
from mfg.records.run_folder import (
    CERTIFICATE_FILE,
    PRIVATE,
    PUBLIC,
    RECORD_FILE,
    REPORT_FILE,
    run_folder_name,
    sync_folder,
    write_atomic,
)
from mfg.records.station_key import StationKey, load_key, make_key
from mfg.untrusted import read_bounded

CHAIN_FILE = "chain.jsonl"
HEADS_FOLDER = "heads"
TORN_PREFIX = "chain-torn-"  # a piece of a line that was cut off, kept
RENDERED = (REPORT_FILE, CERTIFICATE_FILE)  # made from the record, and made again by `mfg report`
MAX_REASON = 2000  # characters; a line has a limit
LOCK_TIMEOUT_S = 30.0  # an append takes milliseconds; whoever holds it longer hangs

_LOG = logging.getLogger("mfg.records")
_VERIFY = "Run `mfg verify` and tell the engineer; no line was changed."
_DISK = "Free space on the disk and check its rights."


@dataclass(frozen=True)
class Head:
    """The end of the chain: the last line's number, hash and time; 0, `START` and "" for an empty one."""

    sequence: int
    sha256: str
    utc: str


class RecordChain:
    """The chain of one records folder. Any number of processes may append to it."""

    def __init__(
        self,
        root: Path,
        key_folder: Path | None = None,
        now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        """Name the chain; nothing is read or made yet.

        Args:
            root: The records folder.
            key_folder: Where the station's key lies; None for who only reads.
            now: The time, with a time zone.
        """
        self.root = root
        self.path = root / CHAIN_FILE
        self._key_folder = key_folder
        self._now = now

    def append(self, stored: StoredRecord, reason: str = "") -> Link:
        """Put a run on record: from here on it counts.

        Args:
            stored: As the run folder holds it. No file there but a rendered page may change afterwards, nor
                the run's journal, which may still be where it was written.
            reason: Why this record takes the place of the one that the chain may hold of this run already.

        Returns:
            The run's line; it is on the disk and the head is signed.

        Raises:
            StationError: The folder does not hold this record any more, the run is on record already and no
                reason is given, the chain was changed by someone else, the key is missing, or the disk
                refuses. The chain is as it was.
        """
        record = stored.record
        files = self._hashes(stored)
        with self.locked():
            last, torn = self._tail()
            key = self._key(last)
            self._require_as_left(last, torn, key)
            if torn:
                self._move_aside(torn, last)
            earlier = self.link_of(record["run_id"])
            if earlier is not None and not reason:
                raise StationError(f"Run {record['run_id']} is on record already.", _VERIFY)
            link = Link(
                sequence=last.sequence + 1 if last else 1,
                utc=self._utc(),
                run_id=record["run_id"],
                serial_number=record["serial_number"],
                outcome=record["outcome"],
                folder=run_folder_name(record["serial_number"] or None, record["run_id"]),
                record_sha256=stored.sha256,
                files=files,
                supersedes=earlier.sequence if earlier else None,
                reason=reason[:MAX_REASON] if earlier else "",
                key=key.public,
                previous=last.sha256 if last else START,
            )
            read_link(link.line)  # what a reader would refuse is not written
            self._write(link, key)
        return link

    def contains(self, run_id: str) -> bool:
        """Tell whether a run is on record; StationError when the chain cannot be read."""
        return self.link_of(run_id) is not None

    def link_of(self, run_id: str) -> Link | None:
        """Return the last line of a run, None when it is not on record.

        Raises:
            StationError: The chain cannot be read, or the line is none.
        """
        # Inside a text of the line the quotation marks would be escaped.
        needle, found = f'"run_id":{json.dumps(run_id)}'.encode("ascii"), None
        try:
            with self.path.open("rb") as file:
                for line in whole_lines(file):
                    if needle in line:
                        found = read_link(line)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(self.path, error) from error
        return found

    def head(self) -> Head:
        """Return the end of the chain; StationError when it cannot be read."""
        last, _torn = self._tail()
        return Head(last.sequence, last.sha256, last.utc) if last else Head(0, START, "")

    def require_ready(self) -> None:
        """Refuse to start a run that could not be put on record.

        Raises:
            StationError: The chain was changed, the key is missing or another one, or the clock was put back
                behind the last line. Nothing was changed.
        """
        with self.locked():
            last, torn = self._tail()
            self._require_as_left(last, torn, self._key(last), mend=False)
        if last and self._utc() < last.utc:
            raise StationError(
                f"The clock shows {self._utc()}, but {last.utc} when run {last.run_id} was put on record.",
                "Set the clock of this computer right.",
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from appending while the block runs.

        Raises:
            StationError: Another process holds the chain for longer than `LOCK_TIMEOUT_S`, or the disk
                refuses.
        """
        folder = self.root / ".locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(folder / "chain.lock", timeout=LOCK_TIMEOUT_S)
            lock.acquire()
        except filelock.Timeout as error:
            raise StationError(
                f"{self.path} is held by another process for more than {LOCK_TIMEOUT_S:.0f} s.",
                "End the process that hangs, then run again.",
            ) from error
        except OSError as error:
            raise StationError(f"{folder} cannot be written: {error.strerror or error}.", _DISK) from error
        try:
            yield
        finally:
            lock.release()

    def _hashes(self, stored: StoredRecord) -> dict[str, str]:
        """Return the hashes of all files beside a run's record that must not change."""
        name = run_folder_name(stored.record["serial_number"] or None, stored.record["run_id"])
        try:
            files = folder_hashes(self.root, name)
        except OSError as error:
            raise _unreadable(stored.folder, error) from error
        same = stored.folder.resolve() == (self.root / name).resolve()
        if files.pop(RECORD_FILE, "") != stored.sha256 or not same:
            raise StationError(
                f"{stored.folder} does not hold the record that is to be put on record.", "Check the disk."
            )
        odd = [name for name, sha256 in files.items() if not sha256]
        if odd:
            raise StationError(
                f"{stored.folder} holds what is no plain file: {', '.join(odd)}.", "Tell the engineer."
            )
        return files

    def _key(self, last: Link | None) -> StationKey:
        """Load the key; make it only for a chain that has not begun."""
        if self._key_folder is None:
            raise StationError(f"No key folder was named for {self.root}.", "Tell the engineer.")
        key = make_key(self._key_folder) if last is None else load_key(self._key_folder)
        if key is None or (last and last.key != key.public):
            raise StationError(
                f"{self._key_folder} does not hold the key {last.key if last else ''} of {self.path}.",
                "Put it back from its safe copy, or begin a new records folder with a new key.",
            )
        return key

    def _require_as_left(self, last: Link | None, torn: bytes, key: StationKey, mend: bool = True) -> None:
        """Refuse a chain that is not as this station left it.

        The newest signature is of the last line. A piece behind it is then of an append that was never
        confirmed, for an append ends with the signature of its line. Or the station was stopped between a
        line and its signature; then nothing stands behind it and, to mend, the line is signed now.
        """
        newest = max(read_heads(self.root), key=lambda head: head.sequence, default=None)
        signed, head = (newest.sequence, newest.head) if newest else (0, START)
        count, end = (last.sequence, last.sha256) if last else (0, START)
        genuine = newest is None or (newest.key == key.public and newest.is_genuine)
        if genuine and (signed, head) == (count, end):
            return
        if not genuine or torn or last is None or (signed, head) != (count - 1, last.previous):
            raise StationError(
                f"{self.path} ends at line {count}; the newest signature is of line {signed} and does not "
                "fit it: it was changed by someone else.",
                _VERIFY,
            )
        if mend:
            self._sign(last, key)

    def _move_aside(self, torn: bytes, last: Link | None) -> None:
        """Move a piece of a line, of an append that was cut short, into a file of its own."""
        number = last.sequence + 1 if last else 1
        kept = self.root / f"{TORN_PREFIX}{number}-{self._utc().replace(':', '')}.txt"
        write_atomic(kept, torn, PRIVATE)
        self._cut(self.path.stat().st_size - len(torn))
        _LOG.warning("an append to %s had been cut short: %d bytes moved to %s", self.path, len(torn), kept)

    def _tail(self) -> tuple[Link | None, bytes]:
        """Return the last whole line, None for an empty chain, and what stands behind it."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 2 * MAX_LINE_BYTES))
                body, end, torn = file.read(2 * MAX_LINE_BYTES).rpartition(b"\n")
        except FileNotFoundError:
            return None, b""
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if len(torn) > MAX_LINE_BYTES:
            raise StationError(f"{self.path} ends in {len(torn)} bytes that are no line.", _VERIFY)
        if not end:
            return None, torn
        return read_link(body.rpartition(b"\n")[2]), torn

    def _write(self, link: Link, key: StationKey) -> None:
        """Append a line and sign it, or leave the chain as it was."""
        existed = self.path.exists()
        size = self.path.stat().st_size if existed else 0
        try:
            self._append_bytes(link.line + b"\n")
            if not existed:
                sync_folder(self.root)
            self._sign(link, key)
        except (OSError, StationError) as error:
            if all(head.sequence != link.sequence for head in read_heads(self.root)):
                self._cut(size)
            if isinstance(error, StationError):
                raise
            raise StationError(
                f"Run {link.run_id} was not put on record in {self.path}: {error.strerror or error}.", _DISK
            ) from error

    def _append_bytes(self, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        handle = os.open(self.path, flags, PUBLIC)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)

    def _sign(self, link: Link, key: StationKey) -> None:
        folder = self.root / HEADS_FOLDER
        head = sign_head(link, self._utc(), key)
        if not folder.is_dir():
            folder.mkdir()
            sync_folder(self.root)
        write_atomic(folder / f"{head.date}.json", head.content, PUBLIC)

    def _cut(self, size: int) -> None:
        """Take the chain back to an earlier length."""
        try:
            with self.path.open("r+b") as file:
                file.truncate(size)
                os.fsync(file.fileno())
        except FileNotFoundError:
            return  # the first append could not even make the file
        except OSError as error:
            raise StationError(
                f"{self.path} ends in a line that was not confirmed and cannot be cut back: "
                f"{error.strerror or error}.",
                _DISK,
            ) from error

    def _utc(self) -> str:
        moment = self._now().astimezone(datetime.UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Give every line of a chain that has its end, without it; one that is too long comes in pieces."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line.removesuffix(b"\n")


def read_heads(root: Path) -> list[SignedHead]:
    """Read every signed head of a records folder, in the order of the days; signatures are not checked.

    Raises:
        StationError: A file cannot be read or is no signed head.
    """
    folder = root / HEADS_FOLDER
    try:
        paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
        return [read_head(read_bounded(path, MAX_LINE_BYTES)) for path in paths]
    except OSError as error:
        raise _unreadable(folder, error) from error
    except ValueError as error:
        raise StationError(f"{folder} holds what is no signed head: {error}.", _VERIFY) from error


def covered_files(root: Path, folder: str) -> dict[str, Path]:
    """Return where each file of a run lies that must not change, by its name in the run folder.

    A rendered page is left out, and so is a temporary file that a power cut left behind. The journal is
    taken from where it was written as long as it has not moved into the folder.

    Raises:
        OSError: The folder is not there or cannot be read.
    """
    unmoved = root / JOURNAL_FOLDER / f"{folder.rpartition('/')[2]}.jsonl"
    found = {JOURNAL_FILE: unmoved} if unmoved.is_file() else {}
    found |= {path.name: path for path in sorted((root / folder).iterdir()) if is_covered(path.name)}
    return found


def folder_hashes(root: Path, folder: str) -> dict[str, str]:
    """Return the SHA-256 of each of `covered_files`, "" for what is no plain file.

    Raises:
        OSError: The folder is not there, or a file cannot be read.
    """
    found: dict[str, str] = {}
    for name, path in covered_files(root, folder).items():
        found[name] = ""
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def is_covered(name: str) -> bool:
    """Tell whether a file of a run folder may not change once the run is on record."""
    return name not in RENDERED and not (name.startswith(".") and name.endswith(".tmp"))


def _unreadable(path: Path, error: OSError) -> StationError:
    return StationError(
        f"{path} cannot be read: {error.strerror or error}.", "Check the disk and its rights."
    )
