"""Makes the unix VM's terminal look like the one of a Pico W.

The VM has plain pipes, so nothing between it and the host interprets a byte. What differs from the real
port is translated here: the banner, the line ends of the friendly prompt, the way into the raw prompt
after a soft reset, and Control-C, which the unix port expects as a signal while a program runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from mfg.emulator.unix_vm import VmIdentity, VmProcess

RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
RAW_REQUEST = b"\x01"
CONTROL_C = 3
READ_BYTES = 65536
INPUT_LIMIT_BYTES = 1 << 16
HOLD_BACK_WALL_S = 0.03  # how long the beginning of a marker waits for its rest, on a busy machine, too
# A second SIGINT that finds the first one unserved ends the VM; on the chip it would change nothing.
INTERRUPT_GAP_WALL_S = 0.05


class ConsoleFilter:
    """Translates what the VM prints; knows from it whether the host sits in the raw prompt."""

    def __init__(self, identity: VmIdentity, raw: bool) -> None:
        """Start a filter for a new VM.

        Args:
            raw: The host sat in the raw prompt before the soft reset, and must find itself there again:
                the friendly banner on the way there is not shown.
        """
        self._own_banner = identity.own_banner.encode()
        self._banner = identity.banner.encode()
        self._pending = b""
        self._after_return = False
        self._returning = raw
        self._hidden = False
        self.raw = raw

    def feed(self, data: bytes) -> bytes:
        """Return what may be shown now; the beginning of a marker is held back."""
        self._pending += data
        shown = b""
        while (marker := self._next_marker()) is not None:
            before, _, self._pending = self._pending.partition(marker)
            shown += self._text(before) + self._passed(marker)
        keep = max(_overlap(self._pending, self._own_banner), _overlap(self._pending, RAW_PROMPT))
        ready = len(self._pending) - keep
        text, self._pending = self._pending[:ready], self._pending[ready:]
        return shown + self._text(text)

    @property
    def holding(self) -> bool:
        """Return whether something is held back."""
        return bool(self._pending)

    def flush(self) -> bytes:
        """Return what was held back: its rest did not come."""
        text, self._pending = self._pending, b""
        return self._text(text)

    def _next_marker(self) -> bytes | None:
        found = [(self._pending.find(marker), marker) for marker in (self._own_banner, RAW_PROMPT)]
        found = [(at, marker) for at, marker in found if at >= 0]
        return min(found)[1] if found else None

    def _passed(self, marker: bytes) -> bytes:
        if marker == RAW_PROMPT:
            self.raw, self._returning, self._hidden = True, False, False
            return RAW_PROMPT
        if self._returning:
            self._hidden = True
            return b""
        self.raw = False
        return self._banner

    def _text(self, text: bytes) -> bytes:
        if self._hidden or not text:
            return b""
        if self.raw and not self._returning:
            return text
        first_is_pair = self._after_return and text.startswith(b"\n")
        self._after_return = text.endswith(b"\r")
        shown = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        return shown[1:] if first_is_pair else shown


def _overlap(text: bytes, marker: bytes) -> int:
    """Return how much of the end of `text` may be the beginning of `marker`."""
    for count in range(min(len(text), len(marker) - 1), 0, -1):
        if text.endswith(marker[:count]):
            return count
    return 0


class VmTerminal:
    """Carries bytes between one VM and whoever has the port open."""

    def __init__(
        self,
        vm: VmProcess,
        console: ConsoleFilter,
        on_output: Callable[[bytes], None],
        on_full: Callable[[bool], None],
        on_end: Callable[[], None],
    ) -> None:
        """Start to carry.

        Args:
            on_output: Gets what the unit says.
            on_full: Told True when the VM takes no more input for now, False when it does again.
            on_end: Told once when the VM has closed its output, which it does when it ends.
        """
        self._loop = asyncio.get_running_loop()
        self._vm = vm
        self.console = console
        self._on_output, self._on_full, self._on_end = on_output, on_full, on_end
        self._input = bytearray(RAW_REQUEST if console.raw else b"")
        self._hold_timer: asyncio.TimerHandle | None = None
        self._is_open = False
        self._writing = False
        self._interrupted_at_s = float("-inf")
        self._loop.add_reader(vm.stdout, self._readable)

    def close(self) -> None:
        """Stop carrying; the VM itself is not touched."""
        if self._hold_timer is not None:
            self._hold_timer.cancel()
        self._loop.remove_reader(self._vm.stdout)
        self._loop.remove_writer(self._vm.stdin)

    def open(self) -> None:
        """Pass input on from now on: the VM is a Pico W now, and may be interrupted."""
        self._is_open = True
        self._pump()

    def send(self, data: bytes) -> None:
        """Give the VM what the host sent."""
        self._input += data
        if self._is_open:
            self._pump()

    # ---- VM to host ----

    def _readable(self) -> None:
        try:
            data = os.read(self._vm.stdout, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._vm.stdout)
            self._show(self.console.flush())
            self._on_end()
            return
        self._show(self.console.feed(data))
        if self._hold_timer is not None:
            self._hold_timer.cancel()
            self._hold_timer = None
        if self.console.holding:
            self._hold_timer = self._loop.call_later(HOLD_BACK_WALL_S, self._release)

    def _release(self) -> None:
        self._hold_timer = None
        self._show(self.console.flush())

    def _show(self, data: bytes) -> None:
        if data:
            self._on_output(data)

    # ---- host to VM ----

    def _pump(self) -> None:
        while self._input:
            at = self._input.find(CONTROL_C)
            if at == 0 and self._interrupted():
                del self._input[0]
                continue
            count = len(self._input) if at < 0 else max(1, at)
            if not self._write(bytes(self._input[:count])):
                break
        self._wait_for_room(bool(self._input))

    def _write(self, data: bytes) -> bool:
        """Write what fits; return whether all of it did."""
        try:
            written = os.write(self._vm.stdin, data)
        except BlockingIOError:
            return False
        except BrokenPipeError:
            # The VM is about to be replaced; what it did not read is lost as in a chip's reset.
            self._input.clear()
            return False
        del self._input[:written]
        return written == len(data)

    def _interrupted(self) -> bool:
        """Interrupt the running program; return False where there is none and Control-C is input."""
        now_s = self._loop.time()
        if now_s - self._interrupted_at_s < INTERRUPT_GAP_WALL_S:
            return self._vm.interruptible()
        if not self._vm.interrupt():
            return False
        self._interrupted_at_s = now_s
        return True

    def _wait_for_room(self, full: bool) -> None:
        if full and not self._writing:
            self._loop.add_writer(self._vm.stdin, self._pump)
        elif self._writing and not full:
            self._loop.remove_writer(self._vm.stdin)
        if full != self._writing:
            self._on_full(full)
        self._writing = full
