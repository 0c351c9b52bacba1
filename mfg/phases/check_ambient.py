"""Measure the ambient temperature, where no other phase of a job does and a reference is to be trusted."""

from __future__ import annotations

import openhtf as htf

from mfg.fixtures.operator import OperatorPlug
from mfg.fixtures.plugs import AmbientPlug, TravellerPlug


@htf.PhaseOptions(timeout_s=300)
@htf.plug(traveller=TravellerPlug, ambient=AmbientPlug, operator=OperatorPlug)
def check_ambient(
    test: htf.TestApi, traveller: TravellerPlug, ambient: AmbientPlug, operator: OperatorPlug
) -> None:
    """Read the thermometer, or have the temperature typed once per shift.

    What the reference meter is specified for depends on it.

    Needs: nothing. Leaves: nothing changed.
    """
    ambient_degc, source = ambient.read(operator)
    traveller.sheet.ambient_degc = ambient_degc
    test.measurements["ambient_degc"] = ambient_degc
    test.measurements["ambient_source"] = source
