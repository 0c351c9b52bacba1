"""What several tests on the emulated bench share."""

import dataclasses
from types import SimpleNamespace

import filelock
import pytest
from bench_station import PERFECT, BenchStation
from secret_search import processes_of

from mfg.emulator.typical import typical_unit

PASSPHRASE = 'bench "only" p\\ss/phrase+5% <&>'  # every form that it may take differs from the plain one


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


@pytest.fixture(scope="session")
def passed(tmp_path_factory):
    """One good unit, run once at real speed as a user would, and what the plant says of it afterwards.

    Attributes: station; ended; passphrase of its WiFi; processes: argv and environment of all it ran;
    all_off after the run; readings: truth and registers of each port, with the load on again.
    """
    unit = dataclasses.replace(typical_unit(7, 1), passphrase=PASSPHRASE)
    station = BenchStation(tmp_path_factory.mktemp("passed"), instruments=PERFECT, unit=unit)
    with station.bench() as bench:
        with processes_of(station.folder) as processes:
            ended = station.run()
        assert ended.exit_code == 0, ended.output
        all_off = station.all_off()
        readings = station.settled_readings(bench)
    return SimpleNamespace(
        station=station,
        ended=ended,
        passphrase=PASSPHRASE,
        processes=processes,
        all_off=all_off,
        readings=readings,
    )
