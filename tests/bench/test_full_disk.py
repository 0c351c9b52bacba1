"""A records folder on a full disk: the run ends as an error that names the disk, and the bench is off."""

import re

import pytest
from bench_station import LABELS, BenchStation
from small_disk import with_short_files


@pytest.mark.slow
def test_a_full_disk_is_an_error_that_names_it(tmp_path):
    station = BenchStation(tmp_path, factor=5)
    records = tmp_path / "records"
    records.mkdir()
    with station.bench():  # not on the disk that fills up
        done = station.command("run", *LABELS, **with_short_files(records))
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
