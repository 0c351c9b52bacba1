"""See that a running unit has a whole calibration, in force as it is stored."""

from __future__ import annotations

from collections.abc import Mapping

import openhtf as htf

from mfg.errors import DutError, UsageError
from mfg.fixtures.plugs import TravellerPlug, UnitApiPlug
from mfg.readings.unit_state import calibration_of, unit_state
from mfg.records.factory_file import (
    CALIBRATION_NAME,
    FACTORY_NAME,
    FactoryFile,
    parse_calibration_file,
    parse_factory_file,
)


@htf.PhaseOptions(timeout_s=120, stop_on_measurement_fail=True)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug)
def check_calibration(test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug) -> None:
    """Read what a job on a part of the calibration is to leave as it is.

    A unit stores what it has in its memory: that must be what its files say.

    Needs: the unit archived. Leaves: nothing changed; on the traveller all that the unit holds.

    Raises:
        UsageError: The unit has no whole calibration of which a part could be changed.
    """
    sheet = traveller.sheet
    try:
        factory, stored = _stored(sheet.old_files or {})
    except DutError as error:
        raise UsageError(
            f"The unit at {sheet.address} has no whole calibration that could be kept: {error.args[0]}",
            "Calibrate it with --cal-only.",
        ) from error
    held = unit.api.config()
    sheet.adjusted = calibration_of(held, sheet.features)
    sheet.state_before = unit_state(unit.api, sheet.features)
    test.measurements["calibration_in_force"] = (
        dict.fromkeys(sheet.adjusted, 0) | stored == sheet.adjusted
        and held.text("ASSY") == factory.label.unit_text
        and held["LINE_FREQ_HZ"] == factory.line_frequency_hz
    )


def _stored(files: Mapping[str, bytes]) -> tuple[FactoryFile, dict[str, int]]:
    """Return the factory file, and every word that the calibration's files hold, by key."""
    content = files.get(FACTORY_NAME)
    if content is None:
        raise DutError(f"it has no {FACTORY_NAME}.")
    factory = parse_factory_file(content)
    beside = files.get(CALIBRATION_NAME)
    return factory, factory.registers | (parse_calibration_file(beside, content) if beside else {})
