"""Give the phases of one slot their plugs and their traveller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import openhtf as htf

from mfg.data_files import data_file, data_folder
from mfg.errors import StationError
from mfg.fixtures import plugs
from mfg.fixtures.front_end import FrontEnd
from mfg.fixtures.image_manifest import ROLE_ERASE, ROLE_MICROPYTHON, ImageEntry, read_manifest
from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.traveller import Traveller
from mfg.limits import LimitSet
from mfg.plans.plan import BindPlugs
from mfg.runner.kept_calibration import calibration_finder
from mfg.runner.request import RunRequest
from mfg.runner.serial_use import serial_use_of
from mfg.station import SlotContext, Station, WifiCredentials

_PLUGS = (
    plugs.TravellerPlug,
    plugs.DrivePlug,
    plugs.UnitPortPlug,
    plugs.UnitApiPlug,
    plugs.PowerSwitchPlug,
    plugs.ReferenceMeterPlug,
    plugs.AmbientPlug,
    plugs.CameraPlug,
)


def plug_binder(context: SlotContext, sheet: Traveller, front_end: FrontEnd | None) -> BindPlugs:
    """Return what puts a slot's plugs into a phase; without a front end nobody is asked."""
    common: dict[str, Any] = {"context": context, "traveller": sheet}
    bound: dict[type[Any], type[Any]] = {cls: plugs.for_slot(cls, **common) for cls in _PLUGS}
    bound[plugs.ReferenceMeterPlug] = plugs.for_slot(plugs.ReferenceMeterPlug, **common, front_end=front_end)
    bound[OperatorPlug] = plugs.for_slot(
        OperatorPlug,
        **common,
        front_end=front_end,
        slot_number=context.slot.number,
        clock=context.clock,
    )

    def bind(phase: htf.PhaseDescriptor) -> htf.PhaseDescriptor:
        wanted = {plug.name: bound[_placed(plug.cls)] for plug in phase.plugs}
        return phase.with_plugs(**wanted)

    return bind


@dataclass(frozen=True)
class RunCalls:
    """What the phases may ask of the run; as the attributes of a `Traveller`."""

    keep: Callable[[str, bytes], bytes]
    claim_mac: Callable[[str], None]
    claim_serial: Callable[[str], bool]
    about_to: Callable[[str], None]
    count_jig_cycle: Callable[[], int]
    report_progress: Callable[[str, int, int], None]


def new_traveller(
    station: Station,
    limits: LimitSet,
    credentials: WifiCredentials,
    request: RunRequest,
    calls: RunCalls,
) -> Traveller:
    """Make the sheet of one run; nothing is known of the unit yet.

    Raises:
        StationError: The station file names an image for what it is not.
    """
    manifest = read_manifest(data_file("firmware", "images", "manifest.toml"))
    return Traveller(
        limits=limits,
        credentials=credentials,
        erase_image=_image(manifest.by_name(station.erase_image), ROLE_ERASE),
        micropython_image=_image(manifest.by_name(station.micropython_image), ROLE_MICROPYTHON),
        images_folder=station.images_folder,
        firmware_source=request.firmware or data_folder("firmware") / "ct6",
        ports=request.mode.ports,
        scanned=request.scanned,
        last_scanned=request.last_scanned,
        erase_calibrated=request.erase_calibrated,
        address=request.mode.address,
        unit_keeps_time=station.unit_keeps_time,
        cycles=request.mode.cycles,
        calibrates=request.mode.adjusts,
        forced_by=request.mode.forced_by,
        uncertainty_waived_by=request.uncertainty_waived_by,
        serial_use=serial_use_of(station),
        find_calibration=calibration_finder(station, request.mode),
        keep=calls.keep,
        claim_mac=calls.claim_mac,
        claim_serial=calls.claim_serial,
        about_to=calls.about_to,
        count_jig_cycle=calls.count_jig_cycle,
        report_progress=calls.report_progress,
    )


def _placed(cls: Any) -> type[Any]:
    """Return the plug class that a placeholder stands for."""
    placed: type[Any] = getattr(cls, "base_class", cls)
    return placed


def _image(entry: ImageEntry, role: str) -> ImageEntry:
    if entry.role != role:
        problem = f"The image {entry.name} is for {entry.role}, not for {role}."
        raise StationError(problem, "Correct 'images'.")
    return entry
