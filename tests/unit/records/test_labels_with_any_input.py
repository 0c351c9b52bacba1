"""Whatever a scanner or a unit gives as a label is read or refused; no file name leads out of a folder."""

from __future__ import annotations

import datetime
import json
from pathlib import Path, PurePath

import pytest
from any_input import EVIL_TEXTS, read_or_refuse
from hypothesis import given
from hypothesis import strategies as st

from mfg.errors import DutError, UsageError
from mfg.fixtures.operator import parse_colour_and_count
from mfg.fixtures.typed_ambient import SHIFT, parse_ambient, remembered
from mfg.records.labels import (
    factory_file_name,
    machine_config_name,
    parse_assembly_code,
    parse_bar_codes,
    parse_serial_code,
    parse_unit_label,
)
from mfg.records.run_folder import RunFolder, safe_file_name, serial_folder_name

NOW = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
LABELS = ("ASY0398V03.2", "SN00001823", "ASY0398_V003.200_SN00001823", "22.5 T-12", "green 4")
SIGNS = "ASYVN_.0123456789 \t\r\n\0\x1b/\\\u0664\u00b2\ud800\u202e-+e%{}"


@st.composite
def scans(draw: st.DrawFn) -> str:
    """Draw a label with up to three places changed, or any text."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(EVIL_TEXTS) | st.text())
    text = draw(st.sampled_from(LABELS))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        piece = draw(st.sampled_from(SIGNS) | st.sampled_from(("9" * 30, "\u0664", "SN", "..")))
        text = text[:at] + piece + text[at + draw(st.integers(0, 2)) :]
    return text


@given(scans(), scans())
def test_any_scan_is_a_label_or_is_refused(first, second):
    read_or_refuse(lambda: parse_assembly_code(first), UsageError)
    read_or_refuse(lambda: parse_serial_code(second), UsageError)
    label = read_or_refuse(lambda: parse_bar_codes(first, second), UsageError)
    if label is not None:
        for name in (factory_file_name(label, NOW), machine_config_name(label, NOW)):
            assert safe_file_name(name) == name
        assert serial_folder_name(label.serial_number) == label.serial_number


@given(scans())
def test_any_label_of_a_unit_is_read_or_refused_and_names_safe_files(text):
    label = read_or_refuse(lambda: parse_unit_label(text), DutError)
    if label is not None:
        assert safe_file_name(factory_file_name(label, NOW)) == factory_file_name(label, NOW)
        assert parse_unit_label(label.unit_text) == label


@given(scans() | st.text())
def test_no_name_that_comes_from_a_unit_leads_out_of_a_folder(text):
    assert PurePath(safe_file_name(text)).parts == (safe_file_name(text),)
    folder = RunFolder(Path("records"), Path("records/SN00000001/run"), "run")
    path = read_or_refuse(lambda: folder.file(text), UsageError)
    assert path is None or path.parent == folder.path
    name = read_or_refuse(lambda: serial_folder_name(text), UsageError)
    assert name is None or PurePath(name).parts == (name,)


@given(scans())
def test_any_answer_of_the_operator_is_read_or_refused(text):
    ambient = read_or_refuse(lambda: parse_ambient(text), UsageError)
    assert ambient is None or 5 <= ambient.degc <= 45
    found = parse_colour_and_count(text)
    assert found is None or 0 <= found[1] <= 999


@pytest.mark.parametrize(
    "text", ["2_2.5 T-12", "\u0662\u0662 T-12", "nan T-12", "infinity T-12", "1e1 T-12\x1b[2J"]
)
def test_a_temperature_is_a_decimal_number_and_a_name_that_can_be_written(text):
    with pytest.raises(UsageError):
        parse_ambient(text)


MEMORY = {"degc": 22.5, "source": "T-12", "typed_utc": NOW.isoformat()}


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        json.dumps(MEMORY | {"degc": 10**400}).encode(),
        json.dumps(MEMORY | {"typed_utc": "2026-11-20T12:00:00"}).encode(),
        json.dumps(MEMORY | {"typed_utc": "9999-12-31T23:59:59-23:59"}).encode(),
        b"[]",
        b"\xff",
        json.dumps(MEMORY).encode() + b" " * 10_000_000,
    ],
    ids=range(7),
)
def test_a_memory_that_cannot_be_read_is_forgotten(tmp_path, content):
    (tmp_path / "ambient.json").write_bytes(content)
    assert remembered(tmp_path / "ambient.json", NOW) is None
    (tmp_path / "ambient.json").write_bytes(json.dumps(MEMORY).encode())
    assert remembered(tmp_path / "ambient.json", NOW + SHIFT / 2) is not None
