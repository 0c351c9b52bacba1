"""Every dwell stands on the traveller: once for the record, window by window for the CSV file."""

from __future__ import annotations

import csv
from types import SimpleNamespace
from typing import Any

from bench_fakes import dwell, with_port

from mfg.readings.notes import CSV_HEAD, note_dwell
from mfg.station import LoadPoint

MID = LoadPoint("mid", 1.0, 2.0)


def sheet() -> Any:
    return SimpleNamespace(dwells=[], window_rows=[])


def test_a_dwell_is_noted_with_its_point_and_its_number_of_windows():
    traveller = sheet()
    note_dwell(traveller, "verify mid", MID, dwell(9))
    assert traveller.dwells == [
        {"name": "verify mid", "point": "mid", "current_a": 1.0, "range_a": 2.0, "windows": 9}
    ]


def test_every_window_of_every_port_is_a_row_under_the_head():
    traveller = sheet()
    found = with_port(dwell(8), 6, reactive_var=-1.25)
    note_dwell(traveller, "adjust", MID, found)
    rows = list(csv.DictReader([CSV_HEAD, *traveller.window_rows]))
    assert len(rows) == 48
    assert {row["dwell"] for row in rows} == {"adjust"}
    assert [row["port"] for row in rows[::8]] == ["1", "2", "3", "4", "5", "6"]
    last = rows[-1]
    assert set(last) == set(CSV_HEAD.split(","))
    for name in CSV_HEAD.split(",")[2:]:
        assert float(last[name]) == round(getattr(found.windows[6][-1], name), 6)


def test_a_second_dwell_is_added_to_the_first_and_a_later_one_replaces_its_own():
    traveller = sheet()
    note_dwell(traveller, "adjust", MID, dwell(9))
    note_dwell(traveller, "adjust", MID, dwell(8))
    note_dwell(traveller, "verify mid", MID, dwell(8))
    assert [noted["name"] for noted in traveller.dwells] == ["adjust", "verify mid"]
    assert len(traveller.window_rows) == 96
