"""The jobs of the CT6 that are not the full test: on a unit that runs already."""

from __future__ import annotations

from typing import Any

import openhtf as htf

from mfg.phases.archive_running_unit import archive_running_unit
from mfg.phases.configure_wifi import configure_wifi
from mfg.phases.cycle_power import cycle_power
from mfg.phases.identify_running_unit import identify_running_unit
from mfg.phases.identify_unit import identify_unit
from mfg.phases.prepare_load import prepare_load
from mfg.phases.reset_wifi import reset_wifi
from mfg.phases.restore_factory_file import restore_factory_file
from mfg.phases.settle_calibration import settle_calibration
from mfg.phases.switch_load import switch_load_off
from mfg.phases.verify_restored import verify_restored
from mfg.plans.ct6_parts import calibration_nodes, with_supply
from mfg.plans.mode import CAL_ONLY, POWER_CYCLE, RESET_WIFI, RESTORE, SETUP_WIFI
from mfg.plans.plan import PlanBuilder


def power_cycle_nodes(build: PlanBuilder) -> list[Any]:
    """Study how a unit takes power cycles."""
    return [with_supply(build, build.case(1950, identify_running_unit), build.case(9100, cycle_power))]


def setup_wifi_nodes(build: PlanBuilder) -> list[Any]:
    """Bring a unit onto the test network over USB."""
    return [build.case(1000, identify_unit), with_supply(build, build.case(5100, configure_wifi))]


def reset_wifi_nodes(build: PlanBuilder) -> list[Any]:
    """Take the network out of a unit."""
    return [with_supply(build, build.case(1950, identify_running_unit), build.case(14100, reset_wifi))]


def cal_only_nodes(build: PlanBuilder) -> list[Any]:
    """Calibrate a unit that runs already."""
    identify = build.case(1950, identify_running_unit)
    return [with_supply(build, identify, _settled(build, *calibration_nodes(build)))]


def restore_nodes(build: PlanBuilder) -> list[Any]:
    """Write a stored calibration back, and prove it under load."""
    identify = build.case(1950, identify_running_unit)
    load = htf.PhaseGroup(
        name="load",
        main=[build.case(11900, prepare_load), build.case(12350, verify_restored)],
        teardown=[build.teardown(12900, switch_load_off)],
    )
    return [with_supply(build, identify, _settled(build, build.case(12150, restore_factory_file), load))]


def _settled(build: PlanBuilder, *main: Any) -> htf.PhaseGroup:
    """Archive a unit's calibration, change it, and leave the new one or the old one on it, never between."""
    return htf.PhaseGroup(
        name="calibration",
        main=[build.case(2000, archive_running_unit), *main],
        teardown=[build.case(13900, settle_calibration)],
    )


JOB_NODES = {
    CAL_ONLY: cal_only_nodes,
    RESTORE: restore_nodes,
    POWER_CYCLE: power_cycle_nodes,
    SETUP_WIFI: setup_wifi_nodes,
    RESET_WIFI: reset_wifi_nodes,
}
