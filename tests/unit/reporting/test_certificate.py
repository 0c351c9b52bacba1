"""The certificate: when there is one, what it states, and what it never claims."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mfg.errors import StationError
from mfg.records import run_folder
from mfg.records.record import Record, write_record
from mfg.records.run_folder import RunFolder, sha256_hex
from mfg.reporting.certificate import has_certificate, render_certificate, write_certificate

Make = Callable[..., Record]


def shown(text: str) -> str:
    """Return the text of a page, style sheet left out."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text[text.index("<body>") :]))


@pytest.mark.parametrize(
    ("outcome", "title"),
    [
        ("PASS", "Calibration certificate"),
        ("PARTLY CALIBRATED", "Calibration certificate, some ports"),
        ("INDETERMINATE", "Calibration results, no certificate"),
        ("FAIL", "Calibration results, no certificate"),
    ],
)
def test_a_unit_that_was_judged_has_a_page_under_its_name(
    make_calibrated_record: Make, tmp_path: Path, outcome: str, title: str
):
    path = write_certificate(make_calibrated_record(outcome=outcome), tmp_path)
    assert path == tmp_path / "certificate.html"
    text = path.read_text(encoding="utf-8")
    assert f"<h1>{title}</h1>" in text
    assert f'<p class="verdict-word">{outcome}</p>' in text
    assert ("does not certify it" in text) == (outcome in ("FAIL", "INDETERMINATE"))
    assert "{{" not in text


@pytest.mark.parametrize("outcome", ["ERROR", "ABORTED", "NOT CALIBRATED"])
def test_a_run_that_judged_nothing_has_none(make_calibrated_record: Make, tmp_path: Path, outcome: str):
    record = make_calibrated_record(outcome=outcome)
    assert write_certificate(record, tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="no certificate"):
        render_certificate(record)


@pytest.mark.parametrize("job", ["test-only", "test-only over-usb", "restore", "voltage-cal-only ac-60hz"])
def test_a_run_that_adjusted_nothing_or_one_quantity_has_no_certificate(
    make_calibrated_record, job, tmp_path
):
    record = make_calibrated_record()
    assert has_certificate(record)
    stale = tmp_path / "certificate.html"
    stale.write_text("of an earlier verdict")
    assert write_certificate(record | {"mode": job}, tmp_path) is None
    assert not stale.exists()


def test_a_run_that_compared_with_nothing_has_none(make_record: Make, tmp_path: Path):
    assert not has_certificate(make_record())
    assert write_certificate(make_record(), tmp_path) is None


def test_states_unit_reference_conditions_rule_and_every_result(make_calibrated_record: Make):
    text = shown(render_certificate(make_calibrated_record()))
    for expected in (
        "SN00001823",
        "28:cd:c1:00:00:01",
        "AD-0417",
        "GPM-8310",
        "EMULATED-GEU000123-20260801",
        "2027-08-01",
        "22.4 °C",
        "range 0.5 A, 16 windows",
        "acceptance limit is the limit less U",
        "ILAC-G8:09/2019 and JCGM 106:2012",
        "not a type-approved electricity meter",
        "once more after a power cycle",
        "Not done: Power factor 0.5",
        "+0.01 % 0.31 2.00 ± 0.5 % PASS",
        "1.10 mA 0.58 2.00 ≤ 10 mA PASS",
    ):
        assert expected in text
    assert text.count("PASS") == 1 + 6 * 13


def test_claims_no_accuracy_class_and_no_accreditation(make_calibrated_record: Make):
    text = shown(render_certificate(make_calibrated_record(emulated=False)))
    assert not re.search(r"\bMID\b|class [0-9ABC]|accredited by", text)
    assert "not an accredited laboratory" in text
    assert "only so far as the certificate of the reference" in text


def test_what_is_emulated_is_watermarked_and_traceable_to_nothing(make_calibrated_record: Make):
    emulated, real = (render_certificate(make_calibrated_record(emulated=flag)) for flag in (True, False))
    assert 'class="watermark"' in emulated
    assert "Nothing here is traceable to anything." in emulated
    assert "EMULATED" in emulated[emulated.index("@bottom-left { content") : emulated.index("</style>")]
    assert 'class="watermark"' not in real
    assert "EMULATED</b>" not in real


def test_names_who_allowed_a_reference_past_its_due_date(make_calibrated_record: Make):
    record: Any = copy.deepcopy(make_calibrated_record())
    record["calibration"]["reference"].update(due="2026-11-19", overridden_by="the shift leader")
    text = shown(render_certificate(record))
    assert "past due, use allowed by the shift leader" in text
    assert "Use of the reference past its due date was allowed by the shift leader." in text


def test_ports_that_were_not_calibrated_are_left_out(make_calibrated_record: Make):
    record: Any = copy.deepcopy(make_calibrated_record(outcome="PARTLY CALIBRATED"))
    for phase in record["phases"]:
        if phase["name"].startswith(("verify", "adjust")):
            phase["measurements"] = [
                entry for entry in phase["measurements"] if not re.match("port[3-6]_", entry["name"])
            ]
    text = shown(render_certificate(record))
    assert "CT2" in text
    assert "CT3" not in text
    assert "Ports that are not listed were not calibrated." in text


def test_names_the_hash_of_the_stored_record(make_calibrated_record: Make, tmp_path: Path):
    record = make_calibrated_record()
    folder = RunFolder.create(tmp_path, record["serial_number"], record["run_id"])
    stored = write_record(folder, record)
    path = write_certificate(record, folder.path)
    assert path is not None
    assert sha256_hex(stored.read_bytes()) in path.read_text(encoding="utf-8")
    assert "not stored yet" in render_certificate(record)


def test_refers_to_nothing_outside_itself_and_prints_on_a4(make_calibrated_record: Make):
    text = render_certificate(make_calibrated_record())
    assert not re.search(r"url\((?!#)|@import|https?://|<script|<link|src=", text)
    assert "size: A4 portrait" in text


def test_is_written_whole_or_not_at_all(
    make_calibrated_record: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_certificate(make_calibrated_record(), tmp_path)
    assert path is not None
    before = path.read_bytes()

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder.os, "write", full)
    with pytest.raises(StationError):
        write_certificate(make_calibrated_record(outcome="FAIL"), tmp_path)
    assert path.read_bytes() == before
