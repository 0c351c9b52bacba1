"""The calibration certificate of one unit: a page that prints on A4, made from the record alone."""

from __future__ import annotations

from pathlib import Path

from mfg.errors import StationError
from mfg.records.outcomes import FAIL, INDETERMINATE, PARTLY_CALIBRATED, PASS
from mfg.records.record import Record
from mfg.records.run_folder import CERTIFICATE_FILE, write_atomic
from mfg.reporting.calibration_facts import instrument_rows
from mfg.reporting.calibration_view import calibration_view, quantity_title
from mfg.reporting.render import chain_link, record_sha256, render_page

# What the page is called, and what it states, by outcome; other outcomes judge nobody and get no page.
_NOT_ADJUSTED = ("voltage-cal-only", "restore", "test-only")  # not both quantities, or neither
_TITLES = {
    PASS: ("Calibration certificate", "pass"),
    PARTLY_CALIBRATED: ("Calibration certificate, some ports", "partial"),
    INDETERMINATE: ("Calibration results, no certificate", "indeterminate"),
    FAIL: ("Calibration results, no certificate", "fail"),
}
_STATEMENTS = {
    PASS: "Every error in this document lies inside its limit by the decision rule below.",
    PARTLY_CALIBRATED: (
        "Every error in this document lies inside its limit by the decision rule below. "
        "Ports that are not listed were not calibrated."
    ),
    INDETERMINATE: (
        "At least one error lies inside its limit, but not by its uncertainty. The unit is not proved good. "
        "This document does not certify it."
    ),
    FAIL: "The unit does not conform. This document does not certify it.",
}


def render_certificate(record: Record, folder: Path | None = None) -> str:
    """Write the certificate of a record as HTML.

    Args:
        record: A checked record for which `has_certificate` holds.
        folder: Its run folder; None leaves the hash of the record out.

    Returns:
        One HTML document, UTF-8, no reference to anything outside it.

    Raises:
        StationError: A template or the style sheet is missing.
        ValueError: The record calls for no certificate.
    """
    if not has_certificate(record):
        raise ValueError(f"run {record['run_id']} calls for no certificate")
    view = calibration_view(record)
    title, look = _TITLES[record["outcome"]]
    return render_page(
        "certificate.html.j2",
        record=record,
        facts=record["calibration"],
        title=title,
        look=look,
        statement=_STATEMENTS[record["outcome"]],
        view=view,
        reference=next(row for row in instrument_rows(record) if row.issued),
        quantity_title=quantity_title,
        stored=any(column.point == "stored" for column in view.columns),
        record_sha256=record_sha256(folder),
        link=chain_link(record, folder),
    )


def has_certificate(record: Record) -> bool:
    """Tell whether a run adjusted its unit, voltage and current, and judged it.

    A run that only looked, or that wrote an earlier calibration back, has its report: what a certificate says
    of how the unit was adjusted would not be true of it.
    """
    job = record["mode"].split(" ")[0]
    return "calibration" in record and record["outcome"] in _TITLES and job not in _NOT_ADJUSTED


def write_certificate(record: Record, folder: Path) -> Path | None:
    """Write `certificate.html` into a run folder, whole or not at all.

    Args:
        record: A checked record, stored already.
        folder: Its run folder.

    Returns:
        The path written; None, and one of an earlier verdict is gone, for a run that calibrated or judged
        nothing.

    Raises:
        StationError: A template is missing or the disk refuses; an older certificate stays.
    """
    path = folder / CERTIFICATE_FILE
    if not has_certificate(record):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StationError(f"{path} cannot be removed: {error.strerror or error}.") from error
        return None
    write_atomic(path, render_certificate(record, folder).encode("utf-8"))
    return path
