"""The coverage as one page: self-contained, printable, nothing of a run unescaped."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from verdicts import (
    AFTER,
    BEFORE,
    CAUGHT,
    EARLIER,
    ELSEWHERE,
    ESCAPED,
    HARMLESS,
    LATE,
    MEANINGS,
    NOT_AS_SAID,
    NOT_RUN,
    SECOND_STANDARD,
    WRONG_BLAME,
    Line,
)

from mfg.reporting.render import render_page

TEMPLATE = "fault-coverage.html.j2"
SCOPES = {"DUT": "Unit", "fixture": "Fixture", "instrument": "Instruments", "station": "Station"}
LOOKS = {
    CAUGHT: "pass",
    EARLIER: "pass",
    LATE: "error",
    WRONG_BLAME: "error",
    ESCAPED: "fail escaped",
    HARMLESS: "quiet",
    SECOND_STANDARD: "partial",
    ELSEWHERE: "quiet",
    NOT_AS_SAID: "error",
    NOT_RUN: "error",
}


def write_page(path: Path, lines: Sequence[Line], seed: int, wall_s: float) -> None:
    """Write the page.

    Args:
        path: Of the page.
        lines: Every run; one with two faults is a pair.
        seed: What variants and pairs were drawn by.
        wall_s: What all of it took.

    Raises:
        StationError: The template is missing or wrong.
    """
    alone = [line for line in lines if len(line.faults) == 1]
    scopes = {
        title: [line for line in alone if line.faults[0].scope == scope and line.kind != SECOND_STANDARD]
        for scope, title in SCOPES.items()
    }
    content = render_page(
        TEMPLATE,
        alone=alone,
        together=[line for line in lines if len(line.faults) > 1],
        runs=lines,
        escaped=[line for line in lines if not line.good],
        blind=[line for line in alone if line.kind == SECOND_STANDARD],
        scopes={title: found for title, found in scopes.items() if found},
        seed=seed,
        wall_s=wall_s,
        made_utc=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M"),
        count=lambda kind: sum(line.kind == kind for line in lines),
        looks=LOOKS,
        meanings=MEANINGS,
        place=place,
        seen=seen,
        said=said,
    )
    path.write_text(content, encoding="utf-8")


def place(phase: str) -> str:
    """Name where a fault must be caught, as a person reads it."""
    words = {BEFORE: "before the plan", AFTER: "the end of the run", "": "no phase"}
    return words.get(phase, phase.replace("_", " "))


def seen(phase: str) -> str:
    """Say where a run ended, as a part of a sentence."""
    words = {BEFORE: "before the plan", AFTER: "at the end of the run", "": ""}
    return words.get(phase, f"in {phase.replace('_', ' ')}")


def said(line: Line) -> str:
    """Return the station's sentence, or what proves a fault that was not run here."""
    fault = line.faults[0]
    if line.kind == SECOND_STANDARD:
        return f"Only {fault.needs} could show it."
    if line.kind == ELSEWHERE:
        return f"Proved by {fault.proved}."
    return line.ended.sentence
