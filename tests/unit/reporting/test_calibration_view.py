"""The calibration as reports sort it: columns, budgets, instruments and registers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import calibrated_record
import pytest

from mfg.records.record import Record
from mfg.reporting.calibration_facts import instrument_rows, register_rows
from mfg.reporting.calibration_view import calibration_view, dof_text, has_points

Make = Callable[..., Record]


def changed(make: Make, name: str, value: float, lines: list[Any]) -> Any:
    """Return the example record with another value for one measurement."""
    record: Any = copy.deepcopy(make())
    for phase in record["phases"]:
        for place, entry in enumerate(phase["measurements"]):
            if entry["name"] == name:
                phase["measurements"][place] = calibrated_record.judged(
                    name, value, entry["unit"], entry["low"], entry["high"], lines
                )
    return record


def test_values_stand_in_columns_by_load_and_are_rounded_to_their_uncertainty(make_calibrated_record: Make):
    view = calibration_view(make_calibrated_record())
    assert [block.title for block in view.blocks] == [
        "Current",
        "Voltage",
        "Active power",
        "Phase angle and no load",
    ]
    current = view.blocks[0]
    assert [column.title for column in current.columns] == [
        "at 54 A",
        "at 6 A",
        "at 1 A",
        "after power cycle",
    ]
    cell = current.columns[0].cells[4]
    assert (cell.value_text, cell.uncertainty_text, cell.k_text) == ("-0.03", "0.31", "2.00")
    assert (cell.probability_text, cell.limit_text) == ("99.8 %", "± 0.5 %")
    assert current.columns[0].accept_text == "± 0.187 %"
    assert view.ports == (1, 2, 3, 4, 5, 6)
    assert len(view.rows_of(1)) == 13


def test_a_zero_is_shown_in_milliamperes_without_a_limit_below(make_calibrated_record: Make):
    column = calibration_view(make_calibrated_record()).blocks[-1].columns[-1]
    assert (column.unit, column.limit_text, column.accept_text) == ("mA", "≤ 10 mA", "≤ 9.421 mA")
    assert column.cells[1].value_text == "1.10"


def test_the_budget_of_a_quantity_is_that_of_its_hardest_value(make_calibrated_record: Make):
    lines = [*calibrated_record.budget("voltage", "mid"), calibrated_record.line("a loose contact", 0.1)]
    record = changed(make_calibrated_record, "port5_mid_voltage_error_pct", 0.0, lines)
    budgets = {budget.title: budget for budget in calibration_view(record).budgets}
    assert len(budgets) == 5
    budget = budgets["Voltage at 6 A, CT5"]
    assert "a loose contact" in [line.entry["name"] for line in budget.lines]
    assert sum(line.share_pct for line in budget.lines) == pytest.approx(100)
    assert budget.lines[0].entry["name"] == "reference, specification"
    assert not budget.correlated


def test_correlated_contributions_are_told_from_independent_ones(make_calibrated_record: Make):
    lines = [calibrated_record.line("reference, V", 0.2), calibrated_record.line("reference, I", 0.2)]
    record = changed(make_calibrated_record, "port1_high_power_error_pct", 0.0, lines)
    held = next(
        entry["uncertainty"]
        for phase in record["phases"]
        for entry in phase["measurements"]
        if entry["name"] == "port1_high_power_error_pct"
    )
    held["expanded"] *= 2**0.5
    assert [budget.correlated for budget in calibration_view(record).budgets].count(True) == 1


def test_a_column_says_how_uncertain_its_ports_are(make_calibrated_record: Make):
    low, zero = (
        next(
            found
            for found in calibration_view(make_calibrated_record()).ranges
            if found.column.title == title
        )
        for title in ("at 1 A", "with the load off")
    )
    assert (low.expanded, low.k, low.dof, low.tur, low.required_tur) == ("0.35", "2.00", "∞", "5.7", "1.5")
    assert (zero.tur, zero.required_tur) == ("–", "–")  # noqa: RUF001


def test_an_older_record_has_no_points(make_record: Make, make_calibrated_record: Make):
    assert not has_points(calibration_view(make_record()))
    assert has_points(calibration_view(make_calibrated_record()))
    view = calibration_view(make_record(phases=[], adjustments=[]))
    assert (view.blocks, view.budgets, view.ranges, view.rules) == ((), [], [], set())


@pytest.mark.parametrize(("dof", "shown"), [(None, "∞"), (1e9, "∞"), (15.9, "15"), (420.0, "420")])
def test_degrees_of_freedom_are_rounded_down(dof: float | None, shown: str):
    assert dof_text(dof) == shown


def test_every_instrument_has_its_certificate_and_a_reference_that_did_not_answer_is_listed(
    make_calibrated_record: Make,
):
    rows = instrument_rows(make_calibrated_record())
    assert [(row.role, row.due, row.remark) for row in rows] == [
        ("reference meter", "2027-08-01", ""),
        ("power switch", "2027-08-01", ""),
        ("thermometer", "2027-08-01", ""),
    ]
    (alone, *others) = instrument_rows(make_calibrated_record(instruments=[]))
    assert (alone.serial_number, alone.issued) == ("GEU000123", "2026-08-01")
    assert [row.serial_number for row in others] == ["", ""]


def test_an_instrument_without_a_certificate_stays_in_the_list(make_record: Make):
    assert [row.certificate for row in instrument_rows(make_record())] == ["", ""]


def test_registers_are_sorted_by_kind_and_port():
    rows = {
        row.title: row.values
        for row in register_rows(
            {
                "CS4": {"0x61": 55497, "0x62": 42157, "0x64": 0xFFF6, "0x48": 0x80D0, "0x4a": 0x0010},
                "CS0": {"0x6A": 43441, "0x4C": 0, "0x33": 0x0087},
            }
        )
    }
    assert rows["voltage gain"] == (("55497", "0x61"), None, None, None, None, None)
    assert rows["current gain"][0] == ("42157", "0x62")
    assert rows["current gain"][5] == ("43441", "0x6A")
    assert rows["current offset"][0] == ("-10", "0x64")
    assert rows["phase angle"] == (("V 208", "0x48"), ("I 16", "0x4A"), None, None, None, ("0", "0x4C"))
    assert rows["other"] == (None, None, None, ("135", "0x33"), None, None)
