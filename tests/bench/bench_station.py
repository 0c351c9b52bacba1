"""A station of its own on an emulated bench, for tests that run whole plans as a user would."""

import dataclasses
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from mfg.emulator import flash_files
from mfg.emulator.config import BenchConfig, InstrumentsConfig
from mfg.emulator.control import ControlClient
from mfg.emulator.typical import typical_unit

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("--assembly", "ASY0398V03.2", "--serial", "SN00001823")
PERFECT = InstrumentsConfig(meter_gain_error_pct=0.0, meter_noise_pct=0.0)
FLASH = Path(".bench", "unit1", "flash.bin")
ADJUST, VERIFY = "adjust_registers", "verify_points"  # cases 12100 and 12200
CHANNELS = ("supply", "load", "identification")
QUIET_PORTS = range(12000, 32000)
WORKERS = 4  # a test run has three
_GIVEN = set()
LONGEST_WATCHDOG_S = 60.0  # that a station file may ask for
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


def quiet_ports(count):
    """Return free ports that the operating system gives to no other program meanwhile.

    Drawn by the operating system's chance: the workers of a test run may share the seed of `random`.
    It hands out ports from 32768 upwards (49152 on macOS) to whoever connects or binds without naming one.
    No port is given twice, in this process or to two workers: a bench may bind its ports only later.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    ports = []
    for port in random.SystemRandom().sample(QUIET_PORTS, len(QUIET_PORTS)):
        if port in _GIVEN or port % WORKERS != worker:
            continue
        with suppress(OSError), socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            stream.bind(("127.0.0.1", port))
            datagram.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            _GIVEN.update(ports)
            return ports
    raise AssertionError("this machine has no free ports")


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
        units=(),
        **plant,
    ):
        """Make the station.

        Args:
            units: More units than the one of slot 1, each in a slot of its own.
        """
        self.folder = folder
        self.path = folder / "station.yaml"
        ports = iter(quiet_ports(9 + 3 * len(units)))
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
        # In wall time as long as at factor 1: the machine's stalls do not get shorter with the clock.
        watchdog_s = content["power_switch"]["watchdog_s"] * factor
        content["power_switch"]["watchdog_s"] = min(watchdog_s, LONGEST_WATCHDOG_S)
        self.unit_ports = [self.unit_port]
        for number in range(2, 2 + len(units)):
            self._add_slot(content, number, ports)
        self.content = content
        self.write()
        unit = dataclasses.replace(unit or typical_unit(seed, 1), faults=tuple(faults))
        config = dataclasses.replace(BenchConfig(), units=(unit, *units), faults=tuple(plant_faults), **plant)
        instruments = dataclasses.replace(config.instruments, faults=tuple(instrument_faults))
        dataclasses.replace(config, instruments=instruments).write(folder / "plant.json")

    def _add_slot(self, content, number, ports):
        route = {"http": f"127.0.0.1:{next(ports)}", "discovery": f"127.0.0.1:{next(ports)}"}
        folder = f".bench/unit{number}"
        content["slots"].append(
            {
                "number": number,
                "serial_port": {"path": f"{folder}/ttyACM0"},
                "drive_roots": [f"{folder}/media"],
                "supply_channel": 10 + number,
                "address_map": {f"10.0.0.{number + 1}": route},
            }
        )
        self.unit_ports.append(next(ports))
        content["emulated_bench"]["unit_control_ports"] = self.unit_ports

    def write(self):
        self.path.write_text(yaml.safe_dump(self.content, sort_keys=False))

    def adopt(self, other):
        """Take over another station's unit, with all its flash holds, and what is on record there."""
        (self.folder / ".bench" / "unit1").mkdir(parents=True)
        shutil.copyfile(other.folder / FLASH, self.folder / FLASH)
        shutil.copytree(other.folder / "records", self.folder / "records")
        shutil.copytree(other.folder / "keys", self.folder / "keys")
        return self

    def command_line(self, *arguments):
        return [sys.executable, "-m", "mfg", *arguments, "--station", str(self.path)]

    def options(self, env=None):
        """Return how a process of this station is started."""
        wide = {**os.environ, "COLUMNS": "120", **(env or {})}
        return {"cwd": self.folder, "text": True, "env": wide}

    def command(self, *arguments, env=None, typed="", prefix=(), **options):
        """Run `mfg` and wait; returns the finished process."""
        return subprocess.run(
            [*prefix, *self.command_line(*arguments)],
            input=typed,
            capture_output=True,
            timeout=RUN_LIMIT_S,
            **self.options(env),
            **options,
        )

    @contextmanager
    def running(self, *arguments):
        """Run one unit in the background; it is killed at the end of the block if it is still there."""
        with subprocess.Popen(
            self.command_line("run", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **self.options(),
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *arguments, labels=LABELS, **options):
        """Run one unit as an operator would, and read the record that it left."""
        done = self.command("run", *labels, *arguments, **options)
        return self.ended(done.returncode, done.stdout + done.stderr)

    def events(self, what):
        """Return the values that something was switched to in the plant, oldest first."""
        path = self.folder / ".bench" / "plant-events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        events = [json.loads(line) for line in lines]
        return [event["value"] for event in events if event["what"] == what]

    def is_on(self, channel):
        """Return whether the plant's log has a channel on now; what was never switched is off."""
        return any(self.events(channel)[-1:])

    def all_off(self):
        """Return whether everything that was ever switched on is off again."""
        return not any(self.is_on(channel) for channel in CHANNELS)

    def wait_for(self, seen, limit_s=60.0):
        """Wait, in wall time, until `seen()` holds."""
        end_s = time.monotonic() + limit_s
        while not seen():
            assert time.monotonic() < end_s, "what was waited for did not come"
            time.sleep(0.05)

    def unit_files(self):
        """Return the size of every file on the unit, whose supply is off."""
        return flash_files.list_files((self.folder / FLASH).read_bytes())

    def unit_file(self, path):
        return flash_files.read_file((self.folder / FLASH).read_bytes(), path)

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

    def disarm(self):
        """Disarm the load's watchdog, which would drop a load that a hand switches on after a run."""
        port = int(self.content["power_switch"]["resource"].split("::")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
            link.sendall(b"OUTP:PROT:WDOG OFF;:OUTP:PROT:WDOG?\n")
            assert link.recv(16).strip() == b"0"

    def settled_readings(self, bench, wall_s=6.0):
        """Power the unit and the load by hand; return truth and registers of each port."""
        self.disarm()
        self.switch(bench, "supply", 1, unit=1)
        self.switch(bench, "load", 1)
        time.sleep(wall_s)
        return {port: self.unit.call("readings", port=port) for port in range(1, 7)}
