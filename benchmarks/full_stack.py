"""Calibrations through the full stack: `mfg run` on emulated benches, judged on the chips of the unit.

Each seed is another bench: another unit with other tolerances, other mains. After the run, which ended with
the supply off, the unit is powered again and its chips are compared with the plant at the currents of the
comparison. The reference has noise and no error of its own.
"""

from __future__ import annotations

import dataclasses
import json
import math
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mfg.emulator.config import BenchConfig, InstrumentsConfig
from mfg.emulator.control import ControlClient
from mfg.emulator.launch import free_ports
from mfg.emulator.typical import typical_unit

SHIPPED = Path(__file__).parents[1] / "station.yaml"
LABELS = ("--assembly", "ASY0398V03.2", "--serial", "SN00001823")
PORTS = range(1, 7)
ZERO_WINDOWS = 3
JUDGED_WINDOWS = 8
BOOT_S, SETTLE_S, WINDOW_S = 8.0, 6.0, 0.32
RUN_WALL_S = 300.0
BENCHES_AT_ONCE = 2


@dataclass(frozen=True)
class Calibrated:
    """What one run left behind.

    Attributes:
        current_pct: Errors of the current, (6, n) float64: six ports, n currents.
        voltage_pct, phase_deg: Errors of the six ports, (6,) float64.
        readings: Windows that a port took, zero readings included.
        bench_s: Bench time of zero readings, settling, dwell and write.
    """

    current_pct: np.ndarray
    voltage_pct: np.ndarray
    phase_deg: np.ndarray
    readings: int
    bench_s: float


def calibrate_benches(seeds: Sequence[int], currents_a: Sequence[float]) -> list[Calibrated]:
    """Run the station once per seed at real speed, two benches at a time.

    Raises:
        RuntimeError: A run did not end in PASS; holds what it printed.
    """
    with ThreadPoolExecutor(BENCHES_AT_ONCE) as pool:
        return list(pool.map(lambda seed: _calibrate(seed, currents_a), seeds))


def _calibrate(seed: int, currents_a: Sequence[float]) -> Calibrated:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        station = _station(folder, seed)
        with _bench(folder):
            _mfg(folder, "run", *LABELS)
            (path,) = folder.glob("records/*/*/record.json")
            phases = {phase["name"]: phase for phase in json.loads(path.read_text())["phases"]}
            adjust = phases["adjust_registers"]
            windows = next(m["value"] for m in adjust["measurements"] if m["name"] == "adjust_windows")
            errors = _judged(station, currents_a)
        return Calibrated(*errors, ZERO_WINDOWS + windows, adjust["seconds"])


def _station(folder: Path, seed: int) -> dict[str, Any]:
    """Write a station file with ports of its own and its bench's parameters; returns its content."""
    ports = iter(free_ports(9))
    content: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    route = {"http": f"127.0.0.1:{next(ports)}", "discovery": f"127.0.0.1:{next(ports)}"}
    content["slots"][0]["address_map"] = {"10.0.0.2": route}
    for instrument in ("reference_meter", "power_switch", "thermometer"):
        content[instrument]["resource"] = f"TCPIP::127.0.0.1::{next(ports)}::SOCKET"
    content["emulated_bench"] |= {
        "backend": "unix",
        "seed": seed,
        "operator": f"127.0.0.1:{next(ports)}",
        "control_port": next(ports),
        "instruments_control_port": next(ports),
        "unit_control_ports": [next(ports)],
        "plant": "plant.json",
    }
    (folder / "station.yaml").write_text(yaml.safe_dump(content))
    instruments = InstrumentsConfig(meter_gain_error_pct=0.0)
    config = dataclasses.replace(BenchConfig(), units=(typical_unit(seed, 1),), instruments=instruments)
    config.write(folder / "plant.json")
    return content


def _mfg(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "mfg", *arguments, "--station", str(folder / "station.yaml")]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=RUN_WALL_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"mfg {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}")


@contextmanager
def _bench(folder: Path) -> Iterator[None]:
    _mfg(folder, "bench", "up")
    try:
        yield
    finally:
        _mfg(folder, "bench", "down")


def _judged(
    station: dict[str, Any], currents_a: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power the unit and set the load by hand; compare its chips with the plant.

    Returns:
        Errors of current in % (6, n), and of voltage in % and phase in degrees (6,) at the last current.
    """
    bench = ControlClient(station["emulated_bench"]["control_port"])
    unit = ControlClient(station["emulated_bench"]["unit_control_ports"][0])
    nominal_a = BenchConfig().load.current_a * BenchConfig().turns
    _disarm(int(station["power_switch"]["resource"].split("::")[2]))
    bench.call("event", what="supply", value=1, unit=1)
    time.sleep(BOOT_S)
    rows = []
    for current_a in currents_a:
        bench.call("event", what="load", value=current_a / nominal_a, unit=0)
        time.sleep(SETTLE_S)
        rows.append(np.mean([_errors(unit) for _window in range(JUDGED_WINDOWS)], axis=0))
    bench.call("event", what="load", value=0, unit=0)
    bench.call("event", what="supply", value=0, unit=1)
    table = np.array(rows)  # (n, 6, 3)
    return table[:, :, 0].T, table[-1, :, 1], table[-1, :, 2]


def _disarm(port: int) -> None:
    """Disarm the load's watchdog, which would drop a load that a hand switches on after a run."""
    with socket.create_connection(("127.0.0.1", port), timeout=10.0) as link:
        link.sendall(b"OUTP:PROT:WDOG OFF;:OUTP:PROT:WDOG?\n")
        if link.recv(16).strip() != b"0":
            raise RuntimeError("The power switch's watchdog is still armed.")


def _errors(unit: ControlClient) -> np.ndarray:
    """Return current %, voltage % and phase deg of the last window of each port, (6, 3) float64."""
    time.sleep(WINDOW_S)
    rows = []
    for port in PORTS:
        reply = unit.call("readings", port=port)
        seen, true = reply["registers"], reply["truth"]
        angles = [math.degrees(math.atan2(side["reactive_var"], side["active_w"])) for side in (seen, true)]
        rows.append(
            [
                (seen["current_a"] / true["current_a"] - 1) * 100,
                (seen["voltage_v"] / true["voltage_v"] - 1) * 100,
                angles[0] - angles[1],
            ]
        )
    return np.array(rows)
