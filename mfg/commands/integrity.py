"""`mfg verify` and `mfg backup`: were records changed, and one archive of all that is on record."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

from mfg.errors import UsageError
from mfg.records.backup import check_backup, write_backup
from mfg.records.verification import Verification, snapshot_of
from mfg.records.verification import verify as verify_snapshot
from mfg.station import load_station

_HEX = re.compile(r"[0-9a-f]{64}")


def verify(console: Console, station_path: Path, head: str, key: str) -> int:
    """Look for changed records; exit 3 when something was found.

    Raises:
        UsageError: There are no records, or a head or key is not 64 hexadecimal digits.
        StationError: The records cannot be read.
    """
    root = load_station(station_path).records_folder
    if not root.is_dir():
        raise UsageError(f"{root} does not exist: there is nothing on record.")
    kept = _hexadecimal("--head", head), _hexadecimal("--key", key)
    return _show(console, verify_snapshot(snapshot_of(root), *kept), head)


def backup(console: Console, station_path: Path, target: Path) -> int:
    """Write a verified archive.

    Raises:
        UsageError: The target exists or cannot be there.
        StationError: A record was changed or the disk refuses; no archive is left.
    """
    done = write_backup(load_station(station_path).records_folder, target)
    console.print(f"{done.path}: {done.size / 1e6:.1f} MB, read back and verified.", soft_wrap=True)
    return _show(console, done.verification, "")


def check(console: Console, path: Path, head: str, key: str) -> int:
    """Verify an archive; exit 3 when something was found.

    Raises:
        UsageError: There is no such file, or a head or key is not 64 hexadecimal digits.
        StationError: It is damaged or no backup.
    """
    kept = _hexadecimal("--head", head), _hexadecimal("--key", key)
    return _show(console, check_backup(path, *kept), head)


def _hexadecimal(option: str, text: str) -> str:
    if text and not _HEX.fullmatch(text.lower()):
        raise UsageError(f"{option} {text[:80]}: give 64 hexadecimal digits, as a report prints them.")
    return text.lower()


def _show(console: Console, result: Verification, kept_head: str) -> int:
    for sentence in result.findings:
        console.print(f"✘ {sentence}", style="red", markup=False, soft_wrap=True)
    for sentence in result.withdrawn:
        console.print(f"! {sentence}", style="yellow", markup=False, soft_wrap=True)
    counted = f"{result.runs} runs in {result.lines} lines"
    if result.findings:
        console.print(f"{len(result.findings)} findings in {counted}. Keep everything; tell the engineer.")
        return 3
    console.print(f"✔ {counted}: nothing was changed.", style="green")
    if result.proved:
        console.print(
            f"The head that was kept elsewhere is that of line {result.proved}: all up to it is proved."
        )
    elif not kept_head and result.lines:
        console.print("Without a head that was kept elsewhere (--head) the last lines may have been removed.")
    console.print(f"Head, line {result.lines}: {result.head}", soft_wrap=True)
    console.print(f"Public key: {result.key or '-'}", soft_wrap=True)
    return 0
