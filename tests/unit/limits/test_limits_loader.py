"""What is wrong with a limits file is said with file, line, key and what is allowed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mfg.errors import UsageError
from mfg.limits import LimitSet, load_limits
from mfg.limits.loader import Limit

RANGE_KEYS = "high, low, optional, required_tur, risk, rule, source, unit"
HEAD = """product = "CT6"
revision = "2026-11-20"
[deadlines]
repl_s = 8
"""
GOOD = (
    HEAD
    + """
[look]
[look.level_v]
low = 1
high = 2.5
unit = "V"
source = "data sheet 3.1"
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
)


def write(folder: Path, text: str) -> Path:
    path = folder / "limits.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str = GOOD) -> LimitSet:
    return load_limits(write(folder, text))


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(folder, text)
    return str(caught.value)


class TestAGoodFile:
    def test_gives_limits_by_phase_and_name(self, tmp_path):
        limits = load(tmp_path)
        level = limits.limit("look", "level_v")
        assert (level.low, level.high, level.unit, level.source) == (1, 2.5, "V", "data sheet 3.1")
        assert limits.limit("look", "state").pattern == "on|off"
        assert limits.limit("look", "seen").value is True
        assert (limits.product, limits.revision) == ("CT6", "2026-11-20")
        assert len(limits.sha256) == 64

    def test_gives_per_port_limits_for_the_ports_that_are_asked_for(self, tmp_path):
        limits = load(tmp_path)
        names = [limit.name for limit in limits.of_phase("look", ports=(2, 5))]
        assert names == ["level_v", "port2_error_pct", "port5_error_pct", "state", "seen"]
        assert len(limits.of_phase("look")) == 9

    def test_gives_per_point_limits_for_the_points_that_are_asked_for(self, tmp_path):
        text = "".join(
            f'[look."port{{port}}_{point}_error_pct"]\nlow = 0\nhigh = 1\nunit = "%"\nsource = "notes 4.3"\n'
            for point in ("high", "mid", "low", "highest")
        )
        limits = load(tmp_path, GOOD + text)
        names = [limit.name for limit in limits.of_phase("look", ports=(2,), points=("high", "low"))]
        assert names == [
            "level_v",
            "port2_error_pct",
            "state",
            "seen",
            "port2_high_error_pct",
            "port2_low_error_pct",
            "port2_highest_error_pct",  # no point of this name: not one that a bench may lack
        ]
        assert len(limits.of_phase("look", ports=(2,))) == 8

    def test_gives_the_rule_by_which_a_range_is_judged(self, tmp_path):
        keys = 'low = 1\nrule = "stated_risk"\nrisk = 0.02\nrequired_tur = 1.5\noptional = true\n'
        limit = load(tmp_path, GOOD.replace("low = 1\n", keys)).limit("look", "level_v")
        assert (limit.rule, limit.risk, limit.required_tur) == ("stated_risk", 0.02, 1.5)
        assert limit.optional is True

    def test_a_range_without_a_rule_is_never_optional_and_requires_nothing(self, tmp_path):
        limit = load(tmp_path).limit("look", "level_v")
        assert (limit.rule, limit.risk, limit.required_tur, limit.optional) == ("", 0.0, 0.0, False)

    @pytest.mark.parametrize("rule", ["simple", "guarded"])
    def test_a_rule_needs_no_risk_and_no_ratio(self, tmp_path, rule):
        text = GOOD.replace("low = 1\n", f'low = 1\nrule = "{rule}"\n')
        assert load(tmp_path, text).limit("look", "level_v").rule == rule

    def test_low_and_high_may_be_one_value_where_no_rule_judges(self, tmp_path):
        assert load(tmp_path, GOOD.replace("low = 1\n", "low = 2.5\n")).limit("look", "level_v").low == 2.5

    def test_gives_the_numbers_that_steer_the_adjustment(self, tmp_path):
        limits = load(tmp_path, GOOD + "[rules]\nwanted_ppm = 25\n")
        assert limits.rule("wanted_ppm") == 25.0
        assert "rules" not in limits.phases
        assert load(tmp_path).rules == {}

    def test_gives_deadlines_in_seconds(self, tmp_path):
        assert load(tmp_path).deadline_s("repl_s") == 8.0

    @pytest.mark.parametrize(
        ("ask", "message"),
        [
            (lambda limits: limits.of_phase("listen"), r"has no table \[listen"),
            (lambda limits: limits.limit("listen", "x"), r"\[listen\] has no measurement 'x'"),
            (lambda limits: limits.limit("look", "x"), r"\[look\] has no measurement 'x'"),
            (lambda limits: limits.deadline_s("other_s"), r"\[deadlines\] has no 'other_s'"),
            (lambda limits: limits.rule("other_ppm"), r"\[rules\] has no 'other_ppm'"),
        ],
    )
    def test_refuses_to_answer_what_it_does_not_hold(self, tmp_path, ask, message):
        with pytest.raises(UsageError, match=message):
            ask(load(tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("low = 1\n", "", 7, "look.level_v: key 'low' is missing; a range needs high, low, source, unit"),
        (
            "low = 1\n",
            "low = 1\nmean = 2\n",
            7,
            f"key 'mean' is unknown; allowed here: {RANGE_KEYS}",
        ),
        ("low = 1\n", 'low = "1"\n', 7, "look.level_v.low is '1'; it must be a finite number"),
        ("low = 1\n", "low = true\n", 7, "look.level_v.low is True; it must be a finite number"),
        ("low = 1\n", "low = nan\n", 7, "look.level_v.low is nan; it must be a finite number"),
        ("high = 2.5\n", "high = inf\n", 7, "look.level_v.high is inf; it must be a finite number"),
        ("high = 2.5\n", f"high = 1{'0' * 400}\n", 7, "it must be a finite number"),
        ("low = 1\n", "low = 3\n", 7, "low 3.0 is above high 2.5"),
        *(
            ("low = 1\n", f"low = 1\n{keys}\n", 7, f"look.level_v{says}")
            for keys, says in [
                ('rule = "strict"', ".rule is 'strict'; allowed: simple, guarded, stated_risk"),
                ("rule = 1", ".rule is 1; allowed: simple, guarded, stated_risk"),
                ('optional = "yes"', ".optional is 'yes'; it must be true or false"),
                ("optional = 1", ".optional is 1; it must be true or false"),
                ('rule = "stated_risk"', ".risk is 0; rule stated_risk needs one above 0 and up to 0.5"),
                ('rule = "stated_risk"\nrisk = 0.6', ".risk is 0.6; rule stated_risk needs one above 0"),
                ('rule = "stated_risk"\nrisk = -0.1', ".risk is -0.1; rule stated_risk needs one above 0"),
                ('rule = "stated_risk"\nrisk = "2 %"', ".risk is '2 %'; it must be a finite number"),
                ('rule = "guarded"\nrisk = 0.1', ".risk is 0.1; rule stated_risk needs one"),
                ("risk = 0.1", ".risk is 0.1; rule stated_risk needs one"),
                ("required_tur = 1.5", ".required_tur is 1.5; it needs a rule"),
                ('rule = "simple"\nrequired_tur = -1', ".required_tur is -1; it needs a rule"),
                ('rule = "simple"\nrequired_tur = nan', ".required_tur is nan; it must be a finite number"),
            ]
        ),
        ("low = 1\n", 'low = 2.5\nrule = "guarded"\n', 7, "look.level_v: low equals high; a rule needs room"),
        (
            '"on|off"',
            '"on|off"\nrule = "guarded"',
            17,
            "key 'rule' is unknown; allowed here: pattern, source",
        ),
        ("value = true", "value = true\nrisk = 0.1", 21, "key 'risk' is unknown; allowed here: optional, so"),
        ('unit = "V"\n', "unit = 5\n", 7, "look.level_v.unit is 5; it must be a text"),
        ('"data sheet 3.1"', '" "', 7, "look.level_v.source is empty"),
        ('"data sheet 3.1"', "31", 7, "look.level_v.source is 31; it must be a text"),
        ('"matches"', '"like"', 17, "look.state.kind is 'like'; allowed: range, equals, matches"),
        ('"on|off"', '"on|(off"', 17, "look.state.pattern is no regular expression"),
        ('"on|off"', '"(?i)on"', 17, "look.state.pattern is no regular expression"),
        ('"on|off"', "7", 17, "look.state.pattern is 7; it must be a text"),
        ("value = true", "value = [1]", 21, "look.seen.value is [1]; it must be a text, a number"),
        ("repl_s = 8", "repl_s = 0", 4, "deadlines.repl_s must end in _s and be 0 to 3600 seconds"),
        ("repl_s = 8", "repl_s = 3601", 4, "deadlines.repl_s must end in _s and be 0 to 3600 seconds"),
        ("repl_s = 8", 'repl_s = "8"', 4, "deadlines.repl_s must end in _s and be 0 to 3600 seconds"),
        ("repl_s = 8", "repl = 8", 4, "deadlines.repl must end in _s and be 0 to 3600 seconds"),
        ("look.level_v", 'look."Level V"', 7, "a measurement's name is lower_case"),
        ('look."port{port}_error_pct"', 'look."port{port}_{x}"', 12, "a measurement's name is lower_case"),
        ('look."port{port}_error_pct"', 'look."error{port}_pct"', 12, "a measurement's name is lower_case"),
        ("[look.level_v]", "[look.port3_error_pct]", 7, "look.port3_error_pct is there twice"),
    ],
)
def test_a_wrong_key_is_named_with_its_line_and_what_is_allowed(tmp_path, old, new, line, says):
    assert GOOD.count(old) == 1, old
    message = refusal(tmp_path, GOOD.replace(old, new))
    assert message.startswith(f"{tmp_path / 'limits.toml'}:{line}: ")
    assert says in message


@pytest.mark.parametrize("key", ["product", "revision", "deadlines"])
def test_a_missing_head_is_named(tmp_path, key):
    data = {"product": 'product = "CT6"\n', "revision": 'revision = "1"\n', "deadlines": "[deadlines]\n"}
    text = "".join(line for name, line in data.items() if name != key)
    assert f"key '{key}' is missing; it must hold deadlines, product, revision" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("product = '1'\nrevision = '2'\ndeadlines = 3\n", "[deadlines] must be a table of seconds"),
        (HEAD + "[look]\n", ":5: 'look' must hold measurement tables"),
        ("extra = 1\n" + HEAD, "'extra' must hold measurement tables"),
        ("rules = 1\n" + HEAD, "[rules] must be a table of numbers"),
        (HEAD + '[rules]\nppm = "25"\n', ":6: rules.ppm is '25'; it must be a finite number"),
        (HEAD + "[rules]\nppm = inf\n", ":6: rules.ppm is inf; it must be a finite number"),
        (HEAD + "[look]\nlevel_v = 5\n", ":6: look.level_v must be a table"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, says):
    assert says in refusal(tmp_path, text)


class TestFilesThatAreNoLimitsFile:
    def test_a_file_that_is_not_there_is_refused(self, tmp_path):
        with pytest.raises(UsageError, match=r"none\.toml: cannot be read \(No such file"):
            load_limits(tmp_path / "none.toml")

    @pytest.mark.parametrize("raw", [b"product = \n", b"a = 1\na = 2\n", b"product = '\xff'\n"])
    def test_what_is_not_toml_is_refused(self, tmp_path, raw):
        path = tmp_path / "limits.toml"
        path.write_bytes(raw)
        with pytest.raises(UsageError, match="is not TOML"):
            load_limits(path)


def test_a_key_that_only_another_table_holds_gets_a_line_all_the_same(tmp_path):
    text = HEAD + '[look]\nlevel_v = {low = 1, high = 2, unit = "V", source = " "}\n'
    tomllib.loads(text)
    assert ":6: look.level_v.source is empty" in refusal(tmp_path, text)


def test_a_key_written_in_another_way_is_looked_for_from_line_1(tmp_path):
    text = HEAD + '[look]\n"level_v" = {low = 1, high = 2, unit = "V", source = " "}\n'
    assert ":1: look.level_v.source is empty" in refusal(tmp_path, text)


def test_a_range_holds_its_ends_and_an_open_end_holds_everything():
    limit = Limit("supply_v", "range", "somewhere", low=9.0, high=16.0)
    assert [limit.holds(value) for value in (8.9, 9.0, 12.0, 16.0, 16.1)] == [False, True, True, True, False]
    assert Limit("supply_v", "range", "somewhere", low=9.0).holds(1e6)
    assert Limit("supply_v", "range", "somewhere", high=16.0).holds(-1e6)
    assert not limit.holds(float("nan"))
