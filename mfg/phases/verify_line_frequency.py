"""Verify that a unit is set to the frequency of its mains, and stays so."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug
from mfg.records.factory_file import FACTORY_NAME, parse_factory_file


@htf.PhaseOptions(timeout_s=60, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def verify_line_frequency(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Read it from the configuration after the power cycle and from the stored factory file, and measure it.

    Needs: the calibration stored, the unit power-cycled. Leaves: nothing written.
    """
    factory = parse_factory_file(traveller.sheet.stored_files.get(FACTORY_NAME, b""))
    test.measurements["line_frequency_stored_hz"] = factory.line_frequency_hz
    test.measurements["line_frequency_restarted_hz"] = unit.api.config()["LINE_FREQ_HZ"]
    test.measurements["frequency_measured_hz"] = unit.api.stats().ports[0].frequency_hz
