"""The bench process starts, watches and stops the others; none of them outlives the one that wanted it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from emulated_unit import START_WALL_S, bench_config

from mfg.emulator.config import BenchConfig
from mfg.emulator.control import ControlClient
from mfg.emulator.images import generate_images
from mfg.emulator.launch import CONFIG_NAME, read_state, start_bench
from mfg.errors import StationError


def _wait(condition: Callable[[], bool], wall_s: float = 8.0) -> None:
    end_s = time.monotonic() + wall_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def _descendants(pid: int) -> set[int]:
    children = {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return children.union(*(_descendants(child) for child in children))


def _run_a_unit(config: BenchConfig) -> None:
    """Bring the unit to its prompt, so that there is a VM process, too."""
    folder = Path(config.folder)
    unit = ControlClient(config.units[0].control_port)
    unit.call("power", on=True)
    drive = folder / "unit1" / "media" / "RPI-RP2"
    _wait(drive.exists)
    _, image = generate_images(folder / "images")
    (drive / "image.uf2").write_bytes(image.read_bytes())
    _wait((folder / "unit1" / "ttyACM0").exists)


def test_a_bench_comes_up_with_every_process_and_goes_down_without_a_trace(tmp_path):
    config = bench_config(tmp_path)
    handle = start_bench(config, START_WALL_S, os.getpid())
    try:
        state = read_state(tmp_path)
        assert state == {"pid": handle.process.pid, "ready": True, "backend": "unix", "clock": config.clock}
        processes = ControlClient(config.control_port).call("state")["processes"]
        assert set(processes) == {"unit 1", "instruments", "operator"}
        _run_a_unit(config)
        everybody = _descendants(handle.process.pid)
        assert len(everybody) == 4
    finally:
        handle.stop()
    assert not any(_lives(pid) for pid in everybody)
    assert not (tmp_path / "unit1" / "ttyACM0").exists()
    assert read_state(tmp_path)["ready"] is False
    assert handle.process.returncode == 0
    handle.stop()  # once more does no harm


def test_the_flash_outlives_the_bench_and_the_supply_does_not(tmp_path):
    config = bench_config(tmp_path)
    handle = start_bench(config, START_WALL_S, os.getpid())
    try:
        _run_a_unit(config)
    finally:
        handle.stop()
    again = start_bench(config, START_WALL_S, os.getpid())
    try:
        unit = ControlClient(config.units[0].control_port)
        assert unit.call("state")["state"] == "off"
        unit.call("power", on=True)
        _wait((tmp_path / "unit1" / "ttyACM0").exists)
    finally:
        again.stop()


@pytest.mark.parametrize("victim", ["unit 1", "instruments", "operator"])
def test_a_process_that_dies_takes_the_bench_down_and_is_named(tmp_path, victim):
    config = bench_config(tmp_path)
    handle = start_bench(config, START_WALL_S, os.getpid())
    try:
        processes = ControlClient(config.control_port).call("state")["processes"]
        everybody = _descendants(handle.process.pid)
        os.kill(processes[victim], signal.SIGKILL)
        assert handle.process.wait(10) == 3
        assert f"'{victim}' of the emulated bench ended with -9" in read_state(tmp_path)["error"]
        assert not any(_lives(pid) for pid in everybody)
    finally:
        handle.stop()


def test_a_taken_port_stops_the_start_with_a_reason_and_leaves_nothing(tmp_path):
    config = bench_config(tmp_path)
    first = start_bench(config, START_WALL_S, os.getpid())
    try:
        other = bench_config(tmp_path / "other")
        clash = BenchConfig(**{**vars(other), "control_port": config.control_port})
        with pytest.raises(StationError, match=str(config.control_port)):
            start_bench(clash, START_WALL_S, os.getpid())
    finally:
        first.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_parent_dies(tmp_path, number):
    config = bench_config(tmp_path)
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom mfg.emulator.config import BenchConfig\n"
        "from mfg.emulator.launch import start_bench\n"
        "h = start_bench(BenchConfig.read(Path(sys.argv[1])), 30, os.getpid())\n"
        "print(h.process.pid, flush=True)\ntime.sleep(60)\n"
    )
    path = tmp_path / "given.json"
    config.write(path)
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        bench = int(parent.stdout.readline())
        _run_a_unit(config)
        everybody = {bench, *_descendants(bench)}
        assert len(everybody) == 5
        parent.send_signal(number)
        parent.wait(5)
    _wait(lambda: not any(_lives(pid) for pid in everybody))
    assert not (tmp_path / "unit1" / "ttyACM0").exists()


def test_nothing_is_left_when_the_bench_process_itself_is_killed(tmp_path):
    config = bench_config(tmp_path)
    handle = start_bench(config, START_WALL_S, os.getpid())
    _run_a_unit(config)
    everybody = _descendants(handle.process.pid)
    assert len(everybody) == 4
    handle.process.kill()
    handle.process.wait(5)
    _wait(lambda: not any(_lives(pid) for pid in everybody))
    handle.stop()


def test_the_vm_ends_with_a_unit_process_that_is_killed(tmp_path):
    config = bench_config(tmp_path)
    handle = start_bench(config, START_WALL_S, os.getpid())
    try:
        _run_a_unit(config)
        unit = ControlClient(config.control_port).call("state")["processes"]["unit 1"]
        (vm,) = _descendants(unit)
        os.kill(unit, signal.SIGKILL)
        _wait(lambda: not _lives(vm))
    finally:
        handle.stop()


def test_two_units_run_side_by_side(tmp_path):
    config = bench_config(tmp_path)
    second = bench_config(tmp_path).units[0]
    config = BenchConfig(
        **{**vars(config), "units": (config.units[0], type(second)(**{**vars(second), "number": 2}))}
    )
    handle = start_bench(config, START_WALL_S, os.getpid())
    try:
        for unit in config.units:
            ControlClient(unit.control_port).call("power", on=True)
        for unit in config.units:
            _wait((tmp_path / f"unit{unit.number}" / "media" / "RPI-RP2").exists)
        ControlClient(config.units[0].control_port).call("power", on=False)
        _wait(lambda: not (tmp_path / "unit1" / "media" / "RPI-RP2").exists())
        assert ControlClient(second.control_port).call("state")["state"] == "bootsel"
    finally:
        handle.stop()


def test_the_command_line_refuses_a_unit_that_does_not_exist(tmp_path):
    path = tmp_path / CONFIG_NAME
    bench_config(tmp_path).write(path)
    command = [sys.executable, "-m", "mfg.emulator", "unit", str(path), "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "no unit 7" in done.stderr
