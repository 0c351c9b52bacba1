"""A bench for the instruments without processes: a clock to set, a plant of constants, TCP clients."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mfg.emulator.instruments.scpi import Instrument
from mfg.emulator.instruments.server import InstrumentServer


@dataclass
class FakeClock:
    """Stands still until a test moves it; sleeping takes no wall time and moves it by nothing."""

    t_s: float = 1000.0

    def now_s(self):
        return self.t_s

    def wall_s(self, duration_s):
        return 0.0


@dataclass
class FastClock(FakeClock):
    """Moves by what somebody sleeps: `wall_s` is only asked for in order to sleep."""

    def wall_s(self, duration_s):
        self.t_s += duration_s
        return 0.0


@dataclass(frozen=True)
class FakeTruth:
    """Means over a window."""

    voltage_v: float
    current_a: float
    active_w: float
    reactive_var: float


@dataclass
class FakePlant:
    """Constants with the method names of mfg.emulator.plant.Plant, plus a log of windows asked for."""

    voltage_v: float = 230.0
    current_a: float = 9.0
    active_w: float = 2070.0
    reactive_var: float = 0.0
    identification_a: float = 4.0

    def __post_init__(self):
        self.windows = []

    def leaking_a(self, t_s):
        return 0.0

    def supply_v(self, supply_v, unit, t_s):
        return supply_v

    def mains_voltage_v(self, t_s):
        return self.voltage_v

    def frequency_hz(self, t_s):
        return 50.0

    def load_current_a(self, t_s):
        return self.current_a

    def identification_current_a(self, t_s):
        return self.identification_a

    def ambient_degc(self, t_s):
        return 22.0

    def reference_truth(self, start_s, end_s):
        self.windows.append((start_s, end_s))
        return FakeTruth(self.voltage_v, self.current_a, self.active_w, self.reactive_var)


class Client:
    """One TCP client."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def write(self, text):
        self.writer.write(text.encode("latin-1"))

    async def read(self, timeout_s=5.0):
        return (await asyncio.wait_for(self.reader.readline(), timeout_s)).decode("latin-1")

    async def query(self, text):
        self.write(text + "\n")
        return await self.read()


@asynccontextmanager
async def served(instrument: Instrument, clients: int = 1):
    """Serve an instrument on a loopback port and connect clients to it."""
    server = InstrumentServer(instrument)
    port = await server.start(0)
    links = []
    try:
        for _ in range(clients):
            links.append(Client(*await asyncio.open_connection("127.0.0.1", port)))
        yield links
    finally:
        for link in links:
            link.writer.close()
        await server.stop()


def ask(instrument, message):
    """Execute one program message."""
    return asyncio.run(instrument.execute(message))
