"""What a job must do to a unit that something happens to: job x kind of unit x fault, as data.

A new job is one entry of `JOBS` (job_strikes.py) and its lines in `CASES`; a fault that makes no line has its
reason in `NOT_TRIED`. `faulted_job.py` runs a case, `unit_states.py` judges the unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from job_strikes import (
    DEAF,
    FOREIGN,
    FOREIGN_BY_MAC,
    FOREIGN_IN_SLOT,
    FOREIGN_SERIAL,
    JOBS,
    LATER_WRITE_LOST,
    LATER_WRITE_RESET,
    MAINS_OF_50_HZ,
    NETWORK_LOST,
    NEVER_ANSWERS,
    PORT_GONE,
    READINGS_LOST,
    REFUSED,
    RESTARTS,
    SERIAL_TAKEN,
    SILENT,
    WRITE_LOST,
    WRITE_RESET,
    WRONG_FILE,
    Strike,
    lost_in,
    reset_in,
    wrong_file,
    wrong_firmware,
)

from mfg.emulator.quirks import ORIGINAL, OURS
from mfg.records.journal import COPY, KEEP_APPLICATION, RESET_WIFI, STORE, WRITE_WIFI, exchange_act
from mfg.records.unit_after import NEW, OLD, UNFINISHED

KINDS = (OURS, ORIGINAL)
FAULTY = ("FAIL", "ERROR")
GOOD = "nothing is wrong"


@dataclass(frozen=True)
class Case:
    """What must come of a fault.

    Attributes:
        outcomes: How the run may end.
        phases: In which phases it may be caught; empty: nothing need be.
        states: How the unit may be left, by its flash and by the record.
    """

    job: str
    what: str
    strike: Strike
    outcomes: tuple[str, ...]
    phases: tuple[str, ...]
    states: tuple[str, ...]
    kinds: tuple[str, ...] = KINDS


def lines(cases: Iterable[Case]) -> dict[str, tuple[Case, str]]:
    """Return each case with each of its kinds of unit, by the name of their line."""
    return {f"{case.job}, {kind}: {case.what}": (case, kind) for case in cases for kind in case.kinds}


def _good(job: str) -> Case:
    return Case(job, GOOD, Strike(), (JOBS[job].passes,), (), (JOBS[job].leaves,))


def _bad(job: str, what: str, strike: Strike, phases: str, state: str = OLD) -> Case:
    return Case(job, what, strike, FAULTY, tuple(phases.split()), (state,))


def _reset_wifi_broken_off(what: str, strike: Strike) -> tuple[Case, Case]:
    """Our firmware shows no passphrase that could be put back: it is seen to have forgotten it whole."""
    case = _bad("reset-wifi", what, strike, "reset_wifi")
    return replace(case, kinds=(OURS,), states=(NEW,)), replace(case, kinds=(ORIGINAL,))


def _not_reached(job: str) -> tuple[Case, Case]:
    """Another unit is at the address, or none."""
    return (
        _bad(job, "foreign serial at the address", FOREIGN, IDENTIFY),
        _bad(job, "unit never answers", SILENT, IDENTIFY),
    )


def _not_erased(job: str) -> tuple[Case, Case]:
    """The unit is another one by its MAC address, or it never answers."""
    return (
        _bad(job, "unit that is another one by its MAC", FOREIGN_BY_MAC, "load_firmware", UNFINISHED),
        _bad(job, "unit never answers", DEAF, "erase_flash load_micropython load_firmware", UNFINISHED),
    )


def _exchanged(job: str) -> tuple[Case, ...]:
    return (
        _bad(job, "network lost in the upload", WRITE_LOST, "load_application"),
        _bad(job, "unit resets in the upload", WRITE_RESET, "load_application"),
        _bad(job, "firmware that crashes", wrong_firmware("crashing"), "verify_application"),
        _bad(job, "firmware that never answers", wrong_firmware("silent"), "verify_application"),
        *_not_reached(job),
    )


IDENTIFY = "identify_running_unit"
AFTER_ADJUSTING = "verify_points verify_stored"
UNDER_LOAD = "identify_ports adjust_registers"

FULL_CASES = (
    _good("full"),
    _bad("full", "network lost in the write", WRITE_LOST, "verify_stored", UNFINISHED),
    _bad(
        "full",
        "unit restarts when it is adjusted",
        reset_in("adjust_registers"),
        AFTER_ADJUSTING,
        UNFINISHED,
    ),
    *_not_erased("full"),
    _good("full-60hz"),
    _bad("full-60hz", "network lost in the write", WRITE_LOST, "verify_stored", UNFINISHED),
    _bad(
        "full-60hz",
        "unit restarts once it is set to 60 Hz",
        reset_in("write_line_frequency"),
        "prepare_load identify_ports",
        UNFINISHED,
    ),
    _bad("full-60hz", "mains of 50 Hz", MAINS_OF_50_HZ, "check_mains"),
    _good("no-cal"),
    _bad(
        "no-cal",
        "unit restarts after the load",
        reset_in("load_firmware"),
        "check_board_temperature",
        UNFINISHED,
    ),
    _bad("no-cal", "network refuses the unit", REFUSED, "load_firmware", UNFINISHED),
    _bad("no-cal", "port vanishes in the load", PORT_GONE, "load_firmware", UNFINISHED),
    _bad("no-cal", "unit resets in the write", WRITE_RESET, "load_firmware", UNFINISHED),
    *_not_erased("no-cal"),
    _good("no-default"),
    _good("ports"),
    _bad("ports", "network lost in the write", WRITE_LOST, "verify_stored", UNFINISHED),
    _bad("ports", "network lost under load", READINGS_LOST, UNDER_LOAD, UNFINISHED),
    _bad(
        "ports",
        "unit restarts when it is adjusted",
        reset_in("adjust_registers"),
        AFTER_ADJUSTING,
        UNFINISHED,
    ),
)

CALIBRATION_CASES = (
    _good("cal-only"),
    _bad("cal-only", "network lost in the write", WRITE_LOST, "verify_stored"),
    _bad("cal-only", "unit resets in the write", WRITE_RESET, "verify_stored"),
    _bad("cal-only", "network lost under load", READINGS_LOST, UNDER_LOAD),
    _bad("cal-only", "unit restarts when it is adjusted", reset_in("adjust_registers"), AFTER_ADJUSTING),
    _bad(
        "cal-only",
        "unit without a calibration restarts when it is adjusted",
        replace(reset_in("adjust_registers"), calibrated=False),
        AFTER_ADJUSTING,
    ),
    _bad(
        "cal-only",
        "network lost in the write to a unit without a calibration",
        replace(WRITE_LOST, calibrated=False),
        "verify_stored",
    ),
    *_not_reached("cal-only"),
    _good("cal-only-60hz"),
    _bad("cal-only-60hz", "network lost in the write", WRITE_LOST, "verify_stored"),
    _bad(
        "cal-only-60hz",
        "unit restarts once it is set to 60 Hz",
        reset_in("write_line_frequency"),
        "prepare_load identify_ports",
    ),
    _bad(
        "cal-only-60hz",
        "unit without a calibration restarts once it is set to 60 Hz",
        replace(reset_in("write_line_frequency"), calibrated=False),
        "prepare_load identify_ports",
    ),
    _bad("cal-only-60hz", "mains of 50 Hz", MAINS_OF_50_HZ, "check_mains"),
    *_not_reached("cal-only-60hz"),
    _good("cal-only-manual"),
    _bad("cal-only-manual", "network lost in the write", WRITE_LOST, AFTER_ADJUSTING),  # it was indeterminate
    _bad(
        "cal-only-manual", "unit restarts when it is adjusted", reset_in("adjust_registers"), AFTER_ADJUSTING
    ),
    _good("voltage-cal-only"),
    _bad("voltage-cal-only", "network lost in the write", WRITE_LOST, "verify_stored_voltage"),
    _bad(
        "voltage-cal-only",
        "unit resets in the write",
        WRITE_RESET,
        "verify_stored_voltage",
    ),
    _bad(
        "voltage-cal-only",
        "unit restarts when it is adjusted",
        reset_in("adjust_voltage"),
        "verify_voltage verify_stored_voltage",
    ),
    *_not_reached("voltage-cal-only"),
    _good("set-labels"),
    _bad("set-labels", "network lost in the write", WRITE_LOST, "store_label"),
    _bad("set-labels", "unit resets in the write", WRITE_RESET, "store_label"),
    _bad("set-labels", "unit restarts once it has the label", reset_in("write_label"), "store_label"),
    _bad("set-labels", "serial of another unit", SERIAL_TAKEN, "identify_relabelled_unit"),
    _bad("set-labels", "unit never answers", SILENT, "identify_relabelled_unit"),
)

RESTORE_CASES = (
    _good("restore"),
    _bad("restore", "network lost in the upload", WRITE_LOST, "restore_factory_file"),
    _bad("restore", "unit resets in the upload", WRITE_RESET, "restore_factory_file"),
    _bad("restore", "network lost under load", READINGS_LOST, "verify_restored"),
    _bad("restore", "unit restarts under load", reset_in("prepare_load"), "verify_restored"),
    _bad("restore", "file of another unit", wrong_file("foreign"), "restore_factory_file"),
    _bad("restore", "file of another PGA", wrong_file("pga"), "restore_factory_file"),
    _bad("restore", "half a file", wrong_file("half"), "restore_factory_file"),
    _bad("restore", "file that measures wrong", wrong_file("wrong"), "verify_restored"),
    *_not_reached("restore"),
    _good("restore-60hz"),
    _bad("restore-60hz", "file for 50 Hz", wrong_file("50 Hz"), "restore_factory_file"),
    _bad("restore-60hz", "network lost in the upload", WRITE_LOST, "restore_factory_file"),
    _bad("restore-60hz", "unit resets in the upload", WRITE_RESET, "restore_factory_file"),
    _good("restore-usb"),
    _bad("restore-usb", "port vanishes in the write", PORT_GONE, "restore_over_usb"),
    _bad("restore-usb", "unit resets in the write", WRITE_RESET, "restore_over_usb"),
    _bad("restore-usb", "file of another unit", wrong_file("foreign"), "restore_over_usb"),
    _bad("restore-usb", "file of another PGA", wrong_file("pga"), "restore_over_usb"),
    _bad("restore-usb", "half a file", wrong_file("half"), "restore_over_usb"),
    _bad("restore-usb", "foreign serial in the slot", FOREIGN_IN_SLOT, "archive_over_usb"),
    _bad("restore-usb", "unit never answers", DEAF, "archive_over_usb"),
)

APPLICATION_CASES = (
    _good("upgrade"),
    *_exchanged("upgrade"),
    _good("upgrade-and-cal"),
    *_exchanged("upgrade-and-cal"),
    _bad("upgrade-and-cal", "network lost in the calibration's write", LATER_WRITE_LOST, "verify_stored"),
    _bad("upgrade-and-cal", "unit resets in the calibration's write", LATER_WRITE_RESET, "verify_stored"),
    _bad(
        "upgrade-and-cal",
        "unit restarts when it is adjusted",
        reset_in("adjust_registers"),
        AFTER_ADJUSTING,
    ),
    _good("upgrade-and-cal-60hz"),
    _bad(
        "upgrade-and-cal-60hz", "network lost in the calibration's write", LATER_WRITE_LOST, "verify_stored"
    ),
    _bad(
        "upgrade-and-cal-60hz",
        "unit restarts once it is set to 60 Hz",
        reset_in("write_line_frequency"),
        "prepare_load identify_ports",
    ),
)

OTHER_CASES = (
    _good("test-only"),
    _bad("test-only", "network refuses the unit", lost_in(IDENTIFY), "check_leds check_power_cycle"),
    _bad("test-only", "network lost under load", READINGS_LOST, "verify_as_found"),
    _bad("test-only", "unit restarts under load", reset_in("prepare_load"), "verify_as_found"),
    _bad("test-only", "foreign serial in the slot", FOREIGN, "archive_returned_unit"),
    _bad("test-only", "unit never answers", DEAF, "archive_returned_unit"),
    _bad("test-only", "unit never answers over the network", SILENT, IDENTIFY),
    _good("test-only-usb"),
    _bad("test-only-usb", "network refuses the unit", REFUSED, "configure_wifi"),
    _bad("test-only-usb", "unit resets in the write", WRITE_RESET, "archive_returned_unit configure_wifi"),
    _bad("test-only-usb", "unit restarts under load", reset_in("prepare_load"), "verify_as_found"),
    _bad("test-only-usb", "foreign serial in the slot", FOREIGN, "archive_returned_unit"),
    _bad("test-only-usb", "unit never answers", DEAF, "archive_returned_unit"),
    _good("setup-wifi"),
    _bad("setup-wifi", "port vanishes in the write", PORT_GONE, "configure_wifi"),
    _bad("setup-wifi", "unit resets in the write", WRITE_RESET, "configure_wifi"),
    _bad("setup-wifi", "network refuses the unit", REFUSED, "configure_wifi"),
    _bad("setup-wifi", "foreign serial in the slot", FOREIGN_IN_SLOT, "configure_wifi"),
    _bad("setup-wifi", "unit never answers", DEAF, "configure_wifi"),
    _good("reset-wifi"),
    *_reset_wifi_broken_off("network lost in the write", WRITE_LOST),
    *_reset_wifi_broken_off("unit resets in the write", WRITE_RESET),
    _bad("reset-wifi", "unit restarts before the write", reset_in(IDENTIFY), "reset_wifi"),
    *_not_reached("reset-wifi"),
    _good("power-cycle"),
    _bad("power-cycle", "network lost", lost_in(IDENTIFY), "cycle_power"),
    _bad("power-cycle", "foreign serial at the address", FOREIGN, IDENTIFY),
    _bad("power-cycle", "unit never answers", SILENT, IDENTIFY),
)

CASES = (*FULL_CASES, *CALIBRATION_CASES, *RESTORE_CASES, *APPLICATION_CASES, *OTHER_CASES)


def _killed(job: str, line: str, *states: str, calibrated: bool = True) -> Case:
    strike = Strike(after=line, calibrated=calibrated)
    what = f"killed at {line}" + ("" if calibrated else ", without a calibration")
    return Case(job, what, strike, ("INTERRUPTED",), (), states or (OLD,))


STORING, COPYING = f"act {STORE}", f"act {COPY}"
LOADING, KEEPING = f"act {exchange_act('/app2', '/app1')}", f"act {KEEP_APPLICATION}"
KILLED = (
    _killed("full", "act load MicroPython", UNFINISHED),
    _killed("full", STORING, UNFINISHED),
    _killed("cal-only", "act write the adjusted registers"),
    _killed("cal-only", "act write the adjusted registers", calibrated=False),
    _killed("cal-only", STORING),
    _killed("cal-only-60hz", "act write the line frequency"),
    _killed("cal-only-60hz", "act write the line frequency", calibrated=False),
    _killed("cal-only-60hz", STORING),
    _killed("voltage-cal-only", "act write the adjusted voltage gains"),
    _killed("voltage-cal-only", STORING),
    _killed("set-labels", "act write the label"),
    _killed("set-labels", STORING),
    _killed("restore", STORING),
    _killed("restore-usb", STORING),
    _killed("upgrade", LOADING),
    _killed("upgrade", KEEPING, NEW),
    _killed("upgrade-and-cal", LOADING),
    _killed("upgrade-and-cal", STORING),
    _killed("upgrade-and-cal", KEEPING, NEW),
    _killed("test-only", COPYING),
    _killed("test-only", "kept snapshot_before.json"),
    _killed("test-only-usb", "phase configure_wifi"),
    _killed("setup-wifi", f"act {WRITE_WIFI}"),
    _killed("reset-wifi", f"act {RESET_WIFI}", OLD, NEW),  # the unit may have heard of it
)
"""Runs that are killed as soon as a line is in the journal."""

SAMPLE = (
    "cal-only-60hz, ours: mains of 50 Hz",
    "voltage-cal-only, ours: network lost in the write",
    "set-labels, original: network lost in the write",
    "restore, original: network lost in the upload",
    "restore, ours: unit resets in the upload",
    "restore-60hz, original: nothing is wrong",
    "restore-usb, original: nothing is wrong",
    "restore-usb, ours: port vanishes in the write",
    "upgrade, original: network lost in the upload",
    "upgrade, ours: firmware that crashes",
    "upgrade-and-cal-60hz, ours: nothing is wrong",
    "test-only-usb, ours: network refuses the unit",
    "setup-wifi, original: unit resets in the write",
    "reset-wifi, ours: network lost in the write",
    "power-cycle, original: foreign serial at the address",
    f"set-labels, original: killed at {STORING}",
)
"""Lines that `nox -s jobs` runs; `nox -s job_faults` runs all."""

_NO_FILE = "it is given no file"
NOT_REACHED = (FOREIGN_SERIAL, NEVER_ANSWERS)
_AS_NO_CAL = "what erases and loads is as in no-cal"
_AS_AT_50_HZ = "it happens before or beside what differs at 60 Hz"
NOT_TRIED = {
    **{(job, WRONG_FILE): _NO_FILE for job in JOBS if not job.startswith(("restore", "upgrade"))},
    **{("no-default", fault): _AS_NO_CAL for fault in (NETWORK_LOST, RESTARTS, *NOT_REACHED)},
    **{(job, fault): _AS_NO_CAL for job in ("full-60hz", "ports") for fault in NOT_REACHED},
    **{
        (job, fault): _AS_AT_50_HZ
        for job in ("restore-60hz", "upgrade-and-cal-60hz")
        for fault in NOT_REACHED
    },
    ("upgrade-and-cal-60hz", WRONG_FILE): _AS_AT_50_HZ,
    **{("cal-only-manual", fault): "it is found out before a reading" for fault in NOT_REACHED},
    ("restore-usb", NETWORK_LOST): "it uses no network",
    ("power-cycle", RESTARTS): "a restart is what it does to the unit",
}
"""Why a job and a fault make no line."""
