"""A real MQTT broker on loopback, with a subscriber to everything that is published."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from amqtt.broker import Broker, BrokerContext
from amqtt.client import MQTTClient
from amqtt.mqtt.constants import QOS_0
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

USERNAME, PASSWORD = "ct6", "only-for-the-bench"
START_WALL_S = 10.0


class OneUser(BaseAuthPlugin):
    """Lets one user in; notes who asked."""

    asked: list[tuple[str | None, str | None, str | None]] = []  # noqa: RUF012 - the broker makes the object

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)

    async def authenticate(self, *, session: Session) -> bool:
        """Return whether user name and password are right."""
        OneUser.asked.append((session.client_id, session.username, session.password))
        return (session.username, session.password) == (USERNAME, PASSWORD)


class BrokerAtHand:
    """The broker in a thread of its own; `with` starts and ends it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.messages: list[tuple[float, str, bytes, int]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self._stop = asyncio.Event()

    def __enter__(self) -> BrokerAtHand:
        self._thread.start()
        assert self._ready.wait(START_WALL_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the broker; nothing happens if it has ended."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_WALL_S)
        assert not self._thread.is_alive()

    def wait_for_messages(self, count: int, wall_s: float = 20.0) -> list[tuple[float, str, bytes, int]]:
        """Return all messages once so many more have come."""
        wanted = len(self.messages) + count
        end = time.monotonic() + wall_s
        while len(self.messages) < wanted:
            assert time.monotonic() < end, f"{len(self.messages)} of {wanted} messages"
            time.sleep(0.02)
        return list(self.messages)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        config: dict[str, Any] = {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}},
            "plugins": {f"{__name__}.{OneUser.__name__}": {}},
        }
        broker = Broker(config)
        await broker.start()
        subscriber = MQTTClient()
        await subscriber.connect(f"mqtt://{USERNAME}:{PASSWORD}@127.0.0.1:{self.port}")
        await subscriber.subscribe([("#", QOS_0)])
        reader = asyncio.create_task(self._read(subscriber))
        self._ready.set()
        await self._stop.wait()
        reader.cancel()
        await subscriber.disconnect()
        await broker.shutdown()

    async def _read(self, subscriber: MQTTClient) -> None:
        while True:
            message = await subscriber.deliver_message()
            if message is not None:
                self.messages.append(
                    (time.monotonic(), message.topic, bytes(message.data or b""), message.qos or 0)
                )
