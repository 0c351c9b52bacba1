"""The jobs of the CT6 that are not the full test: on a unit that runs already."""

from __future__ import annotations

from typing import Any

import openhtf as htf

from mfg.phases.adjust_voltage import adjust_voltage
from mfg.phases.archive_over_usb import archive_over_usb
from mfg.phases.archive_returned_unit import archive_returned_unit
from mfg.phases.archive_running_unit import archive_running_unit
from mfg.phases.check_ambient import check_ambient
from mfg.phases.check_board_temperature import check_board_temperature
from mfg.phases.check_calibration import check_calibration
from mfg.phases.check_display import check_display
from mfg.phases.check_leds import check_leds
from mfg.phases.check_power_cycle import check_power_cycle
from mfg.phases.check_wifi_switch import check_wifi_switch
from mfg.phases.configure_wifi import configure_wifi
from mfg.phases.cycle_power import cycle_power
from mfg.phases.identify_relabelled_unit import identify_relabelled_unit
from mfg.phases.identify_running_unit import identify_running_unit
from mfg.phases.identify_unit import identify_unit
from mfg.phases.load_application import load_application
from mfg.phases.prepare_load import prepare_load
from mfg.phases.reset_wifi import reset_wifi
from mfg.phases.restore_factory_file import restore_factory_file
from mfg.phases.restore_over_usb import restore_over_usb
from mfg.phases.settle_application import settle_application
from mfg.phases.settle_calibration import settle_calibration
from mfg.phases.settle_returned_unit import settle_returned_unit
from mfg.phases.settle_wifi import settle_wifi
from mfg.phases.store_calibration import store_calibration
from mfg.phases.store_label import store_label
from mfg.phases.switch_load import switch_load_off
from mfg.phases.verify_application import verify_application
from mfg.phases.verify_as_found import verify_as_found
from mfg.phases.verify_restored import verify_restored
from mfg.phases.verify_voltage import verify_stored_voltage, verify_voltage
from mfg.phases.write_label import write_label
from mfg.plans.ct6_parts import calibration_nodes, line_frequency_nodes, mains_nodes, with_supply
from mfg.plans.mode import (
    CAL_ONLY,
    POWER_CYCLE,
    RESET_WIFI,
    RESTORE,
    SET_LABELS,
    SETUP_WIFI,
    TEST_ONLY,
    UPGRADE,
    UPGRADE_AND_CAL,
    VOLTAGE_CAL_ONLY,
)
from mfg.plans.plan import PlanBuilder


def power_cycle_nodes(build: PlanBuilder) -> list[Any]:
    """Study how a unit takes power cycles."""
    return [with_supply(build, build.case(1950, identify_running_unit), build.case(9100, cycle_power))]


def setup_wifi_nodes(build: PlanBuilder) -> list[Any]:
    """Bring a unit onto the test network over USB."""
    return [
        build.case(1000, identify_unit),
        with_supply(build, _wifi_settled(build, build.case(5100, configure_wifi))),
    ]


def reset_wifi_nodes(build: PlanBuilder) -> list[Any]:
    """Take the network out of a unit."""
    identify = build.case(1950, identify_running_unit)
    return [with_supply(build, identify, _wifi_settled(build, build.case(14100, reset_wifi)))]


def cal_only_nodes(build: PlanBuilder) -> list[Any]:
    """Calibrate a unit that runs already."""
    identify = build.case(1950, identify_running_unit)
    return [with_supply(build, identify, _ambient(build), _settled(build, *calibration_nodes(build)))]


def voltage_cal_only_nodes(build: PlanBuilder) -> list[Any]:
    """Adjust the voltage gains of a unit that runs already; no load is switched."""
    identify = build.case(1950, identify_running_unit)
    voltage = (
        build.case(2100, check_calibration),
        build.case_after_soak(12110, adjust_voltage),
        build.case(12210, verify_voltage),
        build.case(12310, verify_stored_voltage),
        *line_frequency_nodes(build),
        build.case(13000, store_calibration),
    )
    return [with_supply(build, identify, _ambient(build), _settled(build, *voltage))]


def set_labels_nodes(build: PlanBuilder) -> list[Any]:
    """Give a unit that runs the labels that are scanned."""
    labels = (
        build.case(2100, check_calibration),
        build.case(11000, write_label),
        build.case(12330, store_label),
        build.case(13000, store_calibration),
    )
    scan, identify = build.case(1000, identify_unit), build.case(1960, identify_relabelled_unit)
    return [scan, with_supply(build, identify, _settled(build, *labels))]


def restore_nodes(build: PlanBuilder) -> list[Any]:
    """Write a stored calibration back, and prove it under load; over USB where the run names no address."""
    if build.mode.over_usb:
        return _restore_over_usb_nodes(build)
    identify = build.case(1950, identify_running_unit)
    load = htf.PhaseGroup(
        name="load",
        main=[build.case(11900, prepare_load), build.case_by_ports(12350, verify_restored)],
        teardown=[build.teardown(12900, switch_load_off)],
    )
    restore = (build.case(12150, restore_factory_file), *line_frequency_nodes(build))
    return [with_supply(build, identify, _ambient(build), _settled(build, *restore, load))]


def _restore_over_usb_nodes(build: PlanBuilder) -> list[Any]:
    change = htf.PhaseGroup(
        name="calibration",
        main=[build.case(2100, archive_over_usb), build.case(12160, restore_over_usb)],
        teardown=[build.case(13900, settle_calibration)],
    )
    return [build.case(1000, identify_unit), with_supply(build, change)]


def upgrade_nodes(build: PlanBuilder) -> list[Any]:
    """Exchange the application of a unit that runs."""
    return [with_supply(build, build.case(1950, identify_running_unit), _exchanged(build))]


def upgrade_and_cal_nodes(build: PlanBuilder) -> list[Any]:
    """Exchange the application of a unit that runs, and calibrate it; both or none."""
    calibration = htf.PhaseGroup(
        name="calibration",
        main=calibration_nodes(build),
        teardown=[build.case(13900, settle_calibration)],
    )
    identify = build.case(1950, identify_running_unit)
    return [with_supply(build, identify, _ambient(build), _exchanged(build, calibration))]


def test_only_nodes(build: PlanBuilder) -> list[Any]:
    """Test a returned unit, and leave it as it came."""
    load = htf.PhaseGroup(
        name="load",
        main=[build.case(11900, prepare_load), build.case_by_ports(12360, verify_as_found)],
        teardown=[build.teardown(12900, switch_load_off)],
    )
    returned = htf.PhaseGroup(
        name="returned unit",
        main=[
            build.case(1940, archive_returned_unit),
            *([] if build.mode.address else [build.case(5100, configure_wifi)]),
            build.case(1950, identify_running_unit),
            build.case(6000, check_board_temperature),
            build.case(7000, check_leds),
            build.case(8000, check_wifi_switch),
            build.case(9000, check_power_cycle),
            build.case(10000, check_display),
            load,
        ],
        teardown=[build.case(13950, settle_returned_unit)],
    )
    return [with_supply(build, returned)]


def _ambient(build: PlanBuilder) -> Any:
    """Measure the ambient temperature; nothing was done to the unit yet."""
    return build.case(1970, check_ambient)


def _exchanged(build: PlanBuilder, *main: Any) -> htf.PhaseGroup:
    """Archive a unit, exchange its application, and leave the new one or the old one on it, never between."""
    return htf.PhaseGroup(
        name="application",
        main=[
            build.case(2000, archive_running_unit),
            *mains_nodes(build),
            build.case(5200, load_application),
            build.case(5300, verify_application),
            *main,
        ],
        teardown=[build.case(13960, settle_application)],
    )


def _settled(build: PlanBuilder, *main: Any) -> htf.PhaseGroup:
    """Archive a unit's calibration, change it, and leave the new one or the old one on it, never between."""
    return htf.PhaseGroup(
        name="calibration",
        main=[build.case(2000, archive_running_unit), *mains_nodes(build), *main],
        teardown=[build.case(13900, settle_calibration)],
    )


def _wifi_settled(build: PlanBuilder, *main: Any) -> htf.PhaseGroup:
    """Change a unit's WiFi configuration, and leave the new one or the old one on it, never between."""
    return htf.PhaseGroup(
        name="WiFi configuration", main=list(main), teardown=[build.case(14200, settle_wifi)]
    )


JOB_NODES = {
    CAL_ONLY: cal_only_nodes,
    VOLTAGE_CAL_ONLY: voltage_cal_only_nodes,
    SET_LABELS: set_labels_nodes,
    RESTORE: restore_nodes,
    POWER_CYCLE: power_cycle_nodes,
    SETUP_WIFI: setup_wifi_nodes,
    RESET_WIFI: reset_wifi_nodes,
    UPGRADE: upgrade_nodes,
    UPGRADE_AND_CAL: upgrade_and_cal_nodes,
    TEST_ONLY: test_only_nodes,
}
