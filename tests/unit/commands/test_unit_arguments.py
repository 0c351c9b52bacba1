"""What may be typed after `mfg unit`, and that a station named before an action is the one that is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfg import cli

ACTIONS = (
    ["scan"], ["stats"], ["apps"], ["reboot"], ["power-cycle"], ["console"], ["shell"],
    ["config", "get"], ["config", "set", "A=1"], ["files", "ls"], ["files", "rm", "/x"],
)  # fmt: skip


@pytest.mark.parametrize("words", ACTIONS, ids=" ".join)
def test_the_station_is_the_one_named_before_or_after_the_action(words: list[str]):
    assert cli._parser().parse_args(["unit", *words]).station == Path("station.yaml")
    assert cli._parser().parse_args(["unit", "--station", "two.yaml", *words]).station == Path("two.yaml")
    assert cli._parser().parse_args(["unit", *words, "--station", "two.yaml"]).station == Path("two.yaml")


def test_the_other_commands_with_actions_keep_the_station_too():
    for words in (["bench", "--station", "two.yaml", "up"], ["firmware", "--station", "two.yaml", "list"]):
        assert cli._parser().parse_args(words).station == Path("two.yaml")


@pytest.mark.parametrize("words", ACTIONS, ids=" ".join)
def test_every_action_has_a_command_and_all_but_the_scan_name_their_unit(words: list[str]):
    parsed = cli._parser().parse_args(["unit", *words])
    assert callable(parsed.command)
    assert hasattr(parsed, "slot") is (words != ["scan"])


@pytest.mark.parametrize(
    "words",
    [
        ["stats", "-a", "10.0.0.2", "--slot", "1"],
        ["scan", "--slot", "1"],
        ["scan", "--seconds", "0"],
        ["scan", "--seconds", "nan"],
        ["scan", "--seconds", "soon"],
        ["config"],
        ["config", "set"],
        ["files", "put", "x"],
        [],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused_as_wrong_usage(words: list[str]):
    with pytest.raises(SystemExit) as refused:
        cli._parser().parse_args(["unit", *words])
    assert refused.value.code == 2


def test_a_path_on_a_unit_begins_with_a_slash(capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr("sys.argv", ["mfg"])
    assert cli.main(["unit", "files", "rm", "main.py"]) == 2
    assert "It begins with /" in capsys.readouterr().out
