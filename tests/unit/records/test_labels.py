"""Bar codes, labels and file names."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.errors import DutError, UsageError
from mfg.records import labels
from mfg.records.labels import UnitLabel

STARTED = datetime.datetime(2026, 11, 20, 12, 3, 54, 123456, tzinfo=datetime.UTC)
units = st.builds(
    UnitLabel,
    st.just(labels.ASSEMBLY_NUMBER),
    st.integers(0, 999_999).map(lambda thousandths: thousandths / 1000),
    st.integers(1, labels.MAX_SERIAL),
)


def test_writes_the_labels_of_the_interface_description():
    """ct6-interface 5.3, the examples for version 1.6 and serial 1823."""
    label = labels.parse_bar_codes("ASY0398V01.6", "SN00001823")
    assert label.unit_text == "ASY0398_V001.600_SN00001823"
    assert label.file_text == "ASY0398_V01.6000_SN00001823"
    assert label.assembly_text == "ASY0398V01.6"
    assert label.serial_number == "SN00001823"


def test_names_the_files_of_a_run_by_label_and_utc():
    label = labels.parse_bar_codes("ASY0398V03.2", "SN00001823")
    stem = "ASY0398_V03.2000_SN00001823_20261120120354"
    assert labels.factory_file_name(label, STARTED) == f"{stem}_factory.cfg"
    assert labels.calibration_file_name(label, STARTED) == f"{stem}_calibration.cfg"
    assert labels.machine_config_name(label, STARTED) == f"{stem}_this.machine.cfg"
    east = STARTED.astimezone(datetime.timezone(datetime.timedelta(hours=9)))
    assert labels.file_stem(label, east) == stem
    with pytest.raises(ValueError, match="time zone"):
        labels.file_stem(label, STARTED.replace(tzinfo=None))


@given(units)
def test_a_label_comes_back_from_both_of_its_forms_and_from_its_bar_codes(label: UnitLabel):
    assert labels.parse_unit_label(label.unit_text) == label
    assert labels.parse_unit_label(label.file_text) == label
    assert labels.parse_bar_codes(label.assembly_text, label.serial_number) == label


@given(units, st.text(alphabet=[chr(code) for code in range(0x20)], max_size=4), st.booleans())
def test_control_characters_and_case_of_the_scanner_do_not_matter(label: UnitLabel, noise: str, lower: bool):
    assembly, serial = label.assembly_text, label.serial_number
    if lower:
        assembly, serial = assembly.lower(), serial.lower()
    assert labels.parse_bar_codes(noise + assembly + "\r\n", noise + serial + noise) == label


@given(st.text(max_size=60))
def test_any_text_is_a_label_or_is_refused_with_a_reason(text: str):
    for parse, refusal in (
        (labels.parse_assembly_code, UsageError),
        (labels.parse_serial_code, UsageError),
        (labels.parse_unit_label, DutError),
    ):
        try:
            parse(text)
        except refusal as error:
            assert "must" in str(error) or "not" in str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize(
    "scanned",
    [
        "",
        "r",
        "ASY0398",
        "ASY0398V",
        "ASY0398V3,2",
        "SN00001823",
        "ASY0398V03.2 X",
        "ASY0398V1e3",
        "ASY0398V\u0663.2",
    ],
)
def test_refuses_what_is_not_an_assembly(scanned: str):
    with pytest.raises(UsageError, match="not an assembly bar code"):
        labels.parse_assembly_code(scanned)


def test_says_that_another_product_is_no_ct6():
    with pytest.raises(UsageError, match="not a CT6"):
        labels.parse_assembly_code("ASY0197V01.6")


@pytest.mark.parametrize("scanned", ["", "1823", "SN", "SN123456789", "SN-1", "SN../..", "SN\uff11\uff12"])
def test_refuses_what_is_not_a_serial_number(scanned: str):
    with pytest.raises(UsageError, match="not a serial number"):
        labels.parse_serial_code(scanned)


def test_refuses_the_serial_number_of_an_unlabelled_unit():
    with pytest.raises(UsageError, match="unlabelled"):
        labels.parse_serial_code("SN00000000")
    assert labels.parse_unit_label("ASY0197_V00.0000_SN00000000").serial == 0


def test_refuses_a_version_that_the_label_cannot_hold():
    with pytest.raises(UsageError, match="three decimals"):
        UnitLabel(398, 1.2345, 1)
    with pytest.raises(DutError):
        labels.parse_unit_label("ASY0398_V1000.0_SN1")
