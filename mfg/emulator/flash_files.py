"""Look into the file system of a flash image from outside, for tests and for a person at the bench."""

from __future__ import annotations

from mfg.emulator.core import FILE_SYSTEM_BLOCK_BYTES, FILE_SYSTEM_BLOCKS, FILE_SYSTEM_OFFSET
from mfg.errors import StationError

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


def _mount(flash: bytes) -> LittleFS | None:
    fs = LittleFS(block_size=FILE_SYSTEM_BLOCK_BYTES, block_count=FILE_SYSTEM_BLOCKS, mount=False)
    end = FILE_SYSTEM_OFFSET + FILE_SYSTEM_BLOCKS * FILE_SYSTEM_BLOCK_BYTES
    fs.context.buffer = bytearray(flash[FILE_SYSTEM_OFFSET:end])
    try:
        fs.mount()
    except LittleFSError:
        return None
    return fs
