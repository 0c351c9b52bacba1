"""A record from its phases and from what else is known of the run. Knows nothing of OpenHTF."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from mfg.records.adjustments import adjustments_of_phases
from mfg.records.calibration import CalibrationFacts
from mfg.records.outcomes import ERROR
from mfg.records.record import (
    SCHEMA,
    AdjustmentEntry,
    AttachmentEntry,
    FirmwareFacts,
    InstrumentFacts,
    InterruptionFacts,
    LimitsFacts,
    PhaseEntry,
    PromiseFacts,
    Record,
    StationFacts,
    validate_record,
)
from mfg.records.run_folder import StoredFile
from mfg.records.unit_after import UnitAfter

MAX_TEXT = 4000  # characters of one text from a unit or an exception that a record keeps


@dataclass(frozen=True)
class RunContext:
    """What is known of a run beside its phases.

    The verdict defaults to ERROR, so that a run whose verdict was forgotten never passes.

    Attributes:
        run_id: From `new_run_id`.
        started_utc, ended_utc: With time zone.
        bench_seconds, wall_seconds: Length of the run.
        old_gains: Gain in force while `before_pct` was taken, by channel (`CT1`, `CS4`, …).
        attachments: Files already written into the run folder.
        adjustments: Per channel; None gathers them from the measurements.
        calibration: What the calibration rests on, None in a run without one.
        promise: What the record must hold for a PASS, and what ended the run; None where it is not known.
        interruption: Where a run stood that was killed, None in any other.
        unit_after: How the unit was left, None where nobody can say anything.
    """

    run_id: str
    mode: str
    backend: str
    emulated: bool
    station: StationFacts
    limits: LimitsFacts
    started_utc: datetime.datetime
    ended_utc: datetime.datetime
    bench_seconds: float
    wall_seconds: float
    serial_number: str = ""
    assembly: str = ""
    mac: str = ""
    product: str = "CT6"
    slot: int = 1
    operator: str = ""
    firmware: FirmwareFacts = field(default_factory=lambda: FirmwareFacts(version=""))
    instruments: Sequence[InstrumentFacts] = ()
    outcome: str = ERROR
    outcome_reasons: Sequence[str] = ("The run ended without a verdict.",)
    next_action: str = "Run the unit again."
    retest: bool = False
    old_gains: Mapping[str, int] = field(default_factory=dict)
    attachments: Sequence[StoredFile] = ()
    adjustments: Sequence[AdjustmentEntry] | None = None
    log_file: str = ""
    calibration: Mapping[str, Any] | None = None
    promise: PromiseFacts | None = None
    interruption: InterruptionFacts | None = None
    unit_after: UnitAfter | None = None


def build_record(
    phases: Sequence[PhaseEntry], context: RunContext, openhtf: Mapping[str, Any] | None = None
) -> Record:
    """Build the record of a run.

    Args:
        phases: In order of execution.
        context: Everything else, the verdict of the guard included.
        openhtf: OpenHTF's own view of the run, None when it has none.

    Returns:
        A checked record.

    Raises:
        StationError: A fact does not fit a record.
    """
    adjustments = context.adjustments
    if adjustments is None:
        adjustments = adjustments_of_phases(list(phases), context.old_gains)
    record: Record = {
        "schema": SCHEMA,
        "run_id": context.run_id,
        "serial_number": context.serial_number,
        "assembly": context.assembly,
        "mac": context.mac,
        "product": context.product,
        "mode": context.mode,
        "slot": context.slot,
        "emulated": context.emulated,
        "backend": context.backend,
        "station": context.station,
        "limits": context.limits,
        "firmware": context.firmware,
        "instruments": list(context.instruments),
        "operator": clean_text(context.operator),
        "started_utc": utc_text(context.started_utc),
        "ended_utc": utc_text(context.ended_utc),
        "bench_seconds": round(context.bench_seconds, 3),
        "wall_seconds": round(context.wall_seconds, 3),
        "outcome": context.outcome,
        "outcome_reasons": [clean_text(reason) for reason in context.outcome_reasons],
        "next_action": clean_text(context.next_action),
        "retest": context.retest,
        "phases": list(phases),
        "attachments": [_attachment(stored) for stored in context.attachments],
        "adjustments": list(adjustments),
        "log_file": context.log_file,
    }
    if context.calibration is not None:
        record["calibration"] = cast(CalibrationFacts, copy.deepcopy(dict(context.calibration)))
    if context.promise is not None:
        record["promise"] = context.promise
    if context.interruption is not None:
        record["interruption"] = context.interruption
    if context.unit_after is not None:
        record["unit_after"] = context.unit_after
    if openhtf is not None:
        record["openhtf"] = dict(openhtf)
    return validate_record(record)


def clean_text(text: object) -> str:
    """Make a text storable: at most `MAX_TEXT` characters, no lone surrogates, no NUL."""
    shown = str(text)
    if len(shown) > MAX_TEXT:
        shown = f"{shown[:MAX_TEXT]} … ({len(shown)} characters)"
    if shown.isascii() and "\0" not in shown:  # most are, and a record has thousands
        return shown
    return shown.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def utc_text(moment: datetime.datetime) -> str:
    """Write a time as ISO 8601 UTC with milliseconds, e.g. `2026-11-20T12:03:54.123Z`."""
    if moment.tzinfo is None:
        raise ValueError("a record's time needs a time zone")
    utc = moment.astimezone(datetime.UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def _attachment(stored: StoredFile) -> AttachmentEntry:
    return {"name": stored.name, "file": stored.file, "sha256": stored.sha256}
