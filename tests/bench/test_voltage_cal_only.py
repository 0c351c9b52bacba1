"""The voltage alone is calibrated, for another adaptor; the current's calibration is proved unchanged."""

import pytest
from bench_station import BenchStation
from field_bench import ADDRESS, FACTORY, KINDS, field_station, values

pytestmark = pytest.mark.job

OTHER_ADAPTOR = (1.8, -1.3)  # percent, at CT1 to CT3 and at CT4 to CT6
GAINS = ("CS4_VOLTAGE_GAIN", "CS0_VOLTAGE_GAIN")
NOMINAL = 55600


@pytest.fixture(scope="module", params=KINDS)
def station(request, tmp_path_factory):
    """A unit with another adaptor; the one with our firmware is on a bench that takes one CT at a time."""
    folder = tmp_path_factory.mktemp(f"voltage-{request.param}")
    made = field_station(folder, request.param, other_adaptor=OTHER_ADAPTOR)
    if request.param == "ours":
        made.content["conductor"]["ct_jig"] = "single"
        made.write()
    with made.bench():
        yield made


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
    assert not station.events("ct")
    assert station.all_off()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-v",), "Give its address with -a ADDR"),
        (("--voltage_cal_only", "--ports", "1,2", *ADDRESS), "three ports share one voltage gain"),
        (("--voltage-cal-only", "--reference", "manual", *ADDRESS), "those meters are read under load"),
        (("--voltage-cal-only", "--cal-only", *ADDRESS), "cannot be done in one run"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_the_bench_is_started(tmp_path, arguments, sentence):
    done = BenchStation(tmp_path).command("run", *arguments)
    assert done.returncode == 2
    assert sentence in " ".join(done.stdout.split())
    assert not (tmp_path / ".bench").exists()
