"""The dmsg discovery: who is where. Source: dmsg.md §8, §9.

    discovery = DmsgDiscovery(store)
    async with running(discovery.app()) as runner, asyncio.TaskGroup() as tasks:
        await listen(runner, "", 9090, what="dmsg discovery")
        tasks.create_task(discovery.run())

Ours differs from the reference on purpose: check and replacement of an entry are one step, a
request's body is bounded in size and time, entries signed with the keys of 2026 are understood.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import msgspec
from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.dmsg import discovery as texts
from skywire.errors import AuthenticationFailed, Conflict, InvalidValue, NotFound, SkywireError
from skywire.http.app import health_route, metrics_route
from skywire.metrics import Counter, Registry
from skywire.services.base import monitor_texts
from skywire.stores.contracts import DiscoveryStore
from skywire.streams.supervise import Backoff, keep_running
from skywire.wire import entry as wire
from skywire.wire.entry import Entry

log = logging.getLogger(__name__)

BASE = texts.BASE_PATH
SERVER_LIFETIME = 120.0  # seconds after each post; a server posts once a minute
ENTRY_TIMEOUT = 180.0  # seconds, for clients from before v0.5.0, which post with ?timeout=true
MAX_AVAILABLE = 512  # servers in one answer
MAX_ENTRIES = 1_000_000  # some 500 MB: clients' entries never expire, and anybody can make keys
MAX_BODY = wire.MAX_SIZE  # bytes; some 3,600 keys in a deregistration
BODY_TIMEOUT = 10.0  # seconds for a body to arrive
SWEEP_INTERVAL = 10.0  # seconds
OFFICIAL = "official"
COMMUNITY = "community"
_JSON = {"Content-Type": "application/json"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Settings:
    test_mode: bool = False  # servers may have loopback addresses
    passphrase: str = ""  # a server that posts it as its type is official; so "" is for all
    official: frozenset[PubKey] = frozenset()  # servers that are official by their key
    monitors: frozenset[PubKey] = frozenset()  # may deregister any entry
    entry_timeout: float = ENTRY_TIMEOUT


class DmsgDiscovery:
    """The rules, on a store which stays its owner's."""

    def __init__(
        self,
        store: DiscoveryStore,
        settings: Settings | None = None,
        *,
        clock: Callable[[], int] = time.time_ns,
        metrics: Registry | None = None,
    ) -> None:
        self._store = store
        self._settings = settings or Settings()
        self._clock = clock
        self._metrics = metrics or Registry()
        self._answers: dict[int, Counter] = {}  # by status
        self._counts = (0, 0)  # servers, clients: of the last sweep
        count = "Entries by what they are; one may be both."
        self._metrics.gauge("dmsg_entries", count, lambda: self._counts[0], type="server")
        self._metrics.gauge("dmsg_entries", count, lambda: self._counts[1], type="client")

    def app(
        self, dmsg_address: str = "", dmsg_servers: Callable[[], Sequence[str]] = tuple
    ) -> web.Application:
        """The HTTP API. The arguments are what `/health` tells about dmsg."""
        app = web.Application(middlewares=[self._count_answers], client_max_size=MAX_BODY)
        app.add_routes(
            [
                web.get(f"{BASE}/entry/{{pk}}", self._get_entry, allow_head=False),
                web.post(f"{BASE}/entry/", self._post_entry),
                web.post(f"{BASE}/entry/{{pk}}", self._post_entry),
                web.delete(f"{BASE}/entry", self._delete_entry),
                web.get(f"{BASE}/entries", self._client_keys, allow_head=False),
                web.get(f"{BASE}/visorEntries", self._visor_keys, allow_head=False),
                web.get(f"{BASE}/available_servers", self._available_servers, allow_head=False),
                web.get(f"{BASE}/all_servers", self._all_servers, allow_head=False),
                web.delete(f"{BASE}/deregister", self._deregister),
                health_route(dmsg_address, dmsg_servers),
                metrics_route(self._metrics),
            ]
        )
        return app

    async def run(self) -> None:
        """Forget expired entries, until cancelled; goes on when the store fails for a while."""
        await keep_running(
            self.sweep, "dmsg discovery sweep", backoff=Backoff(SWEEP_INTERVAL, SWEEP_INTERVAL)
        )

    async def sweep(self) -> None:
        removed = await self._store.sweep()
        self._counts = await self._store.count()
        if removed:
            log.info("entries expired count=%d", removed)

    async def _get_entry(self, request: web.Request) -> web.Response:
        try:
            key = PubKey.parse_or_null(request.match_info["pk"])
        except InvalidValue:
            return _message(400, texts.BAD_INPUT)
        document = await self._store.document(key)
        if document is None:
            raise NotFound(texts.NO_ENTRY)
        return web.Response(body=document, headers=_JSON)

    async def _post_entry(self, request: web.Request) -> web.Response:
        try:
            entry = wire.parse(await _body(request))
        except InvalidValue as error:
            log.debug("post refused remote=%s error=%s", request.remote, error)
            return _message(500, texts.UNEXPECTED)
        if entry.server and not self._settings.test_mode and _is_local(entry.server.address):
            raise InvalidValue(texts.LOCALHOST)
        wire.validate(entry, now=self._clock())
        entry = self._classified(wire.verified(entry))
        if sum(self._counts) >= MAX_ENTRIES and await self._store.document(entry.static) is None:
            return _message(503, f"no room for new entries, {MAX_ENTRIES} are stored")
        lifetime = None
        if entry.server is not None:
            lifetime = SERVER_LIFETIME
        elif request.query.get("timeout") == "true":
            lifetime = self._settings.entry_timeout
        is_new = await self._store.put(entry, lifetime)
        return _message(200, "wrote a new entry" if is_new else "wrote new entry iteration")

    def _classified(self, entry: Entry) -> Entry:
        """Rewrites the server type, and with it what the signature covers: so does Go."""
        if entry.server is None:
            return entry
        given, passphrase = entry.server.server_type, self._settings.passphrase
        official = entry.static in self._settings.official or hmac.compare_digest(
            given.encode(), passphrase.encode()
        )
        server = msgspec.structs.replace(
            entry.server, server_type=OFFICIAL if official else COMMUNITY
        )
        return msgspec.structs.replace(entry, server=server)

    async def _delete_entry(self, request: web.Request) -> web.Response:
        try:
            entry = wire.parse(await _body(request))
        except InvalidValue:
            return _message(500, texts.UNEXPECTED)
        wire.validate(entry, now=self._clock())
        await self._store.delete(wire.verified(entry).static)
        return _message(200, "deleted entry")

    async def _client_keys(self, _: web.Request) -> web.Response:
        return _keys(await self._store.client_keys())

    async def _visor_keys(self, _: web.Request) -> web.Response:
        return _keys(await self._store.visor_keys())

    async def _available_servers(self, _: web.Request) -> web.Response:
        return _documents(await self._store.available_servers(MAX_AVAILABLE))

    async def _all_servers(self, _: web.Request) -> web.Response:
        return _documents(await self._store.all_servers())

    async def _deregister(self, request: web.Request) -> web.Response:
        """A monitor removes entries. Its signature covers its own key's text only: replayable."""
        asked = await monitor_texts(request, self._settings.monitors)
        if isinstance(asked, int):
            return web.Response(status=asked)
        try:
            keys = [PubKey.parse_or_null(text) for text in asked]
        except InvalidValue:
            return _message(400, texts.BAD_INPUT)
        for key in keys:
            await self._store.delete(key)
        log.info("entries deregistered count=%d", len(keys))
        return web.Response(body=b"null", headers=_JSON)

    @web.middleware
    async def _count_answers(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _answer_errors(request, handler)
        counter = self._answers.get(response.status)
        if counter is None:
            counter = self._answers[response.status] = self._metrics.counter(
                "dmsg_discovery_answers_total", "Answers by status.", status=str(response.status)
            )
        counter.add()
        return response


async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except NotFound as error:
        return _message(404, str(error))
    except (InvalidValue, Conflict) as error:
        return _message(422, str(error))
    except AuthenticationFailed:
        return _message(401, texts.BAD_SIGNATURE)
    except web.HTTPNotFound:
        return web.Response(status=404, text="404 page not found\n")
    except web.HTTPMethodNotAllowed as error:
        return web.Response(status=405, headers={"Allow": error.headers["Allow"]})
    except web.RequestPayloadError:  # an encoding that is broken, or a body that breaks off
        return _message(500, texts.UNEXPECTED)
    except web.HTTPRequestEntityTooLarge:
        return _message(413, f"request body is larger than {MAX_BODY} bytes")
    except TimeoutError:
        return _message(408, f"request body did not arrive within {BODY_TIMEOUT:g} s")
    except SkywireError as error:
        log.error("request failed path=%s error=%s", request.path, error)
        return _message(500, texts.UNEXPECTED)
    except Exception:
        log.exception("request failed method=%s path=%s", request.method, request.path)
        return _message(500, texts.UNEXPECTED)


async def _body(request: web.Request) -> bytes:
    async with asyncio.timeout(BODY_TIMEOUT):
        return await request.read()


def _message(status: int, text: str) -> web.Response:
    body = msgspec.json.encode({"message": text, "code": status})
    return web.Response(status=status, body=body, headers=_JSON)


def _keys(keys: Iterable[PubKey]) -> web.Response:
    return web.Response(body=msgspec.json.encode([str(key) for key in keys]), headers=_JSON)


def _documents(documents: Sequence[bytes]) -> web.Response:
    if not documents:
        raise NotFound(texts.NO_SERVERS)
    return web.Response(body=b"[" + b",".join(documents) + b"]", headers=_JSON)


def _is_local(address: str) -> bool:
    """A loopback IP or no host before the port. Host names and texts without a port pass, as in
    the reference: their servers are unreachable, not dangerous."""
    host, colon, _ = address.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or (bare == host and ":" in host):
        return False
    if not bare:
        return True
    try:
        ip = ip_address(bare.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return ip.is_loopback or bool(mapped and mapped.is_loopback)
