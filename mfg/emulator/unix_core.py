"""The unix back end: a real MicroPython VM, run as a process of this machine, plays the Pico W.

The VM's file system is the littlefs part of the unit's flash file, so a power cut at any instant leaves
there what was written so far. What is not real: the speed, the RP2040's own instructions (of a flash image
only the project's own is accepted, see images.py), and the radio.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from mfg.emulator.air_link import AirLink
from mfg.emulator.core import CoreContext, Flash, RamImage
from mfg.emulator.images import is_erase_program, is_micropython
from mfg.emulator.peripherals import PeripheralLink, Peripherals
from mfg.emulator.pty_port import PtyPort
from mfg.emulator.unix_vm import (
    HEAP,
    HEAP_WITH_BAD_RAM,
    WORN_FROM_BLOCK,
    VmProcess,
    compile_shims,
    start_vm,
    vm_environment,
    vm_identity,
)
from mfg.emulator.vm_terminal import ConsoleFilter, VmTerminal
from mfg.emulator.wifi import Wifi

RESET_S = 0.2  # from the reset until the port is back
RESET_FLOOR_WALL_S = 0.06  # a host that polls must be able to see the port gone
WATCHDOG_POLL_WALL_S = 0.02
ERASE_S = 0.6
WRITING = b"w(b'"  # how mpremote sends a piece of a file
LOAD_BYTES = 6000  # sent to the unit in one life of the port: the host is loading the firmware
ERASE_STEP_BYTES = 64 << 10
POWER_ON_CAUSE, RESET_CAUSE = 1, 3  # machine.PWRON_RESET; machine.reset() shows as WDT_RESET on the RP2040
SOFT_REBOOT = b"MPY: soft reboot\r\n"


class UnixCore:
    """One Pico W on the unix VM; see core.py for what each method promises."""

    def __init__(self, context: CoreContext) -> None:
        """Prepare the back end; nothing runs yet.

        Raises:
            StationError: The VM or mpy-cross is not installed, or does not run here.
        """
        self._context = context
        self._identity = vm_identity()
        self._shims = context.folder / "vm"
        compile_shims(self._shims)
        self.wifi = Wifi(context.unit, context.clock)
        self._peripherals: Peripherals | None = None
        self._running = False
        self._boot_s = 0.0
        self._cause = POWER_ON_CAUSE
        self._port: PtyPort | None = None
        self._session: _Session | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._session_number = 0
        self._rate: float | None = None
        self._deaf = False
        self._heard_bytes = 0
        self._heard_tail = b""
        self._was_reset = False
        self._air = AirLink(
            context.unit.http_port, context.board.faults.on, self.wifi, context.clock, self._run_pulled
        )

    @property
    def running(self) -> bool:
        """Return whether the chip is powered and executes."""
        return self._running

    async def start(self, flash: Flash, ram_image: RamImage | None) -> None:
        """Run from the flash, or run a program that was loaded into RAM."""
        await self.stop()
        await self._air.open()
        self._running = True
        loop = asyncio.get_running_loop()
        self._peripherals = Peripherals(
            self._context.board,
            self.wifi,
            self._context.clock,
            lambda text: _call(loop, self._context.log, text),
        )
        self._peripherals.reset()
        if ram_image is not None:
            if is_erase_program(ram_image.content()):
                self._begin(self._erase(flash))
            else:
                self._context.log("The unix back end cannot run this RAM program; the chip hangs.")
        elif is_micropython(flash):
            self._boot(POWER_ON_CAUSE)
            self._begin(self._watch())
        else:
            self._context.log("There is no MicroPython emulator image in the flash; the chip hangs.")

    async def stop(self) -> None:
        """Cut the power: the port is gone, the flash file holds what was written so far."""
        self._running = False
        current = asyncio.current_task()
        tasks, self._tasks = {task for task in self._tasks if task is not current}, set()
        for task in tasks:
            task.cancel()
        self._end_session()
        self._drop_port()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._air.close()
        self.wifi.reset()

    async def reset(self) -> None:
        """Reset the chip as its RUN pin does: the port goes and returns."""
        if self._running and self._session is not None:
            self._reset_chip("control")

    def _run_pulled(self) -> None:
        if self._running and self._session is not None:
            self._reset_chip("RUN")

    def throttle(self, bytes_per_s: float | None) -> None:
        """Limit the serial port in each direction; None takes the limit away."""
        self._rate = None if bytes_per_s is None else bytes_per_s * self._context.clock.factor
        if self._port is not None:
            self._port.throttle(self._rate)

    def deafen(self, deaf: bool) -> None:
        """Leave what the host sends unread, as a hung REPL does."""
        self._deaf = deaf
        if self._port is not None:
            self._port.deafen(deaf)

    def unplug(self, away_s: float | None) -> None:
        """Take the serial port off the host while the chip runs on; None: for good, until a reset."""
        if self._port is None:
            return
        self._drop_port()
        if away_s is not None:
            self._begin(self._plug_in(away_s))

    async def _plug_in(self, away_s: float) -> None:
        await asyncio.sleep(max(self._context.clock.wall_s(away_s), RESET_FLOOR_WALL_S))
        if self._port is None and self._session is not None:
            self._open_port()

    # ---- the chip starts and ends ----

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _boot(self, cause: int) -> None:
        self._boot_s = self._context.clock.now_s()
        self._cause = cause
        self._start_session(raw=False)
        self._open_port()

    def _open_port(self) -> None:
        self._heard_bytes = 0
        self._port = PtyPort(self._host_sent)
        self._port.throttle(self._rate)
        self._port.deafen(self._deaf)
        self._context.on_port_up(self._port.path)

    def _reset_chip(self, cause: str) -> None:
        self._end_session()
        self._drop_port()
        if self._peripherals is not None:
            self._peripherals.reset()
        self._context.on_reset(cause)
        self._begin(self._boot_later())

    async def _boot_later(self) -> None:
        await asyncio.sleep(max(self._context.clock.wall_s(RESET_S), RESET_FLOOR_WALL_S))
        self._boot(RESET_CAUSE)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCHDOG_POLL_WALL_S)
            if self._peripherals is not None and self._peripherals.watchdog.expired():
                self._reset_chip("watchdog")

    async def _erase(self, flash: Flash) -> None:
        steps = len(flash) // ERASE_STEP_BYTES
        for step in range(steps):
            await asyncio.sleep(self._context.clock.wall_s(ERASE_S / steps))
            at = step * ERASE_STEP_BYTES
            flash[at : at + ERASE_STEP_BYTES] = b"\xff" * ERASE_STEP_BYTES
        await self._to_bootloader()

    async def _to_bootloader(self) -> None:
        await self.stop()
        self._context.on_bootloader()

    # ---- the VM process ----

    def _start_session(self, raw: bool) -> None:
        if self._peripherals is None:
            return
        context = self._context
        fault = context.board.faults.on
        http_port = self._air.inner_port or context.unit.http_port
        environment = vm_environment(
            context.unit, context.clock, context.flash_path, self._shims, self._boot_s, http_port
        )
        environment["PICOW_CAUSE"] = str(self._cause)
        if fault("flash_worn"):
            environment["PICOW_WORN"] = str(WORN_FROM_BLOCK)
        if raw:
            environment["PICOW_RAW"] = "1"
        loop = asyncio.get_running_loop()
        self._session_number = number = self._session_number + 1
        link = self._peripherals.connect(lambda reason: _call(loop, self._noticed, number, reason))
        heap = HEAP_WITH_BAD_RAM if fault("heap_exhausted") else HEAP
        vm = start_vm(environment, link.guest.fileno(), heap)
        link.start()
        terminal = VmTerminal(
            vm, ConsoleFilter(self._identity, raw), self._unit_said, self._input_full, self._vm_ended
        )
        self._session = _Session(vm, link, terminal)

    def _end_session(self) -> int | None:
        session, self._session = self._session, None
        return None if session is None else session.end()

    def _vm_ended(self) -> None:
        session = self._session
        if session is None:
            return
        # Its output has ended, so the process is ending: 0 after Control-D.
        status = session.vm.process.wait()
        if status == 0:
            self._soft_reset()
        else:
            self._context.log(f"The VM ended with status {status}; the chip resets.")
            self._reset_chip("crash")

    def _soft_reset(self) -> None:
        raw = self._session is not None and self._session.terminal.console.raw
        self._end_session()
        self._unit_said(SOFT_REBOOT)
        self._start_session(raw)

    def _noticed(self, number: int, reason: str) -> None:
        if self._session is None or number != self._session_number:
            return  # That program has been stopped already.
        if reason == "ready":
            self._session.terminal.open()
        elif reason == "bootloader":
            self._begin(self._to_bootloader())
        elif reason == "soft reset":
            self._soft_reset()
        else:
            self._reset_chip(reason)

    # ---- the port ----

    def _host_sent(self, data: bytes) -> None:
        self._heard_bytes += len(data)
        if self._broken_off(data):
            return
        if self._heard_bytes > LOAD_BYTES and self._context.board.faults.on("port_vanishes_in_load"):
            self.unplug(None)
        elif self._session is not None:
            self._session.terminal.send(data)

    def _broken_off(self, data: bytes) -> bool:
        """Break a write of a file off at its first piece, where one of two faults asks for it."""
        heard, self._heard_tail = self._heard_tail + data, data[1 - len(WRITING) :]
        if WRITING not in heard:
            return False
        fault = self._context.board.faults.on
        if fault("port_vanishes_in_write"):
            self.unplug(None)
            return True
        if fault("reset_in_write") and not self._was_reset:
            self._was_reset = True
            self._reset_chip("RUN")
            return True
        return False

    def _unit_said(self, data: bytes) -> None:
        if self._port is not None:
            self._port.write(data)

    def _input_full(self, full: bool) -> None:
        if self._port is not None:
            self._port.hold(full)

    def _drop_port(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()
            self._context.on_port_gone()


class _Session:
    """One VM process with its link and terminal."""

    def __init__(self, vm: VmProcess, link: PeripheralLink, terminal: VmTerminal) -> None:
        self.vm = vm
        self.link = link
        self.terminal = terminal

    def end(self) -> int:
        """End the VM at this instant."""
        self.terminal.close()
        self.vm.kill()
        self.link.close()
        return self.vm.process.returncode


def _call(loop: asyncio.AbstractEventLoop, hook: Callable[..., None], *arguments: object) -> None:
    """Call a hook in the event loop, from the thread that serves the VM."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(hook, *arguments)
