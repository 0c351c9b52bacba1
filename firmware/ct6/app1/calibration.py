"""What only a calibration needs: readings window by window, and registers in the chips alone.

This module is loaded at the first such request; until then it takes no memory. A chip has new values at the
end of every window of 16 line cycles. While somebody asks for windows, a task looks at a few low words of
each chip; when they change, it reads the whole window at once.
"""

import asyncio
import time
from array import array

from micropython import const

from . import registers

_ARMED_MS = const(10000)  # after each request for windows
# After a start or a register write the first window noticed may have begun before it, and in the second the
# chip's filters still settle.
_FIRST_VALID = const(3)
_WRITES_MAX = const(16)
# What may be written: power offsets, power gains and phase angles; gains and offsets of voltage and current.
ADDRESSES = bytes(range(0x41, 0x4D)) + bytes(range(0x61, 0x6D))

_POLL_MS = const(20)
# 16 cycles take 246 ms even at 65 Hz: what changes sooner is the rest of the same update.
_SHORTEST_MS = const(200)
_READS_MAX = const(3)
_WORDS = b"\xd9\xdd\xb1\xb5"  # voltage, current, active and reactive power of phase A
_SIZE = const(14)  # frequency, temperature, then four values of each phase


class ChipWindows:
    """The windows of one chip; `seq` counts those that were noticed and read since `restart`."""

    def __init__(self, chip):
        self.chip = chip
        self._values = array("i", [0] * _SIZE)
        self._ended_ms = self._late_ms = 0
        self.restart(0)

    def restart(self, seq):
        """Give out nothing until the end of a window is noticed, and count on from `seq`."""
        self.seq = seq
        self._known = False
        self._trace = -1
        self._looked_ms = 0

    def poll(self):
        """Look whether a window has ended, and read it."""
        now = time.ticks_ms()
        trace = self._look()
        if self._trace >= 0 and trace != self._trace:
            now, trace = self._read(now, trace)
        self._trace = trace
        self._looked_ms = now

    def _look(self):
        # Voltage, current and active power of phase A: their low words hardly ever all stay the same.
        read = self.chip.read
        return (read(0xE9) >> 8) << 16 | (read(0xED) >> 8) << 8 | read(0xC1) >> 8

    def _read(self, now, trace):
        """Read the window that was noticed at `now`; if another ends meanwhile, read that one."""
        before = self._looked_ms
        known = self._known
        self._known = False
        read = self.chip.read
        values = self._values
        for _ in range(_READS_MAX):
            values[0] = read(registers.FREQUENCY)
            values[1] = registers.signed16(read(registers.TEMPERATURE))
            for at in range(2, _SIZE):
                index = (at - 2) % 4
                address = _WORDS[index] + (at - 2) // 4
                high, low = read(address), read(address + registers.LOW)
                if index < 2:
                    values[at] = registers.rms_counts(high, low)
                else:
                    values[at] = registers.signed16(high) << 16 | low
            after = time.ticks_ms()
            again = self._look()
            if again == trace:
                self._known = True
                break
            before, now, trace = now, after, again
        rest = known and time.ticks_diff(now, self._ended_ms) + self._late_ms < _SHORTEST_MS
        if self._known and not rest:
            self.seq += 1
            self._ended_ms = now
            self._late_ms = time.ticks_diff(now, before)
        return now, trace

    def shown(self):
        """Return the JSON form of the last window; without readings while there is no valid one."""
        shown = {"SEQ": self.seq}
        if self._known and self.seq >= _FIRST_VALID:
            values = list(self._values)
            shown["AGE_MS"] = time.ticks_diff(time.ticks_ms(), self._ended_ms)
            shown["LATE_MS"] = self._late_ms
            shown["FREQ_CHZ"] = values[0]
            shown["TEMP"] = values[1]
            shown["PORTS"] = [values[2:6], values[6:10], values[10:14]]
        return shown


class Calibration:
    """Both chips as a calibration sees them."""

    def __init__(self, chips, meter):
        self._windows = [ChipWindows(chip) for chip in chips]
        self._meter = meter
        self._until_ms = 0
        self._task = None

    def restart(self):
        """Count all windows from 0: the chips were started anew."""
        for windows in self._windows:
            windows.restart(0)

    def windows(self):
        """Return both chips' last windows, and follow the chips for 10 s from now."""
        self._until_ms = time.ticks_add(time.ticks_ms(), _ARMED_MS)
        running = self._task and not self._task.done()
        shown = {}
        for windows in self._windows:
            if not running:
                windows.restart(windows.seq)  # nobody has looked for a while
            shown[windows.chip.name] = windows.shown()
        if not running:
            self._task = asyncio.create_task(self._follow())
        return shown

    async def _follow(self):
        while time.ticks_diff(self._until_ms, time.ticks_ms()) > 0:
            if not self._meter.fault and not self._meter.lock.locked():
                for windows in self._windows:
                    windows.poll()
            await asyncio.sleep_ms(_POLL_MS)

    def registers(self, args, write=False):
        """Return what registers of the chip that `args` names hold.

        Args:
            args: The request's arguments.
            write: Write those that `args` names, until the next start of the chips, and return those alone.

        Raises:
            ValueError: Nothing was written.
            ChipError: A write was not kept; those before it are in force.
        """
        pairs = writes(args) if write else ADDRESSES
        for windows in self._windows:
            chip = windows.chip
            if chip.name == args.get("chip"):
                break
        else:
            raise ValueError("chip is none of CS4, CS0")
        if write:
            self._meter.forget()
            windows.restart(0)
            try:
                chip.write(registers.ACCESS, registers.ACCESS_OPEN)
                for address in pairs:
                    chip.write(address, pairs[address])
            finally:
                chip.write(registers.ACCESS, 0)
            chip.gains = (chip.read(0x62), chip.read(0x66), chip.read(0x6A))
        held = {}
        for address in pairs:
            held["0x%02X" % address] = chip.read(address)
        return {chip.name: held}


def writes(args):
    """Return the values to be written by address.

    Args:
        args: Decimal values 0 to 65535 by address, `0x` and two hex digits; `chip` is passed over.

    Raises:
        ValueError: There is none, there are more than 16, or one of them cannot be.
    """
    pairs = {}
    for key, text in args.items():
        if key == "chip":
            continue
        for address in ADDRESSES:
            if key == "0x%02x" % address:
                break
        else:
            raise ValueError("%s is no calibration register" % key)
        if not 0 < len(text) <= 5 or text.strip("0123456789") or int(text) > 0xFFFF:
            raise ValueError("The value of %s is not 0 to 65535" % key)
        pairs[address] = int(text)
    if not 0 < len(pairs) <= _WRITES_MAX:
        raise ValueError("Not 1 to %d registers" % _WRITES_MAX)
    return pairs
