"""The emulated Shelly 1PM Plus: a meter and a relay in the main conductor, behind an HTTP port.

It averages over a second that began when it got power, shows 0.1 V, 1 mA and 0.1 W, and has errors of its
own. Its relay is in series with the load: the plant carries current only while it is closed. A relay that
was closed with `toggle_after` opens by itself.

Source: the maker's description of the Gen2 RPC methods; metrology notes 1.2. Written without the driver.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from mfg.emulator.config import BenchConfig
from mfg.emulator.control import LOOPBACK
from mfg.emulator.events import Event, EventLog, append_event
from mfg.emulator.instruments.metering import Truth, measure
from mfg.emulator.instruments.scpi import Clock

IDENTITY = "Shelly,Plus1PM,A8032AB4C5D6,1.0.8"
UPDATE_S = 1.0
NOISE_PCT = 0.02
RELAY = "relay"  # channel of the event log
REQUEST_LIMIT_BYTES = 4096
REQUEST_WALL_S = 5.0
LEAST_A = 0.02  # what is smaller shows as 0


class ShellyPlant(Protocol):
    """What the Shelly's terminals see of the plant."""

    def reference_truth(self, start_s: float, end_s: float) -> Truth:
        """Return the means over a window."""

    def frequency_hz(self, t_s: float) -> float:
        """Return the mains frequency, in Hz."""


class Shelly:
    """One Shelly; answers requests that come whole within five seconds."""

    def __init__(self, config: BenchConfig, plant: ShellyPlant, events: EventLog, clock: Clock) -> None:
        self._config = config
        self._plant = plant
        self._events = events
        self._folder = Path(config.folder)
        self._clock = clock
        self._origin_s = clock.now_s()
        self._opens_s = math.inf
        self._timer_s = 0.0
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> None:
        """Listen on a loopback port."""
        self._server = await asyncio.start_server(self._connected, LOOPBACK, port)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_WALL_S)
            status, content = self.answer(head[:REQUEST_LIMIT_BYTES].split(b" ")[1].decode("ascii"))
            body = json.dumps(content).encode()
            writer.write(
                f"HTTP/1.1 {status}\r\nServer: ShellyHTTP/1.0.0\r\nContent-Length: {len(body)}\r\n"
                "Content-Type: application/json\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (OSError, TimeoutError, ValueError, IndexError, EOFError, asyncio.LimitOverrunError):
            pass  # No whole request came, or the client went away: nobody is left to answer.
        finally:
            writer.close()

    def answer(self, target: str) -> tuple[str, dict[str, Any]]:
        """Answer the target of one GET with a status and an object."""
        self._events.sync()
        self._follow_timer()
        parts = urlsplit(target)
        arguments = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path == "/rpc/Shelly.GetDeviceInfo":
            return "200 OK", self._device_info()
        if parts.path == "/rpc/Switch.GetStatus" and arguments.get("id") == "0":
            return "200 OK", self._status()
        if parts.path == "/rpc/Switch.Set" and arguments.get("id") == "0":
            return "200 OK", self._set(arguments)
        return "404 Not Found", {"code": 404, "message": f"No handler for {parts.path}"}

    def _device_info(self) -> dict[str, Any]:
        _maker, app, mac, version = IDENTITY.split(",")
        return {
            "name": None,
            "id": f"shellyplus1pm-{mac.lower()}",
            "mac": mac,
            "slot": 1,
            "model": "SNSW-001P16EU",
            "gen": 2,
            "fw_id": f"20230912-083954/{version}-g7b4d3c5",
            "ver": version,
            "app": app,
            "auth_en": False,
            "auth_domain": None,
        }

    def _closed(self) -> bool:
        return bool(self._events.at(RELAY, self._clock.now_s()))

    def _switch(self, on: bool) -> None:
        append_event(self._folder, Event(self._clock.now_s(), RELAY, int(on)))
        self._events.sync()

    def _follow_timer(self) -> None:
        if self._clock.now_s() >= self._opens_s:
            self._opens_s, self._timer_s = math.inf, 0.0
            self._switch(on=False)

    def _set(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        was_on, on = self._closed(), arguments.get("on") == "true"
        self._timer_s = float(arguments.get("toggle_after", 0)) if on else 0.0
        self._opens_s = self._clock.now_s() + self._timer_s if self._timer_s else math.inf
        self._switch(on)
        return {"was_on": was_on}

    def _status(self) -> dict[str, Any]:
        voltage_v, current_a, active_w = self._measured()
        timer = {"timer_started_at": 1700000000.0, "timer_duration": self._timer_s} if self._timer_s else {}
        return {
            "id": 0,
            "source": "HTTP_in",
            "output": self._closed(),
            **timer,
            "apower": active_w,
            "voltage": voltage_v,
            "current": current_a,
            "aenergy": {"total": 11.679, "by_minute": [0.0, 0.0, 0.0], "minute_ts": 1654511972},
            "temperature": {"tC": 41.5, "tF": 106.7},
        }

    def _measured(self) -> tuple[float, float, float]:
        """Return what the last whole second came to, as the device rounds it."""
        update = math.floor((self._clock.now_s() - self._origin_s) / UPDATE_S)
        if update < 1:
            return 0.0, 0.0, 0.0
        end_s = self._origin_s + update * UPDATE_S
        truth = self._plant.reference_truth(end_s - UPDATE_S, end_s)
        error_pct = self._config.instruments.shelly_gain_error_pct
        key = f"{self._config.seed}:shelly:{update}"
        seen = measure(truth, self._plant.frequency_hz(end_s), error_pct, NOISE_PCT, key)
        if seen.current_a < LEAST_A:
            return round(seen.voltage_v, 1), 0.0, 0.0
        return round(seen.voltage_v, 1), round(seen.current_a, 3), round(seen.active_w, 1)
