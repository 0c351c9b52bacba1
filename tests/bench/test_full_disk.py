"""A records folder on a full disk: the run ends as an error that names the disk, and the bench is off."""

import re
import resource
import subprocess

import pytest
from bench_station import LABELS, BenchStation

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


@pytest.mark.parametrize("disk", [on_a_small_disk, with_short_files])
def test_a_full_disk_is_an_error_that_names_it(tmp_path, disk):
    station = BenchStation(tmp_path, factor=5)
    records = tmp_path / "records"
    records.mkdir()
    with station.bench():  # not on the disk that fills up
        done = station.command("run", *LABELS, **disk(records))
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 3, output
    assert "PASS " not in output
    assert "NOT CALIBRATED" not in output
    assert str(records) in output
    assert re.search("No space left on device|File too large|disk is full|disk I/O error", output), output
    assert re.search("Check the disk|Free space on the disk", output), output
    assert "Traceback" not in output
    assert station.events("supply")[-1] == 0
    assert station.all_off()
