"""`mfg list`, `show`, `report` and `summary`: what the station has on record."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from mfg.errors import UsageError
from mfg.records.index import RecordIndex, StoredRun
from mfg.records.labels import parse_serial_code
from mfg.records.record import limit_text, value_text
from mfg.reporting.certificate import write_certificate
from mfg.reporting.render import write_report
from mfg.reporting.summary import summarize, summary_table, write_summary
from mfg.station import load_station


def list_runs(console: Console, station_path: Path) -> int:
    """Print every run of the store, newest last."""
    with RecordIndex(load_station(station_path).records_folder) as index:
        rows = index.runs()
    table = Table("serial", "started (UTC)", "mode", "outcome", "bench", "emulated")
    for column in table.columns[:4]:
        column.no_wrap = True
    for row in rows:
        emulated = row.backend if row.emulated else ""
        started = row.started_utc[:19].replace("T", " ")
        table.add_row(
            row.serial_number, started, row.mode, row.outcome, f"{row.bench_seconds:.1f} s", emulated
        )
    console.print(table)
    return 0


def show(console: Console, station_path: Path, serial: str) -> int:
    """Print the latest record of a unit."""
    run = _latest(station_path, serial)
    record = run.record
    emulated = f" (emulated, {record['backend']})" if record["emulated"] else ""
    console.print(f"{record['serial_number']} {record['assembly']}: {record['outcome']}{emulated}")
    for reason in record["outcome_reasons"]:
        console.print(f"  {reason}", markup=False)
    table = Table("case", "phase", "measurement", "value", "limit", "")
    for phase in record["phases"]:
        for entry in phase["measurements"]:
            case = str(phase["case"] or "")
            table.add_row(
                case, phase["name"], entry["name"], value_text(entry), limit_text(entry), entry["outcome"]
            )
    console.print(table)
    console.print(f"Files: {run.folder}", soft_wrap=True)
    return 0


def report(console: Console, station_path: Path, serial: str | None) -> int:
    """Write the report of a unit's latest run again, of the last run without a serial; print where it is."""
    run = _latest(station_path, serial)
    console.print(str(write_report(run.record, run.folder)), soft_wrap=True)
    certificate = write_certificate(run.record, run.folder)
    if certificate is not None:
        console.print(str(certificate), soft_wrap=True)
    return 0


def summary(console: Console, station_path: Path, include_emulated: bool) -> int:
    """Print units, first-pass yield, failures and time by phase, and write them as HTML."""
    folder = load_station(station_path).records_folder
    with RecordIndex(folder) as index:
        result = summarize(index, include_emulated)
    console.print(summary_table(result))
    console.print(str(write_summary(result, folder)), soft_wrap=True)
    return 0


def _latest(station_path: Path, serial: str | None) -> StoredRun:
    folder = load_station(station_path).records_folder
    with RecordIndex(folder) as index:
        wanted = parse_serial_code(serial) if serial else _last_serial(index)
        run = index.latest_record(wanted) if wanted else None
    if run is None:
        raise UsageError(f"{folder} has no record of {serial or 'any unit'}.", "See `mfg list`.")
    return run


def _last_serial(index: RecordIndex) -> str:
    rows = index.runs()
    return rows[-1].serial_number if rows else ""
