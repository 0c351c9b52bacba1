"""A record as one HTML file: self-contained, printable on A4, without scripts or references.

Everything that comes from a record is escaped: a unit may call itself `<script>`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from mfg.data_files import data_file, data_folder
from mfg.errors import StationError
from mfg.records.chain import RecordChain
from mfg.records.figures import probability_figure, uncertainty_figure
from mfg.records.links import Link
from mfg.records.record import (
    ABORTED,
    ERROR,
    FAIL,
    INDETERMINATE,
    INTERRUPTED,
    NOT_CALIBRATED,
    PARTLY_CALIBRATED,
    PASS,
    SKIP,
    AttachmentEntry,
    Record,
    failures,
    limit_text,
    number_text,
)
from mfg.records.run_folder import RECORD_FILE, REPORT_FILE, safe_file_name, sha256_hex, write_atomic
from mfg.records.unit_after import unit_after_text
from mfg.reporting import charts
from mfg.reporting.calibration_facts import instrument_rows, register_rows
from mfg.reporting.calibration_view import calibration_view, close_degrees, has_points, quantity_title
from mfg.reporting.point_charts import block_chart
from mfg.untrusted import read_bounded

MAX_PICTURE_BYTES = 4 * 1024 * 1024
_PNG = b"\x89PNG\r\n\x1a\n"
_NOT_FOR_CSS = re.compile(r"[^A-Za-z0-9 .:_+-]")

# What the verdict looks like: a style class and a shape, so that a black-and-white print tells them apart.
_LOOK = {
    PASS: "pass",
    FAIL: "fail",
    INDETERMINATE: "indeterminate",
    ERROR: "error",
    ABORTED: "aborted",
    INTERRUPTED: "aborted",
    NOT_CALIBRATED: "partial",
    PARTLY_CALIBRATED: "partial",
}
_MEANING = {
    PASS: "The unit passed every phase of this run.",
    FAIL: "The unit does not conform. Reject it.",
    INDETERMINATE: (
        "The value is inside its limit, but not by its uncertainty: the unit is not proved good. Reject it."
    ),
    ERROR: "The station or the fixture could not judge the unit. This says nothing about the unit.",
    ABORTED: "The run was stopped before its end. The unit was not judged.",
    INTERRUPTED: "The run was killed before its end. The unit was not judged.",
    NOT_CALIBRATED: "The unit was tested but not calibrated. It is not finished.",
    PARTLY_CALIBRATED: "Only some of the unit's ports were calibrated. It is not finished.",
}


@dataclass(frozen=True)
class Picture:
    """A picture of the report."""

    name: str
    data_uri: str


def environment() -> jinja2.Environment:
    """Build the template environment: everything is escaped, an unknown name is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_folder("reports")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number_text
    made.filters["css_text"] = css_text
    made.filters["closed"] = close_degrees
    made.globals.update(
        style=Markup(data_file("reports", "style.css").read_text(encoding="utf-8")),  # our own file
        phase_title=charts.phase_title,
        channel_title=charts.channel_title,
        limit_text=limit_text,
        u_text=uncertainty_figure,
        unit_after_text=unit_after_text,
        probability_text=probability_figure,
        gauge=charts.limit_gauge,
    )
    return made


def css_text(text: str) -> str:
    """Reduce a text to characters that cannot leave a CSS string."""
    return _NOT_FOR_CSS.sub("_", text)[:120]


def render_report(record: Record, folder: Path | None = None) -> str:
    """Write a record as HTML.

    Args:
        record: A checked record.
        folder: Its run folder, where pictures lie; None leaves them out.

    Returns:
        One HTML document, UTF-8, no reference to anything outside it.

    Raises:
        StationError: A template or the style sheet is missing.
    """
    pictures, missing = _pictures(record, folder)
    judged = [
        entry for phase in record["phases"] if phase["outcome"] != SKIP for entry in phase["measurements"]
    ]
    facts, view = record.get("calibration"), calibration_view(record)
    return render_page(
        "report.html.j2",
        record=record,
        look=_LOOK[record["outcome"]],
        meaning=_MEANING[record["outcome"]],
        failures=failures(record),
        judged=len(judged),
        passed=sum(entry["outcome"] == PASS for entry in judged),
        phases_run=sum(phase["outcome"] != SKIP for phase in record["phases"]),
        error_chart=charts.error_chart(record["adjustments"]),
        view=view if has_points(view) else None,
        facts=facts,
        registers=register_rows(facts["registers"]) if facts else [],
        instruments=instrument_rows(record),
        quantity_title=quantity_title,
        block_chart=block_chart,
        phase_chart=charts.phase_chart(record["phases"], record["bench_seconds"]),
        pictures=pictures,
        missing_pictures=missing,
        record_sha256=record_sha256(folder),
        link=chain_link(record, folder),
    )


def write_report(record: Record, folder: Path) -> Path:
    """Write `report.html` into a run folder, whole or not at all.

    Args:
        record: A checked record.
        folder: Its run folder.

    Returns:
        The path written.

    Raises:
        StationError: A template is missing or the disk refuses; an older report stays.
    """
    path = folder / REPORT_FILE
    write_atomic(path, render_report(record, folder).encode("utf-8"))
    return path


def render_page(template: str, **values: Any) -> str:
    """Render a page of `reports/`.

    Args:
        template: Its file name.
        values: What the template uses.

    Raises:
        StationError: The template is missing or wrong.
    """
    try:
        return environment().get_template(template).render(**values)
    except (jinja2.TemplateError, OSError) as error:
        raise StationError(
            f"The report template {template} failed: {error}.", "Install the station again."
        ) from error


def record_sha256(folder: Path | None) -> str:
    """Return the hash of the stored record, empty while it is not stored; a disk error is a StationError."""
    path = folder / RECORD_FILE if folder is not None else None
    try:
        return sha256_hex(path.read_bytes()) if path is not None and path.is_file() else ""
    except OSError as error:
        raise StationError(f"{path} cannot be read: {error.strerror or error}.") from error


def chain_link(record: Record, folder: Path | None) -> Link | None:
    """Return the run's line in the chain of records, None while it has none.

    It holds its own number, hash and key for good, so a report that is made again is the same.

    Raises:
        StationError: The chain cannot be read.
    """
    return RecordChain(folder.parent.parent).link_of(record["run_id"]) if folder is not None else None


def _pictures(record: Record, folder: Path | None) -> tuple[Sequence[Picture], Sequence[str]]:
    """Load the attached PNG files; one that is not what the record says is named, not shown."""
    pictures: list[Picture] = []
    missing: list[str] = []
    for entry in record["attachments"]:
        if not entry["file"].lower().endswith(".png") or folder is None:
            continue
        data = _picture_data(entry, folder)
        if data is None:
            missing.append(entry["name"])
        else:
            uri = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
            pictures.append(Picture(entry["name"], uri))
    return pictures, missing


def _picture_data(entry: AttachmentEntry, folder: Path) -> bytes | None:
    path = folder / entry["file"]
    if safe_file_name(entry["file"]) != entry["file"] or path.is_symlink():
        return None
    try:
        data = read_bounded(path, MAX_PICTURE_BYTES)
    except (OSError, ValueError):
        return None
    return data if data.startswith(_PNG) and sha256_hex(data) == entry["sha256"] else None
