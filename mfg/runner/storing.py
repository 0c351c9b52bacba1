"""Put a run on record: record, report, certificate, index; or take its verdict back.

A run is on record from the moment its line is in the chain. Whatever fails before leaves the journal where
`mfg run` and `mfg recover` find it, and no record with a verdict that nobody was told. What fails after takes
the verdict back, with a second line. The journal moves into the folder as the last step: a run that was
killed in between is on record, and is only finished.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import cast

from mfg.errors import MfgError, StationError
from mfg.records.chain import RENDERED, RecordChain
from mfg.records.index import RecordIndex
from mfg.records.journal import STORED, Journal, move_journal
from mfg.records.record import ERROR, Record, load_record, load_stored, write_record
from mfg.records.run_folder import RECORD_FILE, RunFolder
from mfg.reporting.certificate import write_certificate
from mfg.reporting.render import record_sha256, write_report
from mfg.runner.guard import judge_record

_LOG = logging.getLogger("mfg.runner")


def put_on_record(chain: RecordChain, folder: RunFolder, record: Record, journal: Journal) -> Record:
    """Store a run whole.

    Args:
        chain: Of the records folder.
        folder: The run's folder, with all files but record and report.
        record: With the verdict.
        journal: Of the run; moved into the folder as the last step.

    Returns:
        The record as read back from the disk, its verdict derived again.

    Raises:
        MfgError: Something could not be stored. The record says ERROR and why where the disk takes it;
            where it does not, there is none and the journal stays where it was.
    """
    # A killed run that could not be closed whole the last time may have a line already.
    reason = record["interruption"]["cause"] if "interruption" in record else ""
    try:
        return _store(chain, folder, record, journal, reason)
    except MfgError as error:
        _withdraw(chain, folder, record, journal, error)
        raise


def finish(chain: RecordChain, journal_path: Path) -> Path | None:
    """Finish a run that was killed when it was on record already.

    Args:
        chain: Of the records folder.
        journal_path: Of the run, whose process is dead.

    Returns:
        The run folder; None, and nothing done, when the run is not on record as its folder holds it.

    Raises:
        MfgError: Report, certificate or index could not be written; the journal stays where it was.
    """
    link = chain.link_of(journal_path.stem)
    folder = chain.root / link.folder if link else None
    if link is None or folder is None or record_sha256(folder) != link.record_sha256:
        return None
    _publish(chain.root, load_record(folder), folder)
    move_journal(journal_path, folder)
    return folder


def _store(chain: RecordChain, folder: RunFolder, record: Record, journal: Journal, reason: str) -> Record:
    journal.note(STORED, outcome=record["outcome"])
    write_record(folder, record)
    on_disk = load_stored(folder.path)
    stored = on_disk.record
    verdict = judge_record(stored)
    if stored != record or verdict.outcome != record["outcome"]:
        raise StationError(
            f"{folder.path} does not hold what was written: {verdict.outcome}, not {record['outcome']}.",
            "Check the disk.",
        )
    chain.append(on_disk, reason)
    _publish(chain.root, stored, folder.path)
    journal.move_to(folder.path)
    return stored


def _publish(root: Path, record: Record, folder: Path) -> None:
    write_report(record, folder)
    write_certificate(record, folder)
    with RecordIndex(root) as index:
        index.add(record, folder)


def _withdraw(
    chain: RecordChain, folder: RunFolder, record: Record, journal: Journal, error: MfgError
) -> None:
    """Take back the verdict of a run that could not be stored whole.

    The record goes first, and its pages with it: without one the folder counts as a run that did not end, so
    that no PASS is left behind even where the disk takes nothing more.
    """
    try:
        for name in (RECORD_FILE, *RENDERED):
            folder.file(name).unlink(missing_ok=True)
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
        _store(chain, folder, cast(Record, withdrawn), journal, trouble)
    except MfgError:
        _LOG.exception("the run stays open: its journal is at %s", journal.path)
