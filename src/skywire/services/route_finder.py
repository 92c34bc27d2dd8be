"""The route finder: paths over the transports that are registered. Source: services.md §3.

    finder = RouteFinder(store)
    async with running(finder.app()) as runner:
        await listen(runner, "", 9092, what="route finder")

Requests are answered from a graph in memory (`services.graph`).
"""

import asyncio
import time

from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound
from skywire.http.auth import read_body
from skywire.metrics import Registry
from skywire.services.base import OnDmsg, service_app
from skywire.services.graph import LiveGraph
from skywire.stores.contracts import TransportStore
from skywire.wire import routes as wire
from skywire.wire.routes import Bounds, Path

MAX_EDGES = 16  # in one request; a visor asks for two
SLOW = 0.005  # seconds of searching after which others have their turn


def error_response(status: int, text: str) -> web.Response:
    body = wire.encode_error(status, text)
    return web.Response(status=status, body=body, content_type="application/json")


class RouteFinder:
    """The rules, on a store which stays its owner's."""

    def __init__(self, store: TransportStore, metrics: Registry | None = None) -> None:
        self._live = LiveGraph(store)
        self._metrics = metrics or Registry()
        self._metrics.gauge(
            "route_finder_transports",
            "Transports that are known.",
            lambda: len(self._live.graph),
        )

    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application:
        return service_app(
            "route_finder",
            self._metrics,
            [web.post("/routes", self._routes)],
            style=error_response,
            health=on_dmsg or OnDmsg(),
        )

    async def _routes(self, request: web.Request) -> web.Response:
        asked = wire.parse_request(await read_body(request))
        if len(asked.edges) > MAX_EDGES:
            raise InvalidValue(f"{len(asked.edges)} edges, expected at most {MAX_EDGES}")
        await self._live.refresh()
        try:
            found = await self._search(asked)
        except NotFound:
            if not await self._live.refresh(at_once=True):
                raise
            found = await self._search(asked)
        return web.Response(body=wire.encode_response(found), content_type="application/json")

    async def _search(self, asked: wire.Request) -> dict[tuple[str, str], list[Path]]:
        """Raises NotFound when one of the edges has no path."""
        found = {}
        since = time.perf_counter()
        for source, target in asked.edges:
            found[source, target] = self._paths(source, target, asked.bounds)
            if time.perf_counter() - since > SLOW:
                await asyncio.sleep(0)
                since = time.perf_counter()
        return found

    def _paths(self, source: str, target: str, bounds: Bounds) -> list[Path]:
        return self._live.graph.paths(self._key(source), self._key(target), bounds)

    def _key(self, text: str) -> bytes:
        """Raises InvalidValue; keys in the graph are known to be good."""
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = b""
        return raw if raw in self._live.graph else PubKey.parse(text)
