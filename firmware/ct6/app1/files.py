"""Files on the unit: listing, removing, and uploads that appear whole or not at all.

Loaded while it is asked for.
"""

import binascii
import hashlib
import json
import os

from micropython import const

from . import config, schema
from .request import path_of

_DIRECTORY = const(0x4000)
_DEPTH_MAX = const(8)
_GET_FILE_MAX_BYTES = const(8192)
# Room that an upload must leave: the configuration is rewritten into free blocks.
_RESERVE_BYTES = const(32768)


def is_folder(path):
    """Return whether `path` is an existing folder."""
    try:
        return bool(os.stat(path)[0] & _DIRECTORY)
    except OSError:
        return False


def walk(folder="/", depth=0):
    """Yield the absolute paths below `folder`, depth first; folders end in a slash.

    Raises:
        OSError: There are folders in more than eight levels.
    """
    if depth > _DEPTH_MAX:
        raise OSError("Too many levels of folders")
    for entry in os.ilistdir(folder):
        path = folder + entry[0] if folder.endswith("/") else folder + "/" + entry[0]
        if entry[1] & _DIRECTORY:
            yield path + "/"
            yield from walk(path, depth + 1)
        else:
            yield path


class Listing:
    """A reply that is made while it is sent: one entry per file and folder, whatever their number."""

    def __init__(self, head, tail, entry):
        """Remember what to send.

        Args:
            head: What comes before the entries, as JSON.
            tail: What comes after them.
            entry: A coroutine function that returns the entry of a path.
        """
        self._head = head
        self._tail = tail
        self._entry = entry

    async def send(self, pieces):
        """Hand the JSON text over.

        Raises:
            OSError: A file or folder cannot be read; the text then stays without its end.
        """
        pieces.write(self._head)
        comma = b""
        for path in walk():
            pieces.write(comma)
            comma = b", "
            json.dump(await self._entry(path), pieces)
            await pieces.drain()
        pieces.write(self._tail)


def check_way_back(app, path):
    """Refuse to change the application that the one on trial would have to give way to.

    Raises:
        ValueError: `path` is one of its files.
    """
    if app.trial and path.startswith("/app%d/" % (3 - app.number)):
        raise ValueError(path + " belongs to the way back from the application on trial")


def make_parents(path):
    """Create the folders above `path` that do not exist.

    Raises:
        OSError: A folder could not be created.
    """
    parts = path.split("/")[1:-1]
    for count in range(1, len(parts) + 1):
        folder = "/" + "/".join(parts[:count])
        if not is_folder(folder):
            os.mkdir(folder)


class UploadFile:
    """A file that is being received under a temporary name; `left` bytes are still to come."""

    def __init__(self, app, path, length, sha256):
        """Begin; folders that miss are created.

        Raises:
            ValueError: There is no room for it, or it must not be changed now.
            OSError: It cannot be created.
        """
        check_way_back(app, path)
        state = os.statvfs("/")
        if state[3] * state[1] < length + _RESERVE_BYTES:
            raise ValueError("There is no room for the file")
        make_parents(path)
        self._path = path
        self.left = length
        self._expected = sha256
        self._hash = hashlib.sha256()
        self._file = open(path + ".part", "wb")

    def write(self, data):
        """Append bytes; more than were announced is an error."""
        if len(data) > self.left:
            raise ValueError("More bytes came than were announced")
        self._hash.update(data)
        self._file.write(data)
        self.left -= len(data)

    def check(self):
        """Close the file and compare its hash.

        Raises:
            ValueError: It is not whole or not what was sent.
        """
        self._file.close()
        if self.left:
            raise ValueError("The file is not whole")
        if str(binascii.hexlify(self._hash.digest()), "ascii") != self._expected:
            raise ValueError("The hash is wrong")

    def read_text(self):
        """Return the received bytes as text, for a file that is small."""
        with open(self._path + ".part", "rb") as file:
            return str(file.read(), "utf-8")

    def put(self):
        """Give the file its name."""
        os.rename(self._path + ".part", self._path)

    def drop(self):
        """Close and remove what is left under the temporary name."""
        self._file.close()
        try:
            os.remove(self._path + ".part")
        except OSError:  # it has its name, or was never made
            return


def masked_file(path, text):
    """Return the text of a file as it may leave the unit.

    Raises:
        ValueError: The file may hold a secret and cannot be masked.
    """
    name = path.split("/")[-1].lower()
    secret = name.startswith("this.machine")
    for row in schema.ROWS + schema.WIFI_ROWS:
        if row[4] & schema.SECRET and '"%s"' % row[0] in text:
            secret = True
    if not secret:
        return text
    return json.dumps(config.masked(config.parse_object(text)))


# REST: the name of a function is do_ and its path.


def do_get_file_list(_app, _args):
    return Listing(b"[", b"]", _path)


async def _path(path):
    return path


def do_mkdir(_app, args):
    os.mkdir(path_of(args, "dir"))
    return {"OK": True}


def do_rmdir(_app, args):
    path = path_of(args, "dir")
    if not is_folder(path):
        raise ValueError("There is no folder " + path)
    os.rmdir(path)
    return {"OK": True}


def do_rmfile(app, args):
    path = path_of(args, "file")
    if is_folder(path):
        raise ValueError(path + " is a folder")
    check_way_back(app, path)
    os.remove(path)
    return {"OK": True}


def do_get_file(_app, args):
    path = path_of(args, "file")
    size = os.stat(path)[6]
    if size > _GET_FILE_MAX_BYTES:
        raise ValueError("The file is longer than %d bytes" % _GET_FILE_MAX_BYTES)
    with open(path, "rb") as file:
        data = file.read(size)  # no more than is there: read() allocates what it is asked for
    try:
        text = str(data, "utf-8")
    except UnicodeError:
        raise ValueError("The file is no text") from None
    # Tools look the text up under the argument exactly as they sent it.
    return {"OK": True, args["file"]: masked_file(path, text)}
