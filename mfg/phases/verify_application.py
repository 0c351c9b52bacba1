"""Restart a unit with its new application, and see that this one runs, whole, with all else as it was."""

from __future__ import annotations

from collections.abc import Mapping

import openhtf as htf

from mfg.errors import StationError
from mfg.fixtures.dut_apps import DutApps, FileProof
from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.traveller import Application, Traveller, Upgrade
from mfg.readings.applications import (
    SNAPSHOT_FEATURE,
    TRIAL_FEATURE,
    changed_settings,
    hidden_settings,
    not_carried_over,
    running_application,
)
from mfg.readings.stored import stored_files
from mfg.readings.supply_cycle import cycle_supply

NONE = "none"


@htf.PhaseOptions(timeout_s=300, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug, power=PowerSwitchPlug)
def verify_application(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
) -> None:
    """Take the supply away and give it back; the new application must answer, by what tells it from the old.

    It hashes its own files as it reads them from the flash; settings and calibration are compared with those
    from before.

    Needs: the new application loaded and selected. Leaves: it runs, where the unit did not go back; nothing
    written.

    Raises:
        DutError: Nothing answers in time. FixtureError: The supply or the serial port failed.
    """
    sheet, upgrade = traveller.sheet, traveller.sheet.upgrade
    if upgrade is None:
        raise StationError("The plan verifies an application before it loads one.")
    test.measurements["returned_s"] = cycle_supply(sheet, unit, port, power, within="application_s")
    now = running_application(unit.api)
    sheet.features, sheet.firmware_version = now.features, now.version
    runs = _is_new(now, upgrade)
    test.measurements["running_folder"] = now.folder
    test.measurements["running_version"] = now.version
    test.measurements["new_application_runs"] = runs
    whole = _files_are_whole(test, sheet, unit, upgrade)
    after = unit.api.config()
    ignored = not_carried_over(upgrade.old.features)
    changed = ", ".join(changed_settings(upgrade.settings, after, ignored)) or NONE
    test.measurements["changed_settings"] = changed
    test.measurements["hidden_settings"] = hidden_settings(upgrade.settings)
    same = _holds(stored_files(unit.api, now.features), sheet.old_files or {})
    test.measurements["calibration_unchanged"] = same
    upgrade.proved = runs and whole and changed == NONE and same


def _is_new(now: Application, upgrade: Upgrade) -> bool:
    """Tell the new application from the old one; an original's folder is only what is configured."""
    if now.folder != upgrade.new_folder:
        return False
    old = upgrade.old
    return TRIAL_FEATURE in now.features or (now.version, now.features) != (old.version, old.features)


def _files_are_whole(test: htf.TestApi, sheet: Traveller, unit: UnitApiPlug, upgrade: Upgrade) -> bool:
    """Compare what is in the new folder with what was built, where the new application hashes files."""
    if SNAPSHOT_FEATURE in sheet.features:
        held = DutApps(unit.api).snapshot()
        wrong = _wrong_files(held, upgrade)
        test.measurements["wrong_files"] = wrong
        return wrong == 0
    test.measurements.set_measurement_outcome_to_skipped("wrong_files")
    sheet.left_out.add(("verify_application", "wrong_files"))
    return True


def _wrong_files(held: Mapping[str, FileProof | None], upgrade: Upgrade) -> int:
    """Count the files that differ, miss, or are too many."""
    there = {
        path: proof
        for path, proof in held.items()
        if path.startswith(f"{upgrade.new_folder}/") and proof is not None
    }
    return sum(there.get(path) != upgrade.files.get(path) for path in {*there, *upgrade.files})


def _holds(held: Mapping[str, bytes], old: Mapping[str, bytes]) -> bool:
    return all(held.get(name) == content for name, content in old.items())
