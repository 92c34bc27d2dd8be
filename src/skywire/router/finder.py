"""Where a route may go: asks the route finder, or calculates when it is away.

    local = LocalRoutes(lambda: all_transports(tpd_session.plain), own_entries)
    async with RouteFinder("http://rf.example.org", local=local) as finder:
        found = await finder.find(source, target)
        found.forward[0], found.reverse[0]

Source: routing.md §5.1 step 3, services.md §3. Ours differs on purpose: the reference gives up when
the finder cannot be asked, and knows nothing of visors that have just failed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

import aiohttp

from skywire.crypto.keys import PubKey
from skywire.errors import (
    LocalProtocolError,
    NotFound,
    RemoteProtocolError,
    SkywireError,
    Unavailable,
)
from skywire.router.dialling import Avoid, Finder, Routes
from skywire.wire import routes as wire
from skywire.wire import transport
from skywire.wire.route_graph import Edge, RouteGraph
from skywire.wire.routes import MAX_HOPS, Bounds, Path
from skywire.wire.transport import Entry

log = logging.getLogger(__name__)

TIMEOUT = 10.0  # seconds for one answer
RETRY_TIME = 2.0  # seconds after which a finder that fails is not asked again
RETRY_PAUSE = 0.5  # seconds
AWAY_TIME = 15.0  # seconds for which a finder that failed is asked only for what is not known here
LIST_TIME = 10.0  # seconds for a list of all transports
LIST_AGE = 30.0  # seconds for which a list serves
MAX_ANSWER = 1024 * 1024  # bytes; ten paths of 50 hops are some 100 KB
ANY = Bounds(0, MAX_HOPS)
NOTHING = Avoid()
_JSON = {"Content-Type": "application/json"}


class LocalRoutes:
    """A Finder on a list of transports: that of the transport discovery, and our own links.

    When the list cannot be had, the last one serves, and our own links do in any case.
    """

    def __init__(
        self,
        everything: Callable[[], Awaitable[Sequence[Entry]]] | None = None,
        own: Callable[[], Iterable[Entry]] = tuple,
    ) -> None:
        """`everything` raises SkywireError when it cannot tell."""
        self._everything = everything
        self._own = own
        self._listed = RouteGraph()
        self._read = float("-inf")
        self._turn = asyncio.Lock()

    async def find(
        self, source: PubKey, target: PubKey, bounds: Bounds = ANY, avoid: Avoid = NOTHING
    ) -> Routes:
        await self._refresh()
        graph = self._listed
        added = [
            edge.id
            for edge in (Edge(e.id, *e.edges, e.type) for e in self._own())
            if edge.id not in graph.ids and graph.add(edge)
        ]
        try:
            forward = graph.paths(
                source, target, bounds, avoid=avoid.visors, avoid_transports=avoid.transports
            )
        finally:
            for id in added:
                graph.remove(id)
        return Routes(forward, [turned(path) for path in forward])

    async def _refresh(self) -> None:
        clock = asyncio.get_running_loop().time
        if self._everything is None or clock() < self._read + LIST_AGE:
            return
        async with self._turn:
            if clock() < self._read + LIST_AGE:
                return
            self._read = clock()  # also when it fails: others must not wait for it, too
            try:
                async with asyncio.timeout(LIST_TIME):
                    entries = await self._everything()
            except (SkywireError, TimeoutError) as error:
                log.warning(
                    "no list of transports, using %d known ones error=%s",
                    len(self._listed),
                    str(error) or "time",
                )
                return
            graph = RouteGraph()
            for entry in entries:
                graph.add(Edge(entry.id, *entry.edges, entry.type))
            self._listed = graph


def turned(path: Path) -> Path:
    """The way back over the same transports."""
    return [wire.Hop(hop.tp_id, hop.to_pk, hop.from_pk) for hop in reversed(path)]


class Fixed:
    """A Finder that knows one way."""

    def __init__(self, path: Path) -> None:
        self._routes = Routes([path], [turned(path)])

    async def find(
        self, source: PubKey, target: PubKey, bounds: Bounds = ANY, avoid: Avoid = NOTHING
    ) -> Routes:
        return self._routes


class Through:
    """A Finder of ways that lead over a certain visor."""

    def __init__(self, finder: Finder, via: PubKey) -> None:
        self._finder = finder
        self._via = via

    async def find(
        self, source: PubKey, target: PubKey, bounds: Bounds = ANY, avoid: Avoid = NOTHING
    ) -> Routes:
        """Raises NotFound, too, when every such way passes a visor twice."""
        half = bounds._replace(low=0)
        try:
            first = await self._finder.find(source, self._via, half, avoid)
            second = await self._finder.find(self._via, target, half, avoid)
        except NotFound as error:
            raise NotFound(f"no way to {target} leads over {self._via}: {error}") from error
        forward = _joined(first.forward, second.forward, bounds)
        if not forward:
            raise NotFound(f"no way to {target} leads over {self._via}")
        reverse = _joined(second.reverse, first.reverse, bounds)
        return Routes(forward, reverse or [turned(path) for path in forward])


def _joined(begins: list[Path], ends: list[Path], bounds: Bounds) -> list[Path]:
    """Those that pass no visor twice, the shortest first."""
    found = [begin + end for begin in begins for end in ends]
    fit = [
        path
        for path in found
        if bounds.low <= len(path) <= bounds.high
        and len({path[0].from_pk, *(hop.to_pk for hop in path)}) == len(path) + 1
    ]
    return sorted(fit, key=len)


class RouteFinder:
    """A Finder over HTTP, with another one for when it is away; an async context manager."""

    def __init__(
        self,
        url: str,
        *,
        local: Finder | None = None,
        connector: aiohttp.BaseConnector | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """`connector` may be a `DmsgConnector`, with `url` "dmsg://<pk>:80"; it stays its
        owner's."""
        self.url = url.rstrip("/")
        self._local = local
        self._connector = connector
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._away_until = float("-inf")

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=self._connector is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def find(
        self, source: PubKey, target: PubKey, bounds: Bounds = ANY, avoid: Avoid = NOTHING
    ) -> Routes:
        clock = asyncio.get_running_loop().time
        if self._local is not None and clock() < self._away_until:
            with suppress(NotFound):
                return await self._local.find(source, target, bounds, avoid)
        try:
            found = await self._ask(source, target, bounds)
        except (Unavailable, RemoteProtocolError) as error:
            if self._local is None:
                raise
            self._away_until = clock() + AWAY_TIME
            log.warning("route finder is away, calculating url=%s error=%s", self.url, error)
            return await self._calculated(source, target, bounds, avoid, error)
        forward = [path for path in found.forward if not avoid.faults(path)]
        reverse = [path for path in found.reverse if not avoid.faults(path)]
        if forward:
            return Routes(forward, reverse or [turned(path) for path in forward])
        none = NotFound(f"the route finder knows no way to {target} but over what has just failed")
        if self._local is None:
            raise none
        return await self._calculated(source, target, bounds, avoid, none)

    async def _calculated(
        self,
        source: PubKey,
        target: PubKey,
        bounds: Bounds,
        avoid: Avoid,
        cause: SkywireError,
    ) -> Routes:
        if self._local is None:
            raise cause
        try:
            return await self._local.find(source, target, bounds, avoid)
        except NotFound as error:
            raise NotFound(f"{error} (calculated here, for: {cause})") from cause

    async def _ask(self, source: PubKey, target: PubKey, bounds: Bounds) -> Routes:
        """Raises NotFound, Unavailable, RemoteProtocolError."""
        body = wire.encode_request([(source, target), (target, source)], bounds)
        status, answer = await self._answer(body)
        if status == 404:
            raise NotFound(_message(answer) or "transport not found")
        if status != 200:
            raise Unavailable(f"route finder {self.url}: status {status}, {_message(answer)}")
        paths = wire.parse_response(answer)
        forward, reverse = paths.get((source, target), []), paths.get((target, source), [])
        if not forward or not reverse:
            raise RemoteProtocolError(f"route finder {self.url}: no paths in its answer")
        return Routes(forward, reverse)

    async def _answer(self, body: bytes) -> tuple[int, bytes]:
        """Tried again for RETRY_TIME seconds. Raises Unavailable."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + RETRY_TIME
        while True:
            try:
                status, answer = await self._post(body)
                if status < 500:
                    return status, answer
                reason = f"status {status}, {_message(answer)}"
            except Unavailable as error:
                reason = str(error)
            if clock() + RETRY_PAUSE > give_up:
                raise Unavailable(f"route finder {self.url} cannot be asked: {reason}")
            await asyncio.sleep(RETRY_PAUSE)

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body. Raises Unavailable."""
        if self._session is None:
            raise LocalProtocolError('use a RouteFinder with "async with"')
        try:
            async with self._session.post(
                self.url + "/routes", data=body, headers=_JSON, allow_redirects=False
            ) as response:
                answer = bytearray()
                async for chunk in response.content.iter_any():
                    answer += chunk
                    if len(answer) > MAX_ANSWER:
                        raise Unavailable(f"an answer of more than {MAX_ANSWER} bytes")
                return response.status, bytes(answer)
        except (aiohttp.ClientError, SkywireError, TimeoutError, OSError) as error:
            raise Unavailable(str(error) or "no answer in time") from error


class Plain(Protocol):
    """`SignedSession.plain` of a session with the transport discovery."""

    async def __call__(self, method: str, path: str) -> tuple[int, bytes]: ...


async def all_transports(ask: Plain) -> list[Entry]:
    """The whole list, which anybody may have. Raises SkywireError."""
    status, answer = await ask("GET", "/all-transports")
    if status != 200:
        raise Unavailable(f"transport discovery: the list of all transports has status {status}")
    return transport.parse_entries(answer)


def _message(answer: bytes) -> str:
    """The text of the finder's error, for people."""
    return wire.parse_error(answer) or answer[:200].decode("utf-8", "replace").strip()
