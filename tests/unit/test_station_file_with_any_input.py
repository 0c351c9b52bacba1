"""Whatever a station file holds, it is read or refused with a sentence that names it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from any_input import YAML_LITERALS, read_or_refuse, settings_documents
from hypothesis import given
from hypothesis import strategies as st

from mfg.errors import UsageError
from mfg.station import load_station
from mfg.strict import YAML_LIMIT_BYTES, Form, Key, read_yaml

SHIPPED = (Path(__file__).parents[2] / "station.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("station") / "bench.yaml"


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load_station(path)
    return str(caught.value)


@given(settings_documents(SHIPPED, ":"))
def test_a_station_file_with_something_wrong_is_read_or_refused(path, content):
    path.write_bytes(content)
    read_or_refuse(lambda: load_station(path), UsageError, place="bench.yaml")


@given(st.binary(max_size=300))
def test_noise_is_refused(path, content):
    path.write_bytes(content)
    assert read_or_refuse(lambda: load_station(path), UsageError, place="bench.yaml") is None


SCHEMA = {
    "text": Key(str, default="", form=Form(str.isprintable, "printable")),
    "whole": Key(int, default=0, low=0, high=9),
    "number": Key(float, default=0.0, low=0.0, high=9.0),
    "flag": Key(bool, default=False),
    "choice": Key(str, default="a", choices=("a", "b")),
    "list": Key("list", items=Key(int), default=[]),
    "map": Key("map", keys={"a": Key(int)}, default=None),
    "table": Key("table", items=Key(str), default={}),
}


@pytest.mark.parametrize("key", SCHEMA)
def test_every_evil_value_at_every_kind_of_key_is_read_or_refused(key):
    for literal in YAML_LITERALS:
        content = f"{key}: {literal}\n".encode()
        read_or_refuse(partial(read_yaml, Path("x.yaml"), content, SCHEMA), UsageError, place="x.yaml")


@given(settings_documents("".join(f"{key}: 1\n" for key in SCHEMA), ":"))
def test_any_file_is_read_by_its_schema_or_refused(content):
    read_or_refuse(lambda: read_yaml(Path("x.yaml"), content, SCHEMA), UsageError, place="x.yaml")


LOL = '[&l0 ["lol"]' + "".join(f", &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)) + "]"


def test_aliases_that_stand_for_a_thousand_million_texts_are_never_written_out(path):
    """The refusal of a list where a text belongs quoted all of it."""
    assert "key 'station.id' is a list; it must be a text" in refusal(path, f"station:\n  id: {LOL}".encode())
    assert "has a list as the name of a key" in refusal(path, f"station:\n  ? {LOL}\n  : 1".encode())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("nominal_voltage_v: 230", "nominal_voltage_v: 1" + "0" * 400, "nominal_voltage_v' cannot be read"),
        ("seed: 1", "seed: 0x" + "f" * 5000, "seed' is <a whole number of 20000 bits>"),
        ("seed: 1", "seed: !!int ''", "seed' cannot be read; it must be a whole number"),
        ("seed: 1", "seed: !!bool x", "seed' cannot be read"),
        ("id: emulated-1", "id: !!timestamp x", "id' cannot be read"),
        ("id: emulated-1", 'id: "\\U00110000"', "is not YAML"),
        ("id: emulated-1", 'id: "\\ud800"', "holds a control character"),
        ("folder: records", 'folder: "a\\0b"', "holds a control character"),
        ("id: emulated-1", "id: " + "[" * 3000, "is nested too deeply"),
        ('"EMU-BENCH,SW6,.*"', '"a{99999999999}"', "must be a regular expression"),
        ('"EMU-BENCH,SW6,.*"', "'" + "(" * 3000 + "'", "must be a regular expression"),
    ],
    ids=range(11),
)
def test_what_once_ended_in_a_traceback_is_refused_by_its_key(path, old, new, says):
    assert SHIPPED.count(old) == 1
    assert says in refusal(path, SHIPPED.replace(old, new).encode())


def test_a_version_of_yaml_with_thousands_of_digits_is_refused(path):
    assert "is not YAML" in refusal(path, b"%YAML 1." + b"9" * 5000 + b"\n---\na: 1\n")


def test_a_file_of_ten_megabytes_is_refused_unread(path):
    assert f"it has more than {YAML_LIMIT_BYTES} bytes" in refusal(path, b"# remark\n" * 1_200_000)


def test_a_device_that_never_ends_is_refused_unread():
    with pytest.raises(UsageError, match="/dev/zero: it is not a regular file"):
        load_station(Path("/dev/zero"))
