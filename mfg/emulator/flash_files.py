"""The file system of a flash image, made and read from outside the unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from mfg.emulator.core import FILE_SYSTEM_BLOCK_BYTES, FILE_SYSTEM_BLOCKS, FILE_SYSTEM_OFFSET
from mfg.errors import StationError

# As MicroPython's, four times the program size: a short file that a unit keeps within its folder's block is
# read into one cache, and called corrupt where that is smaller.
CACHE_BYTES = 1024

try:
    from littlefs import LittleFS, LittleFSError
except ImportError as error:
    raise StationError(
        f"The emulator needs the package littlefs-python, which does not load here: {error}.",
        "Install the emulator extra.",
    ) from error


def list_files(flash: bytes) -> dict[str, int]:
    """Return the size of every file by its path; nothing when there is no file system."""
    fs = _mount(flash)
    if fs is None:
        return {}
    sizes: dict[str, int] = {}
    for folder, _, names in fs.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            sizes[path] = fs.stat(path).size
    return sizes


def read_file(flash: bytes, path: str) -> bytes:
    """Return the content of a file.

    Raises:
        StationError: There is no such file.
    """
    fs = _mount(flash)
    try:
        if fs is None:
            raise FileNotFoundError(path)
        with fs.open(path, "rb") as file:
            return bytes(file.read())
    except (OSError, LittleFSError) as error:
        raise StationError(f"The unit's flash holds no file {path}: {error}.") from error


def file_system_image(flash: bytearray, files: Mapping[str, bytes], folders: Iterable[str] = ()) -> None:
    """Format the file system of a flash image and fill it.

    Args:
        flash: The whole flash; its file system is replaced.
        files: Contents by absolute path; the folders above them are made.
        folders: Absolute paths of more folders, each after its parent.
    """
    fs = _file_system()
    fs.format()
    fs.mount()
    above = {str(folder): None for path in files for folder in reversed(PurePosixPath(path).parents)}
    for folder in dict.fromkeys([*folders, *above]):
        if folder != "/":
            fs.mkdir(folder)
    for path, content in files.items():
        with fs.open(path, "wb") as file:
            file.write(content)
    image = bytes(fs.context.buffer)
    flash[FILE_SYSTEM_OFFSET : FILE_SYSTEM_OFFSET + len(image)] = image


def _file_system() -> LittleFS:
    return LittleFS(
        block_size=FILE_SYSTEM_BLOCK_BYTES,
        block_count=FILE_SYSTEM_BLOCKS,
        prog_size=256,
        read_size=32,
        cache_size=CACHE_BYTES,
        mount=False,
    )


def _mount(flash: bytes) -> LittleFS | None:
    fs = _file_system()
    end = FILE_SYSTEM_OFFSET + FILE_SYSTEM_BLOCKS * FILE_SYSTEM_BLOCK_BYTES
    fs.context.buffer = bytearray(flash[FILE_SYSTEM_OFFSET:end])
    try:
        fs.mount()
    except LittleFSError:
        return None
    return fs
