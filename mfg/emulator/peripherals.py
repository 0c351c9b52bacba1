"""What the VM's `machine` and `network` modules reach: pins, SPI, converter, watchdog and radio.

A thread of its own serves one VM at a time over a socket pair, so that a register read takes no turn of
the unit's event loop. The protocol is that of `vm/picow_link.py`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from mfg.clock import BenchClock
from mfg.emulator.wifi import Wifi

if TYPE_CHECKING:
    from mfg.emulator.ct6_board import Ct6Board

PIN_SET, PIN_GET, SPI_WRITE, SPI_READ, ADC_READ = 1, 2, 3, 4, 5
WDT_START, WDT_FEED, RESET, BOOTLOADER, SOFT_RESET = 6, 7, 8, 9, 10
WLAN_ACTIVE, WLAN_JOIN, WLAN_LEAVE, WLAN_STATUS, WLAN_SCAN, MARK = 11, 12, 13, 14, 15, 16
READY = 17
# What concerns the chip itself; after all but "ready" the VM waits to be ended.
NOTICES = {RESET: "machine.reset", BOOTLOADER: "bootloader", SOFT_RESET: "soft reset", READY: "ready"}

MARK_PATTERN = b"\x5a\xc3\x96\x3c\xe1\x0f\x78"
RECEIVE_BYTES = 65536
HEADER_BYTES = 4
RADIO_LED = 255  # the Pico W's own LED hangs on the radio chip
ADC_CORE_TEMPERATURE = 4
CORE_TEMPERATURE_COUNTS = round(0.706 / 3.3 * 65535)  # RP2040 datasheet 4.9.5: 0.706 V at 27 degC


class Watchdog:
    """The chip's watchdog, in bench time."""

    def __init__(self, clock: BenchClock) -> None:
        self._clock = clock
        self._timeout_s: float | None = None
        self._due_s = 0.0

    def start(self, timeout_s: float) -> None:
        """Arm the watchdog; nothing but a reset disarms it."""
        self._timeout_s = timeout_s
        self.feed()

    def feed(self) -> None:
        """Put the reset off."""
        if self._timeout_s is not None:
            self._due_s = self._clock.now_s() + self._timeout_s

    def disarm(self) -> None:
        """Stop: the chip was reset."""
        self._timeout_s = None

    def expired(self) -> bool:
        """Return whether the chip must be reset now."""
        return self._timeout_s is not None and self._clock.now_s() >= self._due_s


class Peripherals:
    """The chip's surroundings; they outlive the VM process, which a soft reset replaces."""

    def __init__(
        self,
        board: Ct6Board,
        wifi: Wifi,
        clock: BenchClock,
        log: Callable[[str], None],
    ) -> None:
        """Prepare the surroundings of one chip.

        Args:
            log: Called in the serving thread when a request makes no sense.
        """
        self._board = board
        self._wifi = wifi
        self._log = log
        self._levels: dict[int, int] = {}
        self._scan = b""
        self.watchdog = Watchdog(clock)
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            PIN_SET: self._pin_set,
            PIN_GET: self._pin_get,
            SPI_WRITE: self._spi_write,
            SPI_READ: board.spi_transfer,
            ADC_READ: self._adc,
            WDT_START: self._wdt_start,
            WDT_FEED: self._wdt_feed,
            WLAN_ACTIVE: self._wlan_active,
            WLAN_JOIN: self._wlan_join,
            WLAN_LEAVE: self._wlan_leave,
            WLAN_STATUS: self._wlan_status,
            WLAN_SCAN: self._wlan_scan,
            MARK: lambda number, _data: MARK_PATTERN + bytes((number,)),
        }

    def reset(self) -> None:
        """Follow a reset of the chip: pins are inputs again, the watchdog is off, the radio is down."""
        self._levels.clear()
        self.watchdog.disarm()
        self._wifi.reset()
        self._board.mcu_reset()

    def connect(self, on_notice: Callable[[str], None]) -> PeripheralLink:
        """Open a link for a new VM.

        Args:
            on_notice: Called in the serving thread; see NOTICES.
        """
        return PeripheralLink(self, on_notice)

    def answer(self, operation: int, argument: int, data: bytes) -> bytes:
        """Do one request and return the bytes that the VM expects."""
        return self._answers[operation](argument, data)

    def complain(self, text: str) -> None:
        """Put a line into the unit's log."""
        self._log(text)

    # ---- pins, SPI, converter ----

    def _pin_set(self, gpio: int, data: bytes) -> bytes:
        self._levels[gpio] = data[0]
        if gpio != RADIO_LED:
            self._board.pin_write(gpio, data[0])
        return b""

    def _pin_get(self, gpio: int, data: bytes) -> bytes:
        is_output = data[0] or gpio == RADIO_LED
        return bytes((self._levels.get(gpio, 0) if is_output else self._board.pin_read(gpio),))

    def _spi_write(self, bus: int, data: bytes) -> bytes:
        self._board.spi_transfer(bus, data)
        return b""

    def _adc(self, channel: int, _data: bytes) -> bytes:
        is_core = channel == ADC_CORE_TEMPERATURE
        counts = CORE_TEMPERATURE_COUNTS if is_core else self._board.adc_u16(channel)
        return counts.to_bytes(2, "little")

    # ---- watchdog ----

    def _wdt_start(self, _argument: int, data: bytes) -> bytes:
        self.watchdog.start(int.from_bytes(data, "little") / 1000.0)
        return b""

    def _wdt_feed(self, _argument: int, _data: bytes) -> bytes:
        self.watchdog.feed()
        return b""

    # ---- radio ----

    def _wlan_active(self, active: int, _data: bytes) -> bytes:
        self._wifi.activate(bool(active))
        return b""

    def _wlan_join(self, _argument: int, data: bytes) -> bytes:
        ssid, _, passphrase = data.decode(errors="replace").partition("\0")
        self._wifi.join(ssid, passphrase)
        return b""

    def _wlan_leave(self, _argument: int, _data: bytes) -> bytes:
        self._wifi.leave()
        return b""

    def _wlan_status(self, _argument: int, _data: bytes) -> bytes:
        return bytes((self._wifi.status() & 0xFF, self._wifi.rssi_dbm() & 0xFF))

    def _wlan_scan(self, part: int, _data: bytes) -> bytes:
        if part == 0:
            self._scan = self._wifi.scan()
            return len(self._scan).to_bytes(2, "little")
        return self._scan


class PeripheralLink:
    """The link of one VM process, with the thread that serves it."""

    def __init__(self, peripherals: Peripherals, on_notice: Callable[[str], None]) -> None:
        self._peripherals = peripherals
        self._on_notice = on_notice
        self._own, self.guest = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="peripherals", daemon=True)

    def start(self) -> None:
        """Serve from now on; call when the VM has inherited `guest`."""
        self.guest.close()
        self._thread.start()

    def close(self) -> None:
        """End the link; the VM is gone."""
        with contextlib.suppress(OSError):  # The VM's end may be gone already.
            self._own.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._own.close()

    def _serve(self) -> None:
        pending = b""
        while True:
            try:
                received = self._own.recv(RECEIVE_BYTES)
            except OSError:
                return
            if not received:
                return
            try:
                pending = self._requests(pending + received)
            except OSError:
                return  # The VM was killed while its answer was under way.

    def _requests(self, pending: bytes) -> bytes:
        at = 0
        while len(pending) - at >= HEADER_BYTES:
            end = at + HEADER_BYTES + int.from_bytes(pending[at + 2 : at + 4], "little")
            if end > len(pending):
                break
            answer = self._answer(pending[at], pending[at + 1], pending[at + HEADER_BYTES : end])
            if answer:
                self._own.sendall(answer)
            at = end
        return pending[at:]

    def _answer(self, operation: int, argument: int, data: bytes) -> bytes:
        if operation in NOTICES:
            self._on_notice(NOTICES[operation])
            return b""
        try:
            return self._peripherals.answer(operation, argument, data)
        except (ValueError, KeyError, IndexError) as error:
            self._peripherals.complain(f"request {operation} of the VM: {type(error).__name__}: {error}")
            return b"\xff" * len(data)
