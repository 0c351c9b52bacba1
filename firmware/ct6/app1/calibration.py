"""What only a calibration needs: readings window by window, and registers in the chips alone.

This module is loaded at the first such request; until then it takes no memory. A chip has new values at the
end of every window of 16 line cycles. While somebody asks for windows, a task looks at a few low words of
each chip; when they change, it reads the whole window at once.
"""

import asyncio
import time
from array import array

from . import registers

ARMED_MS = 10000  # after each request for windows
# After a start or a register write the first window noticed may have begun before it, and in the second the
# chip's filters still settle.
FIRST_VALID = 3
WRITES_MAX = 16
# First and last address of what may be written: power offsets, power gains and phase angles; gains and
# offsets of voltage and current.
RANGES = ((0x41, 0x4C), (0x61, 0x6C))

_POLL_MS = 20
# 16 cycles take 246 ms even at 65 Hz: what changes sooner is the rest of the same update.
_SHORTEST_MS = 200
_READS_MAX = 3
# Voltage, current, active and reactive power; main or high word and low word of phase A.
_WORDS = b"\xd9\xe9\xdd\xed\xb1\xc1\xb5\xc5"
_SIZE = 14  # frequency, temperature, then four values of each phase


class ChipWindows:
    """The windows of one chip; `seq` counts those that were noticed and read since `restart`."""

    def __init__(self, chip):
        self._chip = chip
        self._values = array("i", [0] * _SIZE)
        self._ended_ms = self._late_ms = 0
        self.restart()

    def restart(self):
        """Count from 0: the chip's settings have changed."""
        self.seq = 0
        self.forget()

    def forget(self):
        """Give out nothing until the end of a window is noticed: nobody has looked for a while."""
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
        read = self._chip.read
        return (read(0xE9) >> 8) << 16 | (read(0xED) >> 8) << 8 | read(0xC1) >> 8

    def _read(self, now, trace):
        """Read the window that was noticed at `now`; if another ends meanwhile, read that one."""
        before = self._looked_ms
        known = self._known
        self._known = False
        for _ in range(_READS_MAX):
            self._read_values()
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

    def _read_values(self):
        values = self._values
        read = self._chip.read
        values[0] = read(registers.FREQUENCY)
        values[1] = registers.signed16(read(registers.TEMPERATURE))
        at = 2
        for phase in range(3):
            for index in range(0, 8, 2):
                high, low = read(_WORDS[index] + phase), read(_WORDS[index + 1] + phase)
                if index < 4:
                    values[at] = registers.rms_counts(high, low)
                else:
                    values[at] = registers.signed16(high) << 16 | low
                at += 1

    def shown(self):
        """Return the JSON form of the last window; without readings while there is no valid one."""
        shown = {"SEQ": self.seq}
        if self._known and self.seq >= FIRST_VALID:
            values = list(self._values)
            shown["AGE_MS"] = time.ticks_diff(time.ticks_ms(), self._ended_ms)
            shown["LATE_MS"] = self._late_ms
            shown["FREQ_CHZ"] = values[0]
            shown["TEMP"] = values[1]
            shown["PORTS"] = [values[2:6], values[6:10], values[10:14]]
        return shown


class Calibration:
    """Both chips as a calibration sees them. A request that changes nothing raises ValueError."""

    def __init__(self, chips, meter):
        self._chips = {chip.name: chip for chip in chips}
        self._windows = {chip.name: ChipWindows(chip) for chip in chips}
        self._meter = meter
        self._until_ms = 0
        self._task = None

    def restart(self):
        """Count all windows from 0: the chips were started anew."""
        for windows in self._windows.values():
            windows.restart()

    def close(self):
        """Stop following the chips."""
        if self._task:
            self._task.cancel()

    def windows(self, _args):
        """Return both chips' last windows, and follow the chips for 10 s from now."""
        self._until_ms = time.ticks_add(time.ticks_ms(), ARMED_MS)
        if self._task is None or self._task.done():
            for windows in self._windows.values():
                windows.forget()
            self._task = asyncio.create_task(self._follow())
        return {name: windows.shown() for name, windows in self._windows.items()}

    async def _follow(self):
        while time.ticks_diff(self._until_ms, time.ticks_ms()) > 0:
            if not self._meter.fault and not self._meter.lock.locked():
                for windows in self._windows.values():
                    windows.poll()
            await asyncio.sleep_ms(_POLL_MS)

    def registers(self, args):
        """Return all registers of RANGES of the chip that `args` names."""
        return self._held(args.get("chip"), addresses())

    def write(self, args):
        """Write the registers that `args` names, until the next start of the chips, and read them back.

        Raises:
            ValueError: Nothing was written.
            ChipError: A write was not kept; those before it are in force.
        """
        pairs = writes({key: value for key, value in args.items() if key != "chip"})
        name = args.get("chip")
        self._held(name, ())
        chip = self._chips[name]
        try:
            chip.write(registers.ACCESS, registers.ACCESS_OPEN)
            try:
                for address, value in pairs:
                    chip.write(address, value)
            finally:
                chip.write(registers.ACCESS, 0)
        finally:
            self._meter.mean.take()  # what was read so far belongs to other settings
            self._windows[name].restart()
            chip.gains = [chip.read(0x62 + 4 * phase) for phase in range(3)]
        return self._held(name, [address for address, _ in pairs])

    def _held(self, name, wanted):
        if name not in self._chips:
            raise ValueError("chip is none of CS4, CS0")
        read = self._chips[name].read
        return {name: {"0x%02X" % address: read(address) for address in wanted}}


def addresses():
    """Return the addresses of RANGES."""
    return [address for first, last in RANGES for address in range(first, last + 1)]


def writes(args):
    """Return the (address, value) pairs that a request asks to write.

    Args:
        args: Decimal values 0 to 65535 by address, `0x` and two hex digits.

    Raises:
        ValueError: There is none, there are more than 16, or one of them cannot be.
    """
    if not 0 < len(args) <= WRITES_MAX:
        raise ValueError("Not 1 to %d registers" % WRITES_MAX)
    allowed = {"0x%02x" % address: address for address in addresses()}
    pairs = []
    for key, text in args.items():
        if key not in allowed:
            raise ValueError("%s is no calibration register" % key)
        if not 0 < len(text) <= 5 or text.strip("0123456789") or int(text) > 0xFFFF:
            raise ValueError("The value of %s is not 0 to 65535" % key)
        pairs.append((allowed[key], int(text)))
    return pairs
