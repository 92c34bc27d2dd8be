"""The transport discovery: which transports exist. Source: services.md §2.

    discovery = TransportDiscovery(store, nonces)
    async with running(discovery.app()) as runner, asyncio.TaskGroup() as tasks:
        await listen(runner, "", 9091, what="transport discovery")
        tasks.create_task(discovery.run())

Ours differs on purpose: both edges must have signed an entry, the caller must be one of them, and
id and edges must belong together; an entry lives for its lease, and registering it again, which is
answered with 409, renews the lease.

As those of 2026, it counts how long visors were up: one sign of life in five minutes, from a visor
that has at least two transports. Source: rewards.md §8.
"""

import logging
from uuid import UUID

from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.errors import (
    AuthenticationFailed,
    Conflict,
    Forbidden,
    InvalidValue,
    NotFound,
    Unavailable,
)
from skywire.http.auth import Authentication, read_body
from skywire.services.base import (
    Common,
    OnDmsg,
    monitor_texts,
    service_app,
    sweep_for_ever,
)
from skywire.services.uptimes import Uptimes
from skywire.stores.contracts import NonceStore, TransportStore, UptimeStore
from skywire.wire import transport as wire
from skywire.wire.transport import Entry, SignedEntry

log = logging.getLogger(__name__)

PREFIX = "transport-discovery"  # of the nonces
MAX_REGISTERED = 128  # entries in one request: each costs two signature checks
MAX_TRANSPORTS = 1_000_000  # some 400 MB
MAX_LABEL = 64  # characters
MIN_TRANSPORTS = 2  # of a visor whose uptime counts
UPTIME_DAYS = 31  # that are kept
INVALID_ID = "transport ID is invalid"
INVALID_KEY = "public key is invalid"
UNKNOWN = "transport not found"


class TransportDiscovery:
    """The rules, on stores which stay their owner's."""

    def __init__(
        self,
        store: TransportStore,
        nonces: NonceStore,
        common: Common | None = None,
        *,
        uptimes: UptimeStore | None = None,
    ) -> None:
        """Without `uptimes` nothing is counted: those paths are unknown then."""
        self._store = store
        self._common = common or Common()
        self._uptimes = Uptimes(uptimes, self._common.clock) if uptimes else None
        self._auth = Authentication(nonces)
        self._count = 0  # at the last sweep
        self._listed: tuple[object, bytes] = (None, b"")  # version and answer of the whole list
        self._common.metrics.gauge(
            "transport_discovery_transports", "Transports that are registered.", lambda: self._count
        )

    def app(self, on_dmsg: OnDmsg | None = None) -> web.Application:
        signed = self._auth.signed
        routes = [
            web.post("/transports/", signed(self._register)),
            web.get("/transports/id:{id}", signed(self._by_id), allow_head=False),
            web.get("/transports/edge:{edge}", signed(self._by_edge), allow_head=False),
            web.delete("/transports/id:{id}", signed(self._delete)),
            web.delete("/transports/deregister", self._deregister),
            web.get("/all-transports", self._all, allow_head=False),
            web.post("/statuses", _removed),
            self._auth.route(),
        ]
        if self._uptimes is not None:
            routes.append(web.get("/v4/update", signed(self._update), allow_head=False))
            routes.append(web.get("/uptimes", self._uptimes.listing, allow_head=False))
        return service_app(
            "transport_discovery", self._common.metrics, routes, health=on_dmsg or OnDmsg()
        )

    async def run(self) -> None:
        """Forget what has expired, until cancelled."""
        await sweep_for_ever(self.sweep, "transports")

    async def sweep(self) -> int:
        removed = await self._store.sweep()
        self._count = await self._store.count()
        if self._uptimes is not None:
            await self._uptimes.forget_before(UPTIME_DAYS)
        return removed

    async def _update(self, request: web.Request, caller: PubKey) -> web.Response:
        transports = await self._store.by_edge(caller)
        if self._uptimes is not None and len(transports) >= MIN_TRANSPORTS:
            await self._uptimes.credit(caller, request.query.get("version", ""))
        return web.Response()

    async def _register(self, request: web.Request, caller: PubKey) -> web.Response:
        entries = wire.parse_signed_entries(await read_body(request))
        if len(entries) > MAX_REGISTERED:
            raise InvalidValue(f"{len(entries)} entries, expected at most {MAX_REGISTERED}")
        for signed in entries:
            _check(signed, caller)
        if self._count + len(entries) > MAX_TRANSPORTS:
            raise Unavailable(f"no room for new transports, {MAX_TRANSPORTS} are registered")
        conflict = None
        for signed in entries:
            try:
                await self._store.add(signed.entry, self._common.lease)
                self._count += 1
            except Conflict as error:
                conflict = error
        if conflict is not None:
            raise conflict
        return _json(wire.encode_list(entries), 201)

    async def _by_id(self, request: web.Request, _: PubKey) -> web.Response:
        entry = await self._store.by_id(_id(request))
        if entry is None:
            raise NotFound(UNKNOWN)
        return _json(_one(entry))

    async def _by_edge(self, request: web.Request, _: PubKey) -> web.Response:
        try:
            key = PubKey.parse(request.match_info["edge"])
        except InvalidValue as error:
            raise InvalidValue(INVALID_KEY) from error
        return _json(_list(await self._store.by_edge(key)))

    async def _all(self, request: web.Request) -> web.Response:
        version = await self._store.version()
        known, body = self._listed
        if version is None or version != known:
            body = _list(await self._store.all())
            self._listed = (version, body)
        return _json(body)

    async def _delete(self, request: web.Request, caller: PubKey) -> web.Response:
        id = _id(request)
        entry = await self._store.by_id(id)
        if entry is None:
            raise NotFound(UNKNOWN)
        if caller not in entry.edges:
            raise InvalidValue(INVALID_ID)
        await self._store.delete(id)
        return web.Response(text="transport deleted")

    async def _deregister(self, request: web.Request) -> web.Response:
        texts = await monitor_texts(request, self._common.monitors)
        if isinstance(texts, int):
            return web.Response(status=texts)
        status = 200
        for text in texts:
            try:
                await self._store.delete(UUID(text))
            except ValueError:
                status = 400
        log.info("transports deregistered count=%d", len(texts))
        return web.Response(status=status, body=b"null", content_type="application/json")


def _check(signed: SignedEntry, caller: PubKey) -> None:
    """Raises InvalidValue, Forbidden: a visor that lies about other visors' transports."""
    entry = signed.entry
    if len(entry.label) > MAX_LABEL:
        raise InvalidValue(f"transport {entry.id}: label exceeds {MAX_LABEL} characters")
    entry.check()
    if caller not in entry.edges:
        raise Forbidden(f"{caller} is not an edge of transport {entry.id}")
    try:
        wire.verify(signed)
    except AuthenticationFailed as error:
        raise Forbidden(str(error)) from error


def _id(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["id"])
    except ValueError as error:
        raise InvalidValue(INVALID_ID) from error


async def _removed(_: web.Request) -> web.Response:
    return web.Response(status=410)


def _one(entry: Entry) -> bytes:
    return wire.encode_list([entry])[1:-1]


def _list(entries: list[Entry]) -> bytes:
    """`null` when there are none, as the reference has it."""
    return wire.encode_list(entries) if entries else b"null"


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body + b"\n", content_type="application/json")
