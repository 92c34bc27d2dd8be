"""The address resolver: where visors can be reached. Source: services.md §4, transport.md §5.3.

    resolver = AddressResolver(store, nonces)
    async with running(resolver.app()) as runner, asyncio.TaskGroup() as tasks:
        port = await listen(runner, "", 9093, what="address resolver")
        tasks.create_task(resolver.serve_udp(await open_udp("0.0.0.0", port)))
        tasks.create_task(resolver.run())

Ours differs on purpose: bindings have leases, a UDP session that falls silent is unbound, a bind
with a malformed body is refused aloud, and `is_local` is set when caller and visor share a public
address.
"""

import logging

import msgspec
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.http.auth import Authentication, Unsaid, read_body
from skywire.services.base import (
    Common,
    OnDmsg,
    client_ip,
    is_public,
    monitor_texts,
    parse_ip,
    service_app,
    sweep_for_ever,
)
from skywire.services.resolver_udp import UdpBindings
from skywire.stores.contracts import BindingStore, NonceStore
from skywire.streams.udp import UdpSocket
from skywire.wire.resolver import STCPR, SUDPH, Binding, LocalAddresses, parse_addresses

log = logging.getLogger(__name__)

PREFIX = "address-resolver"  # of the nonces
MAX_PORT = 0xFFFF
_NETWORKS = (SUDPH, STCPR)


class AddressResolver:
    """The rules, on stores which stay their owner's."""

    def __init__(
        self, store: BindingStore, nonces: NonceStore, common: Common | None = None
    ) -> None:
        self._store = store
        self._common = common or Common()
        self._auth = Authentication(nonces)
        self._udp = UdpBindings(store)
        self._common.metrics.gauge(
            "address_resolver_udp_sessions", "Visors bound by UDP.", lambda: len(self._udp)
        )

    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application:
        signed = self._auth.signed
        routes = [
            web.post("/bind/stcpr", signed(self._bind)),
            web.delete("/bind/stcpr", signed(self._unbind)),
            web.get("/resolve/{network}/{pk}", signed(self._resolve), allow_head=False),
            web.get("/transports", self._keys, allow_head=False),
            web.delete("/deregister/{network}", self._deregister),
            self._auth.route(),
        ]
        return service_app(
            "address_resolver",
            self._common.metrics,
            routes,
            style=_style,
            health=on_dmsg or OnDmsg(),
        )

    async def serve_udp(self, socket: UdpSocket) -> None:
        """Bind visors' sudph sessions, until cancelled. Closes `socket`."""
        await self._udp.serve(socket)

    async def run(self) -> None:
        """Forget what has expired, until cancelled."""
        await sweep_for_ever(self._store.sweep, "bindings")

    async def _bind(self, request: web.Request, caller: PubKey) -> web.Response:
        addresses = parse_addresses(await read_body(request))
        ip = client_ip(request, trust_proxy=self._common.trust_proxy)
        told = f"{{{addresses.port} [{' '.join(addresses.addresses)}]}}"
        cannot = f"Cannot bind {caller} to {ip or request.remote} (STCPR). "
        if not is_public(ip, allow_loopback=self._common.allow_loopback):
            raise InvalidValue(f"{cannot}Invalid IP address in request: {told}")
        if ip not in map(parse_ip, addresses.addresses):
            raise InvalidValue(f"{cannot}Remote address not present in request: {told}")
        if not _is_port(addresses):
            raise InvalidValue(f"{cannot}Invalid port in request: {told}")
        binding = Binding(str(ip), port=addresses.port, addresses=addresses.addresses)
        await self._store.bind(STCPR, caller, binding, self._common.lease)
        return web.Response()

    async def _unbind(self, _: web.Request, caller: PubKey) -> web.Response:
        await self._store.unbind(STCPR, caller)
        return web.Response()

    async def _resolve(self, request: web.Request, caller: PubKey) -> web.Response:
        network = request.match_info["network"]
        if network not in _NETWORKS:
            return web.Response(status=500)
        try:
            key = PubKey.parse(request.match_info["pk"])
        except InvalidValue:
            return web.Response(status=400)
        binding = await self._store.binding(network, key)
        if binding is None:
            return web.Response(status=404)
        ip = client_ip(request, trust_proxy=self._common.trust_proxy)
        theirs = parse_ip(binding.remote_addr.partition(":")[0])
        binding = msgspec.structs.replace(binding, is_local=ip is not None and ip == theirs)
        answer = web.Response if network == STCPR else Unsaid
        if network == SUDPH:
            mine = await self._store.binding(SUDPH, caller)
            if mine is not None:
                self._udp.push(key, caller, mine.remote_addr)
                answer = web.Response
        return answer(body=binding.encode(), content_type="application/json")

    async def _keys(self, _: web.Request) -> web.Response:
        found = {network: await self._store.keys(network) for network in _NETWORKS}
        listed = {network: [str(key) for key in keys] for network, keys in found.items() if keys}
        return web.Response(body=msgspec.json.encode(listed), content_type="application/json")

    async def _deregister(self, request: web.Request) -> web.Response:
        texts = await monitor_texts(request, self._common.monitors)
        if isinstance(texts, int):
            return web.Response(status=texts)
        network = request.match_info["network"]
        if network not in _NETWORKS:
            return web.Response(status=400)
        try:
            keys = [PubKey.parse(text) for text in texts]
        except InvalidValue:
            return web.Response(status=400)
        for key in keys:
            await self._store.unbind(network, key)
        log.info("bindings deregistered network=%s count=%d", network, len(keys))
        return web.Response(body=b"null", content_type="application/json")


def _style(status: int, text: str) -> web.Response:
    """Errors of a bind; without a line feed."""
    body = msgspec.json.encode({"error": text})
    return web.Response(status=status, body=body, content_type="application/json")


def _is_port(addresses: LocalAddresses) -> bool:
    text = addresses.port
    return text.isascii() and text.isdigit() and 0 < int(text) <= MAX_PORT
