"""Other firmwares made from ours, for tests that load them with `mfg run --firmware`."""

from __future__ import annotations

import shutil
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware" / "ct6"


def copied_firmware(folder: Path) -> Path:
    """Copy our firmware into a new folder below `folder`."""
    copy = folder / "firmware"
    shutil.copytree(FIRMWARE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def with_addition(firmware: Path, module: str, text: str) -> Path:
    """Let a module of a copied firmware end in some more code; returns the folder."""
    with (firmware / "app1" / module).open("a", encoding="utf-8") as file:
        file.write(text)
    return firmware
