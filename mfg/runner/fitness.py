"""Whether the station is fit to judge a unit: before a run, and at its end."""

from __future__ import annotations

import datetime
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mfg.certificates import REFERENCES, Certificate, load_certificates
from mfg.errors import StationError
from mfg.limits import LimitSet
from mfg.readings.preflight import past_due, too_uncertain
from mfg.records.index import RecordIndex
from mfg.records.run_context import utc_text
from mfg.runner.request import RunRequest
from mfg.station import Station

CLOCK_JUMP_S = 2.0  # what a time service corrects in small steps stays far below

_LOG = logging.getLogger("mfg.runner")


@dataclass(frozen=True)
class Fit:
    """What a calibration on this bench rests on, and what a named person let pass.

    Attributes:
        certificates: Of the instruments in use, by role.
        reference: That of the reference.
        waivers: What was let pass, in sentences.
    """

    certificates: Mapping[str, Certificate]
    reference: Certificate
    waivers: list[str]


def require_fit_bench(station: Station, limits: LimitSet, request: RunRequest, today: datetime.date) -> Fit:
    """Refuse a calibration that proves nothing, before anything is switched on.

    Raises:
        StationError: There are no certificates, one is past due, or the bench is too uncertain for its
            limits, and nobody has let it pass.
    """
    if station.certificates is None:
        raise StationError(
            f"{station.path}: names no certificates; a calibration without any proves nothing.",
            "Name the file with the instruments' certificates under 'certificates'.",
        )
    certificates, reference = _in_use(station, load_certificates(station.certificates))
    due = past_due(certificates, today)
    if due and not request.past_due_by:
        raise StationError(
            f"Past due: {'; '.join(due)}.",
            "Have it calibrated; or a named person lets it pass with --past-due-by NAME.",
        )
    waivers = [f"Past due, let pass by {request.past_due_by}: {text}." for text in due]
    coarse = too_uncertain(station, limits, reference)
    if coarse and not request.uncertainty_waived_by:
        raise StationError(
            f"This bench is too uncertain for its limits: {'; '.join(coarse)}.",
            "Use a better reference or range; or a named person lets it pass with "
            "--uncertainty-waived-by NAME.",
        )
    name = request.uncertainty_waived_by
    return Fit(
        certificates,
        reference,
        [*waivers, *(f"Too uncertain, let pass by {name}: {text}." for text in coarse)],
    )


def _in_use(
    station: Station, certificates: Mapping[str, Certificate]
) -> tuple[dict[str, Certificate], Certificate]:
    """Leave out the references that are not used in this run; return that of the one that is, too."""
    role = station.reference_meter.certificate
    if role not in certificates:
        raise StationError(
            f"{station.certificates}: has no certificate of the {role.replace('_', ' ')}.",
            f"Add it as the table [{role}], with its serial number.",
        )
    others = set(REFERENCES) - {role}
    return {name: paper for name, paper in certificates.items() if name not in others}, certificates[role]


def require_clock(records_folder: Path, now: datetime.datetime) -> None:
    """Refuse a clock that is behind what is on record: the order of the records would be lost.

    Raises:
        StationError: A run on record ended later than now.
    """
    with RecordIndex(records_folder) as index:
        newest = index.newest_end_utc()
    if newest and utc_text(now) < newest:
        raise StationError(
            f"The computer's clock says {utc_text(now)}, but a run on record ended at {newest}.",
            "Set the clock right, then start the unit again.",
        )


def changed_meanwhile(
    station: Station, started: datetime.datetime, ended: datetime.datetime, passed_s: float
) -> list[str]:
    """Tell what a verdict may not outlive: another station file, or a clock that was set.

    Args:
        station: As it was read before the run.
        started, ended: Of the run, by the computer's clock.
        passed_s: Wall time between both, by the monotonic clock.
    """
    troubles = []
    try:
        same = hashlib.sha256(station.path.read_bytes()).hexdigest() == station.sha256
    except OSError as error:
        _LOG.warning("%s cannot be read any more: %s", station.path, error)
        same = False
    if not same:
        troubles.append(f"The station file {station.path} was changed during the run.")
    jump_s = (ended - started).total_seconds() - passed_s
    if abs(jump_s) > CLOCK_JUMP_S:
        troubles.append(f"The computer's clock was set by {jump_s:+.1f} s during the run.")
    return troubles
