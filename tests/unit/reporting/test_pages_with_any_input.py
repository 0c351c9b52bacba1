"""Whatever a record that was let through holds, its pages are well formed and none of it becomes markup."""

from __future__ import annotations

import copy
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from any_input import EVIL_TEXTS, json_documents, one_in
from hypothesis import assume, given
from hypothesis import strategies as st
from record_builder import build_calibrated_record, build_record

from mfg.errors import StationError
from mfg.records.index import RecordIndex
from mfg.records.outcomes import OUTCOMES
from mfg.records.record import Record, record_from_json
from mfg.reporting.certificate import has_certificate, render_certificate
from mfg.reporting.render import render_report
from mfg.reporting.summary import render_summary, summarize

MARK = "evil7"
EVIL = (
    f"<{MARK}>",
    f"\"'><{MARK} {MARK}=1>",
    f"</td></script></style></title></svg></textPath><{MARK}>",
    f"' onload='{MARK}",
    f"{{{{ 7*7 }}}}{{% {MARK} %}}",
    f"&lt;{MARK}&gt;",
    f"<!--{MARK}",
    f"]]>{MARK}",
    *(f"{MARK}{text}" for text in EVIL_TEXTS if len(text) < 200),
)
# Texts whose form the record's check prescribes, and words that choose a look.
FIXED = {
    "outcome",
    "started_utc",
    "ended_utc",
    "issued",
    "due",
    "quantity",
    "schema",
    "verdict",
    "rule",
    "kind",
    "windows_file",
}
VOID = {"meta", "img", "col", "br", "hr", "rect", "line", "circle", "path", "polygon"}
NUMBERS = (
    0.0,
    -0.0,
    5e-324,
    1e-9,
    1.0,
    -1.0,
    1e15,
    1e17,
    1e99,
    -1e99,
    1e100,
    1.7e308,
    -1.7e308,
    2**63 - 1,
    -(2**63) + 1,
)
LINKS = {"href", "src", "xlink:href", "action", "style"}


class Reader(HTMLParser):
    """Collects elements with the names of their attributes, and holds that they are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[tuple[str, tuple[str, ...]]] = set()
        self.values: set[tuple[str, str]] = set()
        self.words: list[str] = []
        self.comments: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add((tag, tuple(sorted(name for name, _ in attrs))))
        self.values |= {(name, value or "") for name, value in attrs}

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def clean_elements() -> set[tuple[str, tuple[str, ...]]]:
    """Every element with its attributes that our own templates make, for any outcome."""
    found: set[tuple[str, tuple[str, ...]]] = set()
    for outcome in OUTCOMES:
        for make in (build_record, build_calibrated_record):
            record: Any = make(outcome=outcome, outcome_reasons=["x"], next_action="x", retest=True)
            record = copy.deepcopy(record)
            record["phases"][0] |= {"outcome": "ERROR", "error": {"kind": "x", "message": "x", "action": "x"}}
            record["phases"][1]["outcome"] = "SKIP"
            for phase in record["phases"][2:]:
                phase["measurements"] and phase["measurements"][0].update(outcome="FAIL")
            if "calibration" in record:
                record["calibration"]["waivers"] = ["x"]
                record["calibration"]["reference"]["overridden_by"] = "x"
                record["calibration"]["reference"]["due"] = "2026-01-01"
            found |= Reader(render_report(record)).elements
            if has_certificate(record):
                found |= Reader(render_certificate(record)).elements
    return found


CLEAN = clean_elements()


def check(page: str) -> None:
    reader = Reader(page)
    assert reader.elements <= CLEAN, reader.elements - CLEAN
    assert reader.comments == []
    for name, value in reader.values:
        assert MARK not in value or name in ("alt", "aria-label"), (name, value)
        assert name not in LINKS - {"style"} or value.startswith(("#", "data:image/png;base64,")), (
            name,
            value,
        )
    assert "49" not in "".join(word for word in reader.words if MARK in word).replace("1949", "")


@st.composite
def hostile_records(draw: st.DrawFn) -> Record:
    """Draw a record whose texts are markup and some of whose numbers are far out, and that is let through."""
    record: Any = copy.deepcopy(draw(st.sampled_from((build_record(), build_calibrated_record()))))
    record["outcome"] = draw(st.sampled_from(OUTCOMES))
    texts = draw(st.lists(st.sampled_from(EVIL), min_size=1, max_size=3))
    numbers: list[tuple[Any, Any]] = []

    def poison(item: Any) -> None:
        for place in list(item) if isinstance(item, dict) else range(len(item)):
            value = item[place]
            if isinstance(value, dict | list):
                poison(value)
            elif isinstance(value, str) and place not in FIXED:
                item[place] = texts[len(numbers) % len(texts)]
            elif type(value) in (int, float) and place != "schema":
                numbers.append((item, place))

    measured = [(entry, entry["name"]) for phase in record["phases"] for entry in phase["measurements"]]
    points = [(point, point["name"]) for point in record.get("calibration", {}).get("load_points", [])]
    poison(record)
    for entry, name in measured if draw(st.booleans()) else ():
        entry["name"] = name  # what the reports know by name is shown in charts
    for point, name in points:
        point["name"] = name
    for at in draw(st.lists(st.integers(0, len(numbers) - 1), max_size=6)):
        item, place = numbers[at]
        item[place] = draw(st.sampled_from(NUMBERS))
    phase = draw(st.sampled_from(record["phases"]))
    phase["outcome"] = draw(st.sampled_from(("FAIL", "ERROR", "SKIP")))
    phase["error"] = draw(st.sampled_from((None, dict.fromkeys(("kind", "message", "action"), texts[0]))))
    record["outcome_reasons"] = [texts[0]]
    record["next_action"] = texts[-1]
    record["attachments"] = [
        {"name": texts[0], "file": draw(st.sampled_from((*EVIL, "../x.png", "x.png"))), "sha256": "x"}
    ]
    try:
        return record_from_json(json.dumps(record).encode())
    except StationError:
        assume(False)
        raise


@one_in(8)
@given(record=hostile_records())
def test_nothing_of_any_record_becomes_an_element_or_an_attribute(record):
    check(render_report(record, Path("nowhere")))
    if has_certificate(record):
        check(render_certificate(record))


@one_in(5)
@given(json_documents(build_calibrated_record(), build_record()))
def test_whatever_is_let_through_as_a_record_has_its_pages(data):
    try:
        record = record_from_json(data)
    except StationError:
        return
    Reader(render_report(record))
    if has_certificate(record):
        Reader(render_certificate(record))


def test_nothing_of_any_record_becomes_markup_of_the_summary(tmp_path):
    clean = Reader(_summary(tmp_path / "clean", ["x", "y"]))
    reader = Reader(_summary(tmp_path / "evil", list(EVIL)))
    assert reader.elements <= clean.elements
    assert not any(MARK in value for name, value in reader.values if name not in ("alt", "aria-label"))
    assert MARK in " ".join(reader.words)


def _summary(root: Path, texts: list[str]) -> str:
    changed: Any = copy.deepcopy(build_record())
    for number, phase in enumerate(changed["phases"]):
        name = texts[number % len(texts)]
        phase |= {"name": name, "outcome": "FAIL"}
        phase["measurements"] = [entry | {"name": name, "outcome": "FAIL"} for entry in phase["measurements"]]
    changed |= dict.fromkeys(("product", "mode", "operator", "assembly"), texts[0])
    with RecordIndex(root) as index:
        index.add(record_from_json(json.dumps(changed).encode()), root / "SN00001823" / changed["run_id"])
        return render_summary(summarize(index, include_emulated=True))


def test_the_longest_times_are_drawn_and_longer_ones_refused():
    """Start and duration of 1.7e308 s ended the report in an overflow: their sum is infinite."""
    record: Any = copy.deepcopy(build_record())
    for seconds in (1e9, 1.7e308):
        for phase in record["phases"]:
            phase |= {"start_s": seconds, "seconds": seconds}
        data = json.dumps(record | {"bench_seconds": seconds}).encode()
        if seconds > 1e9:
            with pytest.raises(StationError, match="bench_seconds is"):
                record_from_json(data)
        else:
            check(render_report(record_from_json(data)))


@pytest.mark.parametrize("value", NUMBERS)
def test_numbers_beyond_all_measure_are_shown_too(value):
    record: Any = copy.deepcopy(build_record())
    for entry in record["adjustments"]:
        entry |= dict.fromkeys(("before_pct", "after_pct", "low_pct", "high_pct"), value)
    for phase in record["phases"]:
        for entry in phase["measurements"]:
            entry |= {"value": value, "low": -abs(value), "high": abs(value)}
    check(render_report(record_from_json(json.dumps(record).encode())))
