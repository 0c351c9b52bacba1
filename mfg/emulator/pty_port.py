"""A pseudo-terminal that plays the USB serial port of a unit on the unix back end.

What the unit says while no host has the port open is lost, as on the real bus. When the unit leaves the
bus the pty is closed, so the host's open port fails with EIO, as an unplugged one does.
"""

from __future__ import annotations

import asyncio
import os
import pty
import select
import tty
from collections.abc import Callable

READ_BYTES = 4096
UNREAD_LIMIT_BYTES = 1 << 18
HOST_POLL_WALL_S = 0.01  # the kernel does not announce that a host opens the port
BURST_WALL_S = 0.005  # the grain of the speed limit


class Pace:
    """Spreads bytes over time: says how many may pass now, and when the next may."""

    def __init__(self) -> None:
        self.rate: float | None = None  # bytes per wall second
        self._free_at_s = 0.0

    def grain(self) -> int:
        """Return how many bytes may pass at once."""
        return READ_BYTES if self.rate is None else max(16, int(self.rate * BURST_WALL_S))

    def delay_s(self, now_s: float) -> float:
        """Return how long to wait before the next bytes may pass, in s of wall time."""
        return 0.0 if self.rate is None else max(0.0, self._free_at_s - now_s)

    def passed(self, count: int, now_s: float) -> None:
        """Count bytes that passed."""
        if self.rate is not None:
            # A late timer is caught up, but only by one grain.
            start_s = max(self._free_at_s, now_s - 2 * BURST_WALL_S)
            self._free_at_s = start_s + count / self.rate


class PtyPort:
    """One enumeration of the port: from the moment the host sees it to its end."""

    def __init__(self, on_data: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_data = on_data
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)  # With no slave open the master hangs up, which is how an absent host shows.
        os.set_blocking(self._master, False)
        self._poll = select.poll()
        self._poll.register(self._master, 0)
        self._to_unit, self._to_host = Pace(), Pace()
        self._out = bytearray()
        self._open = True
        self._held = False
        self._deaf = False
        self._host = False
        self._reading = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._watch_host()

    @property
    def host_present(self) -> bool:
        """Return whether a host has the port open."""
        return self._host

    def close(self) -> None:
        """Leave the bus."""
        if self._open:
            self._open = False
            for timer in self._timers.values():
                timer.cancel()
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            os.close(self._master)

    def throttle(self, bytes_per_wall_s: float | None) -> None:
        """Limit the speed in each direction; None takes the limit away."""
        self._to_unit.rate = self._to_host.rate = bytes_per_wall_s

    def deafen(self, deaf: bool) -> None:
        """Leave what the host sends unread."""
        self._deaf = deaf
        self._listen()

    def hold(self, held: bool) -> None:
        """Stop reading while the unit cannot take more, so that the host has to wait."""
        self._held = held
        self._listen()

    def write(self, data: bytes) -> None:
        """Send to the host; lost when no host has the port open or the host does not read."""
        if not self._open or not self._host:
            return
        self._out += data
        del self._out[UNREAD_LIMIT_BYTES:]
        if "flush" not in self._timers:
            self._flush()

    # ---- the host comes and goes ----

    def _watch_host(self) -> None:
        hung_up = any(event & select.POLLHUP for _, event in self._poll.poll(0))
        if not hung_up:
            self._host = True
            self._listen()
            return
        self._timers["host"] = self._loop.call_later(HOST_POLL_WALL_S, self._watch_host)

    def _host_left(self) -> None:
        self._host = False
        self._out.clear()
        self._loop.remove_writer(self._master)
        self._listen()
        self._watch_host()

    # ---- host to unit ----

    def _listen(self) -> None:
        wanted = (
            self._open and self._host and not self._deaf and not self._held and "read" not in self._timers
        )
        if wanted and not self._reading:
            self._loop.add_reader(self._master, self._readable)
        elif self._reading and not wanted and self._open:
            self._loop.remove_reader(self._master)
        self._reading = wanted

    def _readable(self) -> None:
        try:
            data = os.read(self._master, self._to_unit.grain())
        except BlockingIOError:
            return
        except OSError:  # EIO: the last host closed the port
            self._host_left()
            return
        now_s = self._loop.time()
        self._to_unit.passed(len(data), now_s)
        delay_s = self._to_unit.delay_s(now_s)
        if delay_s > 0:
            self._timers["read"] = self._loop.call_later(delay_s, self._read_again)
            self._listen()
        self._on_data(data)

    def _read_again(self) -> None:
        self._timers.pop("read", None)
        self._listen()

    # ---- unit to host ----

    def _flush(self) -> None:
        self._timers.pop("flush", None)
        self._loop.remove_writer(self._master)
        while self._out:
            now_s = self._loop.time()
            delay_s = self._to_host.delay_s(now_s)
            if delay_s > 0:
                self._timers["flush"] = self._loop.call_later(delay_s, self._flush)
                return
            try:
                written = os.write(self._master, self._out[: self._to_host.grain()])
            except BlockingIOError:
                self._loop.add_writer(self._master, self._flush)
                return
            except OSError:
                self._out.clear()
                return
            self._to_host.passed(written, now_s)
            del self._out[:written]
