"""A unit gets new labels, all else of it stays; what cannot be completed leaves the old ones."""

import pytest
from field_bench import ADDRESS, FACTORY, KINDS, MACHINE, field_station, values

from mfg.records.index import RecordIndex

pytestmark = pytest.mark.job

OLD = "ASY0398_V003.200_SN00001823"
NEW = "ASY0398_V003.400_SN00004711"
SCANNED = ("--assembly", "ASY0398V03.4", "--serial", "SN00004711")


@pytest.fixture(scope="module", params=KINDS)
def station(request, tmp_path_factory):
    made = field_station(tmp_path_factory.mktemp(f"labels-{request.param}"), request.param)
    with made.bench():
        yield made


def test_a_unit_gets_the_labels_that_are_scanned_and_keeps_everything_else(station):
    before = values(station)
    ended = station.run("--set_labels", *ADDRESS, labels=SCANNED)
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert (ended.record["mode"], ended.record["serial_number"]) == ("set-labels", "SN00004711")
    assert ended.value("identify_relabelled_unit", "label_before") == OLD
    assert ended.value("identify_relabelled_unit", "forced") == "nothing"
    assert ended.value("settle_calibration", "calibration_after") == "new"
    assert values(station) == before | {"ASSY": NEW}
    assert values(station, MACHINE)["ASSY"] == NEW
    (archived,) = ended.folder.glob("archive_factory.cfg")
    assert OLD in archived.read_text()
    assert station.all_off()


@pytest.mark.parametrize("station", ["ours"], indirect=True)
def test_a_serial_number_of_another_unit_is_given_only_when_somebody_forces_it(station):
    with RecordIndex(station.folder / "records") as index:
        index.claim_mac("28:cd:c1:00:00:09", "SN00000009", emulated=True)
    taken = ("--assembly", "ASY0398V03.4", "--serial", "SN00000009")
    before = station.unit_file(FACTORY)
    ended = station.run("--set-labels", *ADDRESS, labels=taken)
    assert (ended.outcome, ended.exit_code) == ("ERROR", 3), ended.output
    assert "SN00000009 is another unit's" in ended.record["outcome_reasons"][0]
    assert station.unit_file(FACTORY) == before
    ended = station.run("-l", *ADDRESS, "--force-by", "B. Person: that unit was scrapped", labels=taken)
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert "B. Person: that unit was scrapped" in ended.value("identify_relabelled_unit", "forced")
    assert values(station)["ASSY"] == "ASY0398_V003.400_SN00000009"
