"""The documents say what the code does: keys, commands, exit codes, sources, dependencies, places."""

from __future__ import annotations

import argparse
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from mfg import cli, station
from mfg.records.outcomes import EXIT_CODES
from mfg.strict import Key

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
KINDS = {str: "text", int: "integer", float: "number", bool: "true or false", "table": "table"}
CITED = re.compile(r"(?:^|\(|; )([A-Za-z][\w-]*) (?:appendix [A-Z]\b|\d+\.\d+)")
IN_BRACKETS = re.compile(r"\(([a-z][\w-]*) \d")
STANDARD = re.compile(r"\b(?:ANSI|Atmel|EN|IEC|IEEE|ILAC|ISO|JCGM|MID|NIST|OIML|RFC)\b[- ]?[A-Z]?\d*")
FILE_NAMED = re.compile(r"\b[\w/-]+/[\w.-]+\.(?:toml|py|md|yaml)\b")
# Pieces, so that this file does not hold what it forbids.
FORBIDDEN = ["/" + folder + "/" for folder in ("root", "work", "home", "Users")] + [
    "C:" + "\\Users",
    "<<<<" + "<<<",
    "FIX" + "ME",
    '"""TO' + "DO",
    "lorem " + "ipsum",
]


def _text(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def _rows(text: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def _leaves(schema: dict[str, Key], where: str = "") -> dict[str, Key]:
    found: dict[str, Key] = {}
    for name, key in schema.items():
        path = f"{where}.{name}" if where else name
        if key.kind == "map":
            found |= _leaves(key.keys or {}, path)
        elif key.kind == "list" and key.items and key.items.kind == "map":
            found |= _leaves(key.items.keys or {}, f"{path}[]")
        else:
            found[path] = key
            if key.kind == "table" and key.items:
                found |= _leaves(key.items.keys or {}, f"{path}.<address>")
    return found


LEAVES = _leaves(station._SCHEMA)
DOCUMENTED = {
    row[0].strip("`"): row[1:] for row in _rows(_text("docs", "station-file.md")) if row[0][:1] == "`"
}


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    groups = [group for group in parser._actions if isinstance(group, argparse._SubParsersAction)]
    return {name: sub for group in groups for name, sub in group.choices.items()}


def _readme_commands() -> list[list[str]]:
    """The words of each command line of the README, `a|b` and `a | b` taken apart."""
    lines = [line.split("  ")[0] for line in re.findall(r"^ {4}(mfg .*)$", _text("README.md"), re.MULTILINE)]
    return [line.replace("|", " ").split() for line in lines]


def _committed() -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True, text=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_the_station_file_page_has_every_key_of_the_schema_and_no_other():
    assert sorted(DOCUMENTED) == sorted(LEAVES)


@pytest.mark.parametrize("path", sorted(LEAVES))
def test_the_station_file_page_gives_type_range_and_need_of_a_key(path):
    key = LEAVES[path]
    kind, range_text, needed, meaning = DOCUMENTED[path]
    value = key.items if key.kind == "list" and key.items else key
    assert kind == ("list of " if key.kind == "list" else "") + KINDS[value.kind]
    if value.choices:
        assert range_text == ", ".join(str(choice) for choice in value.choices)
    if value.low is not None:
        assert [float(number) for number in range_text.split(" to ")] == [value.low, value.high]
    assert (needed == "yes") == key.required
    assert meaning


def test_the_example_of_a_real_bench_is_a_valid_station_file(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", _text("docs", "station-file.md"), re.DOTALL)
    (tmp_path / "station.yaml").write_text(example)
    loaded = station.load_station(tmp_path / "station.yaml")
    assert not loaded.emulated
    assert yaml.safe_load(example)["conductor"]["turns"] == loaded.conductor.turns


def test_the_readme_names_every_command():
    named = {word for words in _readme_commands() for word in words[1:]}
    assert set(_subcommands(cli._parser())) <= named


def test_the_readme_names_every_subcommand():
    for name, parser in _subcommands(cli._parser()).items():
        named = {word for words in _readme_commands() if name in words for word in words}
        assert set(_subcommands(parser)) <= named, name


def test_the_readme_has_every_exit_code_with_its_outcomes():
    rows = {row[0]: row[1] for row in _rows(_text("README.md")) if row[0].isdigit()}
    assert sorted(rows) == sorted(re.findall(r"\b\d\b", cli.EXIT_CODES))
    for outcome, code in EXIT_CODES.items():
        assert outcome in rows[str(code)].split(", "), outcome


def test_every_document_that_a_limit_cites_is_among_the_sources():
    limits = tomllib.loads(_text("mfg", "limits", "ct6.toml"))
    sources = [
        entry["source"]
        for table in limits.values()
        if isinstance(table, dict)
        for entry in table.values()
        if isinstance(entry, dict)
    ]
    assert len(sources) > 50
    page = _text("docs", "sources.md")
    for source in sources:
        for name in [*CITED.findall(source), *IN_BRACKETS.findall(source), *STANDARD.findall(source)]:
            assert f"`{name.strip()}" in page, source
        for name in FILE_NAMED.findall(source):
            assert (ROOT / name).is_file(), source
        for name in re.findall(r"\bdeadlines\.(\w+)", source):
            assert name in limits["deadlines"], source


def test_every_dependency_has_its_reason():
    project = tomllib.loads(_text("pyproject.toml"))["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    reasons = {
        row[0].strip("`").lower()
        for row in _rows(_text("docs", "decisions", "0003-dependencies.md"))
        if row[0]
    }
    for requirement in [*project["dependencies"], *extras]:
        name = re.split(r"[<>=!~;\[ ]", requirement)[0]
        assert name.lower() in reasons


def test_the_architecture_page_has_every_layer_of_the_import_contracts():
    contracts = tomllib.loads(_text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    places = [
        row[0].strip("`").removesuffix("/").removesuffix(".py")
        for row in _rows(_text("docs", "architecture.md"))
    ]
    order = [places.index(layer.split(" | ")[0].replace(".", "/")) for layer in layers]
    assert order == sorted(order)
    for name in (name for layer in layers for name in layer.split(" | ")):
        assert name.replace(".", "/") in places


def test_every_link_between_the_documents_leads_somewhere():
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_committed_text_names_a_place_of_one_machine_or_is_left_unfinished():
    for path in _committed():
        content = path.read_bytes()
        for word in FORBIDDEN:
            assert word.encode() not in content, f"{path.relative_to(ROOT)}: {word}"
