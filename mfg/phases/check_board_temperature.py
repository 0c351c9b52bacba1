"""Compare the unit's board temperature with the ambient."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import AmbientPlug, TravellerPlug, UnitApiPlug
from mfg.readings.restarts import require_no_restart


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, unit=UnitApiPlug, ambient=AmbientPlug, operator=OperatorPlug)
def check_board_temperature(
    test: htf.TestApi,
    traveller: TravellerPlug,
    unit: UnitApiPlug,
    ambient: AmbientPlug,
    operator: OperatorPlug,
) -> None:
    """Check the board's sensor against the thermometer beside the unit.

    Needs: the unit on the network. Leaves: nothing changed.
    """
    ambient_degc, source = ambient.read(operator)
    traveller.sheet.ambient_degc = ambient_degc
    test.measurements["ambient_degc"] = ambient_degc
    test.measurements["ambient_source"] = source
    test.measurements["board_above_ambient_degc"] = unit.api.temperature_degc() - ambient_degc
    require_no_restart(traveller.sheet, unit.api, unit.slot_context.clock)
