"""Where the package's data lies: `firmware/` and `reports/`, in a checkout and in an installed wheel.

In a checkout the two folders stand beside `mfg/`; in a wheel they are `mfg/_data/firmware` and
`mfg/_data/reports`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mfg.errors import StationError

DataFolder = Literal["firmware", "reports"]

_PACKAGE = Path(__file__).resolve().parent


def data_folder(name: DataFolder, package: Path = _PACKAGE) -> Path:
    """Find one of the data folders.

    Args:
        name: Which folder.
        package: The folder of the `mfg` package, another one in tests only.

    Returns:
        Its absolute path; it exists.

    Raises:
        StationError: Neither the wheel's nor the checkout's folder is there; both places are named.
    """
    installed = package / "_data" / name
    if installed.is_dir():
        return installed
    checkout = package.parent / name
    # Beside an installed package lies site-packages, where a folder of this name would be someone else's.
    if (package.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    raise StationError(
        f"The data folder {name}/ is missing: neither {installed} nor {checkout} of a checkout is there.",
        "Install the station again, or run it from a complete checkout.",
    )


def data_file(name: DataFolder, *parts: str, package: Path = _PACKAGE) -> Path:
    """Find one data file.

    Args:
        name: The data folder.
        parts: The path inside it.
        package: As in `data_folder`.

    Returns:
        Its absolute path; the file exists.

    Raises:
        StationError: The folder or the file is missing; the message names it.
    """
    path = data_folder(name, package).joinpath(*parts)
    if not path.is_file():
        raise StationError(
            f"The data file {path} is missing.",
            "Install the station again, or run it from a complete checkout.",
        )
    return path
