"""The emulated instruments alone, in their own process, and the plant that they measure."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfg.clock import BenchClock
from mfg.emulator.config import BenchConfig, InstrumentsConfig
from mfg.emulator.control import ControlClient
from mfg.emulator.events import Event, EventLog, append_event
from mfg.emulator.plant import Plant

READY_WALL_S = 20.0


@dataclass(frozen=True)
class Bench:
    """The instruments' process and what is needed to talk to it."""

    config: BenchConfig
    clock: BenchClock
    control: ControlClient

    def resource(self, port: int) -> str:
        return f"TCPIP::127.0.0.1::{port}::SOCKET"

    def fault(self, name: str, on: bool) -> None:
        self.control.call("fault", name=name, on=on)

    def event(self, what: str, value: Any) -> None:
        """Switch something of the plant by hand; a fault is {"name": ..., "on": ...}."""
        append_event(Path(self.config.folder), Event(self.clock.now_s(), what, value))

    def plant(self) -> Plant:
        return Plant(self.config, EventLog(Path(self.config.folder)))


def _free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def _wait_for_ports(ports: list[int], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_WALL_S
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
                break
            except OSError:
                assert process.poll() is None, "the instruments' process has ended"
                assert time.monotonic() < end, f"nothing listens on port {port}"
                time.sleep(0.05)


@contextmanager
def running_instruments(folder: Path, factor: float) -> Iterator[Bench]:
    """Run a perfect meter, the switch and the thermometer for the block."""
    clock = BenchClock(time.monotonic(), factor)
    ports = _free_ports(4)
    config = BenchConfig(
        folder=str(folder),
        clock=str(clock),
        instruments=InstrumentsConfig(
            meter_port=ports[0], switch_port=ports[1], thermometer_port=ports[2], control_port=ports[3],
            meter_gain_error_pct=0.0,
        ),
    )  # fmt: skip
    path = folder / "bench-config.json"
    config.write(path)
    command = [
        sys.executable,
        "-m",
        "mfg.emulator",
        "instruments",
        str(path),
        "--parent-pid",
        str(os.getpid()),
    ]
    process = subprocess.Popen(command)
    try:
        _wait_for_ports(ports, process)
        yield Bench(config, clock, ControlClient(ports[3]))
    finally:
        process.terminate()
        process.wait(timeout=10.0)
