"""The node visualizer's data: which visors are at which address, and their transports.

Source: services.md §8. Ours differs on purpose: what a source no longer tells is removed, and a
source that does not answer is asked again instead of ending the program. An uptime tracker that
does not answer, or knows no address yet, costs the addresses only.
"""

import asyncio
import logging

import aiohttp
import msgspec
from aiohttp import web

from skywire.errors import InvalidValue, Unavailable
from skywire.metrics import Registry
from skywire.services.base import OnDmsg, service_app
from skywire.streams.supervise import Backoff, keep_running
from skywire.wire.transport import Entry, encode_list, parse_entries

log = logging.getLogger(__name__)

REFRESH = 600.0  # seconds between two rounds
RETRY = 10.0  # seconds after a failed round
TIMEOUT = 30.0  # seconds for an answer
MAX_ANSWER = 64 * 1024 * 1024  # bytes


class Node(msgspec.Struct, frozen=True):
    """The visors at one IP address."""

    count: int
    public_keys: tuple[str, ...]


class NodeVisualizer:
    """`uptime_tracker` is the URL of its private API; without one there are no nodes."""

    def __init__(
        self, transport_discovery: str, uptime_tracker: str = "", metrics: Registry | None = None
    ) -> None:
        self._transport_discovery = transport_discovery.rstrip("/")
        self._uptime_tracker = uptime_tracker.rstrip("/")
        self._metrics = metrics or Registry()
        self._nodes: dict[str, Node] = {}
        self._edges: list[Entry] = []
        self._body = b""
        self._render()

    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application:
        routes = [web.get("/map", self._map, allow_head=False)]
        return service_app(
            "node_visualizer", self._metrics, routes, cors=True, health=on_dmsg or OnDmsg()
        )

    async def run(self) -> None:
        """Ask the sources again and again, until cancelled."""
        await keep_running(self._round, "node visualizer", backoff=Backoff(RETRY, RETRY))

    async def _round(self) -> None:
        await self.refresh()
        await asyncio.sleep(REFRESH)

    async def refresh(self) -> None:
        """Raises Unavailable, InvalidValue; what was known stays then."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session:
            body = await _get(session, f"{self._transport_discovery}/all-transports")
            edges = parse_entries(body)
            if self._uptime_tracker:
                self._nodes = await self._addresses(session)
        self._edges = edges
        self._render()

    async def _addresses(self, session: aiohttp.ClientSession) -> dict[str, Node]:
        """Raises InvalidValue."""
        try:
            body = await _get(session, f"{self._uptime_tracker}/visor-ips?month=all")
        except Unavailable as error:
            log.info("no addresses error=%s", error)
            return self._nodes
        try:
            return msgspec.json.decode(body, type=dict[str, Node])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidValue(f"{self._uptime_tracker}: {error}") from error

    def _render(self) -> None:
        nodes = msgspec.json.encode(dict(sorted(self._nodes.items())))
        self._body = b'{"nodes":%s,"edges":%s}\n' % (nodes, encode_list(self._edges))

    async def _map(self, _: web.Request) -> web.Response:
        return web.Response(body=self._body, content_type="application/json")


async def _get(session: aiohttp.ClientSession, url: str) -> bytes:
    try:
        async with session.get(url) as response:
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > MAX_ANSWER:
                    raise Unavailable(f"{url}: answer exceeds {MAX_ANSWER} bytes")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unavailable(f"{url}: {error or 'no answer'}") from error
    if response.status != 200:
        raise Unavailable(f"{url}: status {response.status}")
    return bytes(body)
