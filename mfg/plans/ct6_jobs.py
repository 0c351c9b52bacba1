"""The jobs of the CT6 that are not the full test: on a unit that runs already."""

from __future__ import annotations

from typing import Any

import openhtf as htf

from mfg.phases.configure_wifi import configure_wifi
from mfg.phases.cycle_power import cycle_power
from mfg.phases.identify_running_unit import identify_running_unit
from mfg.phases.identify_unit import identify_unit
from mfg.phases.reset_wifi import reset_wifi
from mfg.phases.switch_supply import switch_supply_off, switch_supply_on
from mfg.plans.mode import POWER_CYCLE, RESET_WIFI, SETUP_WIFI
from mfg.plans.plan import PlanBuilder


def power_cycle_nodes(build: PlanBuilder) -> list[Any]:
    """Study how a unit takes power cycles."""
    return _with_supply(build, build.case(1950, identify_running_unit), build.case(9100, cycle_power))


def setup_wifi_nodes(build: PlanBuilder) -> list[Any]:
    """Bring a unit onto the test network over USB."""
    return [
        build.case(1000, identify_unit),
        *_with_supply(build, build.case(5100, configure_wifi)),
    ]


def reset_wifi_nodes(build: PlanBuilder) -> list[Any]:
    """Take the network out of a unit."""
    return _with_supply(build, build.case(1950, identify_running_unit), build.case(14100, reset_wifi))


def _with_supply(build: PlanBuilder, *main: Any) -> list[Any]:
    return [
        htf.PhaseGroup(
            name="supply",
            main=[build.case(1900, switch_supply_on), *main],
            teardown=[build.teardown(14900, switch_supply_off)],
        )
    ]


JOB_NODES = {
    POWER_CYCLE: power_cycle_nodes,
    SETUP_WIFI: setup_wifi_nodes,
    RESET_WIFI: reset_wifi_nodes,
}
