"""The REST port: one request per connection, everything bounded in time and size."""

import asyncio
import errno
import gc
import io
import json

from micropython import const

from . import config, log, request

_CONNECTIONS_MAX = const(4)
_REQUEST_S = const(5)
_HANDLER_S = const(15)
_UPLOAD_S = const(60)
_REPLY_S = const(10)
_CHUNK_BYTES = const(1024)
_PIECE_BYTES = const(256)
_QUIET_S = 0.3
_CLOSE_S = const(1)

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "ERROR", 503: "Busy"}


class NotFoundError(Exception):
    """There is no such path."""


class HttpServer:
    """Serves the endpoints of `rest` on `port`."""

    def __init__(self, rest, port):
        self._rest = rest
        self._port = port
        self._server = None
        self._connections = 0
        self.answered = False  # a request with success, at least once

    async def start(self):
        """Open the port."""
        self._server = await asyncio.start_server(self._serve, "0.0.0.0", self._port)

    async def close(self):
        """Close the port."""
        server, self._server = self._server, None
        if server:
            server.close()
            try:
                await asyncio.wait_for(server.wait_closed(), _CLOSE_S)
            except asyncio.TimeoutError:  # Control-C hit the very task that closes the port
                log.error("The HTTP port did not close.")

    async def _serve(self, reader, writer):
        self._connections += 1
        try:
            if self._connections > _CONNECTIONS_MAX:
                await self._reply(writer, 503, {"ERROR": "Too many connections"})
            else:
                await self._answer(reader, writer)
        except (OSError, asyncio.TimeoutError) as exc:  # the peer is gone or silent
            log.debug("HTTP connection dropped: %s" % type(exc).__name__)
        finally:
            self._connections -= 1
            writer.close()
            await writer.wait_closed()
            gc.collect()

    async def _answer(self, reader, writer):
        line, rest = await asyncio.wait_for(_read_line(reader), _REQUEST_S)
        if line is None:
            return
        after = None
        try:
            wanted = request.parse(line)
            if isinstance(wanted, request.Upload):
                log.info("HTTP FILE " + wanted.path)
                body = await asyncio.wait_for(self._upload(wanted, reader, rest), _UPLOAD_S)
            else:
                await asyncio.wait_for(_skip_header(reader, rest), _REQUEST_S)
                log.info("HTTP GET " + wanted.path)
                body, after = await asyncio.wait_for(self._rest.call(wanted), _HANDLER_S)
            status = 200
        except NotFoundError as exc:
            status, body = 404, {"ERROR": str(exc)}
        except ValueError as exc:
            status, body = 400, {"ERROR": str(exc)}
        except OSError as exc:
            status, body = 404 if exc.errno == errno.ENOENT else 500, {"ERROR": "OSError %s" % exc}
        except Exception as exc:  # a handler must never leave the client without an answer
            status, body = 500, {"ERROR": "%s %s" % (type(exc).__name__, exc)}
        if status != 200:
            log.error("HTTP %d %s" % (status, body["ERROR"]))
            if line[:5] == b"FILE ":
                await _discard(reader)
        await self._reply(writer, status, body)
        if after:
            after()

    async def _upload(self, wanted, reader, rest):
        app = self._rest.app
        upload = app.load("files").UploadFile(app, wanted.path, wanted.length, wanted.sha256)
        try:
            upload.write(rest)
            buffer = memoryview(bytearray(_CHUNK_BYTES))
            while upload.left:
                count = await asyncio.wait_for(
                    reader.readinto(buffer[: min(upload.left, _CHUNK_BYTES)]), _REQUEST_S
                )
                if not count:
                    raise ValueError("The connection ended before the file")
                upload.write(buffer[:count])
            upload.check()
            if wanted.path == app.config.machine_file:
                if wanted.length > config.FILE_MAX_BYTES:
                    raise ValueError("The configuration is too long")
                app.config.replace(upload.read_text())
            else:
                upload.put()
        finally:
            upload.drop()
            app.unload("files")
        return {"OK": True}

    async def _reply(self, writer, status, body):
        pieces = _Pieces(writer)
        head = "HTTP/1.0 %d %s\r\nContent-type: application/json\r\n\r\n" % (status, _REASONS[status])
        pieces.write(head.encode())
        if hasattr(body, "send"):
            await body.send(pieces)
        else:
            json.dump(body, pieces)
        await pieces.drain()
        self.answered = self.answered or status == 200


class _Pieces(io.IOBase):
    """Hands a reply over in small pieces: a heap in use for hours has no room for a long one."""

    def __init__(self, writer):
        self._writer = writer
        self._buffer = memoryview(bytearray(_PIECE_BYTES))
        self._held = 0

    def write(self, data):
        """Take some bytes; io.IOBase calls it."""
        taken = 0
        while taken < len(data):
            count = min(len(data) - taken, _PIECE_BYTES - self._held)
            self._buffer[self._held : self._held + count] = data[taken : taken + count]
            self._held += count
            taken += count
            if self._held == _PIECE_BYTES:
                self.flush()
        return taken

    def flush(self):
        """Hand over what is held."""
        if self._held:
            self._writer.write(bytes(self._buffer[: self._held]))
            self._held = 0

    async def drain(self):
        """Hand over what is held and wait until it is on its way.

        Raises:
            asyncio.TimeoutError: The peer does not take it.
        """
        self.flush()
        await asyncio.wait_for(self._writer.drain(), _REPLY_S)


async def _read_line(reader):
    """Return the first line and the bytes that came after it, or (None, b"") if the peer left."""
    data = b""
    while b"\n" not in data:
        if len(data) > request.REQUEST_MAX_BYTES:
            raise OSError("request line too long")
        more = await reader.read(512)
        if not more:
            return None, b""
        data += more
    end = data.index(b"\n")
    return data[:end].rstrip(b"\r"), data[end + 1 :]


async def _discard(reader):
    """Take in what the peer still sends: a close over unread bytes would destroy the reply on its way."""
    try:
        for _ in range(request.UPLOAD_MAX_BYTES // _CHUNK_BYTES):
            if not await asyncio.wait_for(reader.read(_CHUNK_BYTES), _QUIET_S):
                return
    except asyncio.TimeoutError:
        return


async def _skip_header(reader, data):
    """Read up to the empty line that ends the header."""
    whole = len(data)
    data = b"\n" + data.replace(b"\r", b"")
    while b"\n\n" not in data:
        if whole > request.REQUEST_MAX_BYTES:
            raise request.RequestError("The header is too long")
        more = await reader.read(512)
        if not more:
            raise OSError("peer left")
        whole += len(more)
        data = data[-1:] + more.replace(b"\r", b"")
