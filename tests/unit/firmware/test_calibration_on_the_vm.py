"""Windows, chip registers and phases of the firmware in the MicroPython VM, read by the station's client.

The bench clock runs at its own speed: what a window's age is worth is wall time.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from vm_unit import STA_CONFIG, VmUnit

from mfg.errors import DutError
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.dut_windows import CALIBRATION_REGISTERS, ChipWindow, UnitWindows

FREE_HEAP_BYTES = 60 * 1024
AGE_LIMIT_S = 0.040
NOTHING_S = 0.002  # a tick of the unit's clock, and the last digit of an age
DEG_PER_COUNT_50_HZ = 360 * 50 / 2_048_000


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmUnit]:
    files = {"/this.machine.cfg": json.dumps(STA_CONFIG).encode()}
    with VmUnit(tmp_path_factory.mktemp("unit"), files) as running:
        running.switch("load", True)
        running.ready()
        yield running


@pytest.fixture
def api(unit: VmUnit) -> DutApi:
    return DutApi("127.0.0.1", unit.unit.http_port, unit.clock)


def window(api: DutApi, chip: str = "CS4", after: int = 0) -> ChipWindow:
    """Return the first valid window of a chip whose count is above `after`."""
    for _ in range(100):
        found = api.windows().chips.get(chip)
        if found is not None and found.seq > after:
            return found
        time.sleep(0.04)
    raise AssertionError("no window")


def settled(unit: VmUnit, api: DutApi, chip: str = "CS4") -> ChipWindow:
    """Start the chips as configured and return a window of them."""
    assert set(unit.get("/init_atm90e32_devs")) == {"OK"}
    return window(api, chip)


def phase_deg(found: ChipWindow, port: int = 0) -> float:
    return math.degrees(math.atan2(found.ports[port].reactive_var, found.ports[port].active_w))


def held(unit: VmUnit, chip: str, address: int) -> int:
    return unit.board.registers()[chip][f"0x{address:02X}"]


def test_the_unit_says_what_it_offers_and_stays_version_4_0(api: DutApi):
    assert api.features() == {"windows", "registers", "phase", "display", "trial", "snapshot"}
    assert api.firmware_version() == "4.0"


def test_windows_advance_three_times_a_second_and_never_backwards(unit: VmUnit, api: DutApi):
    window(api, "CS4")
    window(api, "CS0")
    seen: list[UnitWindows] = []
    begun_s = unit.clock.now_s()
    while unit.clock.now_s() - begun_s < 4.0:
        seen.append(api.windows())
        time.sleep(0.05)
    for chip in ("CS4", "CS0"):
        counts = [windows.seq[chip] for windows in seen]
        assert counts == sorted(counts)
        assert max(b - a for a, b in pairwise(counts)) <= 2
        rate_hz = (counts[-1] - counts[0]) / (seen[-1].t_s - seen[0].t_s)
        assert rate_hz == pytest.approx(50 / 16, abs=0.35)
        ends_s = {windows.chips[chip].seq: windows.chips[chip].t_end_s for windows in seen}
        steps_s = [ends_s[n + 1] - ends_s[n] for n in sorted(ends_s) if n + 1 in ends_s]
        assert median(steps_s) == pytest.approx(0.32, abs=0.02)


def matching(unit: VmUnit, api: DutApi) -> tuple[UnitWindows, dict[str, Any]] | None:
    """Return windows, and what the board says of the same window of port 1; None if a new one came."""
    windows = api.windows()
    truth = unit.board.readings(1)
    port = windows.chips["CS4"].ports[0]
    shown = (port.voltage_v, port.current_a, port.active_w, port.reactive_var)
    of_board = tuple(truth["registers"].values())
    return (windows, truth) if shown == pytest.approx(of_board, rel=1e-12) else None


def test_a_window_is_what_the_chip_measured_and_ends_where_the_chip_s_window_ends(unit: VmUnit, api: DutApi):
    window(api)
    late_s = []
    for _ in range(60):
        pair = matching(unit, api)
        if pair is not None:
            windows, truth = pair
            chip = windows.chips["CS4"]
            off_s = chip.t_end_s - truth["window_s"][1]
            slack_s = windows.exchange_s / 2 + NOTHING_S
            assert -slack_s <= off_s <= chip.late_s + slack_s  # whatever else this machine does
            late_s.append(off_s)
        time.sleep(0.07)
    assert len(late_s) > 40
    assert abs(median(late_s)) < AGE_LIMIT_S
    assert sorted(map(abs, late_s))[len(late_s) * 9 // 10] < AGE_LIMIT_S


def test_all_six_ports_are_those_of_their_chips(unit: VmUnit, api: DutApi):
    window(api, "CS4")
    window(api, "CS0")
    windows = api.windows()
    for chip, first in (("CS4", 1), ("CS0", 4)):
        for number, port in enumerate(windows.chips[chip].ports, first):
            board = unit.board.readings(number)["registers"]
            assert port.current_a == pytest.approx(board["current_a"], rel=2e-3)
            assert port.voltage_v == pytest.approx(board["voltage_v"], rel=2e-3)
            assert port.active_w == pytest.approx(board["active_w"], rel=4e-3)
        assert windows.chips[chip].frequency_hz == pytest.approx(50.0, abs=0.1)


def test_written_registers_change_the_next_window_and_are_gone_after_a_start(unit: VmUnit, api: DutApi):
    before = settled(unit, api)
    config = api.config()
    api.set_registers("CS4", {0x61: 27800, 0x6A: 21360})
    assert api.windows().seq["CS4"] < before.seq or before.seq == 3
    after = window(api)
    assert after.seq >= 3
    assert after.ports[0].voltage_v == pytest.approx(before.ports[0].voltage_v / 2, rel=2e-3)
    assert after.ports[1].voltage_v == pytest.approx(before.ports[1].voltage_v, rel=2e-3)
    assert after.ports[2].current_a == pytest.approx(before.ports[2].current_a / 2, rel=2e-3)
    assert (held(unit, "CS4", 0x61), held(unit, "CS4", 0x7F)) == (27800, 0)
    assert api.registers("CS4")[0x61] == 27800
    assert api.config() == config
    again = settled(unit, api)
    assert again.ports[0].voltage_v == pytest.approx(before.ports[0].voltage_v, rel=2e-3)
    assert api.registers("CS4")[0x61] == 55600


def test_the_other_chip_counts_on(unit: VmUnit, api: DutApi):
    settled(unit, api, "CS0")
    first = window(api, "CS0").seq
    api.set_registers("CS4", {0x63: 0})
    windows = api.windows()
    assert windows.seq["CS4"] <= 1
    assert windows.seq["CS0"] >= first
    assert "CS4" not in windows.chips
    assert "CS0" in windows.chips


def test_no_window_given_out_holds_values_from_before_a_write(unit: VmUnit, api: DutApi):
    for gain in (27800, 55600, 27800, 55600):
        nominal_v = window(api).ports[1].voltage_v
        api.set_registers("CS4", {0x61: gain})
        deadline_s = unit.clock.now_s() + 1.4
        while unit.clock.now_s() < deadline_s:
            chip = api.windows().chips.get("CS4")
            if chip is not None:
                assert chip.ports[0].voltage_v == pytest.approx(nominal_v * gain / 55600, rel=2e-3)
            time.sleep(0.01)


@pytest.mark.parametrize("register", [100, 0x8000 | 50])
def test_a_phase_register_turns_the_power_as_the_chip_does(unit: VmUnit, api: DutApi, register: int):
    counts = (register & 0xFF) * (-1 if register & 0x8000 else 1)
    before = settled(unit, api)
    api.set_registers("CS4", {0x48: register})
    after = window(api)
    turned_deg = phase_deg(after) - phase_deg(before)
    assert turned_deg == pytest.approx(counts * DEG_PER_COUNT_50_HZ, abs=0.05)
    assert phase_deg(after, 1) == pytest.approx(phase_deg(before, 1), abs=0.05)


def test_a_configured_phase_and_power_gain_are_in_force_after_the_start(unit: VmUnit, api: DutApi):
    before = settled(unit, api, "CS0")
    api.set_config({"CT5_PHASE": 120, "CT6_PGAIN": 0x10000 - 3277})
    after = settled(unit, api, "CS0")
    assert (held(unit, "CS0", 0x4A), held(unit, "CS0", 0x4B)) == (120, 0x10000 - 3277)
    assert phase_deg(after, 1) - phase_deg(before, 1) == pytest.approx(120 * DEG_PER_COUNT_50_HZ, abs=0.05)
    assert after.ports[2].active_w == pytest.approx(before.ports[2].active_w * 0.9, rel=4e-3)
    api.set_config({"CT5_PHASE": 0, "CT6_PGAIN": 0})
    settled(unit, api, "CS0")


def test_what_cannot_be_written_is_an_error_and_nothing_is_written(unit: VmUnit, api: DutApi):
    before = unit.board.registers()
    for query in (
        "",
        "chip=CS4",
        "0x61=1",
        "chip=CS1,0x61=1",
        "chip=CS4,0x61=65536",
        "chip=CS4,0x61=1,0x70=30874",
        "chip=CS4,0x61=1,0x33=0",
        "chip=CS4," + ",".join(f"0x{address:02x}=1" for address in sorted(CALIBRATION_REGISTERS)[:17]),
    ):
        status, reply = unit.get_status("/set_registers?" + query)
        assert (status, set(reply)) == (400, {"ERROR"}), query
    assert unit.get_status("/get_registers?chip=CS1")[0] == 400
    assert unit.board.registers() == before


def test_a_chip_that_loses_a_write_is_an_error(unit: VmUnit, api: DutApi):
    unit.fault("register_write_dropped")
    with pytest.raises(DutError, match="CS4 does not keep register 0x61"):
        api.set_registers("CS4", {0x61: 55601})
    unit.fault("register_write_dropped", False)
    time.sleep(0.1)
    api.set_registers("CS4", {0x61: 55600})


def test_windows_that_are_asked_for_while_the_chips_start_wait_for_them(unit: VmUnit, api: DutApi):
    window(api)
    begun_s = unit.clock.now_s()
    settled(unit, api)
    assert 0.7 < unit.clock.now_s() - begun_s < 4.0


def test_enough_heap_is_free_while_windows_are_followed(unit: VmUnit, api: DutApi):
    api.registers("CS4")
    free = []
    for _ in range(20):
        for path in ("/get_windows", "/get_stats", "/get_config", "/get_registers?chip=CS0"):
            unit.get(path)
        free.append(unit.get("/get_sys_stats")["RAM_FREE_BYTES"])
    assert min(free) >= FREE_HEAP_BYTES, free


def test_the_unit_stays_responsive_and_its_watchdog_fed_while_windows_are_followed(unit: VmUnit, api: DutApi):
    slowest_s = 0.0
    for _ in range(20):
        api.windows()
        begun_s = unit.clock.now_s()
        unit.get("/fw_version")
        slowest_s = max(slowest_s, unit.clock.now_s() - begun_s)
    assert slowest_s < 0.5
    assert unit.resets == []


def test_phases_survive_a_power_cut_in_their_own_file(tmp_path: Path):
    files = {"/this.machine.cfg": json.dumps(STA_CONFIG).encode()}
    with VmUnit(tmp_path, files, 5.0) as unit:
        unit.ready()
        unit.get("/set_config?CT1_PHASE=33,CT1_IGAIN=42801,CS4_VOLTAGE_OFFSET=12")
        assert "OK" in unit.get("/save_factory_cfg")
        unit.get("/set_config?CT1_PHASE=1,CT1_IGAIN=40000,CS4_VOLTAGE_OFFSET=0")
        unit.power_off()
        assert len(json.loads(unit.file("/factory.cfg") or b"")) == 16
        assert json.loads(unit.file("/calibration.cfg") or b"")["CT1_PHASE"] == 33
        unit.power_on()
        unit.ready()
        assert (held(unit, "CS4", 0x48), held(unit, "CS4", 0x62), held(unit, "CS4", 0x63)) == (33, 42801, 12)
        # A factory file restored by the original tools, which know no other file.
        factory = json.loads(unit.get("/get_file?file=/factory.cfg")["/factory.cfg"]) | {"CT1_IGAIN": 42000}
        api = DutApi("127.0.0.1", unit.unit.http_port, unit.clock)
        api.upload("factory.cfg", "/", json.dumps(factory).encode())
        unit.power_off()
        unit.power_on()
        unit.ready()
        assert "INFO:  /calibration.cfg does not belong to /factory.cfg" in unit.console
        assert (held(unit, "CS4", 0x48), held(unit, "CS4", 0x62), held(unit, "CS4", 0x63)) == (0, 42000, 0)
