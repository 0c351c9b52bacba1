"""Keep what a running unit holds before anything on it is changed."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug
from mfg.readings.stored import stored_files, wholeness
from mfg.readings.unit_state import calibration_of
from mfg.records.factory_file import ARCHIVE, FACTORY_NAME, MACHINE_NAME, masked_machine_config


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def archive_running_unit(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Archive the calibration's files and the masked configuration over the network.

    Needs: the unit identified on the network. Leaves: nothing changed; the files on the traveller, so that
    they can be put back.
    """
    sheet = traveller.sheet
    held = stored_files(unit.api, sheet.features)
    for name, content in held.items():
        sheet.keep(f"{ARCHIVE}{name}", content)
    sheet.old_files = held
    configuration = unit.api.config()
    sheet.keep(f"{ARCHIVE}{MACHINE_NAME}", masked_machine_config(configuration))
    if FACTORY_NAME not in held:  # nothing lies over what the run writes into the configuration
        words = calibration_of(configuration, sheet.features)
        sheet.old_settings = {**words, "LINE_FREQ_HZ": configuration.word("LINE_FREQ_HZ")}
    test.measurements["kept_files"] = len(held) + 1
    test.measurements["calibration_before"] = wholeness(held)
