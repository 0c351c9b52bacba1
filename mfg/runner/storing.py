"""Put a run on record: record, report, certificate, index; or take its verdict back.

A run is on record from the moment its journal has moved into its folder. Whatever fails before leaves the
journal where `mfg run` and `mfg recover` find it, and no record with a verdict that nobody was told.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import cast

from mfg.errors import MfgError, StationError
from mfg.records.index import RecordIndex
from mfg.records.journal import STORED, Journal
from mfg.records.record import ERROR, Record, load_record, write_record
from mfg.records.run_folder import RECORD_FILE, RunFolder
from mfg.reporting.certificate import write_certificate
from mfg.reporting.render import write_report
from mfg.runner.guard import judge_record

_LOG = logging.getLogger("mfg.runner")


def put_on_record(root: Path, folder: RunFolder, record: Record, journal: Journal) -> Record:
    """Store a run whole.

    Args:
        root: The records folder.
        folder: The run's folder, with all files but record and report.
        record: With the verdict.
        journal: Of the run; moved into the folder as the last step.

    Returns:
        The record as read back from the disk, its verdict derived again.

    Raises:
        MfgError: Something could not be stored. The record says ERROR and why where the disk takes it;
            where it does not, there is none and the journal stays where it was.
    """
    try:
        return _store(root, folder, record, journal)
    except MfgError as error:
        _withdraw(root, folder, record, journal, error)
        raise


def _store(root: Path, folder: RunFolder, record: Record, journal: Journal) -> Record:
    journal.note(STORED, outcome=record["outcome"])
    write_record(folder, record)
    stored = load_record(folder.path)
    verdict = judge_record(stored)
    if stored != record or verdict.outcome != record["outcome"]:
        raise StationError(
            f"{folder.path} does not hold what was written: {verdict.outcome}, not {record['outcome']}.",
            "Check the disk.",
        )
    write_report(stored, folder.path)
    write_certificate(stored, folder.path)
    with RecordIndex(root) as index:
        index.add(stored, folder.path)
    journal.move_to(folder.path)
    return stored


def _withdraw(root: Path, folder: RunFolder, record: Record, journal: Journal, error: MfgError) -> None:
    """Take back the verdict of a run that could not be stored whole.

    The record goes first: without one the folder counts as a run that did not end, so that no PASS is
    left behind even where the disk takes nothing more.
    """
    try:
        folder.file(RECORD_FILE).unlink(missing_ok=True)
    except OSError as refused:
        raise StationError(
            f"{folder.path}: the verdict could not be taken back: {refused.strerror or refused}.",
            "The unit is not judged. Check the disk, then run `mfg recover`.",
        ) from refused
    if "interruption" in record:
        return  # it has no verdict; its journal is there for the next attempt
    trouble = f"The run could not be stored whole: {error}"
    withdrawn = dict(record) | {
        "outcome": ERROR,
        "outcome_reasons": [trouble, *record["outcome_reasons"]],
        "next_action": "Mend the station, then test again.",
    }
    if "promise" in record:
        promise = record["promise"]
        withdrawn["promise"] = promise | {"troubles": [*promise["troubles"], trouble]}
    try:
        _store(root, folder, cast(Record, withdrawn), journal)
    except MfgError:
        _LOG.exception("the run stays open: its journal is at %s", journal.path)
