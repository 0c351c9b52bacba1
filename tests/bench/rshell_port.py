"""Between the loader of the existing CT6 tools and a unit on the unix back end.

On the RP2040 a line that a program prints ends with CR LF at the raw prompt, too; the unix VM leaves it LF.
rshell looks for both. It moves files as hexadecimal digits, so what it sees holds no other LF.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import tty
from pathlib import Path

RSHELL = Path(sys.executable).parent / "rshell"
READ_BYTES = 4096


class RshellPort:
    """A pseudo-terminal that leads to a unit's port; `with` holds both open."""

    def __init__(self, unit_port: str) -> None:
        self._unit = os.open(unit_port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._running = True
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> RshellPort:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running = False
        self._thread.join()
        for descriptor in (self._unit, self._master, self._slave):
            os.close(descriptor)

    def run(self, folder: Path, *commands: str, timeout_s: float = 60.0) -> str:
        """Run rshell with the options and a command file as the tools do; return what it printed."""
        file = folder / "commands"
        file.write_text("\n".join(commands) + "\n")
        options = ["--rts", "1", "--dtr", "1", "--wait", "5", "--timing", "--buffer-size", "512", "-n"]
        command = [str(RSHELL), *options, "-p", self.path, "-f", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _carry(self) -> None:
        while self._running:
            for ready in select.select([self._unit, self._master], [], [], 0.05)[0]:
                data = os.read(ready, READ_BYTES)
                if ready == self._unit:
                    self._write(self._master, data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
                else:
                    self._write(self._unit, data)

    def _write(self, target: int, data: bytes) -> None:
        while data:
            select.select([], [target], [], 1.0)
            data = data[os.write(target, data) :]
