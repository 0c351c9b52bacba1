"""Load MicroPython through the boot ROM's drive."""

from __future__ import annotations

import openhtf as htf

from mfg.errors import DutError
from mfg.fixtures.plugs import DrivePlug, TravellerPlug, UnitPortPlug
from mfg.fixtures.uf2 import check_image, read_uf2
from mfg.untrusted import printable


@htf.PhaseOptions(timeout_s=400)
@htf.plug(traveller=TravellerPlug, drive=DrivePlug, port=UnitPortPlug)
def load_micropython(
    test: htf.TestApi, traveller: TravellerPlug, drive: DrivePlug, port: UnitPortPlug
) -> None:
    """Load MicroPython and prove that what runs afterwards is what was loaded.

    Needs: the drive there. Leaves: MicroPython at its prompt, an empty file system.
    """
    sheet = traveller.sheet
    clock = drive.slot_context.clock
    image = read_uf2(sheet.images_folder / sheet.micropython_image.file)
    check_image(image, sheet.micropython_image)
    test.measurements["micropython_image"] = (
        f"{image.path.name} {image.program_name} {image.program_version} {image.board} sha256 {image.sha256}"
    )
    drive.drive.wait_present(sheet.deadline_s("drive_s"))
    sheet.about_to("load MicroPython")
    started_s = clock.now_s()
    drive.drive.copy(
        image,
        sheet.deadline_s("copy_s"),
        lambda done, total: sheet.report_progress("MicroPython", done, total),
    )
    port.path(sheet.deadline_s("serial_port_s"))
    test.measurements["micropython_s"] = clock.now_s() - started_s
    with port.repl(sheet.deadline_s("repl_s")) as repl:
        identity = repl.identity()
        _earliest_s, sheet.chip_started_s = repl.chip_started_s()
        test.measurements["flash_equal"] = repl.memory_sha256(image.addresses) == image.memory_sha256
    sheet.micropython_version = str(identity["python"])
    runs = image.program_version in str(identity["python"]) and "Pico W" in str(identity["machine"])
    test.measurements["micropython_runs"] = runs
    if not runs:
        raise DutError(
            f"The unit runs {printable(identity['python'])} on {printable(identity['machine'])}, "
            f"not {image.program_version} on a Pico W.",
            "Check the board: a Pico without W does not fit.",
        )
