"""What lies beyond a visor, over HTTP: dmsg, services, other visors, routes to them.

Paths of 2026 (hypervisor.md §4.2, §4.3), forms of ours. A path without a key is about our own
visor.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import InvalidValue, SkywireError
from skywire.hypervisor import audit
from skywire.hypervisor.answers import read_body
from skywire.hypervisor.call import call_function
from skywire.hypervisor.forms import Adapter, by_body, by_query, form, plain, raw, raw_answer, told
from skywire.ports import DMSG_HTTP
from skywire.visor import ops_dmsg, ops_fetch, ops_ping, ops_routes, ops_services
from skywire.visor.ops_fetch import DmsgHTTPRequest
from skywire.visor.ops_ping import TracePingIn
from skywire.visor.ops_routes import FindRoutesIn
from skywire.visor.ops_services import FetchServiceIn, FilterServersIn, ServiceHealth
from skywire.visor.types import DmsgServer

PING_LIMIT = 25.0  # seconds, the route included
MAX_TRIES = 10

Hops = Annotated[int, Meta(ge=0, le=0xFFFF)]


class SessionsCount(msgspec.Struct, forbid_unknown_fields=True):
    """0: every server."""

    sessions_count: Annotated[int, Meta(ge=0, le=0xFFFF)]


class PingBody(msgspec.Struct, forbid_unknown_fields=True):
    """`via`: a visor over which the route must lead; `size` in KiB."""

    pk: str
    via: str = ""
    tries: Annotated[int, Meta(ge=1, le=MAX_TRIES)] = 1
    size: Annotated[int, Meta(ge=0, le=1024)] = 0

    def request(self) -> TracePingIn:
        via = PubKey.parse(self.via) if self.via else NULL_KEY
        return TracePingIn(PubKey.parse(self.pk), via, self.tries, self.size)


class TargetBody(msgspec.Struct, forbid_unknown_fields=True):
    pk: str


SERVERS = {"version": "only servers of this version", "country": "only those of this country code"}
ROUTES = {
    "from": "public key; without it, the visor itself",
    "to": "public key",
    "min_hops": "at least so many transports",
    "max_hops": "at most so many",
}
FETCH = {
    "service": "key of the config, or short: dmsg_discovery, transport_discovery, "
    "address_resolver, route_finder, uptime_tracker, service_discovery",
    "path": "begins with a slash",
}


def _servers(query: Mapping[str, str]) -> FilterServersIn:
    return FilterServersIn(query.get("version", "")[:100], query.get("country", "")[:100])


def _routes(query: Mapping[str, str], *, calculate: bool = False) -> FindRoutesIn:
    source = query.get("from", "")
    return FindRoutesIn(
        PubKey.parse(source) if source else NULL_KEY,
        PubKey.parse(query.get("to", "")),
        _hops(query, "min_hops"),
        _hops(query, "max_hops"),
        calculate,
    )


def _hops(query: Mapping[str, str], key: str) -> int:
    text = query.get(key) or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 0xFFFF):
        raise InvalidValue(f"invalid '{key}' query value of '{text[:80]}': expected 0 to 65535")
    return int(text)


@form(query=ROUTES, answer=ops_routes.FoundRoutes)
async def calculate_route(request: web.Request) -> web.StreamResponse:
    """A way from one visor to another, calculated from the list of all transports."""
    wanted = _routes(request.query, calculate=True)
    return told(request, await call_function(request, ops_routes.find_routes, wanted))


@form(query={"pk": "public key of a service or visor", "port": "dmsg port; 80 without it"})
async def health_fetch(request: web.Request) -> web.StreamResponse:
    """The `/health` of a service or visor, fetched over dmsg by the visor."""
    pk = PubKey.parse(request.query.get("pk", ""))
    port = _hops(request.query, "port") or DMSG_HTTP
    wanted = DmsgHTTPRequest(f"dmsg://{pk}:{port}/health")
    found = await call_function(request, ops_fetch.dmsg_http, wanted)
    if found.status != 200:
        raise SkywireError(f"dmsg://{pk}:{port}/health answers with status {found.status}")
    return raw_answer(found.body)


# About our own visor


@form(answer=list[ServiceHealth])
async def service_health(request: web.Request) -> web.StreamResponse:
    """How the services that our own visor's config names answer now."""
    return told(request, await call_function(request, ops_services.service_health))


@form()
async def all_transports(request: web.Request) -> web.StreamResponse:
    """All transports there are, as the transport discovery lists them."""
    wanted = FetchServiceIn("transport.discovery", "/all-transports")
    return raw_answer(await call_function(request, ops_services.fetch_service, wanted))


@form(query={"pk": "one visor; without it, all"})
async def visor_uptime(request: web.Request) -> web.StreamResponse:
    """How long visors were online, as the uptime tracker has it."""
    pk = request.query.get("pk", "")
    wanted = str(PubKey.parse(pk)) if pk else ""
    return raw_answer(await call_function(request, ops_services.uptime_data, wanted))


@form(answer=list[DmsgServer])
async def own_sessions(request: web.Request) -> web.StreamResponse:
    """The dmsg servers of our own visor."""
    return told(request, await call_function(request, ops_dmsg.dmsg_sessions))


@form(answer=int)
async def own_sessions_count(request: web.Request) -> web.StreamResponse:
    """How many dmsg servers our own visor wants to be connected to."""
    return told(request, await call_function(request, ops_dmsg.dmsg_sessions_count))


@audit.change("set dmsg sessions")
@form(body=SessionsCount)
async def set_own_sessions_count(request: web.Request) -> web.StreamResponse:
    """Have our own visor stay connected to so many dmsg servers."""
    body = await read_body(request, SessionsCount)
    count = body.sessions_count
    return told(request, await call_function(request, ops_dmsg.set_dmsg_sessions, count))


@audit.change("dmsg connect all")
@form()
async def connect_own(request: web.Request) -> web.StreamResponse:
    """Have our own visor connect to every dmsg server."""
    return told(request, await call_function(request, ops_dmsg.dmsg_connect_all))


ADAPTERS: dict[Any, Adapter] = {
    ops_dmsg.set_dmsg_sessions: by_body(SessionsCount, lambda body: body.sessions_count),
    ops_dmsg.dmsg_connect_all: plain(),
    ops_ping.trace_ping: by_body(PingBody, PingBody.request, limit=PING_LIMIT),
    ops_ping.dmsg_ping: by_body(TargetBody, lambda body: PubKey.parse(body.pk)),
    ops_routes.find_routes: by_query(ROUTES, _routes),
    ops_services.vpn_servers: by_query(SERVERS, _servers),
    ops_services.proxy_servers: by_query(SERVERS, _servers),
    ops_services.fetch_service: raw(
        FETCH,
        lambda query: (FetchServiceIn(query.get("service", ""), query.get("path") or "/health"),),
    ),
}
MORE = [
    web.get("/api/visors/{pk}/route-calc", calculate_route),
    web.get("/api/visors/{pk}/health-fetch", health_fetch),
    web.get("/api/service-health", service_health),
    web.get("/api/network/transports", all_transports),
    web.get("/api/network/visor-uptime", visor_uptime),
    web.get("/api/dmsg/sessions", own_sessions),
    web.get("/api/dmsg/sessions-count", own_sessions_count),
    web.put("/api/dmsg/sessions-count", set_own_sessions_count),
    web.post("/api/dmsg/connect-all", connect_own),
]
