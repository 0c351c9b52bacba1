"""A disk for the records of a run that fills up."""

import resource
import subprocess

DISK = "200k"  # half of what a run leaves
LONGEST_FILE_BYTES = 120_000  # more than the index has at the start, less than a journal at its end
MOUNT = 'mount -t tmpfs -o size="$0" tmpfs "$1" && shift && exec "$@"'


def on_a_small_disk(records):
    """Return what runs a command with a small file system of its own at `records`."""
    for unshare in (["unshare", "-rm"], ["unshare", "-m"]):
        prefix = [*unshare, "sh", "-c", MOUNT, DISK, str(records)]
        try:
            allowed = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            allowed = False
        if allowed:
            return {"prefix": prefix}
    return with_short_files(records)  # this machine lets nobody mount anything


def with_short_files(_records):
    """Return what runs a command that can write no long file, as on a file system that is full."""
    limit = (LONGEST_FILE_BYTES, resource.RLIM_INFINITY)
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)}
