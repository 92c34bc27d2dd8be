"""Reaches a port of another visor: the asking side of forwarding. Source: apps.md §9.

    port = FarPort(network.dial, pk, 8080)
    stream = await port.open()

The way is found out at the first dial: one yamux session for all connections (port 59), a route for
each (57), or HTTP over one route, which is all that nodes of 2024 have (47).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from enum import Enum

from aiohttp import web
from yarl import URL

from skywire.crypto.keys import PubKey
from skywire.errors import (
    DialFailed,
    NotFound,
    NotSupported,
    Refused,
    RemoteProtocolError,
    StreamReset,
    Unavailable,
)
from skywire.http.over_stream import StreamConnector
from skywire.http.reverse_proxy import ReverseProxy, proxy_session
from skywire.ports import SKYNET_FORWARDING, SKYNET_FORWARDING_2024, SKYNET_FORWARDING_MUX
from skywire.router.ports import offline
from skywire.streams.relay import close_within
from skywire.streams.stream import Stream
from skywire.streams.unread import unread
from skywire.streams.yamux import YamuxSession
from skywire.wire import forwarding
from skywire.wire.json_object import ObjectReader
from skywire.wire.route_group import MAX_MESSAGE

log = logging.getLogger(__name__)

DIAL_LIMIT = 60.0  # seconds for a route
HELLO_LIMIT = 10.0  # seconds for the other visor to answer

Dial = Callable[[PubKey, int], Awaitable[Stream]]


class Way(Enum):
    """How connections get there, the best first; the value is for people."""

    MUX = "one route for all connections"
    ROUTES = "a route for each connection"
    HTTP = "HTTP only: the other visor is of 2024"


_PORTS = {
    Way.MUX: SKYNET_FORWARDING_MUX,
    Way.ROUTES: SKYNET_FORWARDING,
    Way.HTTP: SKYNET_FORWARDING_2024,
}


async def greet(stream: Stream, port: int, *, ready: bool) -> Stream:
    """Ask for `port`; what follows on the stream is the connection. Owns `stream`.

    `ready`: the server speaks first. Raises Refused with its text, StreamError,
    RemoteProtocolError, TimeoutError.
    """
    reader, rest = ObjectReader(), b""
    try:
        async with asyncio.timeout(HELLO_LIMIT):
            if ready:
                rest = await _more(stream)
                if rest[:1] != forwarding.READY:
                    raise RemoteProtocolError(
                        f"{stream.remote} begins with byte {rest[0]:#04x}, expected 0x00"
                    )
                rest = rest[1:]
            await stream.write(forwarding.encode_hello(port))
            while (raw := reader.receive_data(rest)) is None:
                rest = await _more(stream)
        if reason := forwarding.parse_answer(raw):
            raise Refused(f"{stream.remote.pk} refuses port {port}: {reason}", reason=reason)
    except BaseException:
        stream.abort()
        raise
    return unread(stream, reader.rest)


async def _more(stream: Stream) -> bytes:
    data = await stream.read()
    if not data:
        raise StreamReset(f"{stream.remote} has closed the connection without an answer")
    return data


class FarPort:
    """One port of one visor. `close` it."""

    def __init__(self, dial: Dial, pk: PubKey, port: int) -> None:
        self.pk = pk
        self.port = port
        self.way: Way | None = None  # None: not known yet
        self._dial = dial
        self._session: YamuxSession | None = None
        self._turn = asyncio.Lock()

    async def find_way(self) -> Way:
        """Raises Refused (the port is not there for us), DialFailed, NotFound, TimeoutError."""
        stream = await self.open()
        await close_within(stream)
        assert self.way is not None  # noqa: S101 - found by `open`
        return self.way

    async def open(self) -> Stream:
        """A new connection; in the way `HTTP` it takes requests of 2024's kind. Raises as above."""
        if self.way is not None:
            try:
                return await self._open(self.way)
            except (StreamReset, RemoteProtocolError) as error:
                log.info("way lost remote=%s way=%s reason=%s", self.pk, self.way.name, error)
                self.way = None  # the other visor may be another version now
        causes = []
        for way in Way:
            try:
                stream = await self._open(way)
            except (StreamReset, RemoteProtocolError, NotSupported, Unavailable) as error:
                causes.append(f"port {_PORTS[way]}: {error}")
            except TimeoutError:
                causes.append(f"port {_PORTS[way]}: no answer within {HELLO_LIMIT:g} s")
            else:
                self.way = way
                return stream
            if way is Way.ROUTES and offline(_PORTS[way]) not in causes[-1]:
                break  # it is no node of 2024
        raise DialFailed(f"{self.pk} forwards no ports: " + "; ".join(causes))

    async def _open(self, way: Way) -> Stream:
        if way is not Way.MUX:
            return await greet(await self._route(way), self.port, ready=way is Way.ROUTES)
        async with self._turn:
            if self._session is None or self._session.is_over:
                await self._end_session()
                session = YamuxSession(await self._route(way), client=True)
                self._session = await session.__aenter__()
            session = self._session
        try:
            return await greet(await session.open(), self.port, ready=True)
        except (StreamReset, TimeoutError):
            if not session.streams:  # it carries nobody else
                await session.close()
            raise

    async def _route(self, way: Way) -> Stream:
        try:
            async with asyncio.timeout(DIAL_LIMIT):
                return await self._dial(self.pk, _PORTS[way])
        except TimeoutError:
            raise DialFailed(f"no route to {self.pk} within {DIAL_LIMIT:g} s") from None
        except NotFound as error:
            raise NotFound(f"no route to {self.pk}: {error}") from error

    async def _end_session(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def close(self) -> None:
        await self._end_session()


class OldPort:
    """A web server for a port of a node of 2024: requests go one by one over one route.

    `open` gives a stream that is through the hello. An async context manager.
    """

    def __init__(self, open: Callable[[], Awaitable[Stream]], port: int) -> None:
        self._open = open
        self._port = port
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> web.Application:
        connector = StreamConnector(lambda _: self._open(), limit=1)
        session = await self._stack.enter_async_context(proxy_session(connector))
        place = URL(f"http://localhost:{self._port}")
        proxy = ReverseProxy(session, lambda _: place, max_request=MAX_MESSAGE)
        return proxy.application()

    async def __aexit__(self, *reason: object) -> None:
        await self._stack.aclose()
