"""What is on the unit's flash, by SHA-256. Loaded while it is asked for.

No content leaves the unit, so that a file with a secret can be compared, too.
"""

import asyncio
import binascii
import hashlib

from micropython import const

from .files import Listing
from .request import path_of

_BLOCK_BYTES = const(512)


async def _size_and_hash(path):
    """Return a file's bytes and SHA-256 in hex; other tasks run between its blocks."""
    digest = hashlib.sha256()
    size = 0
    block = memoryview(bytearray(_BLOCK_BYTES))
    with open(path, "rb") as file:
        while True:
            count = file.readinto(block)
            if not count:
                return size, str(binascii.hexlify(digest.digest()), "ascii")
            digest.update(block[:count])
            size += count
            await asyncio.sleep(0)


async def _entry(path):
    size, sha256 = (0, "") if path.endswith("/") else await _size_and_hash(path)
    return path, size, sha256


# REST: the name of a function is do_ or wait_ and its path.


def do_get_snapshot(_app, _args):
    return Listing(b'{"FILES": [', b"]}", _entry)


async def wait_get_hash(_app, args):
    size, sha256 = await _size_and_hash(path_of(args, "file"))
    return {"OK": True, args["file"]: {"BYTES": size, "SHA256": sha256}}
