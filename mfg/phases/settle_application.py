"""Leave a unit with its new application or with its old one, never between."""

from __future__ import annotations

import re
from dataclasses import dataclass

import openhtf as htf

from mfg.errors import DutError, FixtureError
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.dut_apps import DutApps
from mfg.fixtures.plugs import PowerSwitchPlug, TravellerPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.prompt_state import leave_one_application
from mfg.fixtures.traveller import Traveller, Upgrade
from mfg.fixtures.unit_files import UnitFiles
from mfg.readings.applications import TRIAL_FEATURE, changed_settings, running_application
from mfg.readings.start_up import await_start
from mfg.readings.stored import stored_files
from mfg.readings.supply_cycle import cycle_supply
from mfg.records.journal import KEEP_APPLICATION
from mfg.records.restorable import pga_of_firmware
from mfg.records.unit_after import BETWEEN, NEW, OLD, unit_after

RUNS, BY_FLASH, NOTHING = "it runs and answers", "by its files: it does not answer", "nothing was changed"
UNCHANGED = "unchanged"

_TRIAL_FILE = re.compile(r"/app[12]\.try\d+")


@dataclass(frozen=True)
class _Settled:
    """In which state the unit is, how that is known, and what of its settings differs."""

    application: str
    proof: str
    changed: list[str]


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, port=UnitPortPlug, power=PowerSwitchPlug)
def settle_application(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
) -> None:
    """Keep an application that was proved; else have the old one run again, alone, with its settings.

    Where the run calibrates, the new application stays only with its new calibration. The way back leads over
    the network where the unit answers, else over its serial port.

    Needs: the unit archived. Leaves: the new application or the old one, seen to run where the unit answers,
    and no part of the other beside an old one.
    """
    sheet, upgrade = traveller.sheet, traveller.sheet.upgrade
    settled = _Settled(OLD, NOTHING, [])
    if upgrade is not None and upgrade.proved and (not sheet.calibrates or sheet.proved_files is not None):
        settled = _keep(test, sheet, unit, port, power, upgrade)
    elif upgrade is not None:
        settled = _go_back(test, sheet, unit, port, power, upgrade)
    test.measurements["application_after"] = settled.application
    test.measurements["application_proof"] = settled.proof
    test.measurements["settings_after"] = ", ".join(settled.changed) or UNCHANGED
    if upgrade is not None:
        state = BETWEEN if settled.changed else settled.application
        sheet.unit_after = unit_after(state, f"Its application: {settled.proof}.")


def _keep(
    test: htf.TestApi,
    sheet: Traveller,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
    upgrade: Upgrade,
) -> _Settled:
    """Take the new application over for good; a unit that does not answer gets one more start."""
    sheet.about_to(KEEP_APPLICATION)
    try:
        return _kept(sheet, unit.api, upgrade)
    except (DutError, FixtureError) as error:
        test.logger.warning("the new application was not confirmed: %s", error)
    cycle_supply(sheet, unit, port, power, within="application_s")
    return _kept(sheet, unit.api, upgrade)


def _kept(sheet: Traveller, api: DutApi, upgrade: Upgrade) -> _Settled:
    """Confirm the new application; an old one that would measure wrong with the new calibration goes."""
    _end_trials(api, upgrade.new_folder)
    runs = running_application(api).folder == DutApps(api).active_folder() == upgrade.new_folder
    if runs and pga_of_firmware(upgrade.old.version) != pga_of_firmware(sheet.firmware_version):
        DutApps(api).erase_inactive()
    return _Settled(NEW if runs else BETWEEN, RUNS, [])


def _end_trials(api: DutApi, folder: str) -> None:
    """Confirm the application that runs; one that knows no trials gets rid of their files."""
    if TRIAL_FEATURE in api.features():
        DutApps(api).confirm(folder)
    for path in UnitFiles(api).list():
        if _TRIAL_FILE.fullmatch(path):
            UnitFiles(api).remove(path)


def _go_back(
    test: htf.TestApi,
    sheet: Traveller,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
    upgrade: Upgrade,
) -> _Settled:
    sheet.about_to("go back to the old application")
    try:
        if DutApps(unit.api).active_folder() != upgrade.old.folder:
            DutApps(unit.api).switch()
        if running_application(unit.api) != upgrade.old:
            cycle_supply(sheet, unit, port, power, within="application_s")
        return _settled_over_the_network(sheet, unit.api, upgrade)
    except (DutError, FixtureError) as error:
        test.logger.warning("the unit cannot be taken back over the network: %s", error)
    if TRIAL_FEATURE not in upgrade.old.features:  # it writes its configuration in place as it starts
        await_start(sheet, port)
    with port.repl(sheet.deadline_s("serial_port_s")) as repl:
        held = leave_one_application(repl, upgrade.old.folder, upgrade.settings)
    changed = changed_settings(upgrade.settings, held)
    by_flash = _Settled(OLD if held["APP"] == int(upgrade.old.folder[-1]) else BETWEEN, BY_FLASH, changed)
    try:
        cycle_supply(sheet, unit, port, power, within="application_s")
        return _settled_over_the_network(sheet, unit.api, upgrade, last=True)
    except (DutError, FixtureError) as error:
        test.logger.warning("the unit does not answer with its old application: %s", error)
        return by_flash


def _settled_over_the_network(
    sheet: Traveller, api: DutApi, upgrade: Upgrade, *, last: bool = False
) -> _Settled:
    """Prove that the old application runs with its settings and calibration, and remove the other.

    Raises:
        DutError: It does not run, or refuses, or a setting has changed. FixtureError: It does not answer.
    """
    now = running_application(api)
    if now != upgrade.old:
        raise DutError(f"The unit runs {now} instead of {upgrade.old}.", "Take it back over USB.")
    _end_trials(api, upgrade.old.folder)
    if f"{upgrade.new_folder}/" in api.file_list():
        DutApps(api).erase_inactive()
    sheet.features, sheet.firmware_version = now.features, now.version
    changed = changed_settings(upgrade.settings, api.config())
    if changed and not last:
        raise DutError(f"The new application changed {', '.join(changed)}.", "Put it back over USB.")
    held = stored_files(api, now.features)
    changed += [name for name, content in (sheet.old_files or {}).items() if held.get(name) != content]
    return _Settled(OLD, RUNS, changed)
