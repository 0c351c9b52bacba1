"""The certificates file: strict, and never past due unnoticed."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from mfg.certificates import CertifiedQuantity, load_certificates
from mfg.errors import UsageError

GOOD = """\
[reference_meter]
maker = "GWInstek"
model = "GPM-8310"
serial_number = "GEU000123"
number = "C-2026-0815"
issued = 2026-03-02
due = 2027-03-02

[reference_meter.voltage]
correction_pct = -0.012
expanded_pct = 0.03
k = 2.0

[reference_meter.current]
correction_pct = 0
expanded_pct = 0.04
k = 2.1

[reference_meter.angle]
correction_deg = 0.01
expanded_deg = 0.02
k = 2

[power_switch]
maker = "EMU-BENCH"
model = "SW6"
serial_number = "SW000017"
number = "C-2026-0001"
issued = 2026-03-02
due = 2026-03-02
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "certificates.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, old: str, new: str) -> str:
    assert old in GOOD
    path = write(folder, GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        load_certificates(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message


def test_every_instrument_has_its_certificate_under_its_role(tmp_path):
    certificates = load_certificates(write(tmp_path, GOOD))
    assert list(certificates) == ["reference_meter", "power_switch"]
    reference = certificates["reference_meter"]
    assert (reference.maker, reference.model, reference.serial_number) == (
        "GWInstek", "GPM-8310", "GEU000123",
    )  # fmt: skip
    assert (reference.role, reference.number) == ("reference_meter", "C-2026-0815")
    assert reference.quantities == {
        "voltage": CertifiedQuantity(-0.012, 0.03, 2.0, "pct"),
        "current": CertifiedQuantity(0.0, 0.04, 2.1, "pct"),
        "angle": CertifiedQuantity(0.01, 0.02, 2.0, "deg"),
    }
    assert certificates["power_switch"].quantities == {}


@pytest.mark.parametrize(
    ("today", "due", "left"),
    [("2026-03-02", False, 365), ("2027-03-02", False, 0), ("2027-03-03", True, -1)],
)
def test_a_certificate_counts_until_the_end_of_its_due_date(tmp_path, today, due, left):
    reference = load_certificates(write(tmp_path, GOOD))["reference_meter"]
    day = datetime.date.fromisoformat(today)
    assert reference.is_due(day) is due
    assert reference.days_left(day) == left


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("[power_switch]", "[load]", "load", "is unknown; allowed here: reference_meter, hand_held_meter"),
        ('model = "GPM-8310"', 'modell = "x"', "reference_meter.modell", "is unknown; allowed here: maker"),
        ('model = "GPM-8310"\n', "", "reference_meter.model", "is missing"),
        ('"GEU000123"', "123", "reference_meter.serial_number", "is 123; it must be a text"),
        ('"C-2026-0815"', '" "', "reference_meter.number", "it must be a text that is not empty"),
        ("2027-03-02", '"2027-03-02"', "reference_meter.due", "must be a date like"),
        ("2027-03-02", "2027-03-02T00:00:00", "reference_meter.due", "must be a date like"),
        ("2027-03-02", "2026-03-01", "reference_meter.due", "must not lie before 2026-03-02"),
        ("[reference_meter.current]", "[reference_meter.power]", "reference_meter.current", "is missing"),
        ("correction_pct = -0.012\n", "", "reference_meter.voltage.correction_pct", "is missing"),
        (
            "correction_pct = -0.012",
            "correction_pct = true",
            "reference_meter.voltage.correction_pct",
            "is T",
        ),
        ("correction_pct = -0.012", "correction_pct = 6", "reference_meter.voltage.correction_pct", "to 5"),
        ("expanded_pct = 0.03", "expanded_pct = 0", "reference_meter.voltage.expanded_pct", "above 0 to 5"),
        ("expanded_pct = 0.03", "expanded_pct = nan", "reference_meter.voltage.expanded_pct", "is nan"),
        ("expanded_deg = 0.02", "expanded_pct = 1", "reference_meter.angle.expanded_pct", "is unknown"),
        ("k = 2.0", "k = 0.5", "reference_meter.voltage.k", "it must be a number from 1 to 5"),
    ],
)
def test_a_wrong_key_is_named_with_what_it_may_hold(tmp_path, old, new, key, says):
    message = refusal(tmp_path, old, new)
    assert f"key '{key}' " in message
    assert says in message


def test_without_a_certificate_of_the_reference_there_is_none(tmp_path):
    path = write(tmp_path, GOOD[GOOD.index("[power_switch]") :])
    with pytest.raises(UsageError, match="key 'reference_meter' is missing"):
        load_certificates(path)


@pytest.mark.parametrize("text", ["reference_meter = 3\n", "[reference_meter]\nvoltage = 1\n"])
def test_what_is_no_table_is_refused(tmp_path, text):
    with pytest.raises(UsageError, match=r"must be a table|is missing"):
        load_certificates(write(tmp_path, text))


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.toml: cannot be read .*'certificates' in the station file"):
        load_certificates(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="is not TOML"):
        load_certificates(write(tmp_path, "[reference_meter\n"))
