"""Whatever a limits file holds, it is read or refused with a sentence that names it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from any_input import TOML_LITERALS, read_or_refuse, settings_documents
from hypothesis import given

from mfg.data_files import data_folder
from mfg.errors import UsageError
from mfg.limits import loader
from mfg.limits.loader import LimitSet, load_limits

SHIPPED = Path(loader.__file__).with_name("ct6.toml").read_text(encoding="utf-8")
PART = """\
product = "CT6"
revision = "2026-11-20"
[deadlines]
repl_s = 8
[rules]
verify_ppm = 300
[look.level_v]
low = 1
high = 2.5
unit = "V"
source = "data sheet 3.1"
rule = "stated_risk"
risk = 0.02
required_tur = 1.5
optional = false
[look."port{port}_error_pct"]
low = -0.5
high = 0.5
unit = "%"
source = "data sheet 3.2"
[look.state]
kind = "matches"
pattern = "on|off"
source = "data sheet 3.3"
[look.seen]
kind = "equals"
value = true
source = "data sheet 3.4"
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("limits") / "limits.toml"


def load(path: Path, content: bytes) -> LimitSet | None:
    path.write_bytes(content)
    return read_or_refuse(lambda: load_limits(path), UsageError, place="limits.toml")


def check(limits: LimitSet | None) -> None:
    """What passes can judge: every range is finite and has room, every limit a source."""
    for limit in (limit for phase in limits.phases.values() for limit in phase) if limits else ():
        assert limit.source.strip()
        if limit.kind == "range":
            assert limit.low is not None
            assert limit.high is not None
            assert -math.inf < limit.low <= limit.high < math.inf
        assert not (isinstance(limit.value, float) and not math.isfinite(limit.value))


@given(settings_documents(PART, "=", TOML_LITERALS))
def test_any_limits_are_read_or_refused(path, content):
    check(load(path, content))


@given(settings_documents(SHIPPED, "=", TOML_LITERALS))
def test_the_shipped_limits_with_something_wrong_are_read_or_refused(path, content):
    check(load(path, content))


def test_every_evil_value_at_every_key_is_read_or_refused(path):
    lines = PART.splitlines()
    for number, line in enumerate(lines):
        key, mark, _ = line.partition("=")
        for literal in TOML_LITERALS if mark else ():
            changed = [*lines[:number], f"{key}= {literal}", *lines[number + 1 :]]
            check(load(path, "\n".join(changed).encode()))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"CT6"', "{a = 1}", "'product' is {'a': 1}; it must be a text"),
        ('"matches"', "['matches']", r"look.state.kind is ['matches']; allowed"),
        ('"on|off"', "'a{99999999999}'", "look.state.pattern is no regular expression"),
        ('"on|off"', "'" + "(" * 3000 + "'", "look.state.pattern is no regular expression"),
        ("low = 1", "low = 0x" + "f" * 5000, "look.level_v.low is <a whole number of 20000 bits>"),
        ("value = true", "value = nan", "look.seen.value is nan; it must be a finite number"),
        ("repl_s = 8", "repl_s = " + "9" * 5000, "is not TOML: it holds a number of too many digits"),
        ("repl_s = 8", "repl_s = " + "[" * 3000, "is not TOML: it is nested too deeply"),
    ],
    ids=range(8),
)
def test_what_once_ended_in_a_traceback_is_refused_by_its_key(path, old, new, says):
    path.write_text(PART.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        load_limits(path)
    assert says in str(caught.value)


def test_ten_megabytes_are_refused_unread(path):
    path.write_bytes(b"# remark\n" * 1_200_000)
    with pytest.raises(UsageError, match="has more than 262144 bytes"):
        load_limits(path)


def test_the_project_s_own_limits_are_far_below_the_limit_of_size():
    for file in (*data_folder("firmware").rglob("*.toml"), Path(loader.__file__).with_name("ct6.toml")):
        assert file.stat().st_size < loader.SETTINGS_LIMIT_BYTES / 5
