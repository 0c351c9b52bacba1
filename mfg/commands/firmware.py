"""`mfg firmware`: the UF2 images of this station."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mfg.data_files import data_file
from mfg.errors import MfgError, StationError
from mfg.fixtures.image_manifest import ImageEntry, ImageManifest, read_manifest
from mfg.fixtures.uf2 import check_image, read_uf2
from mfg.station import load_station


def manifest() -> ImageManifest:
    """Read the project's image manifest."""
    return read_manifest(data_file("firmware", "images", "manifest.toml"))


def list_images(console: Console, station_path: Path) -> int:
    """Print every image of the manifest and whether this station has it."""
    folder = load_station(station_path).images_folder
    table = Table("name", "role", "version", "board", "here", "get it from")
    for entry in manifest().images:
        here = "yes" if (folder / entry.file).is_file() else "no"
        source = "made by the emulated bench" if entry.emulator else entry.address
        table.add_row(entry.name, entry.role, entry.version, entry.board, here, source)
    console.print(table)
    return 0


def add(console: Console, station_path: Path, file: Path) -> int:
    """Check an image against the manifest and copy it into the station's image folder.

    Raises:
        StationError: The file is no complete UF2, or the manifest does not know it; nothing was copied.
    """
    image = read_uf2(file)
    entry = manifest().by_sha256(image.sha256)
    if entry is None:
        raise StationError(
            f"{file} ({image.program_name} {image.program_version} {image.board}, sha256 {image.sha256}) "
            "is not in the image manifest.",
            "Only images of the manifest are loaded onto units; add it there by a reviewed change.",
        )
    check_image(image, entry)
    folder = load_station(station_path).images_folder
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / f".{entry.file}.new")
    (folder / f".{entry.file}.new").replace(folder / entry.file)
    console.print(f"{entry.name} is in {folder / entry.file}")
    return 0


def verify(console: Console, station_path: Path) -> int:
    """Check the images that this station uses; exit 3 when one is missing or wrong."""
    station = load_station(station_path)
    wrong = 0
    for name in (station.erase_image, station.micropython_image):
        problem = image_problem(station.images_folder, manifest().by_name(name))
        wrong += bool(problem)
        console.print(f"{name}: {problem or 'right'}")
    return 3 if wrong else 0


def image_problem(folder: Path, entry: ImageEntry) -> str:
    """Return what is wrong with an image file, "" when nothing is."""
    try:
        check_image(read_uf2(folder / entry.file), entry)
    except MfgError as error:
        return str(error)
    return ""
