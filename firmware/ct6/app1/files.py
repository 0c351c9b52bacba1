"""Files on the unit: listing, removing, and uploads that appear whole or not at all."""

import binascii
import hashlib
import os

from micropython import const

_DIRECTORY = const(0x4000)
_LIST_MAX = const(400)
_DEPTH_MAX = const(8)
# Room that an upload must leave: the configuration is rewritten into free blocks.
_RESERVE_BYTES = const(32768)


def is_folder(path):
    """Return whether `path` is an existing folder."""
    try:
        return bool(os.stat(path)[0] & _DIRECTORY)
    except OSError:
        return False


def list_all(folder="/", depth=0):
    """Return the absolute paths below `folder`, depth first; folders end in a slash.

    At most 400 entries and eight levels.
    """
    found = []
    for entry in os.ilistdir(folder):
        path = folder + entry[0] if folder.endswith("/") else folder + "/" + entry[0]
        if entry[1] & _DIRECTORY:
            found.append(path + "/")
            if depth < _DEPTH_MAX:
                found += list_all(path, depth + 1)
        else:
            found.append(path)
        if len(found) >= _LIST_MAX:
            break
    return found[:_LIST_MAX]


def remove_tree(folder):
    """Remove a folder with everything in it.

    Raises:
        OSError: Something could not be removed; part of the tree may be gone.
    """
    for path in reversed(list_all(folder)):
        if path.endswith("/"):
            os.rmdir(path[:-1])
        else:
            os.remove(path)
    os.rmdir(folder)


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


def usage():
    """Return the bytes used and the bytes of the whole file system."""
    state = os.statvfs("/")
    return (state[2] - state[3]) * state[1], state[2] * state[1]


class UploadFile:
    """A file that is being received under a temporary name; `left` bytes are still to come."""

    def __init__(self, path, length, sha256):
        """Begin; folders that miss are created.

        Raises:
            ValueError: There is no room for it.
            OSError: It cannot be created.
        """
        used, whole = usage()
        if whole - used < length + _RESERVE_BYTES:
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
