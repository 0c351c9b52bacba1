"""The plant: mains, loads, conductors and temperatures as functions of bench time."""

import itertools
import math
from dataclasses import replace

import pytest

from mfg.emulator.config import HEATERS, BenchConfig, LoadConfig, MainsConfig, PortConfig, UnitConfig
from mfg.emulator.events import Event, EventLog, append_event
from mfg.emulator.plant import Plant

STEADY_MAINS = MainsConfig(slow_drift_pct=0.0, fast_drift_pct=0.0, frequency_drift_hz=0.0)
STEADY_LOAD = LoadConfig(current_a=9.0, warm_up_pct=0.0)
STEADY_IDENTIFICATION = LoadConfig(current_a=4.0, warm_up_pct=0.0)
STEADY = BenchConfig(mains=STEADY_MAINS, load=STEADY_LOAD, identification_load=STEADY_IDENTIFICATION)


@pytest.fixture
def bench(tmp_path):
    """Return a function that builds a plant over a list of events."""

    def build(config, *events):
        for event in events:
            append_event(tmp_path, event)
        return Plant(config, EventLog(tmp_path))

    return build


def on(what, t_s, unit=0):
    return Event(t_s, what, 1, unit)


def off(what, t_s, unit=0):
    return Event(t_s, what, 0, unit)


def test_two_processes_with_one_seed_see_the_same_mains(bench):
    first, second = bench(BenchConfig(seed=7)), bench(BenchConfig(seed=7))
    times = [1234.5 + 0.37 * index for index in range(50)]
    assert [first.mains_voltage_v(t) for t in times] == [second.mains_voltage_v(t) for t in times]
    assert [first.frequency_hz(t) for t in times] == [second.frequency_hz(t) for t in times]


def test_another_seed_gives_another_mains(bench):
    assert bench(BenchConfig(seed=1)).mains_voltage_v(10.0) != bench(BenchConfig(seed=2)).mains_voltage_v(
        10.0
    )


def test_the_mains_stays_within_its_drift_and_is_smooth(bench):
    plant = bench(BenchConfig())
    values = [plant.mains_voltage_v(index * 0.1) for index in range(6000)]
    largest_v = 232.0 * 0.0033
    assert max(abs(value - 232.0) for value in values) <= largest_v
    assert max(values) - min(values) > 0.5  # it does wander
    assert abs(plant.mains_voltage_v(100.001) - plant.mains_voltage_v(100.0)) < 0.001


def test_a_load_draws_current_only_while_it_is_on(bench):
    plant = bench(STEADY, on("load", 100.0), off("load", 110.0))
    assert plant.load_current_a(99.9) == 0.0
    assert plant.load_current_a(105.0) == pytest.approx(9.0)
    assert plant.load_current_a(110.1) == 0.0


def test_a_load_starts_high_and_settles_with_its_time_constant(bench):
    load = LoadConfig(current_a=9.0, warm_up_pct=0.6, settle_s=1.0)
    plant = bench(replace(STEADY, load=load), on("load", 100.0))
    assert plant.load_current_a(100.0) == pytest.approx(9.0 * 1.006)
    assert plant.load_current_a(101.0) == pytest.approx(9.0 * (1 + 0.006 / math.e))
    assert plant.load_current_a(120.0) == pytest.approx(9.0)


def test_switching_on_what_is_on_does_not_warm_up_again(bench):
    load = LoadConfig(current_a=9.0, warm_up_pct=0.6, settle_s=1.0)
    plant = bench(replace(STEADY, load=load), on("load", 100.0), on("load", 120.0))
    assert plant.load_current_a(120.0) == pytest.approx(9.0)


def test_the_current_of_a_resistive_load_follows_the_mains(bench):
    plant = bench(replace(STEADY, mains=MainsConfig()), on("load", 0.0))
    for t_s in (50.0, 75.0, 130.0):
        assert plant.load_current_a(t_s) == pytest.approx(9.0 * plant.mains_voltage_v(t_s) / 232.0)


@pytest.mark.parametrize("port", range(1, 7))
def test_the_identification_conductor_passes_k_times_through_ct_k(bench, port):
    plant = bench(STEADY, on("identification", 0.0))
    assert plant.port_primary_current_a(1, port, 10.0) == pytest.approx(4.0 * port)
    assert plant.reference_current_a(10.0) == pytest.approx(4.0)


def test_the_main_conductor_passes_its_turns_through_every_ct(bench):
    plant = bench(STEADY, on("load", 0.0))
    truth = plant.port_truth(1, 5, 10.0, 10.32)
    assert truth.current_a == pytest.approx(54.0)
    assert truth.active_w == pytest.approx(232.0 * 54.0)
    assert truth.reactive_var == pytest.approx(0.0, abs=1e-6)


def test_one_ct_at_a_time_sees_the_conductor_and_the_others_nothing(bench):
    single = replace(STEADY, ct_jig="single")
    moved = [Event(t_s, "ct", port, 1) for t_s, port in ((5.0, 3), (20.0, 4))]
    plant = bench(single, on("load", 0.0), on("identification", 0.0), *moved)
    for t_s, inside in ((0.0, None), (10.0, 3), (30.0, 4)):
        for port in range(1, 7):
            expected_a = 54.0 if port == inside else 0.0
            assert plant.port_truth(1, port, t_s, t_s + 0.32).current_a == pytest.approx(expected_a)
            window = plant.primary_window(1, port, t_s, t_s + 0.32)
            assert window.current_square == pytest.approx(expected_a**2)
            assert plant.port_primary_current_a(1, port, t_s) == pytest.approx(expected_a)
    assert plant.reference_current_a(10.0) == pytest.approx(13.0)


def test_both_conductors_add_inside_a_ct(bench):
    plant = bench(STEADY, on("load", 0.0), on("identification", 0.0))
    assert plant.port_truth(1, 2, 10.0, 10.32).current_a == pytest.approx(6 * 9.0 + 2 * 4.0)
    assert plant.reference_truth(10.0, 10.32).current_a == pytest.approx(13.0)


def test_currents_at_an_angle_add_as_phasors(bench):
    config = replace(STEADY, load=replace(STEADY_LOAD, angle_deg=90.0), turns=1)
    plant = bench(config, on("load", 0.0), on("identification", 0.0))
    assert plant.port_truth(1, 1, 10.0, 10.32).current_a == pytest.approx(math.hypot(9.0, 4.0))
    assert plant.port_primary_current_a(1, 1, 10.0) == pytest.approx(math.hypot(9.0, 4.0))


def test_a_lagging_load_has_positive_reactive_power(bench):
    plant = bench(replace(STEADY, load=replace(STEADY_LOAD, angle_deg=60.0)), on("load", 0.0))
    truth = plant.reference_truth(10.0, 10.25)
    assert truth.active_w == pytest.approx(232.0 * 9.0 * 0.5)
    assert truth.reactive_var == pytest.approx(232.0 * 9.0 * math.sin(math.radians(60.0)))


def test_a_window_half_on_and_half_off_has_the_right_rms_and_power(bench):
    plant = bench(STEADY, on("load", 10.16))
    truth = plant.reference_truth(10.0, 10.32)
    assert truth.current_a == pytest.approx(9.0 / math.sqrt(2), rel=1e-9)
    assert truth.active_w == pytest.approx(232.0 * 9.0 / 2, rel=1e-9)
    assert truth.voltage_v == pytest.approx(232.0)


def test_a_window_with_several_switch_events_is_split_at_each(bench):
    plant = bench(STEADY, on("load", 10.1), off("load", 10.15), on("load", 10.3))
    assert plant.mean_square("load", 10.0, 10.4) == pytest.approx(81.0 * 0.15 / 0.4, rel=1e-9)


def test_the_window_mean_agrees_with_fine_sampling(bench):
    plant = bench(BenchConfig(), on("load", 9.9))
    count, start_s, length_s = 20000, 10.0, 0.32
    times = [start_s + length_s * (index + 0.5) / count for index in range(count)]
    sampled = sum(plant.load_current_a(t) ** 2 for t in times) / count
    assert plant.mean_square("load", start_s, start_s + length_s) == pytest.approx(sampled, rel=1e-8)


def test_an_event_that_arrives_later_changes_the_window(bench, tmp_path):
    plant = bench(STEADY)
    assert plant.mean_square("load", 10.0, 10.32) == 0.0
    append_event(tmp_path, on("load", 10.16))
    assert plant.mean_square("load", 10.0, 10.32) == pytest.approx(40.5)


def test_a_window_without_length_is_refused(bench):
    with pytest.raises(ValueError, match="no length"):
        bench(STEADY).mean_square("voltage", 5.0, 5.0)


def test_a_reversed_ct_turns_the_power_and_two_reversals_cancel(bench, tmp_path):
    unit = UnitConfig(ports=(PortConfig(reversed=True), *[PortConfig()] * 5))
    plant = bench(replace(STEADY, units=(unit,)), on("load", 0.0))
    assert plant.port_truth(1, 1, 10.0, 10.32).active_w < 0
    assert plant.port_primary_current_a(1, 1, 10.0) == pytest.approx(-54.0)
    assert plant.port_truth(1, 2, 10.0, 10.32).active_w > 0
    append_event(tmp_path, Event(11.0, "fault", {"name": "port1_reversed", "on": True}, 1))
    assert plant.port_truth(1, 1, 10.0, 10.32).active_w > 0


def test_harmonic_weights_are_shares_of_the_mean_square(bench):
    weights = bench(BenchConfig()).harmonic_weights
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights[3] / weights[1] == pytest.approx(0.018**2)


def test_the_board_warms_up_while_the_supply_is_on_and_cools_afterwards(bench):
    plant = bench(BenchConfig(), on("supply", 100.0, 1), off("supply", 400.0, 1))
    assert plant.board_degc(1, 50.0) == plant.ambient_degc(50.0)
    assert 0 < plant.board_degc(1, 110.0) - plant.ambient_degc(110.0) < 1.0
    assert plant.board_degc(1, 399.0) - plant.ambient_degc(399.0) == pytest.approx(1.5, abs=0.01)
    assert 0 < plant.board_degc(1, 410.0) - plant.ambient_degc(410.0) < 1.5


def test_a_short_power_cut_does_not_cool_the_board(bench):
    plant = bench(BenchConfig(), on("supply", 100.0, 1), off("supply", 400.0, 1), on("supply", 401.0, 1))
    assert plant.board_degc(1, 401.0) - plant.ambient_degc(401.0) > 1.4


def test_reading_the_log_for_the_plant_leaves_the_events_for_their_follower(tmp_path):
    log = EventLog(tmp_path)
    append_event(tmp_path, on("supply", 1.0, 1))
    assert log.sync() == 1
    assert [event.what for event in log.refresh()] == ["supply"]
    assert log.refresh() == []


# ---- load levels ----


def to(share, t_s):
    return Event(t_s, "load", share)


def fault(name, t_s, on=True):
    return Event(t_s, "fault", {"name": name, "on": on})


def test_a_load_draws_the_share_of_its_nominal_current_that_it_is_set_to(bench):
    plant = bench(STEADY, to(0.25, 100.0), to(1, 110.0), to(0, 120.0))
    assert plant.load_current_a(105.0) == pytest.approx(2.25)
    assert plant.port_truth(1, 3, 104.0, 104.32).current_a == pytest.approx(6 * 2.25)
    assert plant.load_current_a(115.0) == pytest.approx(9.0)
    assert plant.load_current_a(121.0) == 0.0


def test_a_rise_starts_high_and_a_fall_starts_low(bench):
    plant = bench(replace(STEADY, load=HEATERS), to(0.5, 100.0), to(1.0, 120.0), to(0.1, 140.0))
    assert plant.load_current_a(100.0) == pytest.approx(4.5 * 1.012)
    assert plant.load_current_a(120.0) == pytest.approx(9.0 * 1.012)
    assert plant.load_current_a(140.0) == pytest.approx(0.9 * 0.988)
    assert plant.load_current_a(142.5) == pytest.approx(0.9 * (1 - 0.012 / math.e))


def test_a_change_of_level_inside_a_window_splits_it(bench):
    plant = bench(STEADY, to(1.0, 100.0), to(0.5, 110.16))
    assert plant.mean_square("load", 110.0, 110.32) == pytest.approx((81.0 + 20.25) / 2, rel=1e-9)


# ---- faults of the plant ----


def test_a_jumping_mains_steps_by_two_percent_every_700_ms(bench):
    plant = bench(STEADY, fault("mains_jumping", 69.0), fault("mains_jumping", 80.0, on=False))
    assert [plant.mains_voltage_v(t_s) for t_s in (68.9, 70.1, 70.6, 70.8, 71.3, 80.1)] == pytest.approx(
        [232.0, 232.0 * 1.02, 232.0 * 1.02, 232.0 * 0.98, 232.0 * 0.98, 232.0]
    )


def test_a_step_of_the_mains_inside_a_window_splits_it(bench):
    plant = bench(replace(STEADY, faults=("mains_jumping",)))
    before, after = plant.mains_voltage_v(70.6), plant.mains_voltage_v(70.8)
    expected = (before**2 + 3 * after**2) / 4
    assert plant.mean_square("voltage", 70.6, 71.0) == pytest.approx(expected, rel=1e-9)


def test_a_load_that_does_not_settle_drifts_for_as_long_as_it_is_on(bench):
    plant = bench(replace(STEADY, faults=("load_not_settling",)), on("load", 100.0))
    values = [plant.load_current_a(100.0 + 10 * index) for index in range(30)]
    assert values[0] == pytest.approx(9.0)
    steps = [1 - after / before for before, after in itertools.pairwise(values)]
    assert min(steps) == pytest.approx(max(steps)) == pytest.approx(0.03, rel=0.03)


def test_a_fault_of_the_plant_leaves_the_past_alone(bench, tmp_path):
    plant = bench(STEADY, on("load", 100.0))
    before = plant.reference_truth(104.0, 104.25)
    for name in ("mains_jumping", "load_not_settling", "saturation", "wrong_turns"):
        append_event(tmp_path, fault(name, 105.0))
    assert plant.reference_truth(104.0, 104.25) == before
    assert plant.load_current_a(105.0) == pytest.approx(9.0 * 1.25 * plant.mains_voltage_v(105.0) / 232.0)


def test_wrong_turns_are_one_turn_less_in_every_ct_and_nothing_at_the_reference(bench):
    plant = bench(replace(STEADY, faults=("wrong_turns",)), on("load", 0.0))
    assert plant.port_truth(1, 4, 10.0, 10.32).current_a == pytest.approx(45.0)
    assert plant.port_primary_current_a(1, 4, 10.0) == pytest.approx(45.0)
    assert plant.primary_window(1, 4, 10.0, 10.32).power.real == pytest.approx(232.0 * 45.0)
    assert plant.reference_current_a(10.0) == pytest.approx(9.0)


@pytest.mark.parametrize(
    "config",
    [
        replace(STEADY, faults=("mains_60hz",)),
        replace(STEADY, mains=replace(STEADY_MAINS, frequency_hz=60.0)),
    ],
    ids=["by its fault", "by its frequency"],
)
def test_a_mains_of_60_hz_is_one_by_either_way(bench, config):
    assert bench(config).frequency_hz(10.0) == 60.0
