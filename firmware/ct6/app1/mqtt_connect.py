"""Gets a link to an MQTT broker. Loaded while it connects.

Source: OASIS MQTT 3.1.1, sections 3.1 and 3.2.
"""

import asyncio
import binascii

from micropython import const

from .mqtt import packet_head, text_field

_KEEP_ALIVE_S = const(60)
_ANSWER_S = const(10)
_LEVEL = const(4)  # of the protocol: 3.1.1
_CLEAN, _PASSWORD, _USERNAME = const(0x02), const(0x40), const(0x80)


def connect_packet(client, username, password):
    """Return the request to connect with a clean session; empty texts are left out."""
    flags = _CLEAN
    body = text_field(client)
    if username:
        flags |= _USERNAME
        body += text_field(username)
        if password:  # without a user name there must be none
            flags |= _PASSWORD
            body += text_field(password)
    body = text_field("MQTT") + bytes((_LEVEL, flags, 0, _KEEP_ALIVE_S)) + body
    return packet_head(0x10, len(body)) + body


async def connect(app, settings):
    """Return the reader and the writer of a link that the broker has accepted.

    Args:
        settings: What mqtt.settings_of returns.

    Raises:
        OSError: There is no way to the broker, or it refuses.
        ValueError: The settings can never work.
        asyncio.TimeoutError: The broker does not answer.
    """
    host, port, topic, _, username, password = settings
    if "+" in topic or "#" in topic:
        raise ValueError("MQTT_TOPIC holds a wildcard")
    if host.strip("0123456789."):
        try:
            host = await app.load("resolver").resolve(host, app.wifi.name_server())
        finally:
            app.unload("resolver")
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), _ANSWER_S)
    try:
        client = str(binascii.hexlify(app.config["ASSY"].encode()), "ascii")
        writer.write(connect_packet(client, username, password))
        await asyncio.wait_for(writer.drain(), _ANSWER_S)
        answer = await asyncio.wait_for(reader.readexactly(4), _ANSWER_S)
        if answer[:2] != b"\x20\x02" or answer[3]:
            raise OSError("the broker refuses with code %d" % answer[3])
    except BaseException:
        writer.close()
        await writer.wait_closed()
        raise
    return reader, writer
