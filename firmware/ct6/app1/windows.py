"""Readings window by window, for a calibration.

A chip has new values at the end of every window of 16 line cycles. While somebody asks for windows, a task
looks at a few low words of each chip; when they change, it reads the whole window at once. Otherwise none
of this runs.
"""

import asyncio
import time
from array import array

_POLL_MS = 20
ARMED_MS = 10000  # after each request
# Of 16 cycles even at 65 Hz 246 ms pass: what changes sooner is the rest of the same update.
_SHORTEST_MS = 200
_READS_MAX = 3
# After a start or a register write the first window noticed may have begun before it, and in the second the
# chip's filters still settle.
FIRST_VALID = 3
_SIZE = 14  # frequency, temperature, then four values of each phase


class ChipWindows:
    """The windows of one chip."""

    def __init__(self, chip):
        self._chip = chip
        self._values = array("i", [0] * _SIZE)
        self.seq = 0
        self._ended_ms = 0
        self._late_ms = 0
        self.restart()

    def restart(self):
        """Count from 0: the chip's settings have changed."""
        self.seq = 0
        self.forget()

    def forget(self):
        """Give out nothing until the end of a window has been seen: nobody has looked for a while."""
        self._known = False
        self._trace = -1  # not looked at yet
        self._looked_ms = 0

    def poll(self):
        """Look whether a window has ended, and read it."""
        now = time.ticks_ms()
        trace = self._chip.trace()
        if trace != self._trace:
            if self._trace >= 0:
                self._read(now, trace)
            self._trace = trace
        self._looked_ms = now

    def _read(self, now, trace):
        # A window may end while the last one is being read; then that is the one to read. No chip is quick
        # enough to do it three times.
        same = self._known and time.ticks_diff(now, self._ended_ms) + self._late_ms < _SHORTEST_MS
        late_ms = time.ticks_diff(now, self._looked_ms)
        self._known = False
        for _ in range(_READS_MAX):
            self._chip.read_window(self._values)
            then = time.ticks_ms()
            again = self._chip.trace()
            if again == trace:
                break
            late_ms = time.ticks_diff(then, now)
        ...
