"""See that the mains has the frequency that a run was asked for, before anything is changed on the unit."""

from __future__ import annotations

import openhtf as htf

from mfg.calibration.windows import check_line_frequency
from mfg.errors import StationError, UsageError
from mfg.fixtures.plugs import ReferenceMeterPlug, TravellerPlug, UnitApiPlug
from mfg.fixtures.reference_meter import ReferenceMeter

FEED_IT = "Feed the bench with the unit's mains, or leave --ac-60hz out. Nothing was changed on the unit."


@htf.PhaseOptions(timeout_s=60)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, reference=ReferenceMeterPlug)
def check_mains(
    test: htf.TestApi, traveller: TravellerPlug, unit: UnitApiPlug, reference: ReferenceMeterPlug
) -> None:
    """Measure the mains' frequency by the reference; by a running unit where the reference does not tell it.

    Needs: supply on. Leaves: nothing changed.

    Raises:
        StationError: The mains has another frequency than the run was asked for.
        UsageError: Neither reference nor unit can tell it.
    """
    sheet = traveller.sheet
    meter = reference.open()
    measured_hz = meter.read().frequency_hz if isinstance(meter, ReferenceMeter) else None
    if measured_hz is None and sheet.address:
        measured_hz = unit.api.stats().ports[0].frequency_hz
    if measured_hz is None:
        raise UsageError(
            "--ac-60hz: the run's reference does not tell the frequency, and the unit does not run yet.",
            "Use the station's own reference.",
        )
    finding = check_line_frequency(measured_hz, float(unit.slot_context.station.line_frequency_hz))
    if finding is not None:
        raise StationError(finding.message, FEED_IT)
    test.measurements["mains_hz"] = measured_hz
