"""The work instruction of the CT6: six current-transformer ports, Pico W, two ATM90E32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import openhtf as htf

from mfg.limits import LimitSet
from mfg.limits.loader import POINTS
from mfg.phases.archive_interrupted import archive_interrupted
from mfg.phases.archive_unit import archive_unit
from mfg.phases.check_board_temperature import check_board_temperature
from mfg.phases.check_display import check_display
from mfg.phases.check_leds import check_leds
from mfg.phases.check_power_cycle import check_power_cycle
from mfg.phases.check_wifi_switch import check_wifi_switch
from mfg.phases.erase_flash import erase_flash
from mfg.phases.identify_unit import identify_unit
from mfg.phases.load_firmware import load_firmware
from mfg.phases.load_micropython import load_micropython
from mfg.phases.reset_to_factory_defaults import reset_to_factory_defaults
from mfg.phases.settle_interrupted import settle_interrupted
from mfg.phases.store_calibration import store_configuration
from mfg.phases.switch_supply import switch_supply_off, switch_supply_on
from mfg.phases.write_label import write_label
from mfg.plans.ct6_jobs import JOB_NODES
from mfg.plans.ct6_parts import calibration_nodes, mains_nodes, with_supply
from mfg.plans.mode import FULL, Mode
from mfg.plans.plan import BindPlugs, Plan, PlanBuilder


def ct6_plan(
    limits: LimitSet,
    mode: Mode,
    bind_plugs: BindPlugs,
    points: Sequence[str] = POINTS,
    one_ct: bool = False,
    soak_s: float = 0.0,
) -> Plan:
    """Build the plan of one run; the numbers are the test cases of the work instruction.

    Args:
        limits: Of the product.
        mode: What the run is to do.
        bind_plugs: Puts the slot's plugs into a phase.
        points: Names of the load points that the bench can set.
        one_ct: Whether the bench takes one CT at a time, which the operator moves.
        soak_s: How long a unit runs before its dwell, in s.
    """
    build = PlanBuilder(limits, mode, bind_plugs, points, one_ct, soak_s)
    nodes = _full(build, mode) if mode.job == FULL else JOB_NODES[mode.job](build)
    return Plan(
        "CT6",
        nodes,
        build.cases,
        tuple(build.teardowns),
        mode.calibration,
        build.evaluated,
        build.optional,
    )


def _full(build: PlanBuilder, mode: Mode) -> list[Any]:
    """Bring a unit from a blank flash to a finished one."""
    return [
        build.case(1000, identify_unit),
        with_supply(
            build,
            build.case(2000, archive_unit),
            *mains_nodes(build),
            build.case(3000, erase_flash),
            build.case(4000, load_micropython),
            build.case(5000, load_firmware),
            build.case(6000, check_board_temperature),
            build.case(7000, check_leds),
            build.case(8000, check_wifi_switch),
            build.case(9000, check_power_cycle),
            build.case(10000, check_display),
            build.case(11000, write_label),
            *(calibration_nodes(build) if mode.calibrate else [build.case(13000, store_configuration)]),
            *([build.case(14000, reset_to_factory_defaults)] if mode.defaults else []),
        ),
    ]


def recovery_plan(limits: LimitSet, bind_plugs: BindPlugs) -> Plan:
    """Build the plan that looks at the unit of a killed run."""
    build = PlanBuilder(limits, Mode(), bind_plugs)
    group = htf.PhaseGroup(
        name="supply",
        main=[
            build.case(15000, switch_supply_on),
            build.case(15050, settle_interrupted),
            build.case(15100, archive_interrupted),
        ],
        teardown=[build.teardown(15900, switch_supply_off)],
    )
    return Plan("CT6", [group], build.cases, tuple(build.teardowns), "none")
