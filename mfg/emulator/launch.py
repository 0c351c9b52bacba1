"""Start an emulated bench from another process: the command line, or a test."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfg.emulator.bench import LOG_NAME, STATE_NAME, STOP_WALL_S
from mfg.emulator.config import BenchConfig
from mfg.emulator.control import LOOPBACK, ControlClient
from mfg.errors import StationError

CONFIG_NAME = "bench-config.json"
POLL_WALL_S = 0.03
PORT_ATTEMPTS = 200


@dataclass
class BenchHandle:
    """A running emulated bench."""

    config: BenchConfig
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Stop every process of the bench; it may have ended already."""
        if self.process.poll() is None:
            with contextlib.suppress(StationError):
                ControlClient(self.config.control_port).call("down")
        for end in (None, signal.SIGTERM, signal.SIGKILL):
            if end is not None:
                self.process.send_signal(end)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2 * STOP_WALL_S)
                return


def start_bench(config: BenchConfig, timeout_s: float, parent_pid: int | None = None) -> BenchHandle:
    """Start a bench and wait until every process of it is ready.

    Args:
        config: With all ports chosen; written to the bench folder.
        timeout_s: Wall time for all of it, in s.
        parent_pid: The bench ends with this process; None: it lives on.

    Raises:
        StationError: The bench did not become ready; nothing of it is left running.
    """
    _require_free_ports(config)
    folder = Path(config.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFIG_NAME
    config.write(path)
    (folder / STATE_NAME).unlink(missing_ok=True)
    command = [sys.executable, "-m", "mfg.emulator", "bench", str(path)]
    if parent_pid is not None:
        command += ["--parent-pid", str(parent_pid)]
    with (folder / LOG_NAME).open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Control-C at the terminal is for the station, which stops its bench.
        )
    handle = BenchHandle(config, process)
    try:
        _wait_ready(folder, process, timeout_s)
    except BaseException:
        handle.stop()
        raise
    return handle


def read_state(folder: Path) -> dict[str, Any]:
    """Return what `bench-state.json` says; empty when there is none."""
    try:
        state = json.loads((folder / STATE_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return state if isinstance(state, dict) else {}


def _wait_ready(folder: Path, process: subprocess.Popen[bytes], timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while True:
        ended = process.poll() is not None
        state = read_state(folder)
        if state.get("ready") and state.get("pid") == process.pid and not ended:
            return
        if ended or time.monotonic() > deadline_s:
            log = (folder / LOG_NAME).read_text(encoding="utf-8", errors="replace").strip()
            what = f"ended with {process.returncode}" if ended else f"is not ready after {timeout_s:g} s"
            raise StationError(
                f"The emulated bench {what}: {state.get('error') or log[-600:] or 'it says nothing'}",
                f"Look into the logs in {folder}.",
            )
        time.sleep(POLL_WALL_S)


def _require_free_ports(config: BenchConfig) -> None:
    """Refuse a bench one of whose ports belongs to somebody else: its answers would come from there."""
    instruments = config.instruments
    ports = {
        "the bench's control": config.control_port,
        "the operator": config.operator_port,
        "the instruments' control": instruments.control_port,
        "the reference meter": instruments.meter_port,
        "the power switch": instruments.switch_port,
        "the thermometer": instruments.thermometer_port,
    }
    for unit in config.units:
        ports[f"unit {unit.number}'s HTTP"] = unit.http_port
        ports[f"unit {unit.number}'s control"] = unit.control_port
    for name, port in ports.items():
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                raise StationError(
                    f"Port {port} for {name} is in use by another program: {error.strerror}.",
                    "Stop that program, or give this station other ports in its station file.",
                ) from error


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports that are free on the loopback interface now, for TCP and for UDP.

    Raises:
        StationError: There are not enough of them.
    """
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        for _ in range(PORT_ATTEMPTS + count):
            if len(ports) == count:
                return tuple(ports)
            stream = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            datagram = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            stream.bind((LOOPBACK, 0))
            port = int(stream.getsockname()[1])
            with contextlib.suppress(OSError):
                datagram.bind((LOOPBACK, port))
                ports.append(port)
    raise StationError(f"This machine has no {count} free loopback ports.")
