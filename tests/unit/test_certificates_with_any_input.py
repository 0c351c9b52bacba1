"""Whatever a certificates file holds, it is read or refused with a sentence that names it."""

from __future__ import annotations

from pathlib import Path

import pytest
from any_input import TOML_LITERALS, read_or_refuse, settings_documents
from hypothesis import given

from mfg.certificates import Certificate, load_certificates
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
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("certificates") / "certificates.toml"


def load(path: Path, content: bytes) -> dict[str, Certificate]:
    path.write_bytes(content)
    return read_or_refuse(lambda: load_certificates(path), UsageError, place="certificates.toml") or {}


def check(certificates: dict[str, Certificate]) -> None:
    """What passes can correct a reading: small, with an uncertainty and a factor."""
    for certificate in certificates.values():
        assert certificate.issued <= certificate.due
        for quantity in certificate.quantities.values():
            assert -5 <= quantity.correction <= 5
            assert 0 < quantity.expanded <= 5
            assert 1 <= quantity.k <= 5


@given(settings_documents(GOOD, "=", TOML_LITERALS))
def test_certificates_with_something_wrong_are_read_or_refused(path, content):
    check(load(path, content))


def test_every_evil_value_at_every_key_is_read_or_refused(path):
    lines = GOOD.splitlines()
    for number, line in enumerate(lines):
        key, mark, _ = line.partition("=")
        for literal in TOML_LITERALS if mark else ():
            check(
                load(path, "\n".join([*lines[:number], f"{key}= {literal}", *lines[number + 1 :]]).encode())
            )


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("k = 0x" + "f" * 5000, "reference_meter.voltage.k' is <a whole number of 20000 bits>"),
        ("k = " + "9" * 5000, "is not TOML: it holds a number of too many digits"),
        ("k = " + "[" * 3000, "is not TOML: it is nested too deeply"),
    ],
    ids=range(3),
)
def test_what_once_ended_in_a_traceback_is_refused_by_its_key(path, new, says):
    path.write_text(GOOD.replace("k = 2.0", new))
    with pytest.raises(UsageError) as caught:
        load_certificates(path)
    assert says in str(caught.value)


def test_ten_megabytes_are_refused_unread(path):
    path.write_bytes(b"# remark\n" * 1_200_000)
    with pytest.raises(UsageError, match="has more than 262144 bytes"):
        load_certificates(path)
