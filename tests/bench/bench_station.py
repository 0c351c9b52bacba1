"""A station of its own on an emulated bench, for tests that run whole plans as a user would."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import yaml

from mfg.emulator.config import BenchConfig
from mfg.emulator.control import ControlClient
from mfg.emulator.launch import free_ports
from mfg.emulator.typical import typical_unit

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("--assembly", "ASY0398V03.2", "--serial", "SN00001823")
RUN_LIMIT_S = 170  # of wall time; a run that needs more hangs


@dataclasses.dataclass
class Ended:
    """A run of the command that has ended."""

    exit_code: int
    output: str
    record: dict
    folder: Path

    @property
    def outcome(self):
        return self.record["outcome"]

    def phase(self, name):
        found = [phase for phase in self.record["phases"] if phase["name"] == name]
        assert found, (
            f"{name} did not run; {[phase['name'] for phase in self.record['phases']]}\n{self.output}"
        )
        return found[-1]

    def bad_phases(self):
        return [phase["name"] for phase in self.record["phases"] if phase["outcome"] not in ("PASS", "SKIP")]

    def value(self, phase, name):
        return next(entry["value"] for entry in self.phase(phase)["measurements"] if entry["name"] == name)


class BenchStation:
    """A station file with ports of its own in a folder of its own."""

    def __init__(
        self,
        folder,
        *,
        factor=1,
        seed=7,
        faults=(),
        instrument_faults=(),
        plant_faults=(),
        backend="unix",
        unit=None,
        **plant,
    ):
        self.folder = folder
        self.path = folder / "station.yaml"
        ports = iter(free_ports(9))
        content = yaml.safe_load((ROOT / "station.yaml").read_text())
        route = {"http": f"127.0.0.1:{next(ports)}", "discovery": f"127.0.0.1:{next(ports)}"}
        content["slots"][0]["address_map"] = {"10.0.0.2": route}
        for instrument in ("reference_meter", "power_switch", "thermometer"):
            content[instrument]["resource"] = f"TCPIP::127.0.0.1::{next(ports)}::SOCKET"
        self.control_port, self.instruments_port, self.unit_port = next(ports), next(ports), next(ports)
        content["emulated_bench"] |= {
            "backend": backend,
            "seed": seed,
            "clock_factor": factor,
            "operator": f"127.0.0.1:{next(ports)}",
            "control_port": self.control_port,
            "instruments_control_port": self.instruments_port,
            "unit_control_ports": [self.unit_port],
            "plant": "plant.json",
        }
        self.content = content
        self.write()
        unit = dataclasses.replace(unit or typical_unit(seed, 1), faults=tuple(faults))
        config = dataclasses.replace(BenchConfig(), units=(unit,), faults=tuple(plant_faults), **plant)
        instruments = dataclasses.replace(config.instruments, faults=tuple(instrument_faults))
        dataclasses.replace(config, instruments=instruments).write(folder / "plant.json")

    def write(self):
        self.path.write_text(yaml.safe_dump(self.content, sort_keys=False))

    def command(self, *arguments, env=None):
        """Run `mfg` and wait; returns the finished process."""
        return subprocess.run(
            [sys.executable, "-m", "mfg", *arguments, "--station", str(self.path)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
            env={**os.environ, "COLUMNS": "120", **(env or {})},
        )

    def run(self, *arguments, labels=LABELS):
        """Run one unit as an operator would, and read the record that it left."""
        done = self.command("run", *labels, *arguments)
        return self.ended(done.returncode, done.stdout + done.stderr)

    def ended(self, exit_code, output):
        records = sorted(self.folder.glob("records/*/*/record.json"), key=lambda path: path.stat().st_mtime)
        assert records, output
        return Ended(exit_code, output, json.loads(records[-1].read_text()), records[-1].parent)

    @contextmanager
    def bench(self):
        """Keep the bench up for the block, so that a run in it finds it and leaves it."""
        up = self.command("bench", "up")
        assert up.returncode == 0, up.stdout + up.stderr
        try:
            yield ControlClient(self.control_port)
        finally:
            self.command("bench", "down")

    @property
    def unit(self):
        return ControlClient(self.unit_port)

    def switch(self, bench, what, value, unit=0):
        """Switch something by hand, past the station."""
        return bench.call("event", what=what, value=value, unit=unit)

    def settled_readings(self, bench, wall_s=6.0):
        """Power the unit and the load by hand; return truth and registers of each port."""
        self.switch(bench, "supply", 1, unit=1)
        self.switch(bench, "load", 1)
        time.sleep(wall_s)
        return {port: self.unit.call("readings", port=port) for port in range(1, 7)}
