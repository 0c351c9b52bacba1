"""A real bench and the unit in its slot, with a person at it."""

import subprocess
import sys


def mfg(*arguments):
    return subprocess.run([sys.executable, "-m", "mfg", *arguments], timeout=900).returncode


def test_the_station_is_ready(station):
    assert mfg("doctor", "--station", station) == 0


def test_the_golden_unit_passes(station):
    assert mfg("run", "--station", station) == 0
