"""Makes the firmware's pure modules importable under CPython, as the package `app1`."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

FIRMWARE = Path(__file__).parents[3] / "firmware" / "ct6"
sys.path.insert(0, str(FIRMWARE))
sys.path.insert(0, str(Path(__file__).parent))
sys.modules.setdefault("micropython", SimpleNamespace(const=lambda value: value))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_compiled_files_in_the_firmware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
