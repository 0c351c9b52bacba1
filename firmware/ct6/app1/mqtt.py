"""Publishes the readings over MQTT. Loaded while the configuration asks for it.

A client of MQTT 3.1.1 that publishes with quality of service 0 and receives nothing but answers. It waits
for nothing without a deadline, and whatever goes wrong ends in another try after a growing pause.

Source: OASIS MQTT 3.1.1; CT6 interface description, section 6.
"""

import asyncio
import gc
import json
import time

from micropython import const

from . import log, stats

_PING_MS = const(30000)  # half of what the broker is told
_DRAIN_S = const(10)
_PAUSE_MAX_S = const(60)
_LOOK_MS = const(500)  # how soon a changed configuration is noticed
_READ_BYTES = const(64)
_KEYS = ("SERVER_ADDRESS", "SERVER_PORT", "TOPIC", "TX_PERIOD_MS", "USERNAME", "PASSWORD")


def settings_of(config):
    """Return what the configuration asks for, in the order of _KEYS; None if it asks for no publishing."""
    if config["ACTIVE"] and config["MQTT_SERVER_ADDRESS"] and config["MQTT_TOPIC"]:
        return [config["MQTT_" + key] for key in _KEYS]
    return None


async def run(app):
    """Publish until the configuration changes; then end."""
    settings = settings_of(app.config)
    pause_s = 1
    while settings and settings_of(app.config) == settings:
        begun_s = app.uptime_s()
        try:
            await _session(app, settings)
            return
        except Exception as exc:  # no fault of a broker or a network may end the application
            reason = "%s %s" % (type(exc).__name__, exc)
        finally:
            app.meter.published = None
        if app.uptime_s() - begun_s > _PAUSE_MAX_S:
            pause_s = 1  # it did work for a while
        log.error("MQTT %s:%d: %s; again in %d s" % (settings[0], settings[1], reason, pause_s))
        for _ in range(pause_s):
            await asyncio.sleep(1)
            if settings_of(app.config) != settings:
                return
        pause_s = min(2 * pause_s, _PAUSE_MAX_S)


async def _session(app, settings):
    try:
        reader, writer = await app.load("mqtt_connect").connect(app, settings)
    finally:
        app.unload("mqtt_connect")
    try:
        log.info("MQTT connected to %s:%d" % (settings[0], settings[1]))
        await _publish(app, settings, reader, writer)
        writer.write(b"\xe0\x00")  # DISCONNECT
        await asyncio.wait_for(writer.drain(), _DRAIN_S)
    finally:
        writer.close()
        await writer.wait_closed()


async def _publish(app, settings, reader, writer):
    """Publish and look after the link until the configuration changes.

    Raises:
        OSError: The link is broken or silent, or what comes is no answer to a client that only publishes.
    """
    mean = app.meter.published = stats.Averager()
    pinged = time.ticks_ms()
    due = time.ticks_add(pinged, settings[3])
    awaited = False
    while settings_of(app.config) == settings:
        now = time.ticks_ms()
        if time.ticks_diff(now, due) >= 0:
            due = time.ticks_add(now, max(0, settings[3] - time.ticks_diff(now, due)))
            _write_readings(app, mean.take(), settings[2], writer)
        if time.ticks_diff(now, pinged) >= _PING_MS:
            if awaited:
                raise OSError("the broker is silent")
            writer.write(b"\xc0\x00")  # PINGREQ
            pinged = now
            awaited = True
        await asyncio.wait_for(writer.drain(), _DRAIN_S)
        wait_ms = max(1, min(time.ticks_diff(due, now), _LOOK_MS))
        try:
            data = await asyncio.wait_for(reader.read(_READ_BYTES), wait_ms / 1000)
        except asyncio.TimeoutError:
            continue
        if not awaited or data != b"\xd0\x00":  # PINGRESP
            raise OSError("the broker has closed the link" if not data else "the broker sends %r" % data)
        awaited = False


def packet_head(kind, length):
    """Return a fixed header; `length` bytes follow it."""
    head = bytearray((kind,))
    while True:
        head.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes(head)


def text_field(text):
    """Return a text with its length before it."""
    data = text.encode()
    return bytes((len(data) >> 8, len(data) & 0xFF)) + data


def _write_readings(app, values, topic, writer):
    if values is None:  # no reading since the last one
        return
    gc.collect()  # the message needs a long piece of the heap
    shown = stats.to_dict(values, app.config, app.version)
    shown["TIMESENT"] = stats.time_sent()
    payload = json.dumps(shown).encode()
    name = text_field(topic)
    writer.write(packet_head(0x30, len(name) + len(payload)) + name)
    writer.write(payload)
