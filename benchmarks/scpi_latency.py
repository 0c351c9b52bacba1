"""How long an emulated instrument takes to answer, over a loopback socket, in wall time.

Run with `python benchmarks/scpi_latency.py`.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import threading
import time

from mfg.clock import BenchClock
from mfg.emulator.instruments.server import InstrumentServer
from mfg.emulator.instruments.thermometer import Thermometer

QUERIES = 5000


class StillAir:
    """Air of one temperature."""

    def ambient_degc(self, t_s: float) -> float:
        """Return the temperature, in degrees Celsius."""
        return 22.0


def serve(ready: threading.Event, port: list[int]) -> None:
    """Serve a thermometer for as long as the process lives."""

    async def forever() -> None:
        port.append(await InstrumentServer(Thermometer(1, StillAir(), BenchClock())).start(0))
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(forever())


def main() -> None:
    """Print median and 99th percentile of the time per query."""
    ready = threading.Event()
    port: list[int] = []
    threading.Thread(target=serve, args=(ready, port), daemon=True).start()
    ready.wait(5)
    with socket.create_connection(("127.0.0.1", port[0]), timeout=5) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for message in (b"*OPC?\n", b"MEASURE:SCALAR:TEMPERATURE?\n"):
            times_us = [ask(link, message) for _ in range(QUERIES)]
            times_us.sort()
            print(
                f"{message.decode().strip():30} median {statistics.median(times_us):6.0f} us"
                f"  p99 {times_us[int(0.99 * QUERIES)]:6.0f} us"
            )


def ask(link: socket.socket, message: bytes) -> float:
    """Send a query and return the time until its answer, in us."""
    start_s = time.perf_counter()
    link.sendall(message)
    while not link.recv(256).endswith(b"\n"):
        pass
    return (time.perf_counter() - start_s) * 1e6


if __name__ == "__main__":
    main()
