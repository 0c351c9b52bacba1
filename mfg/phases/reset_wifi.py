"""Take the WiFi configuration out of a unit."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug


@htf.PhaseOptions(timeout_s=120)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def reset_wifi(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Reset the WiFi configuration and read back that nothing else has changed.

    Needs: the unit on the network. Leaves: defaults stored; they are in force at the next power-up.
    """
    before = unit.api.config()
    traveller.sheet.about_to("reset the WiFi configuration")
    unit.api.reset_wifi()
    after = unit.api.config()
    test.measurements["wifi_configured"] = after["WIFI"]["WIFI_CFG"]
    test.measurements["wifi_ssid"] = after["WIFI"]["SSID"]
    test.measurements["others_unchanged"] = {**before, "WIFI": None} == {**after, "WIFI": None}
