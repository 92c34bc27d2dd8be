"""HTTP on any Stream: serve an aiohttp application on a Listener, dial `dmsg://` URLs.

The same application answers on TCP and on a dmsg port; the connector gives the usual
`aiohttp.ClientSession` for dmsg. Source: dmsg.md §13.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from aiohttp import BaseConnector, ClientConnectionError, ClientRequest, ClientTimeout, web
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, StreamClosed
from skywire.http.app import ServerLog
from skywire.ports import DMSG_HTTP
from skywire.streams.asyncio_adapter import StreamTransport
from skywire.streams.relay import CLOSE_TIMEOUT
from skywire.streams.stream import Address, Listener, Stream
from skywire.streams.supervise import Tasks

log = logging.getLogger(__name__)

HEADER_TIMEOUT = 3.0  # seconds from the start of a stream to the end of its first request's head
IDLE_TIMEOUT = 30.0  # seconds a kept-alive stream may wait for its next request
SHUTDOWN_TIMEOUT = 2.0  # seconds handlers may go on once we stop
MAX_CONNECTIONS = 512  # streams served at a time; one more is refused
DIAL_TIMEOUT = 20.0  # seconds; dmsg.md §6 gives a stream as long
KEEP_IDLE = 15.0  # seconds we keep a stream for the next request: less than servers do
HEAD_END = b"\r\n\r\n"
DMSG_SCHEME = "dmsg"

Dial = Callable[[PubKey, int], Awaitable[Stream]]


def remote_address(request: web.BaseRequest) -> Address:
    """Who asks: on dmsg with the authenticated key, on TCP host and port."""
    remote = request.get_extra_info("remote")
    if isinstance(remote, Address):
        return remote
    peer = request.get_extra_info("peername")
    if isinstance(peer, tuple) and len(peer) >= 2:
        return Address("tcp", str(peer[0]), int(peer[1]))
    return Address("unix", str(peer or ""))


def remote_pk(request: web.BaseRequest) -> PubKey | None:
    """The authenticated key of who asks; None on TCP, and once the stream is gone."""
    return remote_address(request).pk


async def serve_http(
    app: web.Application | web.AppRunner,
    listener: Listener,
    *,
    header_timeout: float = HEADER_TIMEOUT,
    idle_timeout: float = IDLE_TIMEOUT,
    max_connections: int = MAX_CONNECTIONS,
) -> None:
    """Answer HTTP on every stream of `listener`, until it is closed or this is cancelled.

    An `Application` is set up and cleaned up here. An `AppRunner` must be set up and stays its
    owner's, idle time-out included, so that one application can also be served on TCP. Does not
    close `listener`.
    """
    if isinstance(app, web.AppRunner):
        await _accept(app, listener, header_timeout, max_connections)
        return
    runner = _runner(app, idle_timeout)
    await runner.setup()
    try:
        await _accept(runner, listener, header_timeout, max_connections)
    finally:
        await runner.cleanup()


async def serve_one(
    app: web.Application, stream: Stream, *, header_timeout: float = HEADER_TIMEOUT
) -> None:
    """Answer HTTP on `stream` alone until it is over; cancelled, it is aborted."""
    runner = _runner(app, IDLE_TIMEOUT)
    await runner.setup()
    try:
        protocol = _server(runner)()
        await StreamTransport(stream, _FirstHead(protocol, header_timeout)).run()
    finally:
        await runner.cleanup()


def _runner(app: web.Application, idle_timeout: float) -> web.AppRunner:
    return web.AppRunner(
        app,
        access_log=None,
        logger=ServerLog(),
        keepalive_timeout=idle_timeout,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        handler_cancellation=True,
    )


def _server(runner: web.AppRunner) -> web.Server:
    if runner.server is None:
        raise InvalidValue("this AppRunner is not set up: await its setup() before serving")
    return runner.server


async def _accept(
    runner: web.AppRunner, listener: Listener, header_timeout: float, max_connections: int
) -> None:
    server = _server(runner)
    tasks = Tasks(f"http {listener.address}")
    connections: dict[asyncio.Task[None], web.RequestHandler] = {}
    full = False
    try:
        while True:
            stream = await listener.accept()
            if len(connections) >= max_connections:
                if not full:
                    log.warning("http full address=%s limit=%d", listener.address, max_connections)
                full = True
                stream.abort()
                continue
            full = False
            protocol = server()
            transport = StreamTransport(stream, _FirstHead(protocol, header_timeout))
            task = tasks.spawn(transport.run(), str(stream.remote))
            connections[task] = protocol
            task.add_done_callback(connections.pop)
    except StreamClosed:
        log.debug("http listener closed address=%s", listener.address)
    finally:
        await _finish(dict(connections))
        await tasks.close()


async def _finish(connections: dict[asyncio.Task[None], web.RequestHandler]) -> None:
    """End idle streams, and busy ones after their request or SHUTDOWN_TIMEOUT."""
    if not connections:
        return
    for protocol in connections.values():
        protocol.close()
    await asyncio.gather(*(one.shutdown(SHUTDOWN_TIMEOUT) for one in connections.values()))
    await asyncio.wait(connections, timeout=SHUTDOWN_TIMEOUT)


class _FirstHead(asyncio.Protocol):
    """In front of aiohttp's protocol until the head of the first request is in, or too late.

    aiohttp's own idle time-out bounds the requests after it, and every later half-sent head.
    """

    def __init__(self, inner: asyncio.Protocol, timeout: float) -> None:
        self._inner = inner
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(self._timeout, transport.abort)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        seen = self._tail + data
        if HEAD_END in seen:
            self._stop_timer()
            if self._transport is not None:
                self._transport.set_protocol(self._inner)
        self._tail = seen[-len(HEAD_END) :]
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._inner.connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def target_of(url: URL, schemes: Collection[str] = (DMSG_SCHEME,)) -> tuple[PubKey, int]:
    """Key and port of a `dmsg://<pk>[:port]/…` URL. Raises InvalidValue."""
    port = url.explicit_port if url.explicit_port is not None else DMSG_HTTP
    if url.scheme not in schemes or not url.host:
        scheme = next(iter(schemes))
        raise InvalidValue(
            f'"{url}" is no {scheme} URL: expected {scheme}://<public key>[:port]/path'
        )
    if not 0 < port < 65536:
        raise InvalidValue(
            f'{url.scheme} port {port} in "{url}" is out of range: expected 1 to 65535'
        )
    return PubKey.parse(url.host), port


class StreamConnector(BaseConnector):
    """For `aiohttp.ClientSession(connector=…)`; `open` gives a stream for a URL.

    Errors of `open` (DialFailed, NotFound, …) come out of the request as they are.
    `keep_alive=False` opens one stream per request.
    """

    def __init__(
        self,
        open: Callable[[URL], Awaitable[Stream]],
        *,
        keep_alive: bool = True,
        limit: int = 100,
    ) -> None:
        if keep_alive:
            super().__init__(keepalive_timeout=KEEP_IDLE, limit=limit)
        else:
            super().__init__(force_close=True, limit=limit)
        self._open = open
        self._owned = Tasks("http client over streams")
        self._connections: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Any],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        """aiohttp's one hook for a new connection; pinned by a test, as its name is private."""
        return await self.connection(req.url, timeout.sock_connect or DIAL_TIMEOUT)

    async def connection(self, url: URL, limit: float = DIAL_TIMEOUT) -> ResponseHandler:
        """A new one to `url`, which ends with this connector; `limit` seconds to open it."""
        async with asyncio.timeout(limit):
            stream = await self._open(url)
        if self.closed:
            stream.abort()
            raise ClientConnectionError("the connector was closed while it dialled")
        protocol = ResponseHandler(loop=asyncio.get_running_loop())
        connection = self._owned.spawn(StreamTransport(stream, protocol).run(), str(url.host))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        return protocol

    def close(self, *, abort_ssl: bool = False) -> Awaitable[None]:
        """Close every stream in order; those that take too long are aborted."""
        if self._closing is None:
            pooled = super().close(abort_ssl=abort_ssl)
            self._closing = self._owned.spawn(self._close_streams(pooled), "close")
        return self._closing

    async def _close_streams(self, pooled: Awaitable[None]) -> None:
        if self._connections:
            await asyncio.wait(self._connections, timeout=CLOSE_TIMEOUT)
        await self._owned.close()
        await pooled


class DmsgConnector(StreamConnector):
    """For `aiohttp.ClientSession(connector=DmsgConnector(client.dial))` and `dmsg://` URLs.

    The Host header is the URL's authority: `<pk>:<port>`, or the bare key when no port is given.
    Other `schemes` may mean the same; another network has another connector, as streams are kept
    by host and port.
    """

    def __init__(
        self,
        dial: Dial,
        *,
        keep_alive: bool = True,
        limit: int = 100,
        schemes: Collection[str] = (DMSG_SCHEME,),
    ) -> None:
        super().__init__(
            lambda url: dial(*target_of(url, schemes)), keep_alive=keep_alive, limit=limit
        )
        self.allowed_protocol_schema_set = frozenset(schemes)
