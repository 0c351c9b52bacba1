"""What several tests on the emulated bench share."""

import filelock
import pytest
from bench_station import BenchStation


@pytest.fixture(scope="session")
def calibrated(tmp_path_factory, worker_id):
    """The station of one good unit that was calibrated; look at it and adopt from it, never run it."""
    root = tmp_path_factory.getbasetemp()
    folder = (root if worker_id == "master" else root.parent) / "calibrated"
    with filelock.FileLock(f"{folder}.lock"):
        folder.mkdir(exist_ok=True)
        station = BenchStation(folder, factor=5)
        if not any(folder.glob("records/*/*/record.json")):
            ended = station.run()
            assert ended.exit_code == 0, ended.output
    return station
