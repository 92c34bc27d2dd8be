"""Lets other visors reach ports of this machine: forwarding, served. Source: apps.md §9.2.

    server = PortServer(ports.get)
    await server.serve(network.listen(57))  # one stream, one connection
    await server.serve_sessions(network.listen(59)) # many connections in one yamux session

A connection is copied to the port as it is; where the entry says so, it is HTTP and each request
gets the key of who asks.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from skywire.config.values import HostPort
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, Refused, StreamReset
from skywire.http.over_stream import serve_one
from skywire.http.reverse_proxy import ReverseProxy, proxy_session
from skywire.streams.relay import close_within, copy_both
from skywire.streams.serving import serve_each
from skywire.streams.stream import Listener, Stream
from skywire.streams.tcp import dial_tcp
from skywire.streams.unread import unread
from skywire.streams.yamux import YamuxSession
from skywire.wire import forwarding
from skywire.wire.gob_types import BOOL, INT, PUBKEY, STRING, Go, Slice
from skywire.wire.json_object import ObjectReader

log = logging.getLogger(__name__)

HELLO_LIMIT = 10.0  # seconds for a client to say what it wants
DIAL_LIMIT = 5.0  # seconds for a port of this machine to answer
PAGE_LIMIT = 60.0  # seconds for the first HTTP request of a connection
MAX_CONNECTIONS = 512  # at a time
MAX_OF_ONE = 128  # of these, of one visor
MAX_SESSIONS = 64
KEY_HEADER, CARRIER_HEADER = "X-Skywire-Remote-PK", "X-Skywire-Transport"


@dataclass(slots=True, frozen=True)
class ForwardedPort:
    """`port` is what others ask for; with "" as `target` it is also the port of localhost.

    An empty `whitelist` lets everybody in. `inject_pk`: the port speaks HTTP, and each request has
    the key of who asks in a header; `preserve_host` leaves its Host as it was. `dmsg`: others
    reach it on that dmsg port, too, without a hello.
    """

    GO_NAME: ClassVar[str] = "ForwardedPort"
    port: Annotated[int, Go("Port", INT)] = 0
    label: Annotated[str, Go("Label", STRING)] = ""
    description: Annotated[str, Go("Description", STRING)] = ""
    target: Annotated[str, Go("ProxyAddr", STRING)] = ""
    whitelist: Annotated[list[PubKey], Go("Whitelist", Slice(PUBKEY))] = field(default_factory=list)
    inject_pk: Annotated[bool, Go("InjectPK", BOOL)] = False
    preserve_host: Annotated[bool, Go("PreserveHost", BOOL)] = False
    dmsg: Annotated[bool, Go("DMSG", BOOL)] = False
    no_skynet: Annotated[bool, Go("NoSkynet", BOOL)] = False
    name: Annotated[str, Go("Name", STRING)] = ""  # of those that were begun together

    @property
    def place(self) -> HostPort:
        return HostPort(self.target or f"localhost:{self.port}")

    def admits(self, pk: PubKey) -> bool:
        return not self.whitelist or pk in self.whitelist


class PortServer:
    """`find` gives the entry of a port. An async context manager: what is served ends with it."""

    def __init__(self, find: Callable[[int], ForwardedPort | None]) -> None:
        self._find = find
        self._of_peer: Counter[PubKey] = Counter()
        self._session: aiohttp.ClientSession | None = None
        self.served = 0  # connections so far

    async def __aenter__(self) -> "PortServer":
        return self

    async def __aexit__(self, *reason: object) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def serve(self, listener: Listener) -> None:
        """Port 57. Until the listener is closed; cancel to stop."""
        await serve_each(listener, self._greet, name="forwarding", limit=MAX_CONNECTIONS)

    async def serve_sessions(self, listener: Listener) -> None:
        """Port 59."""
        await serve_each(listener, self._sessions, name="forwarding mux", limit=MAX_SESSIONS)

    async def serve_directly(self, listener: Listener, port: int) -> None:
        """Without a hello: the port of `listener` stands for `port`, as on dmsg."""

        async def handle(stream: Stream) -> None:
            entry = self._admitted(port, stream)
            async with self._counted(stream):
                await self._carry(stream, entry, lambda: asyncio.sleep(0))

        await serve_each(listener, handle, name=f"forwarding {listener.address.network}")

    async def _sessions(self, stream: Stream) -> None:
        async with YamuxSession(stream, client=False, max_streams=MAX_OF_ONE) as session:
            await self.serve(session)

    async def _greet(self, stream: Stream) -> None:
        """The handshake; then the connection."""
        reader = ObjectReader()
        async with asyncio.timeout(HELLO_LIMIT):
            await stream.write(forwarding.READY)
            while (raw := reader.receive_data(await _more(stream))) is None:
                pass
        port = forwarding.parse_hello(raw)

        async def accept() -> None:
            await stream.write(forwarding.OK)

        try:
            async with self._counted(stream):
                entry = self._admitted(port, stream)
                await self._carry(unread(stream, reader.rest), entry, accept)
        except Refused as error:
            log.info("connection refused remote=%s port=%d reason=%s", stream.remote, port, error)
            async with asyncio.timeout(HELLO_LIMIT):
                await stream.write(forwarding.encode_answer(str(error.reason)))
            await close_within(stream)

    def _admitted(self, port: int, stream: Stream) -> ForwardedPort:
        """Raises Refused with the text for the peer."""
        pk, entry = stream.remote.pk, self._find(port)
        if pk is None:
            raise _refused(forwarding.UNKNOWN_PEER)
        on_dmsg = stream.remote.network == "dmsg"
        if entry is None or not (entry.dmsg if on_dmsg else not entry.no_skynet):
            raise _refused(forwarding.not_registered(port))
        if not entry.admits(pk):
            raise _refused(forwarding.NOT_WHITELISTED)
        return entry

    @asynccontextmanager
    async def _counted(self, stream: Stream) -> AsyncIterator[None]:
        pk = stream.remote.pk
        if pk is None:
            raise _refused(forwarding.UNKNOWN_PEER)
        if self._of_peer[pk] >= MAX_OF_ONE:
            raise _refused(f"more than {MAX_OF_ONE} connections at a time")
        self._of_peer[pk] += 1
        try:
            yield
        finally:
            self._of_peer[pk] -= 1
            if not self._of_peer[pk]:
                del self._of_peer[pk]

    async def _carry(
        self, stream: Stream, entry: ForwardedPort, accept: Callable[[], Awaitable[None]]
    ) -> None:
        if entry.inject_pk:
            await accept()
            await self._serve_page(stream, entry)
            return
        place = entry.place
        try:
            async with asyncio.timeout(DIAL_LIMIT):
                local = await dial_tcp(place.host or "localhost", place.port)
        except (DialFailed, TimeoutError) as error:
            log.info("no connection to %s error=%s", place, error or "time")
            raise _refused(forwarding.not_dialled(entry.port)) from error
        try:
            await accept()
        except BaseException:
            local.abort()
            raise
        self.served += 1
        await copy_both(stream, local)

    # HTTP, with the key of who asks

    async def _serve_page(self, stream: Stream, entry: ForwardedPort) -> None:
        if self._session is None:
            self._session = proxy_session(aiohttp.TCPConnector())

        def adjust(request: web.Request, headers: CIMultiDict[str]) -> None:
            for name in (KEY_HEADER, CARRIER_HEADER):
                headers.popall(name, None)
            headers[KEY_HEADER] = str(stream.remote.pk)
            headers[CARRIER_HEADER] = "dmsg" if stream.remote.network == "dmsg" else "skynet"
            if entry.preserve_host:
                headers["Host"] = request.host
                if "Origin" in request.headers:
                    headers["Origin"] = request.headers["Origin"]

        proxy = ReverseProxy(self._session, lambda _: URL(f"http://{entry.place}"), adjust=adjust)
        self.served += 1
        await serve_one(proxy.application(), stream, header_timeout=PAGE_LIMIT)


async def _more(stream: Stream) -> bytes:
    data = await stream.read()
    if not data:
        raise StreamReset(f"{stream.remote} has closed the connection before its hello")
    return data


def _refused(text: str) -> Refused:
    return Refused(text, reason=text)
