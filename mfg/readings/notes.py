"""Write a dwell onto the traveller: for the record, and window by window for the CSV file."""

from __future__ import annotations

from dataclasses import astuple

from mfg.calibration.decision import Verdict
from mfg.fixtures.traveller import Traveller
from mfg.readings.evaluation import Evaluated
from mfg.readings.paired import Dwell
from mfg.station import LoadPoint

CSV_HEAD = "dwell,port,t_s,voltage_v,current_a,active_w,reactive_var,reference_v,reference_a,reference_w"

NO_POWER = "Active power was not verified: the reference does not measure it."


def note_evaluated(sheet: Traveller, phase: str, name: str, evaluated: Evaluated) -> float:
    """Note a value's uncertainty and verdict on the traveller.

    Args:
        sheet: Of the run.
        phase: Of the running phase, and
        name: of its measurement, by which the limits file has the rule.
        evaluated: The value.

    Returns:
        The value, to be measured.
    """
    waived = bool(sheet.uncertainty_waived_by)
    sheet.evaluations[phase, name] = evaluated.entry(sheet.limits.limit(phase, name), waived)
    return evaluated.value


def is_proved(sheet: Traveller) -> bool:
    """Return whether every value that was evaluated passed: one that is undecided proves nothing."""
    return {held["verdict"] for held in sheet.evaluations.values()} <= {Verdict.PASS}


def note_dwell(sheet: Traveller, name: str, point: LoadPoint | None, dwell: Dwell) -> None:
    """Note a dwell on the traveller, in place of one that was noted under the same name.

    Args:
        sheet: Of the run.
        name: What the dwell was for, such as "verify low".
        point: The load point it was taken at; None without a load.
        dwell: What it gave.
    """
    sheet.dwells = [noted for noted in sheet.dwells if noted["name"] != name]
    sheet.window_rows = [row for row in sheet.window_rows if not row.startswith(f"{name},")]
    sheet.dwells.append(
        {
            "name": name,
            "point": point.name if point else "",
            "current_a": point.current_a if point else 0.0,
            "range_a": point.range_a if point else 0.0,
            "windows": dwell.count(),
        }
    )
    for port, windows in dwell.windows.items():
        for window in windows:
            values = ",".join(f"{value:.6f}" for value in astuple(window))
            sheet.window_rows.append(f"{name},{port},{values}")
