"""`mfg unit files`: the files of a running unit, over the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from mfg.commands.unit_arguments import Wanted
from mfg.commands.unit_target import find_target, held, open_place
from mfg.errors import UsageError
from mfg.fixtures.unit_files import UnitFiles
from mfg.records.factory_file import mask_secrets
from mfg.records.run_folder import write_atomic
from mfg.untrusted import parse_json


def list_paths(console: Console, station_path: Path, wanted: Wanted, folder: str) -> int:
    """Print the paths below a folder of the unit."""
    target = find_target(open_place(station_path), wanted)
    for path in UnitFiles(target.api).list(folder):
        console.print(path, markup=False, soft_wrap=True)
    return 0


def get(console: Console, station_path: Path, wanted: Wanted, path: str, local: Path | None) -> int:
    """Store a text file of the unit here; secrets in a configuration are masked.

    Raises:
        UsageError: There is a file of that name here already; it stays.
    """
    local = Path(path.rpartition("/")[2]) if local is None else local
    if local.exists():
        raise UsageError(f"{local} is there already.", "Give another name.")
    target = find_target(open_place(station_path), wanted)
    content = _masked(UnitFiles(target.api).get(path)).encode()
    write_atomic(local, content)
    console.print(f"{local}: {len(content)} bytes of {path}", soft_wrap=True)
    return 0


def put(console: Console, station_path: Path, wanted: Wanted, local: Path, path: str) -> int:
    """Store a local file on the unit; a path that ends with / keeps the file's name."""
    try:
        content = local.read_bytes()
    except OSError as error:
        raise UsageError(f"{local} cannot be read: {error.strerror}.") from error
    path = path + local.name if path.endswith("/") else path

    def store(files: UnitFiles) -> str:
        files.put(path, content)
        return f"{path}: {len(content)} bytes, the hash is right"

    return _change(console, station_path, wanted, store)


def remove(console: Console, station_path: Path, wanted: Wanted, path: str) -> int:
    """Remove a file or an empty folder of the unit."""

    def unlink(files: UnitFiles) -> str:
        files.remove(path)
        return f"{path} is gone."

    return _change(console, station_path, wanted, unlink)


def make_folder(console: Console, station_path: Path, wanted: Wanted, path: str) -> int:
    """Make a folder on the unit."""

    def make(files: UnitFiles) -> str:
        files.make_folder(path)
        return f"{path} is there."

    return _change(console, station_path, wanted, make)


def _change(console: Console, station_path: Path, wanted: Wanted, change: Callable[[UnitFiles], str]) -> int:
    place = open_place(station_path)
    target = find_target(place, wanted)
    with held(place, target.slot):
        console.print(change(UnitFiles(target.api)), markup=False, soft_wrap=True)
    return 0


def _masked(text: str) -> str:
    """Mask the secrets of a configuration; any other text stays as it is."""
    try:
        data = parse_json(text.encode())
    except ValueError:
        return text
    masked = mask_secrets(data)
    return text if masked == data else json.dumps(masked)
