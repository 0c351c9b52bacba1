"""Load the station's firmware into the application folder that does not run, over the network."""

from __future__ import annotations

import openhtf as htf

from mfg.errors import FixtureError, UsageError
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.dut_apps import APP_FOLDERS, DutApps, FileProof
from mfg.fixtures.firmware_build import FirmwareFile, FirmwareImage, build_firmware
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller, Upgrade
from mfg.readings.applications import SNAPSHOT_FEATURE, TRIAL_FEATURE, running_application
from mfg.records.factory_file import mask_secrets
from mfg.records.journal import exchange_act
from mfg.records.restorable import pga_of_firmware

BOOT_FILE = "/main.py"  # no exchange over the air replaces it: nothing could take it back
HASHED = "sha256 of every file, as the unit reads it from its flash"
RECEIVED = "sha256 of every file as the unit received it; it cannot read it back before its first start"


@htf.PhaseOptions(timeout_s=600, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug)
def load_application(
    test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, port: UnitPortPlug
) -> None:
    """Build the application, load it beside the one that runs, and select it for the next start.

    Needs: the unit identified and archived. Leaves: the old application running, the new one whole beside it
    and selected. A unit of our firmware has it on trial.

    Raises:
        UsageError: The amplification would change and the run does not calibrate, or there is no application
            to load; nothing was touched.
        FixtureError: Without its serial port a unit that cannot go back by itself could not be taken back;
            nothing was touched.
    """
    sheet, api = traveller.sheet, unit.api
    old = running_application(api)
    new_folder = next(folder for folder in APP_FOLDERS if folder != old.folder)
    image = build_firmware(sheet.firmware_source, None, new_folder.lstrip("/"))
    _require_same_amplifier(sheet, image.version)
    _require_way_back(sheet, api, image, port)
    files = [file for file in image.files if file.path_on_unit != BOOT_FILE]
    if not files:
        raise UsageError(f"{sheet.firmware_source} holds no application.", "Name another with --firmware.")
    proofs = {file.path_on_unit: FileProof(len(file.data), file.sha256) for file in files}
    test.measurements["old_version"] = old.version
    test.measurements["old_folder"] = old.folder
    test.measurements["new_folder"] = new_folder
    test.measurements["firmware_sha256"] = image.sha256
    settings = mask_secrets(dict(api.config()))
    sheet.about_to(exchange_act(new_folder, old.folder))
    sheet.upgrade = Upgrade(old, new_folder, proofs, settings)
    if f"{new_folder}/" in api.file_list():  # the original never answers when there is nothing to erase
        DutApps(api).erase_inactive()
    test.measurements["proof_before_start"] = _load(sheet, api, files)
    listed = set(api.file_list())
    test.measurements["loaded_files"] = sum(path in listed for path in proofs)
    test.measurements["missing_files"] = sum(path not in listed for path in proofs)
    DutApps(api).switch()


def _require_same_amplifier(sheet: Traveller, version: str) -> None:
    before, after = pga_of_firmware(sheet.firmware_version), pga_of_firmware(version)
    if before != after and not sheet.calibrates:
        raise UsageError(
            f"Firmware {sheet.firmware_version} amplifies currents x{before}, {version} x{after}: with its "
            "calibration the unit would measure wrong. It was not touched.",
            "Use --upgrade-and-cal.",
        )


def _require_way_back(sheet: Traveller, api: DutApi, image: FirmwareImage, port: UnitPortPlug) -> None:
    """Refuse a unit that neither goes back by itself from an application that fails nor can be taken back."""
    boot_file = next(file for file in image.files if file.path_on_unit == BOOT_FILE)
    by_itself = {TRIAL_FEATURE, SNAPSHOT_FEATURE} <= sheet.features
    by_itself = by_itself and DutApps(api).hash(BOOT_FILE).sha256 == boot_file.sha256
    if not by_itself and not port.present():
        raise FixtureError(
            "The unit's boot file knows no way back from an application that fails, and its serial port is "
            "not there. It was not touched.",
            "Connect its USB cable.",
        )


def _load(sheet: Traveller, api: DutApi, files: list[FirmwareFile]) -> str:
    """Upload every file; return what is proved of them.

    Raises:
        DutError: The unit refuses one, or holds something else. FixtureError: It does not answer.
    """
    hashes = SNAPSHOT_FEATURE in sheet.features
    for number, file in enumerate(files, start=1):
        if hashes:
            DutApps(api).upload_inactive(file)
        else:
            folder, _, name = file.path_on_unit.rpartition("/")
            api.upload(name, folder, file.data)
        sheet.report_progress("application", number, len(files))
    return HASHED if hashes else RECEIVED
