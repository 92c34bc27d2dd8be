"""The service discovery: which visors offer what. Source: services.md §5.

    discovery = ServiceDiscovery(store, nonces)
    async with running(discovery.app()) as runner, asyncio.TaskGroup() as tasks:
        await listen(runner, "", 9098, what="service discovery")
        tasks.create_task(discovery.run())

Ours differs on purpose: a record lives for its lease, and texts are bounded.
"""

import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

import msgspec
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, SkywireError
from skywire.http.auth import Authentication, json_line, read_body
from skywire.services.base import (
    Common,
    Ip,
    OnDmsg,
    client_ip,
    is_public,
    monitor_texts,
    parse_ip,
    service_app,
    sweep_for_ever,
)
from skywire.stores.contracts import NonceStore, ServiceStore
from skywire.wire.service import PROXY, SKYSOCKS, VISOR, VPN, Geo, Service, parse_address

log = logging.getLogger(__name__)

PREFIX = "service-discovery"  # of the nonces
BASE = "/api/services"
MAX_TEXT = 64  # characters of a type, version, country, region or address
MAX_IPS = 64
MISSING_TYPE = "missing service type in request"
INVALID_JSON = "invalid json"
NOT_FOUND = "record not found"

FindGeo = Callable[[Ip], Awaitable[Geo | None]]


async def no_geo(_: Ip) -> Geo | None:
    return None


class ServiceDiscovery:
    """The rules, on stores which stay their owner's. `find_geo` may raise SkywireError."""

    def __init__(
        self,
        store: ServiceStore,
        nonces: NonceStore,
        common: Common | None = None,
        *,
        find_geo: FindGeo = no_geo,
    ) -> None:
        self._store = store
        self._common = common or Common()
        self._auth = Authentication(nonces)
        self._find_geo = find_geo

    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application:
        signed = self._auth.signed
        routes = [
            web.get(BASE, self._list, allow_head=False),
            web.post(BASE, signed(self._register)),
            web.get(f"{BASE}/{{address}}", self._one, allow_head=False),
            web.delete(f"{BASE}/{{address}}", signed(self._delete)),
            web.delete(f"{BASE}/deregister/{{type}}", self._deregister),
            self._auth.route(),
        ]
        return service_app(
            "service_discovery",
            self._common.metrics,
            routes,
            style=_style,
            cors=True,
            health=on_dmsg or OnDmsg(),
        )

    async def run(self) -> None:
        """Forget what has expired, until cancelled."""
        await sweep_for_ever(self._store.sweep, "services")

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        kind = _kind(request, alias=True)
        text = query.get("quantity", "")
        try:
            quantity = int(text) if text else 0
        except ValueError:
            return json_line({"error": "quantity must be integer"}, 400)
        found: Sequence[Service] = await self._store.services(
            kind, query.get("version", ""), query.get("country", "")
        )
        if 0 < quantity < len(found):
            found = random.sample(found, quantity)
        return json_line([service.for_list() for service in found] or None)

    async def _one(self, request: web.Request) -> web.Response:
        kind = _kind(request, alias=True)
        key, _ = parse_address(request.match_info["address"])
        service = await self._store.service(key, kind)
        if service is None:
            return _style(500, NOT_FOUND)
        return json_line(service)

    async def _register(self, request: web.Request, caller: PubKey) -> web.Response:
        service, key = _parse(await read_body(request))
        if not service.type:
            raise InvalidValue(MISSING_TYPE)
        ip = client_ip(request, trust_proxy=self._common.trust_proxy)
        if service.geo is None:
            if service.type == VISOR and not is_public(
                ip, allow_loopback=self._common.allow_loopback
            ):
                return _style(500, "failed to get visor data")
            service = msgspec.structs.replace(service, geo=await self._geo(ip))
        if key != caller:
            return _style(403, "using public key other than your own is forbidden")
        if service.type in (VPN, SKYSOCKS) and not service.version:
            return _style(403, "visor version is too old")
        if service.type == VISOR and (
            ip is None or ip not in map(parse_ip, service.local_ips or ())
        ):
            return _style(403, "visor is unreachable")
        stored = await self._store.put(
            msgspec.structs.replace(service, info=None), self._common.lease
        )
        return json_line(stored)

    async def _geo(self, ip: Ip | None) -> Geo | None:
        if ip is None or not is_public(ip):
            return None
        try:
            return await self._find_geo(ip)
        except (SkywireError, TimeoutError) as error:
            log.warning("no geo data ip=%s error=%s", ip, error)
            return None

    async def _delete(self, request: web.Request, caller: PubKey) -> web.Response:
        kind = _kind(request)
        key, _ = parse_address(request.match_info["address"])
        if key != caller:
            return _style(403, "using public key other than your own is forbidden")
        await self._store.delete(key, kind)
        return json_line(True)

    async def _deregister(self, request: web.Request) -> web.Response:
        texts = await monitor_texts(request, self._common.monitors)
        if isinstance(texts, int):
            return web.Response(status=texts)
        try:
            keys = [PubKey.parse(text) for text in texts]
        except InvalidValue:
            return web.Response(status=400)
        for key in keys:
            await self._store.delete(key, request.match_info["type"])
        log.info("services deregistered count=%d", len(keys))
        return json_line(True)


def _kind(request: web.Request, *, alias: bool = False) -> str:
    kind = request.query.get("type", "")
    if not kind:
        raise InvalidValue(MISSING_TYPE)
    return SKYSOCKS if alias and kind == PROXY else kind


def _parse(body: bytes) -> tuple[Service, PubKey]:
    """Raises InvalidValue."""
    try:
        service = msgspec.json.decode(body, type=Service)
        key, port = parse_address(service.address)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidValue) as error:
        raise InvalidValue(INVALID_JSON) from error
    geo, ips = service.geo or Geo(), service.local_ips or ()
    texts = (service.type, service.version, geo.country, geo.region, *ips)
    if len(ips) > MAX_IPS or any(len(text) > MAX_TEXT or "\0" in text for text in texts):
        raise InvalidValue(f"{INVALID_JSON}: a text exceeds {MAX_TEXT} characters, or too many IPs")
    return msgspec.structs.replace(service, address=f"{key}:{port}"), key


def _style(status: int, text: str) -> web.Response:
    return json_line({"error": f"{HTTPStatus(status).phrase}: {text}"}, status)
