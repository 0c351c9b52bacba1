"""Files on the unit. Source: CT6 interface description 3.2."""

import os

_DIRECTORY = 0x4000


def list_all(folder="/"):
    """Return the absolute paths below `folder`, depth first; folders end in a slash."""
    found = []
    for entry in os.ilistdir(folder):
        path = folder + entry[0]
        if entry[1] & _DIRECTORY:
            found.append(path + "/")
            found += list_all(path + "/")
        else:
            found.append(path)
    return found


def remove_tree(folder):
    """Remove a folder with everything in it.

    Raises:
        OSError: It is not there, or something could not be removed.
    """
    for path in reversed(list_all(folder + "/")):
        if path[-1] == "/":
            os.rmdir(path[:-1])
        else:
            os.remove(path)
    os.rmdir(folder)


def usage():
    """Return the bytes used and the bytes of the whole file system."""
    state = os.statvfs("/")
    return (state[2] - state[3]) * state[1], state[2] * state[1]
