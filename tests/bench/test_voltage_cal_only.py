"""The voltage alone is calibrated, for another adaptor; the current's calibration is proved unchanged."""

import pytest
from field_bench import ADDRESS, CALIBRATION, FACTORY, KINDS, field_station, values

OTHER_ADAPTOR = (1.8, -1.3)  # percent, at CT1 to CT3 and at CT4 to CT6
GAINS = ("CS4_VOLTAGE_GAIN", "CS0_VOLTAGE_GAIN")
NOMINAL = 55600


@pytest.fixture(scope="module", params=KINDS)
def station(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"voltage-{request.param}")
    made = field_station(folder, request.param, other_adaptor=OTHER_ADAPTOR)
    with made.bench() as bench:
        made.at_hand = bench
        yield made


def test_a_network_lost_while_the_gains_are_stored_leaves_the_old_calibration(station):
    before = station.unit_file(FACTORY)
    station.at_hand.call("event", what="fault", value={"name": "wifi_lost_in_write", "on": True}, unit=1)
    ended = station.run("--voltage-cal-only", *ADDRESS, labels=())
    station.at_hand.call("event", what="fault", value={"name": "wifi_lost_in_write", "on": False}, unit=1)
    assert ended.exit_code in (1, 3), ended.output
    assert ended.bad_phases() == ["verify_stored_voltage"]
    assert ended.value("settle_calibration", "calibration_after") == "old"
    assert station.unit_file(FACTORY) == before
    assert CALIBRATION not in station.unit_files()
    assert station.all_off()


def test_both_gains_are_made_right_and_everything_else_stays(station):
    before = values(station)
    ended = station.run("--voltage-cal-only", *ADDRESS, labels=())
    assert (ended.outcome, ended.exit_code) == ("PASS", 0), ended.output
    assert (ended.record["mode"], ended.record["station"]["adaptor"]) == (
        "voltage-cal-only",
        "emulated 12 VAC adaptor",
    )
    assert ended.value("settle_calibration", "calibration_after") == "new"
    assert ended.value("verify_stored_voltage", "others_changed") == "none"
    after = values(station)
    assert {key for key in before if before[key] != after[key]} == set(GAINS)
    for gain, changed_pct in zip(GAINS, OTHER_ADAPTOR, strict=True):
        right = before[gain] / (1 + changed_pct / 100)
        # The reference is 0.02 % off, the voltage offsets of the original interface move its chips' means.
        assert abs(after[gain] / right - 1) < 0.0012, (gain, after[gain], right)
    (kept,) = ended.folder.glob("ASY*_factory.cfg")
    assert kept.read_bytes() == station.unit_file(FACTORY)
    assert not (ended.folder / "certificate.html").exists()
    assert not station.events("load")
    assert station.all_off()
