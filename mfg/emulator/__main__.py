"""Start one process of the emulated bench: `python -m mfg.emulator <role> <config> [n] [--parent-pid N]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mfg.emulator.config import BenchConfig
from mfg.emulator.process import end_with
from mfg.errors import MfgError, UsageError

ROLES = ("bench", "unit", "instruments", "operator")
EXIT_USAGE, EXIT_STATION = 2, 3


def main() -> int:
    """Play a role until the process is ended; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m mfg.emulator")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("config", type=Path, help="bench-config.json")
    parser.add_argument("number", type=int, nargs="?", default=1, help="of the unit")
    parser.add_argument("--parent-pid", type=int, help="end when this process ends; omitted: live on")
    arguments = parser.parse_args()
    if arguments.parent_pid is not None:
        end_with(arguments.parent_pid)
    try:
        _play(arguments.role, arguments.config.resolve(), arguments.number)
    except MfgError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_STATION
    return 0


def _play(role: str, path: Path, number: int) -> None:
    """Import what the role needs, and nothing more."""
    config = BenchConfig.read(path)
    if role == "bench":
        from mfg.emulator.bench import run_bench

        run_bench(config, path)
    elif role == "unit":
        from mfg.emulator.unit import run_unit

        run_unit(config, number)
    elif role == "instruments":
        from mfg.emulator.instruments import run_instruments

        run_instruments(config)
    else:
        from mfg.emulator.operator import run_operator

        run_operator(config)


if __name__ == "__main__":
    sys.exit(main())
