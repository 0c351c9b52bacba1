"""Erase the unit's flash through the boot ROM."""

from __future__ import annotations

import openhtf as htf

from mfg.errors import DutError, FixtureError
from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import DrivePlug, PowerSwitchPlug, TravellerPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.fixtures.uf2 import check_image, read_uf2
from mfg.records.journal import ERASE

OFF_BEFORE_BOOTSEL_S = 6.0  # the board's hold-off capacitors, ct6-interface 1.4: 5 s


@htf.PhaseOptions(timeout_s=400)
@htf.plug(
    traveller=TravellerPlug, drive=DrivePlug, port=UnitPortPlug, power=PowerSwitchPlug, operator=OperatorPlug
)
def erase_flash(
    test: htf.TestApi,
    traveller: TravellerPlug,
    drive: DrivePlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
    operator: OperatorPlug,
) -> None:
    """Erase the whole flash with the erase image; the drive must come back.

    Needs: supply on. Leaves: a blank unit in the boot ROM, its drive there.
    """
    sheet = traveller.sheet
    clock = drive.slot_context.clock
    image = read_uf2(sheet.images_folder / sheet.erase_image.file)
    check_image(image, sheet.erase_image)
    test.measurements["erase_image"] = f"{image.path.name} sha256 {image.sha256}"
    if drive.drive.find() is None and not _entered_by_software(sheet, drive, port):
        _enter_by_hand(sheet, drive, power, operator)
    sheet.about_to(ERASE)
    started_s = clock.now_s()
    drive.drive.copy(
        image, sheet.deadline_s("drive_s"), lambda done, total: sheet.report_progress("erase", done, total)
    )
    drive.drive.wait_present(sheet.deadline_s("drive_s"))
    test.measurements["erase_s"] = clock.now_s() - started_s
    test.measurements["drive_returned"] = drive.drive.find() is not None


def _entered_by_software(sheet: Traveller, drive: DrivePlug, port: UnitPortPlug) -> bool:
    if not port.present():
        return False
    try:
        with port.repl(sheet.deadline_s("repl_s")) as repl:
            repl.bootloader()
        drive.drive.wait_present(sheet.deadline_s("drive_s"))
    except (DutError, FixtureError):
        return False
    return True


def _enter_by_hand(
    sheet: Traveller, drive: DrivePlug, power: PowerSwitchPlug, operator: OperatorPlug
) -> None:
    """Let the operator hold the button while the station switches the supply off and on."""
    clock = power.slot_context.clock
    timeout_s = sheet.deadline_s("operator_s")
    power.switch.off(power.supply)
    operator.ask("do", "Press the BOOTSEL button (hole beside the letter C) and hold it.", timeout_s)
    clock.sleep_s(OFF_BEFORE_BOOTSEL_S)
    power.switch.on(power.supply)
    drive.drive.wait_present(sheet.deadline_s("drive_s"))
    operator.ask("do", "Release the BOOTSEL button.", timeout_s)
