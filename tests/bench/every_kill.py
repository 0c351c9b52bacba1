"""Kill a run at every line of its journal. Run by `nox -s kills`; a sample of it is in test_kills.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from bench_station import BenchStation
from killed_run import FACTOR, assert_clean, assert_soon_off, killed_and_run_again, points_of


@pytest.mark.timeout(5400)
def test_a_run_may_be_killed_at_every_line_of_its_journal(tmp_path, record_property):
    (tmp_path / "good").mkdir()
    good = BenchStation(tmp_path / "good", factor=FACTOR)
    assert good.run().exit_code == 0
    (journal,) = (good.folder / "records").glob("*/*/journal.jsonl")
    points = points_of(journal)
    assert len(points) > 30
    with ThreadPoolExecutor(2) as pool:
        folders = [tmp_path / str(number) for number in range(len(points))]
        runs = list(pool.map(killed_and_run_again, folders, points))
    for point, run in zip(points, runs, strict=True):
        assert_clean(point, *run)
    loaded = assert_soon_off([run[1] for run in runs])
    record_property("kills", len(points))
    record_property("load_off_after_s", loaded)
