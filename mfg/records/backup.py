"""One archive of a station's records: chain, signed heads, runs on record, the small files beside them, and
a copy of the index; never a key.

An archive counts only when it has been read back whole and verified; until then it has another name.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import secrets
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mfg.errors import StationError, UsageError
from mfg.records.chain import CHAIN_FILE, HEADS_FOLDER, RENDERED, covered_files, is_covered
from mfg.records.index import BUSY_TIMEOUT_S, INDEX_FILE
from mfg.records.links import MAX_LINE_BYTES, read_link
from mfg.records.run_folder import FILE_NAME, PRIVATE, sync_folder
from mfg.records.verification import Snapshot, Verification, snapshot_of, verify

MAX_TRIES = 2  # a verdict that is taken back meanwhile spoils one
_PIECE_BYTES = 1024 * 1024
_DAMAGED = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)


@dataclass(frozen=True)
class Backup:
    """A finished archive: where it is, its size, and what its verification found in it."""

    path: Path
    size: int
    verification: Verification


def write_backup(root: Path, target: Path) -> Backup:
    """Write an archive of a records folder and verify it. Runs may go on meanwhile.

    What is not on record yet is left out: a run that goes on, or one that the station has not closed.

    Args:
        root: The records folder.
        target: The archive, `.tar.gz`; its folder must exist. Only its owner may read it.

    Raises:
        UsageError: The target exists or lies in the records folder, or its folder does not exist; nothing was
            written.
        StationError: A record was changed, the disk refuses, or the archive is not what was written. No
            archive is left.
    """
    if target.exists():
        raise UsageError(f"{target} exists already.", "Name another file; a backup never replaces one.")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} is no folder.", "Create it first.")
    if target.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{target} lies in the records folder.", "Name a file elsewhere, on another disk.")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        verification = _write_verified(root, temporary)
        size = temporary.stat().st_size
        temporary.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StationError(
            f"{target} was not written: {error.strerror or error}.",
            "Free space on the disk and check its rights.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return Backup(target, size, verification)


def check_backup(path: Path, kept_head: str = "", kept_key: str = "") -> Verification:
    """Verify an archive as `verify` does a folder; nothing is unpacked beside it.

    Args:
        path: The archive.
        kept_head, kept_key: As for `verify`.

    Raises:
        UsageError: There is no such file.
        StationError: It cannot be read, or is damaged or no backup.
    """
    if not path.is_file():
        raise UsageError(f"{path} is no file.")
    try:
        with tempfile.TemporaryDirectory() as folder, path.open("rb") as file:
            contents = _Contents(Path(folder))
            for name, member in _members(file):
                contents.take(name, member)
            result = verify(contents.snapshot(), kept_head, kept_key)
            result.findings += _index_findings(contents.index)
            return result
    except _DAMAGED as error:
        raise StationError(
            f"{path} is damaged or no backup: {error}.", "Use another archive, and make a new one."
        ) from error
    except OSError as error:
        raise StationError(f"{path} cannot be read: {error.strerror or error}.") from error


def _write_verified(root: Path, temporary: Path) -> Verification:
    """Write the archive under its temporary name until it is right; bounded, each time from the beginning."""
    for _attempt in range(MAX_TRIES):
        _write(root, snapshot_of(root), temporary)
        verification = check_backup(temporary)
        if not verification.findings:
            return verification
    shown = " ".join(verification.findings[:5])
    raise StationError(
        f"The records are not right; no backup was made. {len(verification.findings)} findings: {shown}",
        "Run `mfg verify` and tell the engineer.",
    )


def _write(root: Path, snapshot: Snapshot, temporary: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE)
    with os.fdopen(handle, "wb") as file:
        with (
            gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            _fill(archive, root, snapshot)
        file.flush()
        os.fsync(file.fileno())


def _fill(archive: tarfile.TarFile, root: Path, snapshot: Snapshot) -> None:
    if snapshot.size:
        with snapshot.chain.open("rb") as file:
            _add(archive, CHAIN_FILE, file, snapshot.size)
    for name, content in snapshot.heads.items():
        _add(archive, f"{HEADS_FOLDER}/{name}", io.BytesIO(content), len(content))
    done: set[str] = set()
    for line in snapshot.lines():
        folder = _folder_of(line)
        if folder and folder not in done:
            done.add(folder)
            _add_folder(archive, root, folder)
    for path in sorted(root.iterdir()):
        if not path.name.startswith((".", CHAIN_FILE, INDEX_FILE)):
            _add_plain(archive, path, path.name)
    with tempfile.TemporaryDirectory() as folder_name:
        copy = Path(folder_name) / INDEX_FILE
        if _copy_index(root / INDEX_FILE, copy):
            with copy.open("rb") as file:
                _add(archive, INDEX_FILE, file, copy.stat().st_size)


def _folder_of(line: bytes) -> str:
    """Return the run folder that a line names, "" when it cannot be read: the verification will say so."""
    try:
        return read_link(line).folder
    except StationError:
        return ""


def _add_folder(archive: tarfile.TarFile, root: Path, folder: str) -> None:
    """Add the files of a run; what is missing or is no plain file is for the verification to find."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        files = covered_files(root, folder) | {name: root / folder / name for name in RENDERED}
        for name, path in files.items():
            _add_plain(archive, path, f"{folder}/{name}")


def _add_plain(archive: tarfile.TarFile, path: Path, name: str) -> None:
    if not path.is_symlink() and path.is_file():
        with path.open("rb") as file:
            _add(archive, name, file, os.fstat(file.fileno()).st_size)


def _add(archive: tarfile.TarFile, name: str, file: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, PRIVATE
    archive.addfile(entry, file)


def _copy_index(path: Path, copy: Path) -> bool:
    """Copy the index as it is between two transactions; False when there is none."""
    if not path.is_file():
        return False
    try:
        with (
            contextlib.closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    except sqlite3.Error as error:
        raise StationError(f"{path} cannot be copied: {error}.", "Rebuild the index.") from error
    return True


def _members(file: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """Give the plain files of an archive in their order, and read it to its very end, check sum included."""
    with gzip.GzipFile(fileobj=file, mode="rb") as packed:
        with tarfile.open(fileobj=packed, mode="r|") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isfile() else None
                if content is None:
                    raise tarfile.TarError(f"it holds {entry.name[:80]!r}, which is no plain file")
                yield entry.name, content
        while packed.read(_PIECE_BYTES):
            pass


class _Contents:
    """What an archive holds, as far as its verification needs it: hashes, the chain and the index."""

    def __init__(self, folder: Path) -> None:
        self._chain = folder / CHAIN_FILE
        self.index = folder / INDEX_FILE
        self._names: set[str] = set()
        self._heads: dict[str, bytes] = {}
        self._files: dict[str, dict[str, str]] = {}

    def take(self, name: str, content: IO[bytes]) -> None:
        """Take one file of the archive; a name that no backup gives is refused."""
        parts = name.split("/")
        if name in self._names or not all(FILE_NAME.fullmatch(part) for part in parts):
            raise tarfile.TarError(f"it holds {name[:80]!r} twice, or no backup holds such a name")
        self._names.add(name)
        if name in (CHAIN_FILE, INDEX_FILE):
            with (self._chain if name == CHAIN_FILE else self.index).open("xb") as copy:
                shutil.copyfileobj(content, copy)
        elif len(parts) == 1:
            _sha256(content)  # a small file that the chain does not cover: only read
        elif len(parts) == 2 and parts[0] == HEADS_FOLDER:
            self._heads[parts[1]] = content.read(MAX_LINE_BYTES + 1)
        else:
            folder, _, file = name.rpartition("/")
            self._files.setdefault(folder, {})[file] = _sha256(content)

    def snapshot(self) -> Snapshot:
        """Return what is to be verified."""
        size = self._chain.stat().st_size if self._chain.exists() else 0
        return Snapshot(self._chain, size, self._heads, frozenset(self._files), self._hashes)

    def _hashes(self, folder: str) -> dict[str, str]:
        if folder not in self._files:
            raise FileNotFoundError(folder)
        return {name: sha256 for name, sha256 in self._files[folder].items() if is_covered(name)}


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := content.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _index_findings(index: Path) -> list[str]:
    """Return what is wrong with a copy of the index; there may be none."""
    if not index.exists():
        return []
    try:
        with contextlib.closing(sqlite3.connect(index)) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        answer = str(error)
    return [] if answer == "ok" else [f"The copy of the index is damaged: {answer}."]
