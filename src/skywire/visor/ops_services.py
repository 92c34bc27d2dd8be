"""What the services of the deployment tell, asked by the visor. Source: visor.md §3.2."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar
from urllib.parse import urlencode

import msgspec

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound, NotSupported, SkywireError, Unavailable
from skywire.operations import operation
from skywire.transport.service_directory import ListedService, ServiceDirectory
from skywire.visor.services import Services
from skywire.wire.gob_types import FLOAT, STRING, Go, Marshaller, Slice
from skywire.wire.service import PROXY, VPN

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

ASK_LIMIT = 15.0  # seconds for one service's answer …
HEALTH_LIMIT = 8.0  # … and for whether it is well

MAX_PATH = 2048  # characters
MAX_FETCHED = 32 * 1024 * 1024  # bytes
SHORT = {  # as the deployment's config names them
    "dmsg_discovery": "dmsg.discovery",
    "transport_discovery": "transport.discovery",
    "address_resolver": "transport.address_resolver",
    "route_finder": "routing.route_finder",
    "uptime_tracker": "uptime_tracker.addr",
    "service_discovery": "launcher.service_discovery",
}
_PATH = re.compile(r"/(?!/)[\w.~:@!$&'()*+,;=/?%-]*", re.ASCII)

SERVICE = Marshaller("servicedisc.Service", ListedService.dump, ListedService.load, ListedService())
Listed = Annotated[list[ListedService], Slice(SERVICE)]


@dataclass(slots=True)
class FilterServersIn:
    """Empty ones let all through; the country is a code."""

    GO_NAME: ClassVar[str] = "FilterServersIn"
    version: Annotated[str, Go("Version", STRING)] = ""
    country: Annotated[str, Go("Country", STRING)] = ""


@operation(rpc="VPNServers", http="GET /visors/{pk}/vpn-servers")
async def vpn_servers(visor: "Visor", request: FilterServersIn) -> Listed:
    """The VPN servers that the service discovery lists."""
    return await _listed(visor, VPN, request)


@operation(rpc="ProxyServers", http="GET /visors/{pk}/proxy-servers")
async def proxy_servers(visor: "Visor", request: FilterServersIn) -> Listed:
    """The SOCKS proxies that the service discovery lists."""
    return await _listed(visor, PROXY, request)


async def _listed(visor: "Visor", kind: str, request: FilterServersIn) -> list[ListedService]:
    key, url = "launcher.service_discovery", visor.config.launcher.service_discovery
    if not url:
        raise NotSupported(f"this visor has no service discovery: its config has no {key}")
    try:
        async with asyncio.timeout(ASK_LIMIT), visor.services.temporary(key, url) as session:
            directory = ServiceDirectory(session)
            return await directory.listed(kind, version=request.version, country=request.country)
    except TimeoutError:
        raise Unavailable(f"{key}: {url} does not answer within {ASK_LIMIT:g} s") from None


@operation(rpc="FetchUptimeTrackerData")
async def uptime_data(visor: "Visor", pk: str) -> bytes:
    """How long visors were online, as JSON: one's with its key, everybody's with none."""
    if pk:
        PubKey.parse(pk)
    key, url = _tracker(visor)
    return await _uptimes(visor.services, key, url, pk)


def _tracker(visor: "Visor") -> tuple[str, str]:
    """The uptime tracker; the transport discovery, which takes its place, when there is none."""
    tracker, config = visor.config.uptime_tracker, visor.config.transport
    if tracker is not None and tracker.addr:
        return "uptime_tracker.addr", tracker.addr
    if not config.discovery:
        raise NotSupported(
            "this visor's config has neither uptime_tracker.addr nor transport.discovery"
        )
    return "transport.discovery", config.discovery


async def _uptimes(services: Services, key: str, url: str, pk: str) -> bytes:
    query = urlencode({"v": "v2"} | ({"visors": pk} if pk else {}))
    try:
        async with asyncio.timeout(ASK_LIMIT), services.temporary(key, url) as session:
            status, answer = await session.plain("GET", f"/uptimes?{query}")
    except TimeoutError:
        raise Unavailable(f"{key}: {url} does not answer within {ASK_LIMIT:g} s") from None
    if status != 200:
        raise Unavailable(f"{key}: {url} refuses the uptimes (status {status})")
    return answer


@dataclass(slots=True)
class ServiceHealth:
    """How a service answers; `error` is "" for one that does. `transport` is "http" or "dmsg"."""

    name: Annotated[str, Go("Name", STRING)] = ""
    url: Annotated[str, Go("URL", STRING)] = ""
    status: Annotated[str, Go("Status", STRING)] = ""
    version: Annotated[str, Go("Version", STRING)] = ""
    error: Annotated[str, Go("Error", STRING)] = ""
    latency_ms: Annotated[float, Go("LatencyMS", FLOAT)] = 0.0
    transport: Annotated[str, Go("Transport", STRING)] = ""


class _Build(msgspec.Struct):
    version: str = ""


class _Health(msgspec.Struct):
    build_info: _Build | None = None


def _urls(visor: "Visor") -> dict[str, str]:
    """Key of the config → URL; those that are not configured are missing."""
    config = visor.config
    tracker = config.uptime_tracker
    urls = {
        "dmsg.discovery": config.dmsg.discovery,
        "transport.discovery": config.transport.discovery,
        "transport.address_resolver": config.transport.address_resolver,
        "routing.route_finder": config.routing.route_finder,
        "uptime_tracker.addr": "" if tracker is None else tracker.addr,
        "launcher.service_discovery": config.launcher.service_discovery,
    }
    return {key: url for key, url in urls.items() if url}


@dataclass(slots=True)
class FetchServiceIn:
    """Ours. `service` is a key of the config, or the short name; `path` begins with a slash."""

    service: Annotated[str, Go("Service", STRING)] = ""
    path: Annotated[str, Go("Path", STRING)] = ""


@operation(rpc="FetchService", http="GET /svc-fetch")
async def fetch_service(visor: "Visor", request: FetchServiceIn) -> bytes:
    """What a service of the deployment tells everybody who asks for a path."""
    key = SHORT.get(request.service, request.service)
    url = _urls(visor).get(key, "")
    if not url:
        known = ", ".join([*SHORT, *SHORT.values()])
        raise NotFound(f"no service '{key[:60]}' in this visor's config: expected one of {known}")
    path = request.path
    if len(path) > MAX_PATH or not _PATH.fullmatch(path):
        raise InvalidValue(f"path '{path[:80]}': expected one such as /health")
    try:
        async with asyncio.timeout(ASK_LIMIT), visor.services.temporary(key, url) as session:
            status, answer = await session.plain("GET", path)
    except TimeoutError:
        raise Unavailable(f"{key}: {url} does not answer within {ASK_LIMIT:g} s") from None
    if status != 200:
        raise Unavailable(f"{key}: {url}{path} answers with status {status}")
    if len(answer) > MAX_FETCHED:
        raise Unavailable(f"{key}: {url}{path} answers with more than {MAX_FETCHED} bytes")
    return answer


@operation(rpc="ServiceHealth", http="GET /visors/{pk}/service-health")
async def service_health(visor: "Visor") -> list[ServiceHealth]:
    """How the services that the config names answer now."""
    services = visor.services
    asked = [_health(services, key, url) for key, url in _urls(visor).items()]
    return list(await asyncio.gather(*asked))


async def _health(services: Services, key: str, url: str) -> ServiceHealth:
    clock = asyncio.get_running_loop().time
    found = ServiceHealth(key, url, transport=url.partition(":")[0])
    begin = clock()
    try:
        async with asyncio.timeout(HEALTH_LIMIT), services.temporary(key, url) as session:
            status, answer = await session.plain("GET", "/health")
    except (SkywireError, TimeoutError) as error:
        found.status, found.error = "down", str(error) or f"no answer within {HEALTH_LIMIT:g} s"
        return found
    found.latency_ms = round((clock() - begin) * 1000, 1)
    if status != 200:
        found.status, found.error = "unhealthy", f"status {status}"
        return found
    found.status = "healthy"
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        build = msgspec.json.decode(answer, type=_Health).build_info
        found.version = "" if build is None else build.version[:100]
    return found
