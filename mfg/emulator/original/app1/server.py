"""The REST port: one task per connection, no time limit anywhere.

Source: CT6 interface description 3.1 and 3.5.
"""

import asyncio
import binascii
import hashlib
import json
import os

from . import log, quirks
from .rest import RefusedError

_BLOCK_BYTES = 256
_GOOD, _BAD = "200 OK", "500 ERROR"


class Server:
    """Serves the endpoints of `rest` on port 80."""

    def __init__(self, rest):
        self._rest = rest
        self._stuck = []  # connections that nobody answers or closes any more

    async def start(self):
        """Open the port."""
        await asyncio.start_server(self._serve, "0.0.0.0", 80)

    async def _serve(self, reader, writer):
        self._stuck.append(writer)
        try:
            line = await reader.readline()
            if line[:5] == b"FILE ":
                await self._upload(line, reader, writer)
            else:
                await self._request(line, reader, writer)
        except Exception as exc:
            if quirks.NO_ANSWER_AFTER_EXCEPTION:
                raise
            status = _GOOD if quirks.STATUS_200_ON_FAILURE else _BAD
            await _reply(writer, (status,), {"ERROR": "%s: %s" % (type(exc).__name__, exc)})
        self._stuck.remove(writer)
        writer.close()
        await writer.wait_closed()

    async def _request(self, line, reader, writer):
        header = line
        while header not in (b"\r\n", b"\n"):
            header = await reader.readline()
            if not header and not quirks.HALF_OPEN_SPINS:
                return
            await asyncio.sleep_ms(0)  # a spinning task takes its turn with the others
        after = None
        status = _GOOD
        try:
            words = line.decode().split()
            if words[0] != "GET":
                raise RefusedError("Only GET is served")
            path, args = _parsed(words[1])
            log.info("HTTP GET " + path)
            body, after = self._rest.call(path, args)
        except RefusedError as exc:
            body = {"ERROR": str(exc)}
            status = _GOOD if quirks.STATUS_200_ON_FAILURE else "400 Bad Request"
        await _reply(writer, (status,), body)
        if after:
            after()

    async def _upload(self, line, reader, writer):
        _, name, folder, length, digest, _ = line.decode().split()
        log.info("HTTP FILE " + name)
        try:
            os.stat(folder)
        except OSError:
            os.mkdir(folder)  # one level; a deeper one raises
        path = folder + "/" + name
        summed = hashlib.sha256()
        left = int(length)
        with open(path, "wb") as file:
            while left:
                data = await reader.read(min(left, _BLOCK_BYTES))
                if not data:
                    break
                file.write(data)
                summed.update(data)
                left -= len(data)
        if left == 0 and binascii.hexlify(summed.digest()).decode() == digest:
            statuses, body = (_GOOD, _GOOD), {"OK": True}
        else:
            os.remove(path)
            statuses, body = (_BAD, _GOOD), {"ERROR": "The file was not received."}
        await _reply(writer, statuses if quirks.DOUBLED_UPLOAD_HEADER else statuses[:1], body)


def _parsed(target):
    path, _, query = target.partition("?")
    args = {}
    for pair in query.split("?")[0].split(","):
        parts = pair.split("=")
        if len(parts) == 2:
            args[parts[0].lower()] = parts[1]
    return path.lower(), args


async def _reply(writer, statuses, body):
    headers = ["HTTP/1.0 %s\r\nContent-type: application/json\r\n\r\n" % status for status in statuses]
    text = "".join(headers) + json.dumps(body).replace("'", '"')
    writer.write(text.encode())
    await writer.drain()
