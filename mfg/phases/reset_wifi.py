"""Take the WiFi configuration out of a unit."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug
from mfg.records.factory_file import ARCHIVE, MACHINE_NAME, masked_machine_config
from mfg.records.journal import RESET_WIFI
from mfg.records.unit_after import NEW, unit_after


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def reset_wifi(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Reset the WiFi configuration and read back that nothing else has changed.

    Needs: the unit on the network. Leaves: defaults stored; they are in force at the next power-up.
    """
    sheet = traveller.sheet
    before = unit.api.config()
    sheet.old_machine = unit.api.get_file(f"/{MACHINE_NAME}").encode()
    sheet.keep(f"{ARCHIVE}{MACHINE_NAME}", masked_machine_config(before))
    sheet.about_to(RESET_WIFI)
    unit.api.reset_wifi()
    after = unit.api.config()
    test.measurements["wifi_configured"] = after["WIFI"]["WIFI_CFG"]
    test.measurements["wifi_ssid"] = after["WIFI"]["SSID"]
    others_unchanged = {**before, "WIFI": None} == {**after, "WIFI": None}
    test.measurements["others_unchanged"] = others_unchanged
    if others_unchanged and after["WIFI"]["WIFI_CFG"] == 0:
        sheet.unit_after = unit_after(NEW, "Its configuration was read back over the network.")
