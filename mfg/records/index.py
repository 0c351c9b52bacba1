"""The index over all records: one SQLite file beside the run folders.

It answers questions fast and holds nothing that the run folders do not, the claims of MAC addresses by
runs that never ended apart: `rebuild_index` makes it again from the `record.json` files.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mfg.errors import DutError, StationError, UsageError
from mfg.records.record import MeasurementEntry, Record, load_record
from mfg.records.run_folder import is_complete, run_folder_name, run_folders, serial_folder_name
from mfg.untrusted import printable, quoted

INDEX_FILE = "index.sqlite"
SCHEMA_VERSION = 2
BUSY_TIMEOUT_S = 5.0

# The tables of version 1. A new file takes the same steps from here as an old one.
_TABLES = """
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    folder TEXT NOT NULL,            -- below the records folder, with forward slashes
    serial_number TEXT NOT NULL,     -- empty when the unit was not identified
    assembly TEXT NOT NULL,
    product TEXT NOT NULL,
    mode TEXT NOT NULL,
    slot INTEGER NOT NULL,
    emulated INTEGER NOT NULL,
    backend TEXT NOT NULL,
    station TEXT NOT NULL,
    software TEXT NOT NULL,
    limits_revision TEXT NOT NULL,
    firmware TEXT NOT NULL,
    operator TEXT NOT NULL,
    started_utc TEXT NOT NULL,
    ended_utc TEXT NOT NULL,
    bench_seconds REAL NOT NULL,
    outcome TEXT NOT NULL,
    retest INTEGER NOT NULL
) STRICT;
CREATE INDEX runs_by_unit ON runs (serial_number, started_utc);
CREATE TABLE phases (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    number INTEGER,                  -- the case
    name TEXT NOT NULL,
    outcome TEXT NOT NULL,
    seconds REAL NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (run_id, position)
) STRICT;
CREATE TABLE measurements (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    phase TEXT NOT NULL,
    name TEXT NOT NULL,
    number REAL,                     -- the value when it is a number or a truth value
    text TEXT,                       -- the value otherwise
    unit TEXT NOT NULL,
    low REAL,
    high REAL,
    outcome TEXT NOT NULL
) STRICT;
CREATE INDEX measurements_by_run ON measurements (run_id);
CREATE INDEX measurements_by_name ON measurements (name);
CREATE TABLE macs (
    mac TEXT NOT NULL,
    serial_number TEXT NOT NULL,
    emulated INTEGER NOT NULL,       -- an emulated bench never blocks a real address
    run_id TEXT NOT NULL,
    PRIMARY KEY (mac, emulated),
    UNIQUE (serial_number, emulated)
) STRICT;
"""
# What brings a store of version n to n + 1, at position n - 1.
_MIGRATIONS: tuple[str, ...] = (
    """
ALTER TABLE measurements ADD COLUMN expanded_uncertainty REAL;  -- U, in the unit of the value
ALTER TABLE measurements ADD COLUMN k REAL;
ALTER TABLE measurements ADD COLUMN dof REAL;                    -- effective; NULL beside a k: infinite
ALTER TABLE measurements ADD COLUMN conformity_probability REAL;
ALTER TABLE measurements ADD COLUMN verdict TEXT;                -- of the decision rule
""",
)
_VERSION = re.compile(r"[0-9]{1,4}")
_ASK_ENGINEER = "Tell the engineer; the records themselves are not touched."


@dataclass(frozen=True)
class RunRow:
    """One run as the index knows it."""

    run_id: str
    folder: Path
    serial_number: str
    assembly: str
    mode: str
    emulated: bool
    backend: str
    station: str
    started_utc: str
    bench_seconds: float
    outcome: str
    retest: bool


_ROW_COLUMNS = tuple(item.name for item in fields(RunRow))


@dataclass(frozen=True)
class StoredRun:
    """A record and the folder it lies in."""

    record: Record
    folder: Path


@dataclass(frozen=True)
class RebuildReport:
    """What `rebuild_index` found.

    Attributes:
        runs: Records taken in.
        incomplete: Run folders without a record.
        unreadable: Sentences about records that are no records.
        conflicts: Sentences about MAC addresses that two units claim.
    """

    runs: int
    incomplete: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


class RecordIndex:
    """The open index of one records folder. Use it in a `with` block, from one thread."""

    def __init__(self, root: Path) -> None:
        """Open the index of a records folder, creating or migrating it as needed.

        Args:
            root: The records folder; created when it is missing.

        Raises:
            StationError: The file is no index, is of a newer schema, is locked by another process for longer
                than `BUSY_TIMEOUT_S`, or the disk refuses; nothing was changed.
        """
        self.root = root
        self.path = root / INDEX_FILE
        try:
            root.mkdir(parents=True, exist_ok=True)
            # Transactions are begun by hand, so that they take the write lock before they read.
            self._connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise _store_error(self.path, error) from error
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def select(self, query: str, values: Sequence[Any] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Ask a question in SQL.

        Args:
            query: A SELECT, with `?` for each of `values`.
            values: From whoever asks; never part of `query`.

        Returns:
            Names of the columns, and the rows.

        Raises:
            StationError: The store refuses.
        """
        with self._errors():
            cursor = self._connection.execute(query, values)
            rows = cursor.fetchall()
        return [column[0] for column in cursor.description], rows

    def _prepare(self) -> None:
        with self._errors():
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.execute("PRAGMA synchronous = FULL")
            version = self._version()
        if version is None or version < SCHEMA_VERSION:
            with self._transaction():
                self._migrate(self._version())  # read again: another process may have been faster

    def _version(self) -> int | None:
        """Return the schema version, None for a new file; a newer one than known is refused."""
        tables = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master")}
        if not tables:
            return None
        row = None
        if "meta" in tables:
            row = self._connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        if row is None or not _VERSION.fullmatch(str(row[0])):
            raise StationError(f"{self.path} is a database, but not an index of records.", _ASK_ENGINEER)
        version = int(row[0])
        if version > SCHEMA_VERSION:
            raise StationError(
                f"{self.path} has schema {version}; this software knows up to {SCHEMA_VERSION}.",
                "Use the newer station software that made it.",
            )
        return version

    def _migrate(self, version: int | None) -> None:
        if version is None:
            self._script("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;" + _TABLES)
            self._connection.execute("INSERT INTO meta VALUES ('schema_version', '1')")
            version = 1
        for script in _MIGRATIONS[version - 1 :]:
            self._script(script)
        self._connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(SCHEMA_VERSION),)
        )

    def _script(self, script: str) -> None:
        """Run statements inside the transaction that is open; `executescript` would commit it."""
        for statement in _statements(script):
            self._connection.execute(statement)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # a damaged file is quoted in its own message
            raise _store_error(self.path, error) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def add(self, record: Record, folder: Path) -> None:
        """Take a stored record into the index; one with the same run id is replaced.

        Args:
            record: A checked record.
            folder: Its run folder, below the records folder.

        Raises:
            DutError: Its MAC address belongs to another unit, or its unit has another address. The run is in
                the index, the claim is not.
            StationError: The store refuses; nothing was changed.
        """
        with self._transaction():
            self._insert(record, folder)
        if record["mac"] and record["serial_number"]:
            self.claim_mac(record["mac"], record["serial_number"], record["emulated"], record["run_id"])

    def _insert(self, record: Record, folder: Path) -> None:
        run_id = record["run_id"]
        self._connection.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
        columns = _run_columns(record, f"{folder.parent.name}/{folder.name}")
        marks = ", ".join("?" * len(columns))
        self._connection.execute(
            f"INSERT INTO runs ({', '.join(columns)}) VALUES ({marks})", [*columns.values()]
        )
        for position, phase in enumerate(record["phases"]):
            error = phase["error"]
            text = f"{error['kind']}: {error['message']}" if error else ""
            row = (run_id, position, phase["case"], phase["name"], phase["outcome"], phase["seconds"], text)
            self._connection.execute("INSERT INTO phases VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            self._connection.executemany(
                "INSERT INTO measurements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(run_id, position, phase["name"], *_measured(entry)) for entry in phase["measurements"]],
            )

    def claim_mac(self, mac: str, serial_number: str, emulated: bool, run_id: str = "") -> None:
        """Bind a MAC address to a serial number, each unique within real or emulated units.

        Args:
            mac: Six bytes in hexadecimal with colons.
            serial_number: The unit that answered with it.
            emulated: Whether the unit is an emulated one.
            run_id: The run that read it.

        Raises:
            DutError: The address belongs to another serial number, or the unit has another address; nothing
                was changed.
            StationError: The store refuses; nothing was changed.
        """
        mac, serial = mac.lower(), serial_folder_name(serial_number)
        with self._transaction():
            owner = self._one("SELECT serial_number FROM macs WHERE mac = ? AND emulated = ?", mac, emulated)
            if owner is not None and owner != serial:
                raise DutError(
                    f"MAC address {mac} belongs to {owner}, not to {serial}.",
                    "Compare the labels of both units; one of them carries the other's serial number.",
                )
            known = self._one(
                "SELECT mac FROM macs WHERE serial_number = ? AND emulated = ?", serial, emulated
            )
            if known is not None and known != mac:
                raise DutError(
                    f"{serial} had MAC address {known} before, now it has {mac}.",
                    "Check the label; if the Pico W was replaced, let the engineer release the old address.",
                )
            if owner is None:
                row = (mac, serial, int(emulated), run_id)
                self._connection.execute("INSERT INTO macs VALUES (?, ?, ?, ?)", row)

    def newest_end_utc(self) -> str:
        """Return when the latest run on record ended, "" when there is none."""
        (newest,) = self.select("SELECT COALESCE(MAX(ended_utc), '') FROM runs")[1][0]
        return str(newest)

    def release_mac(self, serial_number: str, emulated: bool = False) -> str | None:
        """Forget the MAC address of a unit whose Pico W was replaced.

        Returns:
            The address that was bound, None when there was none.
        """
        serial = serial_folder_name(serial_number)
        with self._transaction():
            known = self._one(
                "SELECT mac FROM macs WHERE serial_number = ? AND emulated = ?", serial, emulated
            )
            self._connection.execute(
                "DELETE FROM macs WHERE serial_number = ? AND emulated = ?", (serial, int(emulated))
            )
        return known

    def mac_of(self, serial_number: str, emulated: bool = False) -> str | None:
        """Return the MAC address bound to a serial number, None when there is none."""
        serial = serial_folder_name(serial_number)
        with self._errors():
            return self._one(
                "SELECT mac FROM macs WHERE serial_number = ? AND emulated = ?", serial, emulated
            )

    def serial_of_mac(self, mac: str, emulated: bool = False) -> str | None:
        """Return the serial number bound to a MAC address, None when there is none."""
        with self._errors():
            return self._one(
                "SELECT serial_number FROM macs WHERE mac = ? AND emulated = ?", mac.lower(), emulated
            )

    def _one(self, query: str, key: str, emulated: bool) -> str | None:
        row = self._connection.execute(query, (key, int(emulated))).fetchone()
        return None if row is None else str(row[0])

    def runs(self, serial_number: str | None = None, include_emulated: bool = True) -> list[RunRow]:
        """List runs, oldest first.

        Args:
            serial_number: Only this unit's; all when None.
            include_emulated: Whether runs on an emulated bench count.
        """
        query = f"SELECT {', '.join(_ROW_COLUMNS)} FROM runs WHERE (? OR emulated = 0)"
        values: list[Any] = [int(include_emulated)]
        if serial_number is not None:
            query += " AND serial_number = ?"
            values.append(serial_folder_name(serial_number))
        with self._errors():
            rows = self._connection.execute(query + " ORDER BY started_utc, run_id", values).fetchall()
        return [self._row(dict(zip(_ROW_COLUMNS, row, strict=True))) for row in rows]

    def _row(self, columns: dict[str, Any]) -> RunRow:
        run_id = columns["run_id"]
        try:
            expected = run_folder_name(columns["serial_number"] or None, run_id)
        except UsageError:
            expected = None
        if columns["folder"] != expected:
            raise StationError(
                f"{self.path} names the folder {quoted(columns['folder'])} for run {quoted(run_id)}.",
                "Keep the file, rebuild the index and tell the engineer.",
            )
        return RunRow(
            **columns
            | {
                "folder": self.root / columns["folder"],
                "emulated": bool(columns["emulated"]),
                "retest": bool(columns["retest"]),
            }
        )

    def latest_record(
        self, serial_number: str | None = None, include_emulated: bool = True
    ) -> StoredRun | None:
        """Load the newest record, of one unit or of all.

        Returns:
            The record with its folder, None when there is no run.

        Raises:
            StationError: Its file is missing or is no record.
        """
        rows = self.runs(serial_number, include_emulated)
        return StoredRun(load_record(rows[-1].folder), rows[-1].folder) if rows else None

    def rebuild(self) -> RebuildReport:
        """Make the content again from the records, in one transaction.

        Returns:
            What was taken in and what was not. Of two units that claim one MAC address the older keeps it.

        Raises:
            StationError: The store refuses; the old content stays.
        """
        complete: list[tuple[Record, Path]] = []
        incomplete: list[Path] = []
        unreadable: list[str] = []
        for folder in run_folders(self.root):
            if not is_complete(folder):
                incomplete.append(folder)
                continue
            try:
                complete.append((_record_of(folder), folder))
            except StationError as error:
                unreadable.append(str(error))
        with self._transaction():
            self._connection.execute("DELETE FROM runs")
            self._connection.execute("DELETE FROM macs")
            for record, folder in complete:
                self._insert(record, folder)
        return RebuildReport(len(complete), incomplete, unreadable, self._claim_all(complete))

    def _claim_all(self, stored: Sequence[tuple[Record, Path]]) -> list[str]:
        conflicts: list[str] = []
        for record, _ in sorted(stored, key=lambda item: (item[0]["started_utc"], item[0]["run_id"])):
            if not record["mac"] or not record["serial_number"]:
                continue
            try:
                self.claim_mac(record["mac"], record["serial_number"], record["emulated"], record["run_id"])
            except DutError as error:
                conflicts.append(str(error))
        return conflicts


def rebuild_index(root: Path) -> RebuildReport:
    """Make the index of a records folder again; a file that is no database is moved aside first.

    Raises:
        StationError: The index is of a newer schema or locked, or the disk refuses.
    """
    path = root / INDEX_FILE
    if path.is_file() and not _is_database(path):
        aside = path.with_name(f"{INDEX_FILE}.broken-{datetime.datetime.now(datetime.UTC):%Y%m%d%H%M%S%f}")
        try:
            path.rename(aside)
        except OSError as error:
            raise _store_error(path, error) from error
    with RecordIndex(root) as index:
        return index.rebuild()


def _record_of(folder: Path) -> Record:
    """Load the record of a run folder; one that belongs to another folder is refused."""
    record = load_record(folder)
    expected = (serial_folder_name(record["serial_number"] or None), record["run_id"])
    if expected != (folder.parent.name, folder.name):
        raise StationError(f"{folder} holds the record of run {'/'.join(expected)}.")
    return record


def _is_database(path: Path) -> bool:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
    try:
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        return True  # locked or not readable: for the caller to find out, not to move
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
    return str(answer) == "ok"


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _store_error(path: Path, error: Exception) -> StationError:
    text = printable(str(error))
    if "locked" in text:
        return StationError(
            f"{path} is locked by another program for more than {BUSY_TIMEOUT_S:.0f} s.",
            "Close the other program and run again.",
        )
    return StationError(f"{path} cannot be used: {text}.", "Check the disk, then rebuild the index.")


def _run_columns(record: Record, folder: str) -> dict[str, Any]:
    return {
        "run_id": record["run_id"],
        "folder": folder,
        "serial_number": record["serial_number"],
        "assembly": record["assembly"],
        "product": record["product"],
        "mode": record["mode"],
        "slot": record["slot"],
        "emulated": int(record["emulated"]),
        "backend": record["backend"],
        "station": record["station"]["id"],
        "software": record["station"]["software"],
        "limits_revision": record["limits"]["revision"],
        "firmware": record["firmware"]["version"],
        "operator": record["operator"],
        "started_utc": record["started_utc"],
        "ended_utc": record["ended_utc"],
        "bench_seconds": record["bench_seconds"],
        "outcome": record["outcome"],
        "retest": int(record["retest"]),
    }


def _measured(entry: MeasurementEntry) -> tuple[Any, ...]:
    value = entry["value"]
    number = float(value) if isinstance(value, int | float) else None
    text = value if isinstance(value, str) else None
    row = (entry["name"], number, text, entry["unit"], entry["low"], entry["high"], entry["outcome"])
    held = entry.get("uncertainty")
    if held is None:
        return (*row, None, None, None, None, None)
    judged = (held["expanded"], held["k"], held["dof"], held["conformity_probability"], held["verdict"])
    return (*row, *judged)
