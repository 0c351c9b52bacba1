"""The `mfg` command: the only reader of argv."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, cast

from rich.console import Console

from mfg.commands.run_arguments import add_run_arguments
from mfg.commands.unit_arguments import add_unit
from mfg.errors import DutError, MfgError, UsageError
from mfg.runner.lasting_stream import LastingStream
from mfg.version import __version__

EXIT_CODES = (
    "exit: 0 PASS · 1 FAIL · 2 usage · 3 station or fixture ERROR · 4 ABORTED · 5 NOT or PARTLY CALIBRATED"
)
Command = Callable[[Console, argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; installed as the `mfg` script."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    sys.argv = sys.argv[:1]  # OpenHTF parses what is left there when it is imported
    console = Console(file=cast(IO[str], LastingStream(sys.stdout)), highlight=False, emoji=False)
    parsed = _parser().parse_args(arguments)
    command: Command = parsed.command
    try:
        return command(console, parsed)
    except MfgError as error:
        console.print(f"[bold red]{type(error).__name__}[/]")
        console.print(str(error), markup=False, soft_wrap=True)
        if isinstance(error, UsageError):
            return 2
        return 1 if isinstance(error, DutError) else 3
    except KeyboardInterrupt:
        console.print("aborted")
        return 4
    except Exception as error:  # noqa: BLE001 - Python's own exit code 1 would mean: reject the unit
        traceback.print_exc()
        console.print("[bold red]StationError[/]")
        console.print(f"The station's software failed: {type(error).__name__}: {error}.", markup=False)
        console.print("The unit is not judged. Measure that the bench is off, then call the engineer.")
        return 3


def _run(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands.run import run
    from mfg.commands.run_arguments import request_of

    return run(console, args.station, request_of(args))


def _bench(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands import bench

    if args.action == "set":
        return bench.set_value(console, args.station, args.slot, args.what, args.value)
    actions = {"up": bench.up, "down": bench.down, "status": bench.status}
    return actions[args.action](console, args.station)


def _firmware(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands import firmware

    if args.action == "add":
        return firmware.add(console, args.station, args.file)
    actions = {"list": firmware.list_images, "verify": firmware.verify}
    return actions[args.action](console, args.station)


def _doctor(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands.doctor import doctor

    return doctor(console, args.station)


def _recover(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands.recover import recover

    return recover(console, args.station)


def _list(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands.store import list_runs

    return list_runs(console, args.station)


def _show(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands.store import show

    return show(console, args.station, args.serial)


def _report(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands.store import report

    return report(console, args.station, args.serial)


def _summary(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands.store import summary

    return summary(console, args.station, args.emulated)


def _verify(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands import integrity

    return integrity.verify(console, args.station, args.head, args.key)


def _backup(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands import integrity

    if args.check:
        return integrity.check(console, args.file, args.head, args.key)
    if args.head or args.key:
        raise UsageError("--head and --key belong to --check.", "A new backup is verified by itself.")
    return integrity.backup(console, args.station, args.file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mfg", description="Manufacturing test and calibration station.", epilog=EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"mfg {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    common = _station_argument(Path("station.yaml"))
    # An action's own default would win over what was given before the action.
    inner = _station_argument(argparse.SUPPRESS)

    def add(name: str, help_text: str, command: Command | None = None) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=help_text, description=help_text, parents=[common], epilog=EXIT_CODES
        )
        sub.set_defaults(command=command)
        return sub

    add_run_arguments(add("run", "test and calibrate one unit", _run))
    _add_actions(add("bench", "the emulated bench by hand", _bench), inner)
    add_unit(add("unit", "engineering jobs on a running unit"), inner)
    _add_images(add("firmware", "the UF2 images of this station", _firmware), inner)
    add("doctor", "check everything that a run needs", _doctor)
    add("recover", "make the bench safe and close the runs that were killed", _recover)
    add("list", "list the runs on record", _list)
    add("show", "show a unit's latest record", _show).add_argument("serial", metavar="SERIAL")
    add("report", "write a unit's latest report again", _report).add_argument(
        "serial", metavar="SERIAL", nargs="?"
    )
    add("summary", "units, first-pass yield, failures and time by phase", _summary).add_argument(
        "--emulated", action="store_true", help="count runs on emulated benches too"
    )
    _add_kept(add("verify", "find records that were changed; works offline", _verify))
    backup = add("backup", "write all that is on record into one verified archive", _backup)
    backup.add_argument("file", type=Path, metavar="FILE")
    backup.add_argument("--check", action="store_true", help="verify an archive instead of writing one")
    _add_kept(backup)
    return parser


def _add_kept(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--head", default="", metavar="SHA256", help="a head that was kept elsewhere")
    sub.add_argument("--key", default="", metavar="PUBLIC", help="the station's public key, kept elsewhere")


def _station_argument(default: object) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--station", type=Path, default=default, metavar="FILE", help="default: station.yaml")
    return parser


def _add_actions(bench: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    actions = bench.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in (("up", "start it"), ("down", "stop it"), ("status", "what it does")):
        actions.add_parser(name, help=text, parents=[common])
    setter = actions.add_parser("set", help="switch or break something", parents=[common])
    setter.add_argument("what", metavar="WHAT", help="supply, button, bootsel, or the name of a fault")
    setter.add_argument("value", metavar="on|off")
    setter.add_argument("--slot", type=int, default=1, metavar="N")


def _add_images(firmware: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    actions = firmware.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="what there is", parents=[common])
    actions.add_parser("verify", help="check the images of this station", parents=[common])
    adder = actions.add_parser("add", help="take an image over", parents=[common])
    adder.add_argument("file", type=Path, metavar="FILE")


if __name__ == "__main__":
    raise SystemExit(main())
