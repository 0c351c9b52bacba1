"""The facts of a calibration as reports show them: instruments with their papers, and registers by port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mfg.records.calibration import CalibrationFacts
from mfg.records.points import PORTS_OF_CHIP
from mfg.records.record import InstrumentFacts, Record

_DELAYS_VOLTAGE = 0x8000
_PHASE_COUNTS = 0xFF
_SIGNED_FROM = 0x8000
# Kind of register, whether it is signed, and its addresses for the phases A, B, C (CT1 to CT3, CT4 to CT6).
# Source: ct6-interface 1.2 and 7.4; Atmel-46003B, registers 41H to 6CH.
_KINDS: tuple[tuple[str, str, tuple[int, int, int]], ...] = (
    ("voltage gain", "plain", (0x61, 0x65, 0x69)),
    ("current gain", "plain", (0x62, 0x66, 0x6A)),
    ("voltage offset", "signed", (0x63, 0x67, 0x6B)),
    ("current offset", "signed", (0x64, 0x68, 0x6C)),
    ("power gain", "signed", (0x47, 0x49, 0x4B)),
    ("phase angle", "phase", (0x48, 0x4A, 0x4C)),
    ("active power offset", "signed", (0x41, 0x43, 0x45)),
    ("reactive power offset", "signed", (0x42, 0x44, 0x46)),
)


@dataclass(frozen=True)
class InstrumentRow:
    """One instrument with what is known of its certificate.

    Attributes:
        issued, due: Dates, empty where the record has none.
        remark: In words when the certificate was past due, else empty.
    """

    role: str
    maker: str
    model: str
    serial_number: str
    firmware: str
    certificate: str = ""
    issued: str = ""
    due: str = ""
    remark: str = ""


@dataclass(frozen=True)
class RegisterRow:
    """One kind of register: what was written for each port, as (value, address), None where nothing was."""

    title: str
    values: tuple[tuple[str, str] | None, ...]


def instrument_rows(record: Record) -> list[InstrumentRow]:
    """List the instruments of a run with their certificates; one that has only a certificate comes last."""
    facts = record.get("calibration")
    papers = _papers(facts, record["started_utc"][:10]) if facts else {}
    rows = []
    for instrument in record["instruments"]:
        key = _key(instrument["role"])
        if facts and instrument["serial_number"] == facts["reference"]["serial_number"]:
            key = _REFERENCE
        rows.append(_row(instrument, papers.pop(key, {})))
    for key, paper in papers.items():
        maker = {"maker": "", "model": "", "serial_number": "", "firmware": ""}
        if facts and key == _REFERENCE:
            reference = facts["reference"]
            maker |= {name: str(reference[name]) for name in ("maker", "model", "serial_number")}
        rows.append(InstrumentRow(role=key, **maker, **paper))
    return rows


_REFERENCE = "reference meter"


def _key(role: str) -> str:
    return role.replace("_", " ").strip().lower()


def _papers(facts: CalibrationFacts, today: str) -> dict[str, dict[str, str]]:
    reference = facts["reference"]
    papers = {
        _REFERENCE: {
            "certificate": reference["certificate"],
            "issued": reference["issued"],
            "due": reference["due"],
            "remark": _remark(reference["due"], today, reference["overridden_by"]),
        }
    }
    for instrument in facts["instruments"]:
        papers.setdefault(
            _key(instrument["role"]),
            {
                "certificate": instrument["certificate"],
                "due": instrument["due"],
                "remark": _remark(instrument["due"], today, ""),
            },
        )
    return papers


def _remark(due: str, today: str, overridden_by: str) -> str:
    """Say that a certificate was past due; dates of one form compare as texts."""
    if due >= today:
        return f"use allowed by {overridden_by}" if overridden_by else ""
    return f"past due, use allowed by {overridden_by}" if overridden_by else "past due"


def _row(instrument: InstrumentFacts, paper: Mapping[str, str]) -> InstrumentRow:
    return InstrumentRow(
        instrument["role"],
        instrument["maker"],
        instrument["model"],
        instrument["serial_number"],
        instrument["firmware"],
        **paper,
    )


def register_rows(registers: Mapping[str, Mapping[str, int]]) -> list[RegisterRow]:
    """Sort written registers by kind and port.

    Args:
        registers: By chip, by address like `0x61`.

    Returns:
        One row per kind with any value; a register of no known kind gets a row of its own, its value under
        the first port of its chip.
    """
    held = {
        (chip, int(address, 16)): word for chip, words in registers.items() for address, word in words.items()
    }
    rows = []
    for title, kind, addresses in _KINDS:
        places = [(chip, address) for chip in PORTS_OF_CHIP for address in addresses]
        values = [
            (_value(held.pop(place), kind), f"0x{place[1]:02X}") if place in held else None
            for place in places
        ]
        if any(values):
            rows.append(RegisterRow(title, tuple(values)))
    chips = list(PORTS_OF_CHIP)
    for (chip, address), word in sorted(held.items()):
        others: list[tuple[str, str] | None] = [None] * 6
        others[3 * chips.index(chip)] = (str(word), f"0x{address:02X}")
        rows.append(RegisterRow("other", tuple(others)))
    return rows


def _value(word: int, kind: str) -> str:
    if kind == "phase":
        delayed = "V" if word & _DELAYS_VOLTAGE else "I"
        return f"{delayed} {word & _PHASE_COUNTS}" if word & _PHASE_COUNTS else "0"
    if kind == "signed" and word >= _SIGNED_FROM:
        return str(word - 0x10000)
    return str(word)
