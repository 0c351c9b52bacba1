"""One emulated unit: supply, boot mode, flash, BOOTSEL drive, serial symlink and board, in one process.

Follows the plant's event log: whoever switches the supply, holds BOOTSEL or presses the button appends an
event there. A blank flash, or BOOTSEL held while the supply comes on, leads to the drive; a valid boot2
leads to the MCU back end.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import mmap
import os
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from mfg.clock import BenchClock
from mfg.emulator import flash_files
from mfg.emulator.bootrom import Arrived, Drive
from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.emulator.control import serve_control
from mfg.emulator.core import (
    FILE_SYSTEM_OFFSET,
    FLASH_BYTES,
    Core,
    CoreContext,
    Flash,
    RamImage,
    create_core,
)
from mfg.emulator.ct6_board import Ct6Board
from mfg.emulator.events import Event, EventLog, append_event
from mfg.emulator.fault_catalogue import is_fault
from mfg.emulator.field_units import field_flash
from mfg.emulator.images import has_valid_boot2
from mfg.emulator.interface import NetworkInterface
from mfg.emulator.plant import Plant
from mfg.emulator.quirks import BLANK
from mfg.emulator.wifi import LINK_UP
from mfg.errors import UsageError

OFF, BOOTSEL, BOOTING, RUN = "off", "bootsel", "booting", "run"
POLL_WALL_S = 0.008
BOOT_ROM_S = 0.05  # from power-on or reset to the decision between flash and drive
PAGE_BYTES = 256
DRIVE_S = 0.35  # from that decision until the host has mounted the drive
REBOOT_S = 0.25  # from the last block of an image until its program runs
LOG_LINES_IN_STATE = 20
SAG_S = 0.5
BOOT_LOOP_S = 1.2
FLAP_S = 1.0
CUT_AFTER_SECTORS = 1
SWITCH_INTERVAL_S = 0.0005  # the thread that answers the firmware's SPI must not wait for the event loop


class Unit:
    """One unit under test with everything that is soldered to it."""

    def __init__(self, config: BenchConfig, unit: UnitConfig) -> None:
        """Prepare the unit; its flash is what it was left with.

        Raises:
            StationError: The back end's package is not installed.
        """
        self._config = config
        self._unit = unit
        self._clock = BenchClock.parse(config.clock)
        self._bench_folder = Path(config.folder)
        self.folder = self._bench_folder / f"unit{unit.number}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._link = self.folder / "ttyACM0"
        self._log_lines: deque[str] = deque(maxlen=LOG_LINES_IN_STATE)
        self._events = EventLog(self._bench_folder)
        self._board = Ct6Board(config, unit, Plant(config, self._events), self._clock)
        new = blank_flash if unit.profile == BLANK else partial(field_flash, unit)
        self._flash, self._flash_file = open_flash(self.folder / "flash.bin", new)
        self._drive = Drive(self.folder / "media", self.folder, self._flash)
        self._core: Core = create_core(config.backend, self._context())
        self._interface = NetworkInterface(unit.interface, unit.address) if unit.interface else None
        self._state = OFF
        self._supply = False
        self._off_until_s = 0.0  # the unit's own power cycle holds its regulator off until then
        self._due: tuple[float, Callable[[], Awaitable[None]]] | None = None
        self._deaf = False
        self._started_s = 0.0  # when the MCU last began to run
        self._flapped_s = 0.0
        self._sagged_s = 0.0
        self._operations: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "state": self._op_state,
            "power": self._op_power,
            "bootsel": self._op_bootsel,
            "button": self._op_button,
            "fault": self._op_fault,
            "pins": self._op_pins,
            "led_edges": self._op_led_edges,
            "frame": self._op_frame,
            "registers": self._op_registers,
            "readings": self._op_readings,
            "flash_files": self._op_flash_files,
            "flash_file": self._op_flash_file,
            "throttle": self._op_throttle,
            "reset": self._op_reset,
        }

    def _context(self) -> CoreContext:
        return CoreContext(
            config=self._config,
            unit=self._unit,
            clock=self._clock,
            board=self._board,
            folder=self.folder,
            flash_path=self.folder / "flash.bin",
            on_port_up=self._port_up,
            on_port_gone=self._port_gone,
            on_reset=lambda cause: self._log(f"MCU reset: {cause}"),
            on_bootloader=self._bootloader,
            log=self._log,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Live until `stop` is set; then the supply is cut."""
        self._drive.clean()
        self._link.unlink(missing_ok=True)
        server = await serve_control(self._unit.control_port, self._control)
        self._log(f"unit {self._unit.number} on the back end {self._config.backend}")
        try:
            while not stop.is_set():
                await self._follow()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), POLL_WALL_S)
        finally:
            server.close()
            await self._power_off()
            self._follow_link()
            self._drive.show_neighbour(there=False)
            self._flash.flush()
            self._flash.close()
            os.close(self._flash_file)
            self._events.close()

    # ---- supply and boot mode -------------------------------------------------------------------

    async def _follow(self) -> None:
        now_s = self._clock.now_s()
        self._events.sync()
        self._follow_link()
        self._drive.show_neighbour(self._fault("two_drives"))
        number = self._unit.number
        supply = bool(self._events.at("supply", now_s, number) and not self._events.at("sag", now_s, number))
        if supply != self._supply:
            self._supply = supply
            self._off_until_s = now_s
            self._log(f"supply {'on' if supply else 'off'}")
        powered = supply and now_s >= self._off_until_s
        if powered and self._state == OFF:
            self._power_on(now_s)
        elif not powered and self._state != OFF:
            await self._power_off()
        if self._state == OFF:
            return
        hold_off_s = self._board.self_power_cycle_off_s()
        if hold_off_s is not None:
            self._log(f"the unit switches its own supply off for {hold_off_s:g} s")
            self._off_until_s = now_s + hold_off_s
            await self._power_off()
            return
        await self._follow_faults(now_s)
        if self._due is not None and now_s >= self._due[0]:
            action, self._due = self._due[1], None
            await action()
        if self._state == BOOTSEL and not self._fault("drive_read_only"):
            self._follow_drive()

    def _follow_link(self) -> None:
        if self._interface is not None:
            wifi = getattr(self._core, "wifi", None)
            self._interface.follow(wifi is not None and self._core.running and wifi.status() == LINK_UP)

    def _power_on(self, now_s: float) -> None:
        self._board.power_on(now_s)
        self._state = BOOTING
        self._later(BOOT_ROM_S, self._boot)

    async def _power_off(self) -> None:
        if self._state == OFF:
            return
        self._state = OFF
        self._due = None
        await self._core.stop()
        self._drive.vanish()
        self._board.power_off(self._clock.now_s())

    def _later(self, delay_s: float, action: Callable[[], Awaitable[None]]) -> None:
        self._due = (self._clock.now_s() + delay_s, action)

    async def _boot(self) -> None:
        held = bool(self._events.at("bootsel", self._clock.now_s(), self._unit.number))
        if held or not has_valid_boot2(self._flash):
            self._log("BOOTSEL: button held" if held else "BOOTSEL: no valid boot2 in the flash")
            self._later(DRIVE_S, self._show_drive)
            return
        await self._start(None)

    async def _start(self, ram_image: RamImage | None) -> None:
        self._state = RUN
        self._started_s = self._clock.now_s()
        self._log("MCU runs from the flash" if ram_image is None else "MCU runs the program in RAM")
        self._core.deafen(self._deaf)
        await self._core.start(self._flash, ram_image)

    async def _show_drive(self) -> None:
        self._state = BOOTSEL
        self._drive.appear(other_chip=self._fault("drive_of_other_chip"))
        self._log("drive appears")

    def _follow_drive(self) -> None:
        if not self._fault("drive_cut_short"):
            arrived = self._drive.look()
            if arrived is not None:
                self._image_arrived(arrived)
            return
        self._drive.look(CUT_AFTER_SECTORS)
        if self._drive.received_blocks:
            self._log("the USB plug loses contact")
            self._drive.vanish()
            self._state = BOOTING
            self._later(BOOT_ROM_S, self._boot)

    def _image_arrived(self, arrived: Arrived) -> None:
        self._drive.vanish()
        kind = "flash" if arrived.ram_image is None else "RAM"
        self._log(f"{kind} image complete, {arrived.blocks} blocks; drive vanishes")
        self._state = BOOTING
        image = arrived.ram_image
        if image is None:
            if self._fault("flash_bad_block"):
                drop_bits(self._flash)
            self._flash.flush()
            self._later(REBOOT_S, self._boot)
        else:
            self._later(REBOOT_S, lambda: self._start(image))

    def _bootloader(self) -> None:
        self._log("MCU enters BOOTSEL")
        self._state = BOOTING
        if self._fault("drive_never_returns"):
            return
        self._later(DRIVE_S, self._show_drive)

    # ---- serial port, faults, log ---------------------------------------------------------------

    def _port_up(self, path: str) -> None:
        # The link appears whole or not at all.
        fresh = self._link.with_name(".ttyACM0")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(path)
        fresh.rename(self._link)
        self._log(f"serial port up, {path}")

    def _port_gone(self) -> None:
        self._link.unlink(missing_ok=True)
        self._log("serial port gone")

    def _fault(self, name: str) -> bool:
        return self._board.faults.on(name)

    async def _follow_faults(self, now_s: float) -> None:
        deaf = self._fault("repl_hung")
        if deaf != self._deaf:
            self._deaf = deaf
            self._core.deafen(deaf)
        wifi = getattr(self._core, "wifi", None)
        if wifi is not None:
            wifi.refusing = self._fault("wifi_refusing")
            if wifi.joining and self._fault("supply_brown_out"):
                self._sag(now_s)
        if self._state != RUN:
            return
        if self._fault("boot_loop") and now_s - self._started_s > BOOT_LOOP_S:
            self._started_s = now_s
            await self._core.reset()
        if self._fault("port_flapping") and now_s - self._flapped_s > FLAP_S:
            self._flapped_s = now_s
            self._core.unplug(FLAP_S / 4)

    def _sag(self, now_s: float) -> None:
        """Let the supply go down for a moment: the radio draws its current."""
        if now_s - self._sagged_s > 2 * SAG_S:
            self._sagged_s = now_s
            for t_s, low in ((now_s, 1), (now_s + SAG_S, 0)):
                append_event(self._bench_folder, Event(t_s, "sag", low, self._unit.number))

    def _log(self, text: str) -> None:
        line = f"{self._clock.now_s():.3f} {text}"
        self._log_lines.append(line)
        with (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    # ---- control --------------------------------------------------------------------------------

    async def _control(self, request: dict[str, Any]) -> dict[str, Any]:
        operation = self._operations.get(request["op"])
        if operation is None:
            names = ", ".join(self._operations)
            raise UsageError(f"A unit does not know {request['op']!r}.", f"It knows {names}.")
        return await operation(request)

    def _append(self, what: str, value: Any) -> dict[str, Any]:
        append_event(self._bench_folder, Event(self._clock.now_s(), what, value, self._unit.number))
        return {what: value}

    async def _op_state(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {
            "state": self._state,
            "backend": self._config.backend,
            "supply": int(self._supply),
            "serial": self._link.is_symlink(),
            "blocks": self._drive.received_blocks,
            "log": list(self._log_lines),
        }

    async def _op_power(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._append("supply", int(bool(request["on"])))

    async def _op_bootsel(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._append("bootsel", int(bool(request["held"])))

    async def _op_button(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._append("button", int(bool(request["pressed"])))

    async def _op_fault(self, request: dict[str, Any]) -> dict[str, Any]:
        name = str(request["name"])
        if not is_fault(name):
            raise UsageError(f"No unit can have the fault {name!r}.", "fault_catalogue.toml names them all.")
        return self._append("fault", {"name": name, "on": bool(request["on"])})

    async def _op_pins(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {str(gpio): level for gpio, level in sorted(self._board.pins().items())}

    async def _op_led_edges(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"edges": self._board.led_edges(float(request["since_s"])), "now_s": self._clock.now_s()}

    async def _op_frame(self, _request: dict[str, Any]) -> dict[str, Any]:
        frame = self._board.frame()
        pixels = base64.b64encode(frame.rgb565).decode()
        return {
            "width": frame.width,
            "height": frame.height,
            "powered": frame.powered,
            "rgb565_base64": pixels,
        }

    async def _op_registers(self, _request: dict[str, Any]) -> dict[str, Any]:
        return dict(self._board.registers())

    async def _op_readings(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._board.readings(int(request["port"]))

    async def _op_flash_files(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {"files": flash_files.list_files(bytes(self._flash))}

    async def _op_flash_file(self, request: dict[str, Any]) -> dict[str, Any]:
        content = flash_files.read_file(bytes(self._flash), str(request["path"]))
        return {"base64": base64.b64encode(content).decode()}

    async def _op_throttle(self, request: dict[str, Any]) -> dict[str, Any]:
        rate = request["bytes_per_s"]
        self._core.throttle(None if rate is None else float(rate))
        return {"bytes_per_s": rate}

    async def _op_reset(self, _request: dict[str, Any]) -> dict[str, Any]:
        if self._state != RUN:
            raise UsageError(f"The unit is in state {self._state}; only a running MCU can be reset.")
        await self._core.reset()
        return {}


def blank_flash() -> bytes:
    """Return the flash of a Pico W that was never programmed."""
    return b"\xff" * FLASH_BYTES


def open_flash(path: Path, new: Callable[[], bytes] = blank_flash) -> tuple[mmap.mmap, int]:
    """Map a unit's flash file.

    Args:
        path: The file; it is made if it is not there.
        new: Gives what a new one holds.

    Returns:
        The mapped flash and the file's descriptor; both are for the caller to close.
    """
    if not path.exists() or path.stat().st_size != FLASH_BYTES:
        path.write_bytes(new())
    descriptor = os.open(path, os.O_RDWR)
    return mmap.mmap(descriptor, FLASH_BYTES), descriptor


def drop_bits(flash: Flash) -> None:
    """Clear bits in the last page of the program: a cell there no longer keeps them."""
    program = bytes(flash[:FILE_SYSTEM_OFFSET]).rstrip(b"\xff")
    last_page = (len(program) - 1) // PAGE_BYTES * PAGE_BYTES
    at = next(at for at in range(last_page, len(program)) if program[at])
    flash[at : at + 1] = bytes(1)


def run_unit(config: BenchConfig, number: int) -> None:
    """Play one unit until SIGTERM or SIGINT.

    Raises:
        UsageError: The bench has no unit of that number.
    """
    for unit in config.units:
        if unit.number == number:
            sys.setswitchinterval(SWITCH_INTERVAL_S)
            asyncio.run(_run(config, unit))
            return
    raise UsageError(f"The bench has no unit {number}.")


async def _run(config: BenchConfig, unit: UnitConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Unit(config, unit).run(stop)
