"""The process that plays the bench's SCPI instruments."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

from mfg.clock import BenchClock
from mfg.emulator.config import BenchConfig
from mfg.emulator.control import serve_control
from mfg.emulator.events import EventLog
from mfg.emulator.instruments.faults import InstrumentFaults
from mfg.emulator.instruments.power_meter import PowerMeter
from mfg.emulator.instruments.scpi import Instrument
from mfg.emulator.instruments.server import InstrumentServer
from mfg.emulator.instruments.shelly import Shelly
from mfg.emulator.instruments.switch_unit import SwitchUnit
from mfg.emulator.instruments.thermometer import Thermometer
from mfg.emulator.plant import Plant
from mfg.errors import UsageError


class InstrumentRack:
    """The three instruments on one plant, with their ports; must be built inside a running loop."""

    def __init__(self, config: BenchConfig) -> None:
        clock = BenchClock.parse(config.clock)
        folder = Path(config.folder)
        self._ports = config.instruments
        self._events = EventLog(folder)
        plant = Plant(config, self._events)
        self.faults = InstrumentFaults(config.instruments, self._events, folder, clock)
        self.meter = PowerMeter(config, plant, clock, self.faults)
        self.switch = SwitchUnit(config, plant, self._events, clock, self.faults)
        self.thermometer = Thermometer(config.seed, plant, clock, self.faults)
        self.shelly = Shelly(config, plant, self._events, clock)

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve every instrument that has a port, and the control link, until `stop` is set.

        Raises:
            OSError: A port is taken; nothing is served any more.
        """
        parts: tuple[tuple[Instrument, int], ...] = (
            (self.meter, self._ports.meter_port),
            (self.switch, self._ports.switch_port),
            (self.thermometer, self._ports.thermometer_port),
        )
        servers = [(InstrumentServer(instrument), port) for instrument, port in parts if port]
        watchdog = asyncio.create_task(self.switch.run())
        control: asyncio.Server | None = None
        try:
            for server, port in servers:
                await server.start(port)
            if self._ports.shelly_port:
                await self.shelly.start(self._ports.shelly_port)
            if self._ports.control_port:
                control = await serve_control(self._ports.control_port, self.control)
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({stopped, watchdog}, return_when=asyncio.FIRST_COMPLETED)
            if watchdog.done():
                stopped.cancel()
                watchdog.result()
        finally:
            watchdog.cancel()
            if control is not None:
                control.close()
            for server, _ in servers:
                await server.stop()
            await self.shelly.stop()
            self._events.close()

    async def control(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer the control link: `state`, `fault` with `name` and `on`.

        Raises:
            UsageError: There is no such operation or fault; nothing was changed.
        """
        if request["op"] == "state":
            return {
                "meter": self.meter.state(),
                "switch": self.switch.state(),
                "thermometer": self.thermometer.state(),
                "faults": self.faults.active(),
            }
        if request["op"] == "fault":
            self.faults.switch(str(request["name"]), bool(request["on"]))
            return {"faults": self.faults.active()}
        raise UsageError(f"The instruments do not know {request['op']!r}.", "Use state or fault.")


def run_instruments(config: BenchConfig) -> None:
    """Play the instruments until SIGTERM or SIGINT.

    Args:
        config: Of the whole bench; an instrument whose port is 0 does not exist.
    """
    asyncio.run(_run(config))


async def _run(config: BenchConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await InstrumentRack(config).serve(stop)
