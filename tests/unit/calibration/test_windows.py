"""Number of windows and plausibility."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.calibration.pairing import Sample
from mfg.calibration.windows import (
    StopRule,
    check_common_scale,
    check_first_window,
    check_line_frequency,
    check_load_angle,
    check_load_current,
    check_mains_in_range,
    check_mains_steady,
    check_not_saturated,
    check_plugs_shifted,
    check_ports_agree,
    check_reach,
    check_reference_fresh,
    check_scatter,
    check_steady_while_read,
    check_turns,
    largest_reading_a,
    scatter_ppm,
    windows_needed,
)

RULE = StopRule()


def ratios(count: int, ppm: float, seed: int = 1) -> list[float]:
    draw = random.Random(seed)
    return [1 + draw.gauss(0, ppm * 1e-6) for _ in range(count)]


def samples(*values: tuple[float, float]) -> list[Sample]:
    return [Sample(0.25 * index, value) for index, value in enumerate(values)]


def test_a_steady_bench_stops_at_eight_windows():
    by_port = {port: ratios(8, 30, port) for port in range(1, 7)}
    progress = RULE.progress(by_port)
    assert progress.reached
    assert progress.done
    assert progress.uncertainty_ppm < 25


def test_seven_windows_are_too_few_however_steady():
    progress = RULE.progress({1: [1.0] * 7})
    assert not progress.done
    assert progress.uncertainty_ppm == 0.0


def test_an_unsteady_bench_goes_on_to_64_windows_and_says_that_it_did_not_get_there():
    assert not RULE.progress({1: ratios(63, 2000)}).done
    progress = RULE.progress({1: ratios(64, 2000)})
    assert progress.done
    assert not progress.reached


def test_the_worst_port_decides():
    progress = RULE.progress({1: ratios(16, 10), 2: ratios(16, 150)})
    assert not progress.reached
    assert progress.expected > 16


def test_one_window_has_no_scatter():
    progress = RULE.progress({1: [1.0], 2: [1.0, 1.1]})
    assert progress.uncertainty_ppm == math.inf
    assert not progress.done
    assert progress.expected == 8


def test_windows_needed_follow_the_notes():
    """Metrology 3.2: 50 ppm of scatter, 25 ppm wanted: 4; 14 ppm: 16 (rounded up from 12.8)."""
    assert windows_needed(50.0, StopRule(25.0, least=2)) == 4
    assert windows_needed(50.0, StopRule(14.0, least=2)) == 13
    assert windows_needed(0.0, RULE) == 8
    assert windows_needed(1e9, RULE) == 64


@given(st.floats(0.0, 1e4), st.floats(1.0, 100.0))
def test_windows_stay_within_the_rule(scatter, wanted_ppm):
    rule = StopRule(wanted_ppm)
    count = windows_needed(scatter, rule)
    assert 8 <= count <= 64
    if 8 < count < 64:
        assert scatter / math.sqrt(count) <= wanted_ppm < scatter / math.sqrt(count - 1)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_a_scatter_is_a_number(bad):
    with pytest.raises(ValueError, match="scatter"):
        windows_needed(bad, RULE)


@pytest.mark.parametrize("figures", [(0.0, 8, 64), (math.nan, 8, 64), (25.0, 1, 64), (25.0, 9, 8)])
def test_a_stop_rule_that_never_or_always_stops_is_refused(figures):
    with pytest.raises(ValueError, match="StopRule"):
        StopRule(*figures)


@pytest.mark.parametrize("bad", [[], [1.0], [1.0, 0.0], [1.0, -1.0], [1.0, math.nan], [math.inf, 1.0]])
def test_ratios_are_positive_numbers(bad):
    with pytest.raises(ValueError, match="cannot judge"):
        scatter_ppm(bad)


def test_a_scatter_beyond_the_limit_is_found():
    assert check_scatter({1: ratios(8, 50), 2: ratios(8, 60)}) is None
    finding = check_scatter({1: ratios(8, 50), 2: ratios(8, 900)})
    assert finding is not None
    assert (finding.name, finding.culprit) == ("scatter", "fixture")
    assert "port 2" in finding.message


def test_the_tail_of_a_settling_load_is_no_stale_window():
    assert check_first_window({1: [1.0009, *ratios(8, 50)]}) is None


def test_a_stale_first_window_is_found():
    later = ratios(8, 50)
    assert check_first_window({1: [1.0, *later]}) is None
    finding = check_first_window({1: [1.0, *later], 2: [1.006, *later]})
    assert finding is not None
    assert finding.name == "stale_first_window"
    assert "port 2" in finding.message


def test_a_noisy_dwell_does_not_blame_its_first_window():
    assert check_first_window({1: [1.001, *ratios(8, 500)]}) is None


def test_a_reference_that_gives_an_earlier_reading_is_found():
    fresh = samples((230.01, 9.001), (230.02, 9.002), (230.01, 9.003), (230.01, 9.001))
    assert check_reference_fresh(fresh) is None
    held = samples((230.01, 9.001), (230.02, 9.002), (230.01, 9.001), (230.02, 9.002))
    finding = check_reference_fresh(held)
    assert finding is not None
    assert finding.name == "reference_repeated"
    assert finding.value == 2


def test_zeros_of_a_load_that_is_off_are_no_repetition():
    assert check_reference_fresh(samples(*[(230.0, 0.0)] * 5)) is None


def test_readings_that_do_not_advance_in_time_are_found():
    finding = check_reference_fresh([Sample(1.0, (230.0, 9.0)), Sample(1.0, (231.0, 9.1))])
    assert finding is not None
    assert finding.name == "reference_order"


def test_a_jump_of_the_mains_is_found_where_it_was():
    steady = samples((230.0, 9.0), (230.1, 9.0), (230.0, 9.0))
    assert check_mains_steady(steady) is None
    assert check_mains_steady(steady, quantity=1) is None
    finding = check_mains_steady(samples((230.0, 9.0), (230.1, 9.0), (226.0, 8.8), (226.1, 8.8)))
    assert finding is not None
    assert finding.name == "mains_jump"
    assert "at 0.50 s" in finding.message
    load = check_mains_steady(samples((230.0, 9.0), (230.1, 8.5)), quantity=1)
    assert load is not None
    assert load.name == "load_jump"


def test_a_load_that_moved_while_a_person_read_the_meter_is_found():
    assert check_steady_while_read({1: 0.1, 4: 0.5}, 0.5) is None
    finding = check_steady_while_read({1: 0.1, 4: 0.51}, 0.5)
    assert finding is not None
    assert finding.name == "moved_while_read"
    assert "Port 4 moved by 0.51 %" in finding.message
    with pytest.raises(ValueError, match="nan"):
        check_steady_while_read({1: 0.1, 4: math.nan}, 0.5)


def test_a_saturated_port_is_found():
    assert check_not_saturated({1: [54.0], 2: [65.534]}) is None
    finding = check_not_saturated({1: [54.0, 54.1], 2: [54.0, 65.535]})
    assert finding is not None
    assert finding.name == "saturation"
    assert "Port 2" in finding.message


def test_ports_that_differ_are_found():
    assert check_ports_agree(dict.fromkeys(range(1, 7), 6.0)) is None
    finding = check_ports_agree({1: 6.0, 2: 6.01, 3: 5.2})
    assert finding is not None
    assert "port 3 most" in finding.message


def test_a_wrong_number_of_turns_is_found():
    assert check_turns({1: 5.9, 2: 6.1}, 6) is None
    for seen in (5.0, 7.0):
        finding = check_turns({1: seen, 2: seen}, 6)
        assert finding is not None
        assert (finding.name, finding.culprit) == ("turns", "fixture")


def test_mains_of_the_other_frequency_is_found():
    assert check_line_frequency(50.02, 50) is None
    for measured_hz in (59.99, math.nan):
        finding = check_line_frequency(measured_hz, 50)
        assert finding is not None
        assert finding.name == "line_frequency"


def test_six_turns_of_nine_amperes_fit_and_of_eleven_do_not():
    assert check_reach(9.0, 10.0, 6) is None
    too_much = check_reach(11.0, 20.0, 6)
    assert too_much is not None
    assert too_much.name == "saturation"
    beyond = check_reach(9.5, 10.0, 6)
    assert beyond is not None
    assert beyond.name == "reference_range"
    clipped = check_reach(5.0, 10.0, 6, pga=4)
    assert clipped is not None
    assert "25.65 A" in clipped.message


@given(st.floats(0.1, 30.0), st.integers(1, 12))
def test_what_is_let_through_never_reaches_the_ceiling(load_a, turns):
    if check_reach(load_a, 50.0, turns) is None:
        assert load_a * turns * 1.1 * 1.05 < 65.535 + 1e-9
        assert largest_reading_a(load_a, turns) > load_a * turns


@pytest.mark.parametrize(
    "arguments",
    [
        (0.0, 10.0, 6),
        (9.0, 0.0, 6),
        (9.0, 10.0, 0),
        (9.0, 10.0, 6, 3),
        (math.nan, 10.0, 6),
        (9.0, math.inf, 6),
    ],
)
def test_a_reach_needs_sensible_figures(arguments):
    with pytest.raises(ValueError, match="="):
        check_reach(*arguments)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_measurement_is_no_finding_but_an_error(bad):
    for call in (
        lambda: check_not_saturated({1: [54.0, bad]}),
        lambda: check_not_saturated({1: []}),
        lambda: check_mains_steady(samples((230.0, 9.0), (bad, 9.0))),
        lambda: check_ports_agree({1: 6.0, 2: bad}),
        lambda: check_turns({1: bad}, 6),
    ):
        with pytest.raises(ValueError, match="cannot"):
            call()


# ---- faults of the bench that look like a unit's ----------------------------------------------------


def turns_of(ports, seen=lambda port: port, scale=1.0):
    return {port: seen(port) * scale * (1 + 0.004 * (-1) ** port) for port in ports}


@pytest.mark.parametrize("shift", [-1, 1])
def test_plugs_that_are_all_one_jack_off_are_the_fixtures(shift):
    shifted = turns_of(range(1, 7), lambda port: (port - 1 + shift) % 6 + 1)
    finding = check_plugs_shifted(shifted)
    assert finding is not None
    assert finding.culprit == "fixture"
    assert "shifted by one" in finding.message


def test_good_swapped_and_few_ports_prove_no_shift():
    assert check_plugs_shifted(turns_of(range(1, 7))) is None
    swapped = turns_of(range(1, 7), lambda port: {2: 3, 3: 2}.get(port, port))
    assert check_plugs_shifted(swapped) is None
    assert check_plugs_shifted(turns_of(range(1, 7), lambda port: (port + 2) % 6 + 1)) is None
    assert check_plugs_shifted(turns_of((1, 2), lambda port: port + 1)) is None


@pytest.mark.parametrize("scale", [0.85, 1.176])
def test_a_factor_that_all_ports_share_is_the_references(scale):
    finding = check_common_scale(turns_of(range(1, 7), scale=scale))
    assert finding is not None
    assert finding.culprit == "station"
    assert "not the unit" in finding.message


def test_a_unit_within_its_tolerance_one_bad_port_and_a_dead_one_are_not_the_references():
    assert check_common_scale(turns_of(range(1, 7), scale=0.96)) is None
    assert check_common_scale(turns_of(range(1, 7), lambda port: port * (0.85 if port == 3 else 1))) is None
    assert check_common_scale(turns_of(range(1, 7), lambda port: 0 if port == 3 else port)) is None
    assert check_common_scale(turns_of((1, 2), scale=0.85)) is None


def test_mains_on_which_all_ports_agree_is_the_benchs():
    def allowed(volts):
        return 200.0 <= volts <= 260.0

    low = dict.fromkeys(range(1, 7), 186.0)
    finding = check_mains_in_range(low, allowed)
    assert finding is not None
    assert finding.culprit == "fixture"
    assert check_mains_in_range(dict.fromkeys(range(1, 7), 231.0), allowed) is None
    assert check_mains_in_range(low | {5: 201.0}, allowed) is None
    assert check_mains_in_range(low | {4: 140.0, 5: 140.0, 6: 140.0}, allowed) is None  # one chip's divider
    assert check_mains_in_range(dict.fromkeys(range(1, 7), 0.0), allowed) is None  # chips that do not meter


@pytest.mark.parametrize("measured_deg", [1.5, -1.5, 59.0])
def test_a_load_that_lags_otherwise_than_the_station_file_says_is_the_fixtures(measured_deg):
    finding = check_load_angle(measured_deg, 0.0)
    assert finding is not None
    assert finding.culprit == "fixture"
    assert f"{abs(measured_deg):.2f} deg away from the voltage by the reference, but 0 deg" in finding.message


def test_an_angle_within_what_meters_know_and_one_that_none_gives_are_let_pass():
    assert check_load_angle(0.3, 0.0) is None
    assert check_load_angle(-60.2, 60.0) is None
    assert check_load_angle(None, 0.0) is None


@pytest.mark.parametrize("settled_a", [7.21, 9.0, 9.89])
def test_a_load_follows_the_mains(settled_a):
    assert check_load_current(settled_a, 9.0) is None


@pytest.mark.parametrize("settled_a", [0.0, 6.0, 7.19, 9.91, 18.0])
def test_a_load_of_another_current_is_the_benchs_fault(settled_a):
    finding = check_load_current(settled_a, 9.0)
    assert finding is not None
    assert (finding.name, finding.culprit) == ("load_current", "fixture")
