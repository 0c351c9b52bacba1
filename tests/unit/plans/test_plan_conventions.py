"""The plan of the CT6 and its limits: the conventions that make a missing test visible."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
from pathlib import Path
from typing import Any

import openhtf as htf
import pytest

import mfg.limits
from mfg.errors import UsageError
from mfg.limits import Limit, load_limits
from mfg.phases.write_label import write_label
from mfg.plans.ct6 import ct6_plan, recovery_plan
from mfg.plans.mode import (
    CAL_ONLY,
    POWER_CYCLE,
    RESET_WIFI,
    RESTORE,
    SET_LABELS,
    SETUP_WIFI,
    TEST_ONLY,
    UPGRADE,
    UPGRADE_AND_CAL,
    VOLTAGE_CAL_ONLY,
    Mode,
)
from mfg.plans.plan import Plan, PlanBuilder
from mfg.readings.port_by_port import MOST_BACK
from mfg.runner.execute import check_plan
from mfg.runner.promise import expectation_of

LIMITS = load_limits(Path(mfg.limits.__file__).with_name("ct6.toml"))
MODES = [
    Mode(*what) for what in itertools.product([True, False], [True, False], [(1, 2, 3, 4, 5, 6), (2, 5)])
]
WITHOUT_LOAD = "_no_load_"
UNIT_BY_SUFFIX = {
    "_bytes_per_s": "bytes/s",
    "_bytes": "bytes",
    "_v": "V",
    "_a": "A",
    "_w": "W",
    "_pct": "%",
    "_s": "s",
    "_degc": "degC",
    "_hz": "Hz",
    "_deg": "deg",
    "_counts": "counts",
}
ALL_LIMITS = [(phase, limit) for phase, limits in LIMITS.phases.items() for limit in limits]


def unbound(phase: htf.PhaseDescriptor) -> htf.PhaseDescriptor:
    """Leave the plugs' placeholders in place."""
    return phase


def plan_for(mode: Mode) -> Plan:
    return ct6_plan(LIMITS, mode, unbound)


def phases_of(plan: Plan) -> list[htf.PhaseDescriptor]:
    return list(htf.PhaseSequence(tuple(plan.nodes)).all_phases())


JOBS = [
    Mode(job=POWER_CYCLE, address="10.0.0.2", cycles=2),
    Mode(job=SETUP_WIFI),
    Mode(job=CAL_ONLY, address="10.0.0.2"),
    Mode(job=VOLTAGE_CAL_ONLY, address="10.0.0.2"),
    Mode(job=SET_LABELS, address="10.0.0.2"),
    Mode(job=RESTORE, address="10.0.0.2", factory_file="latest"),
    Mode(job=RESTORE, factory_file="latest"),
    Mode(job=CAL_ONLY, address="10.0.0.2", ac_60hz=True),
    Mode(job=RESET_WIFI, address="10.0.0.2"),
    Mode(job=UPGRADE, address="10.0.0.2"),
    Mode(job=UPGRADE_AND_CAL, address="10.0.0.2"),
    Mode(job=TEST_ONLY),
    Mode(job=TEST_ONLY, address="10.0.0.2"),
]
FULL = plan_for(Mode())
RECOVERY = recovery_plan(LIMITS, unbound)
EVERY_PHASE = {
    phase.name: phase
    for plan in (*(plan_for(mode) for mode in [*MODES, *JOBS]), RECOVERY)
    for phase in phases_of(plan)
}


class TestThePlan:
    def test_follows_the_numbering_of_the_work_instruction(self):
        numbers = {name: case for name, case in FULL.cases.items() if case % 1000 == 0}
        assert numbers == {
            "identify_unit": 1000,
            "archive_unit": 2000,
            "erase_flash": 3000,
            "load_micropython": 4000,
            "load_firmware": 5000,
            "check_board_temperature": 6000,
            "check_leds": 7000,
            "check_wifi_switch": 8000,
            "check_power_cycle": 9000,
            "check_display": 10000,
            "write_label": 11000,
            "identify_ports": 12000,
            "store_calibration": 13000,
            "reset_to_factory_defaults": 14000,
        }

    def test_runs_in_the_order_of_its_case_numbers(self):
        for mode in MODES:
            plan = plan_for(mode)
            numbers = [plan.cases[phase.name] for phase in phases_of(plan)]
            assert numbers == sorted(numbers)
            assert len(set(numbers)) == len(numbers)

    @pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
    def test_can_be_judged_in_every_mode(self, mode):
        check_plan(plan_for(mode))

    def test_switches_the_supply_on_only_within_the_group_that_switches_it_off(self):
        before = expectation_of(FULL).teardowns["switch_supply_off"]
        assert before[0] == "switch_supply_on"
        assert set(FULL.cases) - set(before) == {"identify_unit", "switch_supply_off"}

    def test_switches_the_load_on_only_within_the_group_that_switches_it_off(self):
        before = expectation_of(FULL).teardowns["switch_load_off"]
        assert list(before) == [
            "prepare_load",
            "identify_ports",
            "adjust_registers",
            "verify_points",
            "verify_stored",
            "verify_no_load",
        ]

    def test_measures_in_every_teardown_that_its_channel_is_off(self):
        expected = expectation_of(FULL)
        assert expected.measurements["switch_supply_off"] == ["supply_off_v"]
        assert expected.measurements["switch_load_off"] == ["load_off_a"]
        assert LIMITS.limit("switch_supply_off", "supply_off_v").high == 5.0
        assert LIMITS.limit("switch_load_off", "load_off_a").high == 0.010

    def test_has_no_setup_phases_whose_failure_would_leave_the_bench_on(self):
        for mode in MODES:
            for group in htf.PhaseSequence(tuple(plan_for(mode).nodes)).filter_by_type(htf.PhaseGroup):
                assert not group.setup

    def test_does_not_calibrate_when_it_is_told_not_to(self):
        plan = plan_for(Mode(calibrate=False))
        assert plan.calibration == "none"
        assert not {"adjust_registers", "store_calibration", "switch_load_off"} & set(plan.cases)
        assert "store_configuration" in plan.cases

    def test_leaves_the_configuration_when_it_is_told_to(self):
        assert "reset_to_factory_defaults" not in plan_for(Mode(defaults=False)).cases

    def test_declares_measurements_for_the_ports_under_test_only(self):
        names = expectation_of(plan_for(Mode(ports=(2, 5)))).measurements["verify_points"]
        assert {name[:5] for name in names if name.startswith("port")} == {"port2", "port5"}

    def test_declares_measurements_for_the_load_points_of_the_bench_only(self):
        plan = ct6_plan(LIMITS, Mode(), unbound, ["high"])
        names = expectation_of(plan).measurements["verify_points"]
        assert "port6_high_current_error_pct" in names
        assert not [name for name in names if "_mid_" in name or "_low_" in name]
        assert set(plan.evaluated["verify_points"]) < set(names)

    def test_gives_a_person_who_moves_one_ct_the_time_for_it_and_no_bench_else(self):
        for mode in (
            Mode(),
            Mode(ports=(2, 5)),
            Mode(job=RESTORE, address="10.0.0.2", factory_file="latest"),
        ):
            usual = {phase.name: phase.options.timeout_s for phase in phases_of(plan_for(mode))}
            single = ct6_plan(LIMITS, mode, unbound, one_ct=True)
            times = {phase.name: phase.options.timeout_s for phase in phases_of(single)}
            assert times.keys() == usual.keys()
            longer = {name for name in times if times[name] != usual[name]}
            moving = {"identify_ports", "verify_points", "verify_stored", "verify_restored"}
            assert longer == moving & usual.keys()
            takes = len(mode.ports) + MOST_BACK
            for name in longer:
                assert times[name] == takes * (usual[name] + LIMITS.deadline_s("operator_s")) <= 6240

    @pytest.mark.parametrize(
        ("mode", "waits"),
        [(Mode(), "adjust_registers"), (Mode(job=VOLTAGE_CAL_ONLY, address="10.0.0.2"), "adjust_voltage")],
        ids=["all", "voltage alone"],
    )
    def test_gives_the_phase_that_waits_for_a_warm_unit_the_time_for_it_and_no_other(self, mode, waits):
        usual = {phase.name: phase.options.timeout_s for phase in phases_of(plan_for(mode))}
        warm = ct6_plan(LIMITS, mode, unbound, soak_s=1800.0)
        longer = {phase.name: phase.options.timeout_s for phase in phases_of(warm)}
        assert longer == usual | {waits: usual[waits] + 1800.0}

    def test_needs_an_uncertainty_for_every_value_that_a_rule_judges(self):
        evaluated = expectation_of(FULL).evaluated
        counts = {phase: len(names) for phase, names in evaluated.items() if names}
        assert counts == {"verify_points": 6 * 10, "verify_stored": 6 * 4, "verify_no_load": 6 * 2}
        errors = [name for name in expectation_of(FULL).measurements["verify_points"] if "_error_" in name]
        assert sorted(evaluated["verify_points"]) == sorted(errors)

    def test_lets_a_unit_do_without_its_phases_and_a_reference_without_power_and_nothing_else(self):
        optional = {name for names in FULL.optional.values() for name in names}
        phases = ("phase_counts", "high_phase_error_deg", "stored_phase_error_deg")
        powers = [f"{point}_power_error_pct" for point in ("high", "mid", "low", "stored")]
        of_ports = {f"port{n}_{name}" for n in range(1, 7) for name in (*phases, *powers)}
        assert optional == of_ports | {"registers_lost", "press_lines", "blue_seen"}

    def test_measures_without_a_load_before_the_calibration_is_stored(self):
        assert FULL.cases["verify_stored"] < FULL.cases["verify_no_load"] < FULL.cases["store_calibration"]


class TestWhatAUnitDoesNotOffer:
    LEFT_OUT = ("verify_points", "port3_high_phase_error_deg")

    def test_is_not_expected_when_the_limits_call_it_optional(self):
        expected = expectation_of(FULL, {self.LEFT_OUT})
        phase, name = self.LEFT_OUT
        assert name not in expected.measurements[phase]
        assert name not in expected.evaluated[phase]
        assert "port4_high_phase_error_deg" in expected.measurements[phase]

    @pytest.mark.parametrize(
        "left_out",
        [("verify_points", "port3_high_current_error_pct"), ("verify_stored", "port3_high_phase_error_deg")],
    )
    def test_is_expected_all_the_same_when_they_do_not(self, left_out):
        assert expectation_of(FULL, {left_out}) == expectation_of(FULL)


class TestModes:
    @pytest.mark.parametrize(
        ("mode", "name", "calibration"),
        [
            (Mode(), "full", "all"),
            (Mode(defaults=False), "full no-default", "all"),
            (Mode(calibrate=False), "no-cal", "none"),
            (Mode(calibrate=False, defaults=False, ports=(1,)), "no-cal no-default", "none"),
            (Mode(ports=(1, 2)), "full ports-12", "partly"),
            (Mode(defaults=False, ac_60hz=True), "full no-default ac-60hz", "all"),
        ],
    )
    def test_have_a_name_and_say_what_calibration_they_end_with(self, mode, name, calibration):
        assert (mode.name, mode.calibration) == (name, calibration)

    @pytest.mark.parametrize("mode", [Mode(ac_60hz=True), Mode(ac_60hz=True, defaults=False)])
    def test_for_60_hz_look_at_the_mains_before_anything_is_erased(self, mode):
        plan = plan_for(mode)
        names = [phase.name for phase in phases_of(plan)]
        assert names.index("check_mains") < names.index("erase_flash")
        assert names.index("write_line_frequency") < names.index("identify_ports")
        assert names.index("verify_stored") < names.index("verify_line_frequency")
        assert names.index("verify_line_frequency") < names.index("store_calibration")

    def test_for_60_hz_need_a_calibration(self):
        with pytest.raises(UsageError, match="--ac-60hz does not go with no-cal"):
            Mode(ac_60hz=True, calibrate=False)

    @pytest.mark.parametrize("ports", [(), (0,), (7,), (1, 9)])
    def test_need_ports_that_a_ct6_has(self, ports):
        with pytest.raises(UsageError, match="a CT6 has ports 1 to 6"):
            Mode(ports=ports)


def test_a_phase_that_a_plan_names_twice_is_refused():
    build = PlanBuilder(LIMITS, Mode(), unbound)
    build.case(1, write_label)
    with pytest.raises(UsageError, match="names the phase write_label twice"):
        build.case(2, write_label)


def set_by(phase: htf.PhaseDescriptor) -> list[str]:
    """Return a pattern for each measurement name that a phase's module sets between its functions."""
    module: Any = sys.modules[phase.func.__module__]
    tree = ast.parse(inspect.getsource(module))
    keys = [
        node.slice
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "measurements"
    ]
    named = [key for key in keys if not isinstance(key, ast.Name)]
    if len(named) < len(keys):
        named += names_given(tree, phase)
    return [pattern_of(key) for key in named]


def names_given(tree: ast.Module, phase: htf.PhaseDescriptor) -> list[ast.expr]:
    """Return the texts that become measurement names by way of a variable or of the keys of a table."""
    tails = {limit.name.rpartition("_")[2] for limit in LIMITS.of_phase(phase.name)}
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and isinstance(node.values[-1], ast.Constant):
            text = str(node.values[-1].value)
            if "_" in text and text.rpartition("_")[2] in tails:
                found.append(node)
    return found


def pattern_of(key: ast.expr) -> str:
    """Turn a name or a formatted name into a regular expression."""
    if isinstance(key, ast.Constant):
        return re.escape(str(key.value))
    assert isinstance(key, ast.JoinedStr), ast.dump(key)
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z0-9_]+" for part in key.values
    )


@pytest.mark.parametrize("name", sorted(EVERY_PHASE))
class TestEveryPhase:
    def test_has_a_timeout_of_its_own(self, name):
        timeout_s = EVERY_PHASE[name].options.timeout_s
        assert timeout_s is not None
        assert 0 < timeout_s <= 900

    def test_has_measurements_and_every_one_has_a_limit(self, name):
        declared = EVERY_PHASE[name].measurements
        assert declared
        assert all(measurement.validators for measurement in declared)

    def test_says_what_it_needs_and_what_it_leaves(self, name):
        text = EVERY_PHASE[name].func.__doc__ or ""
        assert re.match(r"[A-Z][a-z]+[ ,]", text)
        assert "Needs: " in text
        assert "Leaves: " in text

    def test_is_named_for_what_it_does(self, name):
        verbs = "identify switch archive erase load check write prepare adjust verify store reset"
        verbs += " cycle configure restore settle"
        assert name.split("_")[0] in verbs.split()
        assert EVERY_PHASE[name].func.__name__ == name

    def test_sets_every_measurement_of_its_table(self, name):
        patterns = set_by(EVERY_PHASE[name])
        for limit in LIMITS.of_phase(name):
            assert any(re.fullmatch(pattern, limit.name) for pattern in patterns), limit.name


@pytest.mark.parametrize("module", sorted({phase.func.__module__ for phase in EVERY_PHASE.values()}))
def test_a_phase_sets_nothing_that_no_table_declares(module):
    phases = [phase for phase in EVERY_PHASE.values() if phase.func.__module__ == module]
    declared = [limit.name for phase in phases for limit in LIMITS.of_phase(phase.name)]
    for pattern in set_by(phases[0]):
        assert any(re.fullmatch(pattern, name) for name in declared), pattern


def test_every_table_of_the_limits_file_belongs_to_a_phase():
    assert set(LIMITS.phases) == set(EVERY_PHASE)


@pytest.mark.parametrize(("phase", "limit"), ALL_LIMITS, ids=lambda item: getattr(item, "name", item))
class TestEveryLimit:
    def test_has_a_source(self, phase: str, limit: Limit):
        assert len(limit.source) > 5

    def test_carries_the_unit_that_its_name_ends_with(self, phase: str, limit: Limit):
        suffixes = [suffix for suffix in UNIT_BY_SUFFIX if limit.name.endswith(suffix)]
        if limit.kind == "range":
            assert limit.unit == (UNIT_BY_SUFFIX[suffixes[0]] if suffixes else "")
        else:
            assert not suffixes
            assert limit.unit == ""

    def test_that_is_an_error_against_the_reference_is_guarded_by_its_uncertainty(self, phase, limit):
        if not phase.startswith("verify_"):
            expected = ("", 0.0)
        elif "_error_" in limit.name:
            expected = ("guarded", 1.5)
        else:
            expected = ("simple" if WITHOUT_LOAD in limit.name else "", 0.0)
        assert (limit.rule, limit.required_tur) == expected


@pytest.mark.parametrize("phase", sorted({phase for phase, limit in ALL_LIMITS if limit.optional}))
def test_a_phase_with_an_optional_limit_can_leave_it_out(phase):
    module: Any = sys.modules[EVERY_PHASE[phase].func.__module__]
    assert "set_measurement_outcome_to_skipped" in inspect.getsource(module)


def test_the_rules_are_all_used():
    used = "".join(path.read_text() for path in Path(mfg.limits.__file__).parents[1].rglob("*.py"))
    for name in LIMITS.rules:
        assert f'rule("{name}")' in used, name


class TestDeadlines:
    def test_are_all_used(self):
        used = "".join(path.read_text() for path in Path(mfg.limits.__file__).parents[1].rglob("*.py"))
        for name in LIMITS.deadlines_s:
            assert f'"{name}"' in used, name

    def test_are_shorter_than_the_timeout_of_any_phase_that_waits_for_them(self):
        for phase in EVERY_PHASE.values():
            module: Any = sys.modules[phase.func.__module__]
            asked = re.findall(r'deadline_s\("(\w+)"\)', inspect.getsource(module))
            for name in asked:
                assert LIMITS.deadline_s(name) < phase.options.timeout_s, (phase.name, name)
