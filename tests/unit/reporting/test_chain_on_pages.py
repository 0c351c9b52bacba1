"""Report and certificate print the head of the chain at their run, and the key that signs it."""

from __future__ import annotations

import pytest
from chained_records import ChainedRecords

from mfg.errors import StationError
from mfg.records.record import load_stored, write_record
from mfg.records.run_folder import RunFolder, new_run_id
from mfg.reporting.certificate import render_certificate
from mfg.reporting.render import render_report


@pytest.fixture
def station(tmp_path, make_record):
    made = ChainedRecords(tmp_path / "records", make_record)
    made.run()
    return made


@pytest.fixture
def stored(station, make_calibrated_record):
    record = make_calibrated_record(run_id=new_run_id(station.now))
    folder = RunFolder.create(station.root, record["serial_number"], record["run_id"])
    write_record(folder, record)
    return record, folder.path


@pytest.mark.parametrize("render", [render_report, render_certificate])
def test_a_page_of_a_run_on_record_prints_the_head_at_that_run_and_the_key(station, stored, render):
    assert "not on record yet" in render(*stored)
    link = station.chain.append(load_stored(stored[1]))
    page = render(*stored)
    assert "line 2" in page
    assert link.sha256 == station.chain.head().sha256
    assert link.sha256 in page
    assert link.key in page


@pytest.mark.parametrize("render", [render_report, render_certificate])
def test_a_page_that_is_rendered_after_later_runs_is_the_same(station, stored, render):
    station.chain.append(load_stored(stored[1]))
    before = render(*stored)
    station.run("SN00000002")
    assert render(*stored) == before


def test_a_chain_that_cannot_be_read_is_a_station_error(station, stored):
    station.chain.append(load_stored(stored[1]))
    path = station.chain.path
    path.write_bytes(path.read_bytes().replace(b'"sequence":2', b'"sequence": 2'))
    with pytest.raises(StationError, match="no line of the chain"):
        render_report(*stored)
