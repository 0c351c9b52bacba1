"""The arguments of `mfg run`; `mfg/cli.py` hands them over. The original tool's spellings are taken too."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from mfg.errors import UsageError
from mfg.plans.mode import (
    CAL_ONLY,
    FULL,
    LATEST,
    POWER_CYCLE,
    RESET_WIFI,
    RESTORE,
    SET_LABELS,
    SETUP_WIFI,
    TEST_ONLY,
    UPGRADE,
    UPGRADE_AND_CAL,
    VOLTAGE_CAL_ONLY,
    Mode,
)
from mfg.runner.request import RunRequest
from mfg.untrusted import quoted

ALL_PORTS = "1,2,3,4,5,6"
MOST_CYCLES = 40  # about 20 s each; what a phase may take is bounded
_JOBS = {
    "cal_only": CAL_ONLY,
    "voltage_cal_only": VOLTAGE_CAL_ONLY,
    "set_labels": SET_LABELS,
    "restore": RESTORE,
    "setup_wifi": SETUP_WIFI,
    "reset_wifi": RESET_WIFI,
    "power_cycle": POWER_CYCLE,
    "upgrade": UPGRADE,
    "upgrade_and_cal": UPGRADE_AND_CAL,
    "test_only": TEST_ONLY,
}


def add_run_arguments(run: argparse.ArgumentParser) -> None:
    """Describe what `mfg run` takes."""
    run.add_argument("--assembly", default="", metavar="CODE", help="assembly bar code, e.g. ASY0398V03.2")
    run.add_argument("--serial", default="", metavar="CODE", help="serial number bar code, e.g. SN00001823")
    run.add_argument("--slot", type=int, default=1, metavar="N", help="slot, as engraved (default 1)")
    run.add_argument("--operator", default="", metavar="NAME", help="who is at the station, for the record")
    run.add_argument("-a", "--address", default="", metavar="ADDR", help="address of a running unit")
    _flag(run, "--no-cal", "leave the unit uncalibrated")
    _flag(run, "--no-default", "leave the test network on the unit")
    run.add_argument(
        "--ports",
        "-c",
        "--cal_ports",
        default=ALL_PORTS,
        metavar="LIST",
        help="1,2 or all",
    )
    _flag(run, "--ac-60hz", "the unit is for mains of 60 Hz; refused unless the bench has them", "--ac60hz")
    _flag(run, "--erase-calibrated", "erase a calibrated unit without asking")
    run.add_argument(
        "--firmware", type=Path, metavar="DIR", help="load the firmware of another folder; the record says so"
    )
    run.add_argument(
        "--reference",
        default="",
        metavar="manual|shelly://ADDR|VISA",
        help="compare with a meter that you read, a Shelly or a VISA resource, not with the station's own",
    )
    for option, text in (
        ("--past-due-by", "who lets an instrument past its due date be used"),
        ("--uncertainty-waived-by", "who lets too uncertain limits be judged"),
    ):
        run.add_argument(option, default="", metavar="NAME", help=text)
    _add_jobs(run)


def _add_jobs(run: argparse.ArgumentParser) -> None:
    group = run.add_argument_group("jobs other than the full test, one at a time")
    for option, text in (
        ("--cal-only", "calibrate a running unit (-a), power-cycle it, verify again"),
        ("--setup-wifi", "write the test network to a unit over USB"),
        ("--reset-wifi", "take the network out of a running unit (-a)"),
        ("--upgrade", "exchange the application of a running unit (-a) for the station's, or take it back"),
    ):
        _flag(group, option, text)
    _flag(group, "--upgrade-and-cal", "the same, then calibrate it", "-u", "--upcal")
    _flag(
        group, "--test-only", "incoming test: the unit leaves as it came; over USB without -a", "-t", "--test"
    )
    _flag(group, "--set-labels", "give a running unit (-a) the labels that are scanned", "-l", "--labels")
    _flag(group, "--voltage-cal-only", "adjust the voltage gains of a running unit (-a) alone", "-v")
    group.add_argument(
        "--restore",
        default="",
        metavar="FILE|latest",
        help="write a factory file back to a running unit (-a) and prove it under load; without -a over USB",
    )
    group.add_argument(
        "--force-by",
        default="",
        metavar="NAME: REASON",
        help="who lets a file or serial number pass that is not the unit's, and why; goes into the record",
    )
    group.add_argument(
        "--power-cycle",
        "--power_cycle",
        type=int,
        metavar="N",
        help="cycle a running unit's power (-a) N times and report how it takes it",
    )


def _flag(parser: argparse._ActionsContainer, option: str, text: str, *others: str) -> None:
    """Add a flag under its name, under the same name with underscores, and under other names."""
    names = dict.fromkeys([option, "--" + option[2:].replace("-", "_"), *others])
    parser.add_argument(*names, action="store_true", help=text)


def request_of(args: argparse.Namespace) -> RunRequest:
    """Return what the arguments ask for.

    Raises:
        UsageError: They contradict each other; nothing was touched.
    """
    for name, given in vars(args).items():
        text = str(given)
        if not _is_unicode(text):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is {quoted(text)}, which is not UTF-8.", "Set the terminal to UTF-8.")
    if bool(args.serial) != bool(args.assembly):
        raise UsageError("--serial and --assembly belong together.", "Give both, or none and scan.")
    asked = [job for name, job in _JOBS.items() if _is_given(getattr(args, name, None))]
    if len(asked) > 1:
        raise UsageError(f"--{' and --'.join(asked)} cannot be done in one run.", "Do one after the other.")
    job = asked[0] if asked else FULL
    if job == FULL and args.address:
        raise UsageError(
            f"-a {args.address} names a running unit, which a full test would erase. Nothing was touched.",
            "Say which job is to be done on it, such as --cal-only; or leave -a out.",
        )
    if job != FULL and (args.no_cal or args.no_default or args.erase_calibrated):
        raise UsageError(f"--no-cal, --no-default and --erase-calibrated do not go with --{job}.")
    mode = Mode(
        calibrate=not args.no_cal,
        defaults=not args.no_default,
        ports=_ports(args.ports),
        job=job,
        address=args.address,
        cycles=_cycles(args.power_cycle),
        factory_file=_factory_file(args.restore),
        forced_by=_forced_by(args.force_by),
        reference=args.reference,
        ac_60hz=args.ac_60hz,
    )
    if mode.reference and not mode.compares:
        raise UsageError(f"--reference does not go with {mode.name}.", "This run compares with nothing.")
    return RunRequest(
        mode=mode,
        slot=args.slot,
        scanned=(args.assembly, args.serial) if args.serial else None,
        erase_calibrated=args.erase_calibrated,
        operator=args.operator,
        past_due_by=args.past_due_by,
        uncertainty_waived_by=args.uncertainty_waived_by,
        firmware=_firmware_folder(args.firmware) if args.firmware else None,
    )


def _is_unicode(text: str) -> bool:
    """Return whether a text can be stored; Python makes half characters of bytes that are no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _factory_file(text: str) -> str:
    """Return what is to be restored; a relative path is one of the folder that the command runs in."""
    if text in ("", LATEST):
        return text
    if not Path(text).is_file():
        raise UsageError(f"--restore {text}: there is no such file.", f"Give a factory file, or {LATEST}.")
    return str(Path(text).resolve())


def _forced_by(text: str) -> str:
    if text and not re.fullmatch(r"[^:]+:\s*\S.*", text):
        raise UsageError(f"--force-by {text}: give a name and a reason, as in 'B. Person: the label is new'.")
    return text


def _is_given(value: object) -> bool:
    """Tell an option that was typed, also with a 0 behind it, from one that was not."""
    return value is not None and value is not False and value != ""


def _cycles(count: int | None) -> int:
    if count is None:
        return 0
    if not 1 <= count <= MOST_CYCLES:
        raise UsageError(f"--power-cycle {count}: give a number from 1 to {MOST_CYCLES}.")
    return count


def _ports(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in (ALL_PORTS if text == "all" else text).split(",")}))
    except ValueError as error:
        raise UsageError(f"--ports {text}: give numbers from 1 to 6, separated by commas.") from error


def _firmware_folder(path: Path) -> Path:
    if not (path / "main.py").is_file():
        raise UsageError(f"--firmware {path}: no firmware is there.", "Give the folder that holds main.py.")
    return path.resolve()
