"""The report: what it shows, what it escapes, and that it needs nothing from outside."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import calibrated_record
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfg.errors import StationError
from mfg.records import run_folder
from mfg.records.record import OUTCOMES, Record
from mfg.records.run_folder import sha256_hex
from mfg.reporting import render
from mfg.reporting.certificate import render_certificate
from mfg.reporting.render import css_text, render_report, write_report

Make = Callable[..., Record]
PNG = b"\x89PNG\r\n\x1a\n" + b"not much of a picture"
EVIL = "<script>alert(1)</script>\"'><img src=http://evil/x onerror=alert(2)>{{ 7*7 }}"
VOID = {"meta", "img", "col", "br", "hr", "link", "input"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def shown(text: str) -> str:
    """Return the text that a browser shows, style sheet left out."""
    body = text[text.index("<body>") :]
    return re.sub(
        r"\s+",
        " ",
        " ".join(Reader(body.replace("</body>", "").replace("<body>", "").replace("</html>", "")).text),
    )


def poison(value: Any) -> Any:
    """Replace every free text of a record by markup."""
    if isinstance(value, dict):
        fixed = {"outcome", "started_utc", "ended_utc", "quantity", "schema", "verdict", "rule"}
        return {key: item if key in fixed else poison(item) for key, item in value.items()}
    if isinstance(value, list):
        return [poison(item) for item in value]
    return EVIL if isinstance(value, str) else value


def failed(make_record: Make) -> Record:
    record = copy.deepcopy(make_record(emulated=False, outcome="FAIL", next_action="Use the red box."))
    phase = next(phase for phase in record["phases"] if phase["name"] == "verify_gains")
    phase["outcome"] = "FAIL"
    phase["measurements"][3].update(value=-0.731, outcome="FAIL")
    record["adjustments"][5]["after_pct"] = -0.731
    return record


def test_shows_verdict_unit_station_instruments_and_every_measurement(make_record: Make):
    record = make_record()
    text = shown(render_report(record))
    for expected in (
        "PASS",
        "SN00001823",
        "ASY0398V03.2",
        "emulated-1",
        "GPM-8310",
        "GEU000123",
        "28:cd:c1:00:00:01",
    ):
        assert expected in text
    for phase in record["phases"]:
        for entry in phase["measurements"]:
            assert entry["name"] in text
    assert "231.42 V 200 … 260 V" in text


def test_names_what_failed_with_value_limit_and_next_action(make_record: Make):
    text = shown(render_report(failed(make_record)))
    assert "12000 verify gains port4_current_error_pct -0.731 % ± 0.5 %" in text
    assert "Next action Use the red box." in text
    assert "-0.731 % OUT" in text
    assert text.index("What failed") < text.index("Measurements")


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_verdict_has_its_word_and_its_shape(make_record: Make, outcome: str):
    text = render_report(make_record(outcome=outcome))
    assert f'<p class="verdict-word">{outcome}</p>' in text
    assert text.count('class="shape"') == 1


def test_a_pass_on_an_emulated_bench_is_watermarked(make_record: Make):
    text = render_report(make_record(emulated=True))
    assert 'class="watermark"' in text
    assert shown(text).count("EMULATED") == 2
    assert "(EMULATED)" in text[: text.index("</title>")]
    assert "EMULATED" in text[text.index("@bottom-left { content") : text.index("</style>")]


def test_a_real_run_is_not_watermarked(make_record: Make):
    text = render_report(make_record(emulated=False))
    assert "watermark" not in text[text.index("<body>") :]
    assert "EMULATED" not in text


def test_nothing_of_a_unit_becomes_markup(make_record: Make, tmp_path: Path):
    record = poison(make_record(attachments=[{"name": "x", "file": "x.png", "sha256": ""}], outcome="FAIL"))
    phase = record["phases"][0]
    phase["outcome"] = "ERROR"
    phase["error"] = {"kind": EVIL, "message": EVIL, "action": EVIL}
    phase["measurements"][0]["outcome"] = "FAIL"
    record["outcome_reasons"] = [EVIL]
    record["attachments"][0]["file"] = "../x.png"
    text = render_report(record, tmp_path)
    reader = Reader(text[text.index("<body>") : text.index("</body>")].removeprefix("<body>"))
    clean = Reader(_body(render_report(make_record())))
    assert set(reader.tags) <= set(clean.tags) | {"ul", "li", "i"}
    assert not any(name.startswith("on") for name, _ in reader.attributes)
    assert "49" not in _title(text)
    assert "<script" not in text
    assert EVIL in " ".join(reader.text)


def test_nothing_of_a_calibration_becomes_markup(make_calibrated_record: Make):
    record = poison(make_calibrated_record(outcome="INDETERMINATE"))
    clean = make_calibrated_record(outcome="INDETERMINATE")
    record["phases"] = [*record["phases"], *clean["phases"]]
    for phase in record["phases"]:
        for entry in phase["measurements"]:
            entry.update(unit=EVIL, limit_source=EVIL)
            for line in entry.get("uncertainty", {}).get("budget", []):
                line.update(name=EVIL, distribution=EVIL, kind=EVIL)
    for chip in ("CS4", "CS0"):
        record["calibration"]["registers"][chip] = {"0x61": 1}
    record["calibration"]["load_points"] = [{"name": EVIL, "current_a": 1.0, "range_a": 1.0, "windows": 8}]
    for text in (render_report(record), render_certificate(record)):
        reader = Reader(_body(text))
        assert not any(name.startswith("on") for name, _ in reader.attributes)
        assert not {"script", "img"} & set(reader.tags)
        assert EVIL in " ".join(reader.text)


def _body(text: str) -> str:
    return text[text.index("<body>") : text.index("</body>")].removeprefix("<body>")


def _title(text: str) -> str:
    return text[text.index("<title>") : text.index("</title>")]


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=30))
def test_any_name_leaves_the_document_well_formed(make_record: Make, name: str):
    record = copy.deepcopy(make_record(run_id=name, operator=name))
    record["phases"][0]["measurements"][0].update(name=name, unit=name, value=name)
    Reader(_body(render_report(record)))


def test_refers_to_nothing_outside_itself(make_record: Make, tmp_path: Path):
    (tmp_path / "display.png").write_bytes(PNG)
    attachment = {"name": "display frame", "file": "display.png", "sha256": sha256_hex(PNG)}
    text = render_report(make_record(attachments=[attachment]), tmp_path)
    reader = Reader(_body(text))
    links = [value for name, value in reader.attributes if name in ("src", "href", "xlink:href", "action")]
    assert len(links) == 2
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in links)
    assert "script" not in reader.tags
    assert "link" not in reader.tags
    assert not re.search(r"url\((?!#)|@import|https?://", text)


def test_the_print_style_sheet_is_for_a4(make_record: Make):
    text = render_report(make_record())
    assert "size: A4" in text
    assert "@media print" in text


@pytest.mark.parametrize("file", ["missing.png", "changed.png", "fake.png", "../outside.png", "link.png"])
def test_a_picture_that_is_not_the_recorded_one_is_named_and_not_shown(
    make_record: Make, tmp_path: Path, file: str
):
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "outside.png").write_bytes(PNG)
    (folder / "changed.png").write_bytes(PNG + b"x")
    (folder / "fake.png").write_bytes(b"GIF89a")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    digest = sha256_hex(b"GIF89a" if file == "fake.png" else PNG)
    text = render_report(make_record(attachments=[{"name": "frame", "file": file, "sha256": digest}]), folder)
    assert "<img" not in text
    assert "frame: the file is missing or is not the one that the record names." in shown(text)


def test_a_run_that_measured_nothing_still_has_a_report(make_record: Make):
    record = make_record(
        outcome="ABORTED", phases=[], adjustments=[], instruments=[], serial_number="", assembly=""
    )
    text = shown(render_report(record))
    for expected in ("not identified", "No phase ran.", "Nothing was calibrated", "Nothing was measured."):
        assert expected in text


def test_the_report_is_written_whole_or_not_at_all(
    make_record: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_report(make_record(), tmp_path)
    before = path.read_bytes()
    assert before.startswith(b"<!DOCTYPE html>")

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder.os, "write", full)
    with pytest.raises(StationError):
        write_report(make_record(outcome="FAIL"), tmp_path)
    assert path.read_bytes() == before


def test_a_calibration_shows_its_uncertainty_its_budget_and_its_reference(make_calibrated_record: Make):
    text = shown(render_report(make_calibrated_record()))
    for expected in (
        "EMULATED-GEU000123-20260801",
        "12 VAC 500 mA, AD-0417",
        "Error after power cycle",
        "limit ± 0.5 %; passes ± 0.187 %",
        "position of the turns",
        "repeatability, 16 windows A normal",
        "U = 0.31 %",
        "What was not done",
        "acceptance limit is the limit less U",
        "V 208 0x48",
        "Closings of the CT jig 1287",
    ):
        assert expected in text
    assert "What was waived" not in text
    assert text.index("Uncertainty and decision rule") < text.index("Measurements")


def test_the_order_of_the_cts_is_shown_where_one_at_a_time_was_taken(make_calibrated_record: Make):
    record: Any = copy.deepcopy(make_calibrated_record())
    rounds = {"adjust": [1, 2, 1, 2, 3], "verify stored": [1, 2, 3]}
    record["calibration"]["conditions"] |= {"jig_cycles": None, "ct_rounds": rounds}
    text = shown(render_report(record))
    assert "One CT at a time, adjust CT 1, 2, 1, 2, 3 One CT at a time, verify stored CT 1, 2, 3" in text
    assert "One CT at a time" not in shown(render_report(make_calibrated_record()))


def test_an_indeterminate_unit_has_words_and_a_shape_of_its_own(make_calibrated_record: Make):
    record: Any = copy.deepcopy(make_calibrated_record(outcome="INDETERMINATE"))
    phase = next(phase for phase in record["phases"] if phase["name"] == "verify_points")
    lines = calibrated_record.budget("current", "high")
    name = phase["measurements"][3]["name"]
    phase["measurements"][3] = calibrated_record.judged(name, -0.33, "%", -0.5, 0.5, lines)
    text = render_report(record)
    words = "The value is inside its limit, but not by its uncertainty: the unit is not proved good."
    assert words in shown(text)
    assert "What is not proved" in shown(text)
    assert "port4_high_current_error_pct -0.33 %, U = 0.31 % ± 0.5 %, passes ± 0.187 %" in shown(text)
    assert text.count('role="img" aria-label="indeterminate"') == 1
    assert "verdict indeterminate" in text


def test_a_reference_past_its_due_date_and_what_was_waived_are_said(make_calibrated_record: Make):
    record: Any = copy.deepcopy(make_calibrated_record())
    record["calibration"]["reference"].update(due="2026-11-19", overridden_by="the shift leader")
    record["calibration"]["instruments"][0]["due"] = "2026-01-01"
    record["calibration"]["waivers"] = ["TUR 1.4 where 1.5 is required: the engineer."]
    text = shown(render_report(record))
    assert "past due, use allowed by the shift leader" in text
    assert "2026-01-01 past due" in text
    assert "What was waived TUR 1.4 where 1.5 is required: the engineer." in text


def test_a_record_of_one_load_is_shown_as_before(make_record: Make):
    text = shown(render_report(make_record()))
    assert "After: error against the limit band" in text
    assert "Uncertainty and decision rule" not in text


def test_a_missing_template_is_a_station_error():
    with pytest.raises(StationError, match="gone"):
        render.render_page("gone.html.j2")


@given(st.text(max_size=300))
def test_text_for_a_style_sheet_cannot_leave_its_quotes(text: str):
    safe = css_text(text)
    assert not set(safe) & set("\"'\\\n<>{}()")
    assert len(safe) <= 120
