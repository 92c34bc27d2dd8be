"""The config bootstrapper: tells new visors where the services are. Source: services.md §7.

bootstrapper = ConfigBootstrapper(deployment())
async with running(bootstrapper.app()) as runner, asyncio.TaskGroup() as tasks:
    await listen(runner, "", 9082, what="config bootstrapper")
    tasks.create_task(bootstrapper.run())
"""

import asyncio
import logging

import aiohttp
import msgspec
from aiohttp import web

from skywire.config.deployment import Deployment
from skywire.dmsg.discovery import BASE_PATH
from skywire.metrics import Registry
from skywire.services.base import OnDmsg, service_app
from skywire.streams.supervise import Backoff, keep_running

log = logging.getLogger(__name__)

REFRESH = 300.0  # seconds between two rounds of questions
TIMEOUT = 10.0  # seconds for an answer
MAX_ANSWER = 4 * 1024 * 1024  # bytes
SERVICES = (
    "dmsg_discovery",
    "transport_discovery",
    "address_resolver",
    "route_finder",
    "uptime_tracker",
    "service_discovery",
)


class _Server(msgspec.Struct):
    address: str


class DmsgServer(msgspec.Struct):
    static: str
    server: _Server


class DmsgHttp(msgspec.Struct, frozen=True):
    """Where the services are on dmsg; empty: unknown."""

    dmsg_servers: tuple[DmsgServer, ...] | None = None
    dmsg_discovery: str = ""
    transport_discovery: str = ""
    address_resolver: str = ""
    route_finder: str = ""
    uptime_tracker: str = ""
    service_discovery: str = ""


class _Health(msgspec.Struct):
    dmsg_address: str = ""


class ConfigBootstrapper:
    def __init__(self, deployment: Deployment, metrics: Registry | None = None) -> None:
        self.deployment = deployment
        self._metrics = metrics or Registry()
        self._on_dmsg = DmsgHttp()

    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application:
        """`/health` never tells of dmsg servers."""
        routes = [
            web.get("/", self._config, allow_head=False),
            web.get("/dmsghttp", self._dmsghttp, allow_head=False),
        ]
        health = OnDmsg(on_dmsg.address if on_dmsg else "")
        return service_app("config_bootstrapper", self._metrics, routes, health=health)

    async def run(self) -> None:
        """Ask the services where they are on dmsg, again and again, until cancelled."""
        await keep_running(self.refresh, "config bootstrapper", backoff=Backoff(REFRESH, REFRESH))

    async def refresh(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session:
            addresses = await asyncio.gather(
                *(_dmsg_address(session, getattr(self.deployment, name)) for name in SERVICES)
            )
            servers = await _servers(session, self.deployment.dmsg_discovery)
        self._on_dmsg = DmsgHttp(servers, *addresses)

    async def _config(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode(self.deployment.told())
        return web.Response(body=body, content_type="application/json")

    async def _dmsghttp(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode(self._on_dmsg)
        return web.Response(body=body, content_type="application/json")


async def _get(session: aiohttp.ClientSession, url: str) -> bytes:
    """b"" when there is no answer."""
    try:
        async with session.get(url) as response:
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > MAX_ANSWER:
                    raise ValueError(f"answer exceeds {MAX_ANSWER} bytes")
            return bytes(body)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        log.info("service is unreachable url=%s error=%s", url, error or "no answer")
        return b""


async def _dmsg_address(session: aiohttp.ClientSession, url: str) -> str:
    """dmsg://<pk>:80 of the service at `url`, "" when unknown."""
    if not url:
        return ""
    try:
        health = msgspec.json.decode(await _get(session, f"{url}/health"), type=_Health)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return f"dmsg://{health.dmsg_address}" if health.dmsg_address else ""


async def _servers(session: aiohttp.ClientSession, url: str) -> tuple[DmsgServer, ...] | None:
    if not url:
        return None
    try:
        body = await _get(session, f"{url}{BASE_PATH}/all_servers")
        return msgspec.json.decode(body, type=tuple[DmsgServer, ...]) or None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
