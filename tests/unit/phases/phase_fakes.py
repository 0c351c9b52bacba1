"""What a phase is handed when it is called without OpenHTF: measurements, a sheet, a unit."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import openhtf as htf


class Measurements(dict[str, Any]):
    """Holds what a phase measured, and what it left out."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped: list[str] = []

    def set_measurement_outcome_to_skipped(self, name: str) -> None:
        self.skipped.append(name)


def call(phase: htf.PhaseDescriptor, **plugs: Any) -> Measurements:
    """Call a phase's function; returns what it measured."""
    measured = Measurements()
    test = SimpleNamespace(measurements=measured, logger=logging.getLogger("test"))
    phase.func(test, **plugs)
    return measured


def traveller(**sheet: Any) -> Any:
    """Give a traveller's plug; the sheet keeps files in `kept` and gives back what it was given."""
    kept: dict[str, bytes] = {}

    def keep(name: str, data: bytes) -> bytes:
        kept[name] = data
        return data

    right = {
        "kept": kept,
        "keep": keep,
        "stored_files": {},
        "adjusted": {},
        "features": frozenset({"phase"}),
        "unit_started_s": None,
        "unit_keeps_time": True,
        "evaluations": {},
        "uncertainty_waived_by": "",
        "about_to": lambda _act: None,
        "report_progress": lambda *_what: None,
        "deadline_s": lambda _name: 5.0,
    }
    return SimpleNamespace(sheet=SimpleNamespace(**right | sheet))
