"""Parts that several plans of the CT6 share."""

from __future__ import annotations

from typing import Any

import openhtf as htf

from mfg.phases.adjust_registers import adjust_registers
from mfg.phases.check_mains import check_mains
from mfg.phases.identify_ports import identify_ports
from mfg.phases.prepare_load import prepare_load
from mfg.phases.store_calibration import store_calibration
from mfg.phases.switch_load import switch_load_off
from mfg.phases.switch_supply import switch_supply_off, switch_supply_on
from mfg.phases.verify_line_frequency import verify_line_frequency
from mfg.phases.verify_no_load import verify_no_load
from mfg.phases.verify_points import verify_points
from mfg.phases.verify_stored import verify_stored
from mfg.phases.write_line_frequency import write_line_frequency
from mfg.plans.plan import PlanBuilder


def with_supply(build: PlanBuilder, *main: Any) -> htf.PhaseGroup:
    """Keep the unit's supply on for some phases; it is measured to be off afterwards."""
    return htf.PhaseGroup(
        # No setup phases: OpenHTF leaves out the teardown of a group whose setup raised or was aborted.
        name="supply",
        main=[build.case(1900, switch_supply_on), *main],
        teardown=[build.teardown(14900, switch_supply_off)],
    )


def mains_nodes(build: PlanBuilder) -> list[Any]:
    """See that the mains is the unit's, where the run was asked for one of 60 Hz."""
    return [build.case(2050, check_mains)] if build.mode.ac_60hz else []


def line_frequency_nodes(build: PlanBuilder) -> list[Any]:
    """Verify the stored line frequency, where the run was asked for one of 60 Hz."""
    return [build.case(12320, verify_line_frequency)] if build.mode.ac_60hz else []


def calibration_nodes(build: PlanBuilder) -> list[Any]:
    """Adjust, verify and store; nothing of it happens to a unit that failed before."""
    return [
        # A unit that failed before is not worth the dwell, and must not leave with a calibration.
        htf.PhaseFailureCheckpoint.all_previous("no failure before the calibration"),
        *([build.case(11100, write_line_frequency)] if build.mode.ac_60hz else []),
        htf.PhaseGroup(
            name="load",
            main=[
                build.case(11900, prepare_load),
                build.case_by_ports(12000, identify_ports),
                build.case_after_soak(12100, adjust_registers),
                build.case_by_ports(12200, verify_points),
                build.case_by_ports(12300, verify_stored),
                *line_frequency_nodes(build),
                build.case(12400, verify_no_load),
            ],
            teardown=[build.teardown(12900, switch_load_off)],
        ),
        htf.PhaseFailureCheckpoint.all_previous("no failure before the calibration is stored"),
        build.case(13000, store_calibration),
    ]
