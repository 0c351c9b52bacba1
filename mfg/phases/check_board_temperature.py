"""Compare the unit's board temperature with the ambient."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.plugs import AmbientPlug, UnitApiPlug


@htf.PhaseOptions(timeout_s=60)
@htf.plug(unit=UnitApiPlug, ambient=AmbientPlug)
def check_board_temperature(test: htf.TestApi, unit: UnitApiPlug, ambient: AmbientPlug) -> None:
    """Check the board's sensor against the thermometer beside the unit.

    Needs: the unit on the network. Leaves: nothing changed.
    """
    test.measurements["board_above_ambient_degc"] = unit.api.temperature_degc() - ambient.read_degc()
