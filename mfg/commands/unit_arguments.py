"""The arguments of `mfg unit`: its actions, and how each names its unit. `mfg/cli.py` reads them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from mfg.errors import UsageError

Command = Callable[[Console, argparse.Namespace], int]


@dataclass(frozen=True)
class Wanted:
    """How the unit was named: by its address, by a slot, or not at all."""

    address: str = ""
    slot: int | None = None


@dataclass(frozen=True)
class View:
    """How somebody watches: for how long, in bench seconds, and as a table or as JSON lines."""

    seconds: float | None = None
    as_json: bool = False


def add_unit(unit: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the actions of `mfg unit` to its parser.

    Args:
        unit: The parser of the command.
        common: What every command takes.
    """
    named = argparse.ArgumentParser(add_help=False, parents=[common])
    one = named.add_mutually_exclusive_group()
    one.add_argument("-a", "--address", default="", metavar="ADDR", help="the unit's address")
    one.add_argument(
        "--slot", type=int, metavar="N", help="the unit in this slot; default: the only one found"
    )
    watched = argparse.ArgumentParser(add_help=False)
    watched.add_argument("--seconds", type=_seconds, metavar="S", help="end after S seconds; default: Ctrl-C")
    lines = argparse.ArgumentParser(add_help=False)
    lines.add_argument("--json", action="store_true", help="one JSON object per line")
    actions = unit.add_subparsers(dest="action", required=True, metavar="ACTION")

    def add(
        name: str, text: str, command: Command, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, help=text, description=text, parents=list(parents))
        parser.set_defaults(command=command)
        return parser

    add("scan", "list the units that answer, live", _scan, common, watched, lines)
    add("stats", "show what one unit measures, or all that answer", _stats, named, watched, lines)
    _add_config(actions.add_parser("config", help="read and write its configuration"), named)
    _add_files(actions.add_parser("files", help="its files"), named)
    add("apps", "show which application is active, and the versions", _job, named)
    add("reboot", "restart its processor and wait until it measures", _job, named)
    add("power-cycle", "let it cut its own supply and wait until it measures", _job, named)
    add("console", "follow its USB console", _console, named, watched)
    add("shell", "open its MicroPython prompt over USB", _shell, named)


def _add_config(config: argparse.ArgumentParser, named: argparse.ArgumentParser) -> None:
    actions = config.add_subparsers(dest="what", required=True, metavar="ACTION")
    getter = actions.add_parser("get", help="print it, secrets masked", parents=[named])
    getter.add_argument("keys", nargs="*", metavar="KEY")
    setter = actions.add_parser("set", help="write checked values and read them back", parents=[named])
    setter.add_argument("pairs", nargs="+", metavar="KEY=VALUE")
    config.set_defaults(command=_config)


def _add_files(files: argparse.ArgumentParser, named: argparse.ArgumentParser) -> None:
    actions = files.add_subparsers(dest="what", required=True, metavar="ACTION")
    listing = actions.add_parser("ls", help="list them", parents=[named])
    listing.add_argument("path", nargs="?", default="/", metavar="FOLDER")
    getter = actions.add_parser("get", help="store a text file here", parents=[named])
    getter.add_argument("path", metavar="PATH")
    getter.add_argument("local", nargs="?", type=Path, metavar="LOCAL")
    putter = actions.add_parser("put", help="store a local file there", parents=[named])
    putter.add_argument("local", type=Path, metavar="LOCAL")
    putter.add_argument("path", metavar="PATH")
    for name, text in (("rm", "remove a file or an empty folder"), ("mkdir", "make a folder")):
        actions.add_parser(name, help=text, parents=[named]).add_argument("path", metavar="PATH")
    files.set_defaults(command=_files)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no time in seconds")
    return value


def _wanted(args: argparse.Namespace) -> Wanted:
    return Wanted(args.address, args.slot)


def _scan(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands.unit_watch import scan

    return scan(console, args.station, View(args.seconds, args.json))


def _stats(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands.unit_watch import stats

    return stats(console, args.station, _wanted(args), View(args.seconds, args.json))


def _config(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands import unit_jobs

    if args.what == "get":
        return unit_jobs.config_get(console, args.station, _wanted(args), args.keys)
    return unit_jobs.config_set(console, args.station, _wanted(args), args.pairs)


def _files(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands import unit_files

    if not args.path.startswith("/"):
        raise UsageError(f"{args.path!r} is no path on a unit.", "It begins with /.")
    if args.what == "get":
        return unit_files.get(console, args.station, _wanted(args), args.path, args.local)
    if args.what == "put":
        return unit_files.put(console, args.station, _wanted(args), args.local, args.path)
    one = {"ls": unit_files.list_paths, "rm": unit_files.remove, "mkdir": unit_files.make_folder}
    return one[args.what](console, args.station, _wanted(args), args.path)


def _job(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands import unit_jobs

    jobs = {"apps": unit_jobs.apps, "reboot": unit_jobs.reboot, "power-cycle": unit_jobs.power_cycle}
    return jobs[args.action](console, args.station, _wanted(args))


def _console(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands.unit_serial import follow_console

    return follow_console(console, args.station, _wanted(args), args.seconds)


def _shell(console: Console, args: argparse.Namespace) -> int:
    from mfg.commands.unit_serial import shell

    return shell(console, args.station, _wanted(args))
