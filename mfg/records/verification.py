"""Finds whether records were changed: the chain, its signatures and every file that it covers.

Without anything kept elsewhere, whoever has the station's key can write everything anew, and whoever has an
older copy of the whole folder can put it back. A head that is kept elsewhere, on a printed certificate for
instance, closes that: everything up to its line is proved.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mfg.errors import StationError
from mfg.records.chain import CHAIN_FILE, HEADS_FOLDER, RecordChain, folder_hashes, is_covered, whole_lines
from mfg.records.links import MAX_LINE_BYTES, START, Link, SignedHead, read_head, read_link
from mfg.records.run_folder import RECORD_FILE, run_folders, sha256_hex


@dataclass(frozen=True)
class Snapshot:
    """A chain and what belongs to it at one moment, wherever it lies.

    Attributes:
        chain: File with the chain; there may be none.
        size: How many bytes of it count.
        heads: Content of each file in the folder of signed heads, by name.
        runs: Run folders that hold a record, below the records folder, with a forward slash.
        hashes: Gives the SHA-256 of each covered file of a run folder, "" for what is no plain file; OSError
            when the folder is not there or cannot be read.
    """

    chain: Path
    size: int
    heads: Mapping[str, bytes]
    runs: frozenset[str]
    hashes: Callable[[str], Mapping[str, str]]

    def lines(self) -> Iterator[bytes]:
        """Give the lines, without their ends; a piece behind the last is left out."""
        if not self.size:
            return
        with self.chain.open("rb") as file:
            for line in whole_lines(file):
                if file.tell() > self.size:
                    return
                yield line

    def torn_bytes(self) -> int:
        """Return how many bytes stand behind the last whole line."""
        if not self.size:
            return 0
        with self.chain.open("rb") as file:
            file.seek(max(0, self.size - MAX_LINE_BYTES))
            return len(file.read(self.size - file.tell()).rpartition(b"\n")[2])


@dataclass
class Verification:
    """What was looked at, and what is wrong with it.

    Attributes:
        findings: Sentences that say which run and what; none when nothing was changed.
        withdrawn: Sentences about the verdicts that were taken back: whoever has the folder could make a
            station take one back that it should have kept, so each wants to be known.
        runs: Runs on record.
        lines: Lines of the chain; more than runs where a verdict was taken back.
        head: SHA-256 of the last line.
        key: The public key that must have signed; "" for an empty chain.
        proved: Number of the line whose hash is the head that was kept elsewhere, 0 without one.
    """

    findings: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    runs: int = 0
    lines: int = 0
    head: str = START
    key: str = ""
    proved: int = 0


def snapshot_of(root: Path) -> Snapshot:
    """Look at the records folder of a station; what a run adds later is left out.

    Raises:
        StationError: It cannot be read, or another process holds the chain.
    """
    # The folders first: a run that ends meanwhile has its line already, or is not among them.
    runs = frozenset(
        f"{folder.parent.name}/{folder.name}"
        for folder in run_folders(root)
        if (folder / RECORD_FILE).exists()
    )
    chain = root / CHAIN_FILE
    # Nothing is appended to a folder that cannot be written, so it needs no lock.
    lock = RecordChain(root).locked() if os.access(root, os.W_OK) else contextlib.nullcontext()
    try:
        with lock:
            size = chain.stat().st_size if chain.exists() else 0
            paths = sorted(root.glob(f"{HEADS_FOLDER}/*"))
            heads = {path.name: _start_of(path) for path in paths if is_covered(path.name)}
    except OSError as error:
        raise StationError(f"{root} cannot be read: {error}.", "Check the disk and its rights.") from error
    return Snapshot(chain, size, heads, runs, lambda folder: folder_hashes(root, folder))


def verify(snapshot: Snapshot, kept_head: str = "", kept_key: str = "") -> Verification:
    """Find every edit, deletion, insertion, reordering and clock rollback.

    Args:
        snapshot: What to look at.
        kept_head: A head that was kept elsewhere, 64 hexadecimal digits: its line must be there.
        kept_key: The station's public key as kept elsewhere; the one that the first line names without it.

    Returns:
        What was found. Takes time and reads in proportion to the files, memory to the number of runs.

    Raises:
        StationError: The chain itself cannot be read from the disk.
    """
    check = _Check(snapshot, kept_head, kept_key)
    try:
        check.chain()
        check.signatures()
        check.folders()
    except OSError as error:
        raise StationError(f"{snapshot.chain} cannot be read: {error}.", "Check the disk.") from error
    return check.result


@dataclass(frozen=True)
class _Place:
    """A line that was read, as far as the lines after it need it."""

    number: int
    sequence: int
    sha256: str
    utc: str
    folder: str


class _Check:
    def __init__(self, snapshot: Snapshot, kept_head: str, kept_key: str) -> None:
        self._snapshot = snapshot
        self._kept_head = kept_head
        self.result = Verification(key=kept_key)
        self._before = _Place(0, 0, START, "", "")
        self._runs: dict[str, _Place] = {}  # the last line of each run
        self._days: dict[str, _Place] = {}  # the last line of each day
        self._outcomes: dict[str, str] = {}  # of the last line of each run

    def _found(self, sentence: str) -> None:
        self.result.findings.append(sentence)

    def chain(self) -> None:
        """Go through the lines in their order."""
        result = self.result
        for number, raw in enumerate(self._snapshot.lines(), start=1):
            result.lines, result.head = number, sha256_hex(raw)
            if result.head == self._kept_head:
                result.proved = number
            try:
                link = read_link(raw)
            except StationError as error:
                self._found(f"Line {number} of the chain cannot be read. {error.args[0]}")
                self._before = _Place(number, self._before.sequence + 1, result.head, self._before.utc, "")
                continue
            self._line(number, link)
        result.runs = len(self._runs)
        if torn := self._snapshot.torn_bytes():
            self._found(
                f"Behind line {result.lines} stand {torn} bytes that are no whole line: an append was cut "
                "short, or something was added. The next run moves them aside, or refuses to start."
            )
        if self._kept_head and not result.proved:
            self._found(
                f"No line of the chain has the head {self._kept_head} that was kept elsewhere: the chain was "
                "cut back or written anew, or the head is of another station."
            )

    def _line(self, number: int, link: Link) -> None:
        where, before = f"Line {number}, {_run(link.folder)}:", self._before
        self.result.key = self.result.key or link.key
        if link.sequence != before.sequence + 1:
            self._found(
                f"{where} it bears number {link.sequence} and stands behind number {before.sequence}: "
                "lines were removed, inserted or moved."
            )
        elif link.previous != before.sha256:
            other = _run(before.folder) if before.number else "the start of the chain"
            self._found(
                f"{where} it was not written behind the line before it, {other}: one of the two was edited "
                "or exchanged."
            )
        if link.utc < before.utc:
            self._found(
                f"{where} it is of {link.utc}, behind a line of {before.utc}: the clock was put back."
            )
        if link.key != self.result.key:
            self._found(f"{where} it names the key {link.key}, not the station's {self.result.key}.")
        self._repeated(where, link)
        place = _Place(number, link.sequence, self.result.head, link.utc, link.folder)
        self._before = self._runs[link.run_id] = self._days[link.utc[:10]] = place

    def _repeated(self, where: str, link: Link) -> None:
        """A second line of a run must say that it takes the last one back."""
        earlier = self._runs.get(link.run_id)
        if earlier is None and link.supersedes is not None:
            self._found(f"{where} it takes back line {link.supersedes}, which is not of this run.")
        if earlier is not None and (link.supersedes, link.folder) != (earlier.sequence, earlier.folder):
            self._found(f"{where} the run is on record already, in line {earlier.number}.")
        if earlier is not None:
            old, reason = self._outcomes[link.run_id], link.reason or "no reason is given"
            self.result.withdrawn.append(
                f"{where} {link.outcome} takes back the {old} of line {earlier.number}: {reason}"
            )
        self._outcomes[link.run_id] = link.outcome

    def signatures(self) -> None:
        """Each day's last line must be signed, and nothing else."""
        unsigned = dict(self._days)
        for name, content in self._snapshot.heads.items():
            where = f"{HEADS_FOLDER}/{name}:"
            try:
                head = read_head(content)
            except StationError as error:
                self._found(f"{where} {error.args[0]}")
                continue
            if name != f"{head.date}.json":
                self._found(f"{where} it is the signed head of {head.date}.")
                continue
            self._signature(where, head, unsigned.pop(head.date, None))
        for day, place in unsigned.items():
            self._found(
                f"The head of {day}, line {place.number}, {_run(place.folder)}, has no signature: "
                f"{HEADS_FOLDER}/{day}.json is missing."
            )

    def _signature(self, where: str, head: SignedHead, last: _Place | None) -> None:
        if not head.is_genuine:
            self._found(f"{where} its signature is wrong: it was edited.")
        if head.key != self.result.key:
            self._found(f"{where} it is signed with the key {head.key}, not the station's {self.result.key}.")
        if last is None:
            self._found(f"{where} it signs line {head.sequence}, but no line of the chain is of that day.")
        elif (head.sequence, head.head) != (last.sequence, last.sha256):
            stopped = " Or the station was stopped when it recorded that run; its next run signs the line."
            self._found(
                f"{where} it signs line {head.sequence}, not the last line of that day, {last.number}, "
                f"{_run(last.folder)}, as it is now: lines were edited, removed or added."
                + (stopped if last == self._before and head.sequence == last.sequence - 1 else "")
            )
        elif head.utc < last.utc:
            self._found(
                f"{where} signed at {head.utc}, before its line of {last.utc}: the clock was put back."
            )

    def folders(self) -> None:
        """Each run's folder must be as its last line says, and there must be no other."""
        unknown = set(self._snapshot.runs)
        for number, raw in enumerate(self._snapshot.lines(), start=1):
            try:
                link = read_link(raw)
            except StationError:
                continue  # found already
            if self._runs[link.run_id].number == number:
                unknown.discard(link.folder)
                self._folder(link)
        for folder in sorted(unknown):
            self._found(
                f"{_run(folder)} holds a record and is not in the chain: it was put there, its line was "
                "removed, or the station was stopped before it was on record. If it has ended just now, "
                "verify again."
            )

    def _folder(self, link: Link) -> None:
        where = f"{_run(link.folder)}:"
        try:
            hashes = self._snapshot.hashes(link.folder)
        except FileNotFoundError:
            self._found(f"{where} it is on record, and its folder is missing.")
            return
        except OSError as error:
            self._found(f"{where} its folder cannot be read: {error.strerror or error}.")
            return
        covered = {**link.files, RECORD_FILE: link.record_sha256}
        for name in sorted({*covered, *hashes}):
            if name not in hashes:
                self._found(f"{where} {name} is missing.")
            elif name not in covered:
                self._found(f"{where} {name} was added after the run was on record.")
            elif not hashes[name]:
                self._found(f"{where} {name} was replaced by something that is no plain file.")
            elif hashes[name] != covered[name]:
                self._found(f"{where} {name} was changed after the run was on record.")


def _run(folder: str) -> str:
    return f"run {folder}" if folder else "which cannot be read"


def _start_of(path: Path) -> bytes:
    """Return the content of a signed head, or more of it than one may have."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(MAX_LINE_BYTES + 1)
