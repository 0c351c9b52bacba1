"""What a job must do to a unit that something happens to: job x kind of unit x fault, as data.

A new job is one entry of `JOBS` and its lines in `CASES`; `faulted_job.py` runs a case and judges it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mfg.emulator.quirks import ORIGINAL, OURS
from mfg.records.unit_after import NEW, OLD, UNFINISHED

KINDS = (OURS, ORIGINAL)
ADDRESS = ("-a", "10.0.0.2")
LABELS = ("--assembly", "ASY0398V03.2", "--serial", "SN00001823")
FAULTY = ("FAIL", "ERROR")


@dataclass(frozen=True)
class Job:
    """A way to start a run.

    Attributes:
        arguments: `{file}` stands for the file that is restored.
        network: Whether the unit is on the test network before the job.
        passes: The outcome of a good run.
    """

    arguments: tuple[str, ...]
    network: bool = True
    passes: str = "PASS"


JOBS = {
    "cal-only": Job(("--cal-only", *ADDRESS)),
    "restore": Job(("--restore", "{file}", *ADDRESS)),
    "restore-usb": Job(("--restore", "{file}", *LABELS), network=False),
    "setup-wifi": Job(("--setup-wifi", *LABELS), network=False),
    "reset-wifi": Job(("--reset-wifi", *ADDRESS)),
    "power-cycle": Job(("--power-cycle", "2", *ADDRESS)),
    "no-cal": Job(("--no-cal", "--erase-calibrated", *LABELS), passes="NOT CALIBRATED"),
    "ports": Job(("--ports", "1,2", "--erase-calibrated", *LABELS), passes="PARTLY CALIBRATED"),
}


@dataclass(frozen=True)
class Strike:
    """What happens to the unit, or what is wrong from the start.

    Attributes:
        faults: Of the unit, from the start.
        after: The phase at whose end the hand strikes; empty: no hand.
        hand: A fault that is switched on then; "reset" pulls the chip's reset pin.
        file: What is wrong with the file that is restored.
        arguments: More of them.
        calibrated: Whether the unit has a calibration before the job.
        label: The serial number of the unit in the slot, where it is not the usual one.
    """

    faults: tuple[str, ...] = ()
    after: str = ""
    hand: str = ""
    file: str = "good"
    arguments: tuple[str, ...] = ()
    calibrated: bool = True
    label: str = "SN00001823"


def reset_in(phase_before: str) -> Strike:
    return Strike(after=phase_before, hand="reset")


def lost_in(phase_before: str) -> Strike:
    return Strike(after=phase_before, hand="wifi_refusing")


WRITE_LOST = Strike(faults=("wifi_lost_in_write",))
WRITE_RESET = Strike(faults=("reset_in_write",))
PORT_GONE = Strike(faults=("port_vanishes_in_write",))
READINGS_LOST = Strike(faults=("wifi_lost_in_readings",))
NO_NETWORK = Strike(faults=("wifi_refusing",))
DEAF = Strike(faults=("repl_hung",))
FOREIGN = Strike(arguments=LABELS, label="SN00000009")


@dataclass(frozen=True)
class Case:
    """What must come of a fault.

    Attributes:
        outcomes: How the run may end.
        phases: In which phases it may be caught; empty: nothing is wrong.
        state: How the unit is left, by its flash and by the record.
        sampled: Whether the tests run it; all are run by `nox -s job_faults`.
    """

    job: str
    what: str
    strike: Strike
    outcomes: tuple[str, ...]
    phases: tuple[str, ...]
    state: str
    kinds: tuple[str, ...] = KINDS
    sampled: tuple[str, ...] = ()


def _good(job: str, state: str = NEW, sampled: tuple[str, ...] = ()) -> Case:
    return Case(job, "nothing is wrong", Strike(), (JOBS[job].passes,), (), state, sampled=sampled)


def _bad(
    job: str, what: str, strike: Strike, phases: str, state: str = OLD, sampled: tuple[str, ...] = ()
) -> Case:
    return Case(job, what, strike, FAULTY, tuple(phases.split()), state, sampled=sampled)


def _reset_wifi_broken_off(what: str, strike: Strike, sampled: tuple[str, ...] = ()) -> tuple[Case, Case]:
    """Our firmware shows no passphrase that could be put back: it is seen to have forgotten it whole."""
    case = _bad("reset-wifi", what, strike, "reset_wifi", sampled=sampled)
    return replace(case, kinds=(OURS,), state=NEW), replace(case, kinds=(ORIGINAL,), sampled=())


IDENTIFY = "identify_running_unit"

CASES = (
    _good("cal-only"),
    _bad("cal-only", "network lost in the write", WRITE_LOST, "verify_stored"),
    _bad("cal-only", "unit resets in the write", WRITE_RESET, "verify_stored"),
    _bad("cal-only", "network lost under load", READINGS_LOST, "identify_ports adjust_registers"),
    _bad(
        "cal-only",
        "unit restarts when it is adjusted",
        reset_in("adjust_registers"),
        "verify_points verify_stored",
    ),
    _bad(
        "cal-only",
        "unit without a calibration restarts when it is adjusted",
        replace(reset_in("adjust_registers"), calibrated=False),
        "verify_points verify_stored",
    ),
    _bad(
        "cal-only",
        "network lost in the write to a unit without a calibration",
        replace(WRITE_LOST, calibrated=False),
        "verify_stored",
    ),
    _bad("cal-only", "foreign serial at the address", FOREIGN, IDENTIFY),
    _bad("cal-only", "unit never answers", NO_NETWORK, IDENTIFY),
    _good("restore"),
    _bad(
        "restore",
        "network lost in the upload",
        WRITE_LOST,
        "restore_factory_file",
        sampled=(ORIGINAL,),
    ),
    _bad("restore", "unit resets in the upload", WRITE_RESET, "restore_factory_file", sampled=(OURS,)),
    _bad("restore", "network lost under load", READINGS_LOST, "verify_restored"),
    _bad("restore", "unit restarts under load", reset_in("prepare_load"), "verify_restored"),
    _bad("restore", "file of another unit", Strike(file="foreign"), "restore_factory_file"),
    _bad("restore", "file of another PGA", Strike(file="pga"), "restore_factory_file"),
    _bad("restore", "half a file", Strike(file="half"), "restore_factory_file"),
    _bad("restore", "file that measures wrong", Strike(file="wrong"), "verify_restored"),
    _bad("restore", "foreign serial at the address", FOREIGN, IDENTIFY),
    _bad("restore", "unit never answers", NO_NETWORK, IDENTIFY),
    _good("restore-usb", sampled=(ORIGINAL,)),
    _bad("restore-usb", "port vanishes in the write", PORT_GONE, "restore_over_usb", sampled=(OURS,)),
    _bad("restore-usb", "unit resets in the write", WRITE_RESET, "restore_over_usb"),
    _bad("restore-usb", "file of another unit", Strike(file="foreign"), "restore_over_usb"),
    _bad("restore-usb", "file of another PGA", Strike(file="pga"), "restore_over_usb"),
    _bad("restore-usb", "half a file", Strike(file="half"), "restore_over_usb"),
    _bad("restore-usb", "foreign serial in the slot", Strike(label="SN00000009"), "archive_over_usb"),
    _bad("restore-usb", "unit never answers", DEAF, "archive_over_usb"),
    _good("setup-wifi"),
    _bad("setup-wifi", "port vanishes in the write", PORT_GONE, "configure_wifi"),
    _bad("setup-wifi", "unit resets in the write", WRITE_RESET, "configure_wifi", sampled=(ORIGINAL,)),
    _bad("setup-wifi", "network refuses the unit", NO_NETWORK, "configure_wifi"),
    _bad("setup-wifi", "foreign serial in the slot", Strike(label="SN00000009"), "configure_wifi"),
    _bad("setup-wifi", "unit never answers", DEAF, "configure_wifi"),
    _good("reset-wifi"),
    *_reset_wifi_broken_off("network lost in the write", WRITE_LOST, sampled=(OURS,)),
    *_reset_wifi_broken_off("unit resets in the write", WRITE_RESET),
    _bad("reset-wifi", "unit restarts before the write", reset_in(IDENTIFY), "reset_wifi"),
    _bad("reset-wifi", "foreign serial at the address", FOREIGN, IDENTIFY),
    _bad("reset-wifi", "unit never answers", NO_NETWORK, IDENTIFY),
    _good("power-cycle", OLD),
    _bad("power-cycle", "network lost", lost_in(IDENTIFY), "cycle_power"),
    _bad("power-cycle", "foreign serial at the address", FOREIGN, IDENTIFY, sampled=(ORIGINAL,)),
    _bad("power-cycle", "unit never answers", NO_NETWORK, IDENTIFY),
    _good("no-cal"),
    _bad(
        "no-cal",
        "unit restarts after the load",
        reset_in("load_firmware"),
        "check_board_temperature",
        UNFINISHED,
    ),
    _bad("no-cal", "network refuses the unit", NO_NETWORK, "load_firmware", UNFINISHED),
    _bad("no-cal", "port vanishes in the load", PORT_GONE, "load_firmware", UNFINISHED),
    _bad("no-cal", "unit resets in the write", WRITE_RESET, "load_firmware", UNFINISHED),
    _bad("no-cal", "unit never answers", DEAF, "erase_flash load_micropython load_firmware", UNFINISHED),
    _good("ports"),
    _bad("ports", "network lost in the write", WRITE_LOST, "verify_stored", UNFINISHED),
    _bad("ports", "network lost under load", READINGS_LOST, "identify_ports adjust_registers", UNFINISHED),
)
