"""Questions to the network, each with its own deadline; a failure is an answer, nothing raises.

Names are looked up in threads that nobody waits for: a dead DNS costs no more than `DNS_LIMIT`.
"""

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from skywire.cli.net_targets import Target
from skywire.crypto import generate
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient, split_host_port
from skywire.dmsg.direct import StaticDirectory
from skywire.dmsg.discovery import Directory, DiscoveryClient
from skywire.errors import SkywireError, Unavailable
from skywire.http.client import dmsg_session
from skywire.ports import DMSG_SETUP_NODE
from skywire.streams.stun import discover_nat
from skywire.wire.entry import Entry

DNS_LIMIT = 5.0  # seconds for one name
HTTP_LIMIT = 8.0  # seconds for the answer of a service
SERVER_LIMIT = 8.0  # seconds for a dmsg server …
DMSG_LIMIT = 20.0  # … and for what is reached through them
STUN_LIMIT = 15.0  # seconds
MAX_SERVERS = 32  # dmsg servers that are tried
MAX_BODY = 256 * 1024  # bytes of an answer that are read
MAX_TEXT = 200  # characters of somebody's words


class NameResult(msgspec.Struct, frozen=True):
    host: str
    addresses: list[str]
    latency_ms: float
    error: str = ""


class ServiceResult(msgspec.Struct, frozen=True):
    """`over` is http or dmsg; `clock_skew_s` how far we are ahead of the service's clock."""

    name: str
    url: str
    over: str
    status: str  # healthy, unhealthy or down
    latency_ms: float | None = None
    version: str = ""
    clock_skew_s: float | None = None
    error: str = ""

    @property
    def is_well(self) -> bool:
        return self.status == "healthy"


class ServerResult(msgspec.Struct, frozen=True):
    """`latency_ms` is of the TCP connection, `session_ms` of the whole handshake."""

    public_key: str
    address: str
    latency_ms: float | None = None
    session_ms: float | None = None
    own_address: str = ""  # as the server sees us
    error: str = ""


class NatResult(msgspec.Struct, frozen=True):
    """`udp` None: nobody can tell."""

    nat_type: str
    public_ip: str = ""
    udp: bool | None = None
    symmetric: bool = False
    error: str = ""


class PeerResult(msgspec.Struct, frozen=True):
    public_key: str
    latency_ms: float | None = None
    error: str = ""


class _Build(msgspec.Struct):
    version: str = ""


class _Health(msgspec.Struct):
    build_info: _Build | None = None


def reason(error: BaseException, limit: float) -> str:
    text = str(error) or (
        f"no answer within {limit:g} s" if isinstance(error, TimeoutError) else type(error).__name__
    )
    return "".join(char if char.isprintable() else " " for char in text)[:MAX_TEXT]


# Names


async def lookup(host: str, port: int = 0, limit: float = DNS_LIMIT) -> list[tuple[int, str]]:
    """Family and address. Raises OSError; TimeoutError after `limit` seconds."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Any] = loop.create_future()

    def done(result: Any, error: BaseException | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(result)
        else:
            found.set_exception(error)

    def work() -> None:
        result: Any = None
        failed: BaseException | None = None
        try:
            result = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failed = error if isinstance(error, OSError) else OSError(str(error))
        with suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(done, result, failed)

    threading.Thread(target=work, daemon=True, name=f"dns {host}").start()
    async with asyncio.timeout(limit):
        rows = await found
    return list(dict.fromkeys((int(row[0]), str(row[4][0])) for row in rows))


class Resolver(AbstractResolver):
    """aiohttp's names, by `lookup`."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            rows = await lookup(host, port)
        except (OSError, TimeoutError) as error:
            raise OSError(None, f"name not found: {reason(error, DNS_LIMIT)}") from error
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, address in rows
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Nothing to close."""


def hosts_of(urls: Iterable[str]) -> list[str]:
    """The names in URLs; addresses need nobody to find them."""
    found: dict[str, None] = {}
    for url in urls:
        with suppress(ValueError):
            host = urlsplit(url if "://" in url else f"//{url}").hostname
            if host and not url.startswith("dmsg://") and not _is_address(host):
                found[host] = None
    return list(found)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def resolve(host: str, limit: float = DNS_LIMIT) -> NameResult:
    begin = time.monotonic()
    try:
        rows = await lookup(host, limit=limit)
    except (OSError, TimeoutError) as error:
        return NameResult(host, [], _ms(begin), reason(error, limit))
    return NameResult(host, [address for _, address in rows], _ms(begin))


# Services


@asynccontextmanager
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=Resolver()),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:
        yield session


async def ask_service(
    session: aiohttp.ClientSession, target: Target, limit: float = HTTP_LIMIT
) -> ServiceResult:
    """Over HTTP."""
    return await _health(session, target, target.url, "http", limit)


async def ask_twin(client: DmsgClient, target: Target, limit: float = DMSG_LIMIT) -> ServiceResult:
    """Over dmsg."""
    async with dmsg_session(client.dial, keep_alive=False) as session:
        return await _health(session, target, target.twin, "dmsg", limit)


async def _health(
    session: aiohttp.ClientSession, target: Target, url: str, over: str, limit: float
) -> ServiceResult:
    begin, now = time.monotonic(), time.time()
    try:
        async with (
            asyncio.timeout(limit),
            session.get(f"{url.rstrip('/')}/health", allow_redirects=False) as response,
        ):
            body = await response.content.read(MAX_BODY)
    except (aiohttp.ClientError, SkywireError, OSError, TimeoutError, ValueError) as error:
        return ServiceResult(target.name, url, over, "down", error=reason(error, limit))
    took = _ms(begin)
    skew = _skew(response.headers.get("Date", ""), now, time.time())
    if response.status != 200:
        why = f"status {response.status}"
        return ServiceResult(target.name, url, over, "unhealthy", took, "", skew, why)
    version = ""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        build = msgspec.json.decode(body, type=_Health).build_info
        version = "" if build is None else build.version[:40]
    return ServiceResult(target.name, url, over, "healthy", took, version, skew)


def _skew(date: str, before: float, after: float) -> float | None:
    """Seconds we are ahead; 0 for what whole seconds and the way there explain."""
    try:
        told = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    if before > told + 1:  # the header has dropped up to a second
        return before - (told + 1)
    return min(0.0, after - told)


async def get_json(session: aiohttp.ClientSession, url: str) -> Any:
    """What `url` answers. Raises Unavailable."""
    try:
        async with (
            asyncio.timeout(HTTP_LIMIT),
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise Unavailable(f"{url}: status {response.status}")
            return msgspec.json.decode(await response.content.read(MAX_BODY))
    except (
        aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError
    ) as error:  # fmt: skip
        raise Unavailable(f"{url}: {reason(error, HTTP_LIMIT)}") from error


# dmsg


def discovery_client(url: str) -> DiscoveryClient:
    """Asked over HTTP, once. Raises InvalidValue."""
    connector = aiohttp.TCPConnector(resolver=Resolver())
    return DiscoveryClient(url, connector=connector, timeout=HTTP_LIMIT, attempts=1)


async def listed_servers(
    discovery: Directory | None, limit: float = HTTP_LIMIT
) -> tuple[list[Entry], str]:
    """What the discovery lists, and why not."""
    if discovery is None:
        return [], "there is none over HTTP"
    try:
        async with asyncio.timeout(limit):
            return await discovery.all_servers(), ""
    except (SkywireError, TimeoutError) as error:
        return [], reason(error, limit)


class Unseen(StaticDirectory):
    """For a client that leaves no trace: it reads the discovery and writes nothing there."""

    def __init__(self, known: Sequence[Entry], discovery: Directory | None) -> None:
        super().__init__(known)
        self._discovery = discovery
        self._keys = {entry.static for entry in known}

    async def entry(self, pk: PubKey) -> Entry:
        if pk in self._keys or self._discovery is None:
            return await super().entry(pk)
        return await self._discovery.entry(pk)


def unseen_client(known: Sequence[Entry], discovery: Directory | None) -> DmsgClient:
    """With a key of its own, which ends with it."""
    return DmsgClient(*generate.key_pair(), Unseen(known, discovery))


async def ask_server(
    client: DmsgClient, server: Entry, limit: float = SERVER_LIMIT
) -> ServerResult:
    """TCP, then a session that proves the server's key."""
    address = "" if server.server is None else server.server.address
    key = str(server.static)
    tcp = session = None
    try:
        host, port = split_host_port(address)
        begin = time.monotonic()
        async with asyncio.timeout(limit):
            _, writer = await asyncio.open_connection(host, port)
            tcp = _ms(begin)
            writer.transport.abort()
            begin = time.monotonic()
            seen = await client.look_up_ip(server.static)
            session = _ms(begin)
    except (SkywireError, OSError, TimeoutError) as error:
        return ServerResult(key, address, tcp, session, error=reason(error, limit))
    return ServerResult(key, address, tcp, session, seen[:MAX_TEXT])


async def ask_setup_node(client: DmsgClient, pk: PubKey, limit: float = DMSG_LIMIT) -> PeerResult:
    """A stream to it, and no word on it."""
    begin = time.monotonic()
    try:
        async with asyncio.timeout(limit):
            stream = await client.dial(pk, DMSG_SETUP_NODE)
    except (SkywireError, TimeoutError) as error:
        return PeerResult(str(pk), error=reason(error, limit))
    stream.abort()
    return PeerResult(str(pk), _ms(begin))


# NAT


async def ask_stun(servers: Sequence[str], limit: float = STUN_LIMIT) -> NatResult:
    if not servers:
        return NatResult("unknown", error="no STUN server is named")
    try:
        async with asyncio.timeout(limit):
            nat = await discover_nat(servers)
    except TimeoutError as error:
        return NatResult("unknown", error=reason(error, limit))
    public = nat.public[0] if nat.public else ""
    if nat.type.is_known:
        return NatResult(nat.type.value, public, True, nat.type.is_symmetric)
    if public:  # it answers, and cannot tell more
        return NatResult("unknown", public, True, error=nat.type.value)
    return NatResult("unknown", udp=False, error=f"no answer from {', '.join(servers)}"[:MAX_TEXT])


def _ms(begin: float) -> float:
    return (time.monotonic() - begin) * 1000
