"""Bring the unit into its shipping state and read that back."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug
from mfg.limits.loader import PORTS
from mfg.readings.restarts import require_no_restart
from mfg.readings.stored import stored_files
from mfg.records.journal import RESET_WIFI


@htf.PhaseOptions(timeout_s=60)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def reset_to_factory_defaults(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Reset the WiFi configuration and audit the rest, the calibration byte for byte.

    Needs: the unit on the network. Leaves: defaults stored; they are in force at the next power-up.
    """
    sheet = traveller.sheet
    sheet.about_to(RESET_WIFI)
    unit.api.reset_wifi()
    configuration = unit.api.config()
    wifi = configuration.part("WIFI")
    names = [configuration.text(f"CT{port}_NAME") for port in PORTS]
    test.measurements["wifi_configured"] = wifi.flag("WIFI_CFG")
    test.measurements["wifi_ssid"] = wifi.text("SSID")
    test.measurements["active"] = configuration.flag("ACTIVE")
    test.measurements["names_empty"] = not any([*names, configuration.text("YDEV_UNIT_NAME")])
    in_force = all(configuration.word(key) == value for key, value in sheet.adjusted.items())
    held = stored_files(unit.api, sheet.features)
    test.measurements["calibration_unchanged"] = in_force and held == sheet.stored_files
    require_no_restart(sheet, unit.api, unit.slot_context.clock)
    sheet.report_progress("factory defaults", 1, 1)
