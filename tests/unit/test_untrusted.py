"""The reading, parsing and quoting that every parser builds on."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
from any_input import (
    JSON_LITERALS,
    TOML_LITERALS,
    broken_bytes,
    json_documents,
    read_or_refuse,
    settings_documents,
)
from hypothesis import given
from hypothesis import strategies as st

from mfg.untrusted import DEPTH_LIMIT, parse_json, parse_toml, printable, quoted, read_bounded

TREE = {"a": 1, "b": [1.5, "text", None, True], "c": {"d": {"e": [{"f": "\u00fc"}]}}}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


def every(value: Any) -> list[Any]:
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value, *(item for part in inner for item in every(part))]


@given(json_documents(TREE))
def test_any_json_is_read_as_finite_numbers_and_whole_characters_or_refused(data):
    value = read_or_refuse(lambda: parse_json(data), ValueError)
    for item in every(value):
        assert not isinstance(item, float) or math.isfinite(item)
        assert not isinstance(item, str) or item.encode()


@pytest.mark.parametrize("literal", JSON_LITERALS, ids=range(len(JSON_LITERALS)))
def test_every_evil_value_is_read_or_refused(literal):
    read_or_refuse(lambda: parse_json(f'{{"a": {literal}}}'.encode()), ValueError)


@given(broken_bytes(json.dumps(TREE).encode()))
def test_what_both_read_is_the_same_as_the_library_reads(data):
    value = read_or_refuse(lambda: parse_json(data), ValueError)
    if value is not None:
        assert value == json.loads(data.decode())


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_objects_and_lists_are_read_as_deep_as_the_limit_and_no_deeper(opens, closes):
    def nested(levels: int) -> str:
        return opens * levels + "1" + closes * levels

    assert parse_json(nested(DEPTH_LIMIT)) == json.loads(nested(DEPTH_LIMIT))
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(nested(DEPTH_LIMIT + 1))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff", "not UTF-8 text"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"a": 1, "a": 2}', "key 'a' is there twice"),
        (b"NaN", "NaN is not a number"),
        (b"1e999", "too large"),
        (b"9" * 5000, "a number has 5000 digits"),
        (b'"\\ud800"', "half a character"),
        (b'{"\\ud800": 1}', "half a character"),
        (b"[" * (DEPTH_LIMIT + 2) + b"]" * (DEPTH_LIMIT + 2), "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"", "Expecting value"),
        (b"1 2", "Extra data"),
    ],
    ids=range(13),
)
def test_what_is_no_json_for_us_is_named(data, says):
    with pytest.raises(ValueError, match=says):
        parse_json(data)


@given(settings_documents('a = 1\n[b]\nc = "x"\nd = [1, 2.5]\n[[e]]\nf = 2026-11-20\n', "=", TOML_LITERALS))
def test_any_toml_is_read_or_refused(data):
    read_or_refuse(lambda: parse_toml(data), ValueError)


@pytest.mark.parametrize(
    "data", [b"a = " + b"[" * 5000, b"a = " + b"9" * 5000, b"a = '\xff'", b"\xef\xbb\xbfa = 1"]
)
def test_toml_that_ends_the_library_in_other_errors_is_a_value_error(data):
    assert read_or_refuse(lambda: parse_toml(data), ValueError) is None


@given(
    ANYTHING
    | st.just(10**5000)
    | st.just([10**5000])
    | st.just(b"x" * 100_000)
    | st.just(["y" * 9000] * 9000)
)
def test_anything_is_quoted_short_and_on_one_line(value):
    text = quoted(value)
    assert 0 < len(text) <= 164
    assert text.isprintable()


def test_a_quote_of_something_small_is_the_thing_itself():
    for value in ("text", 42, -1.5, None, [1, "a"], {"a": 1}, b"\x00\xff"):
        assert quoted(value) == repr(value)


@given(st.text(st.characters()), st.integers(1, 50))
def test_any_text_is_made_printable_and_cut(text, limit):
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit + 3


def test_reads_up_to_the_limit_and_not_beyond(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert read_bounded(path, 10) == b"x" * 10
    with pytest.raises(ValueError, match="more than 9 bytes"):
        read_bounded(path, 9)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none", 9)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        read_bounded(tmp_path / "pipe", 9)


# What the station wrote itself and compares with what it would write: configuration, journal, chain.
OWN_TEXT = {
    "mfg/phases/store_calibration.py",
    "mfg/records/chain.py",
    "mfg/records/journal.py",
    "mfg/records/links.py",
}
# The runner talks to its own child; the emulated bench to itself.
LEFT_OUT = ("mfg/emulator/", "mfg/runner/")


def test_no_other_module_of_the_station_parses_json_or_toml():
    root = Path(__file__).parents[2]
    found = {
        str(path.relative_to(root))
        for path in (root / "mfg").rglob("*.py")
        if re.search(
            r"\b(?:json\.loads?|tomllib\.loads?|yaml\.(?:safe_)?load)\(", path.read_text(encoding="utf-8")
        )
    }
    others = {path for path in found if not path.startswith(LEFT_OUT)}
    assert others <= {"mfg/untrusted.py", *OWN_TEXT}
