"""What is known of a run, for its record: before the first phase, of the unit, and at its end."""

from __future__ import annotations

import datetime
import logging
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mfg.certificates import Certificate
from mfg.fixtures.scpi import Identity
from mfg.fixtures.traveller import Traveller
from mfg.limits import LimitSet
from mfg.phases.identify_ports import PGA
from mfg.plans.mode import FULL, Mode
from mfg.plans.plan import Plan
from mfg.readings.standard import REFERENCE_ROLE
from mfg.records.outcomes import NOT_CALIBRATED, PARTLY_CALIBRATED, PASS
from mfg.records.record import FirmwareFacts, InstrumentFacts
from mfg.records.run_context import utc_text
from mfg.records.unit_after import NEW, OLD, UNFINISHED, UNKNOWN, UnitAfter, unit_after
from mfg.runner.request import RunRequest
from mfg.station import Station
from mfg.version import __version__

OWN_FIRMWARE = "firmware/ct6"  # what the record calls the firmware that the station brings
WINDOWS_FILE = "windows.csv"
FINISHED = (PASS, PARTLY_CALIBRATED, NOT_CALIBRATED)

_LOG = logging.getLogger("mfg.runner")


def facts_of_begin(
    station: Station,
    limits: LimitSet,
    request: RunRequest,
    plan: Plan,
    started: datetime.datetime,
    backend: str,
) -> dict[str, Any]:
    """Return what is known before the first phase, as plain JSON; a journal begins with it."""
    return {
        "mode": request.mode.name,
        "backend": backend,
        "emulated": station.emulated,
        "station": {
            "id": station.id,
            "file_sha256": station.sha256,
            "software": __version__,
            "git": git_describe(),
            "adaptor": station.adaptor,
        },
        "limits": {"file": limits.path.name, "revision": limits.revision, "sha256": limits.sha256},
        "started_utc": utc_text(started),
        "product": plan.product,
        "slot": request.slot,
        "operator": request.operator,
    }


def facts_of_unit(sheet: Traveller, request: RunRequest, mac: str) -> dict[str, Any]:
    """Return what was found out about the unit and by which instruments, as plain JSON."""
    return {
        "serial_number": sheet.serial_number,
        "assembly": sheet.assembly,
        "mac": mac,
        "firmware": _firmware(sheet, request),
        "instruments": [_instrument(role, known) for role, known in list(sheet.instruments.items())],
    }


def known_at_begin(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `facts_of_begin` told, as arguments of a `RunContext`.

    Raises:
        KeyError, TypeError, ValueError: The facts are not of that form, as those of a damaged journal.
    """
    started = datetime.datetime.fromisoformat(facts["started_utc"])
    if started.tzinfo is None:
        raise ValueError("the start of the run has no time zone")
    names = ("mode", "backend", "emulated", "station", "limits", "product", "slot", "operator")
    return {name: facts[name] for name in names} | {"started_utc": started}


def known_of_unit(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `facts_of_unit` told, as arguments of a `RunContext`; what is not known yet is left out."""
    names = ("serial_number", "assembly", "mac", "firmware", "instruments")
    return {name: facts[name] for name in names if name in facts}


def facts_of_unit_after(sheet: Traveller, mode: Mode, acts: Sequence[str], outcome: str) -> UnitAfter:
    """Say how the unit was left.

    Args:
        sheet: Of the run; what a phase has seen counts first.
        mode: What the run was to do.
        acts: What was begun on the unit that cannot be undone.
        outcome: Of the run.
    """
    if sheet.unit_after is not None:
        return sheet.unit_after
    if not acts:
        return unit_after(OLD, "The run changed nothing on it.")
    begun = f"Begun on it: {'; '.join(dict.fromkeys(acts))}."
    if mode.job == FULL:
        return unit_after(NEW if outcome in FINISHED else UNFINISHED, begun)
    return unit_after(UNKNOWN, begun)


def facts_of_calibration(
    sheet: Traveller,
    station: Station,
    certificates: Mapping[str, Certificate],
    past_due_by: str,
) -> dict[str, Any] | None:
    """Say what the calibration rests on, None where nothing was compared with the reference."""
    identity, paper = sheet.instruments.get(REFERENCE_ROLE), sheet.certificate
    if not sheet.dwells or identity is None or paper is None:
        return None
    return {
        "reference": {
            "maker": identity.maker,
            "model": identity.model,
            "serial_number": identity.serial,
            "certificate": paper.number,
            "issued": paper.issued.isoformat(),
            "due": paper.due.isoformat(),
            "overridden_by": past_due_by,
        },
        "instruments": [
            {"role": role, "certificate": known.number, "due": known.due.isoformat()}
            for role, known in certificates.items()
        ],
        "load_points": _verified_points(sheet, station.conductor.turns),
        "registers": sheet.registers,
        "windows_file": WINDOWS_FILE,
        "not_done": sheet.not_done,
        "conditions": {
            "ambient_degc": sheet.ambient_degc,
            "soak_s": sheet.soak_s,
            "adaptor": station.adaptor,
            "adaptor_serial": station.adaptor_serial,
            "line_frequency_hz": station.line_frequency_hz,
            "pga": PGA,
            "jig_cycles": sheet.jig_cycles,
            "operating_state": "; ".join(sheet.operating_states),
            "ct_rounds": sheet.ct_rounds,
        },
        "waivers": sheet.waivers,
    }


def _verified_points(sheet: Traveller, turns: int) -> list[dict[str, Any]]:
    """Return the load points at which the adjusted unit was verified; the current is that at a port."""
    return [
        {
            "name": dwell["point"],
            "current_a": dwell["current_a"] * turns,
            "range_a": dwell["range_a"],
            "windows": dwell["windows"],
        }
        for dwell in sheet.dwells
        if dwell["name"] == f"verify {dwell['point']}"
    ]


def _firmware(sheet: Traveller, request: RunRequest) -> FirmwareFacts:
    return {
        "version": sheet.firmware_version,
        "micropython": sheet.micropython_version,
        "source": str(request.firmware) if request.firmware else OWN_FIRMWARE,
    }


def _instrument(role: str, identity: Identity) -> InstrumentFacts:
    return {
        "role": role,
        "maker": identity.maker,
        "model": identity.model,
        "serial_number": identity.serial,
        "firmware": identity.firmware,
    }


def git_describe() -> str:
    """Return what git says of the checkout that this package runs from, "" when it runs from none."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--tags"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        _LOG.warning("git describe failed: %s", error)
        return ""
    return done.stdout.strip()
