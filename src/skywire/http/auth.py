"""Requests signed by a key, with a counter against replays. Source: services.md §1.3, §1.4.

A client:

    async with SignedSession("http://tpd.example.org", pk, sk) as session:
        status, body = await session.request("GET", f"/transports/edge:{pk}")

A server wraps its handlers: `web.post("/transports/", auth.signed(handler))`, and they are called
with the request and the caller's key. The stored nonce advances when the handler answers 200, not
otherwise: a 201 leaves it, and so does `Unsaid`, a 200 in which nothing was done.

Ours differs on purpose: requests of one key are handled one at a time, so that no two of them pass
with the same nonce.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol, Self

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from skywire.crypto import curve
from skywire.crypto.keys import PubKey, SecKey, Signature
from skywire.errors import AuthenticationFailed, InvalidValue, RemoteProtocolError, Unavailable

log = logging.getLogger(__name__)

PUBLIC = "SW-Public"
NONCE = "SW-Nonce"
SIGNATURE = "SW-Sig"
MONITOR = "NM-PK"
MONITOR_SIGNATURE = "NM-Sign"
NONCE_PATH = "/security/nonces"
BODY_TIMEOUT = 10.0  # seconds for a request's body to arrive
TIMEOUT = 30.0  # seconds for a whole answer; the reference's services give up then, too
MAX_ANSWER = 64 * 1024 * 1024  # bytes; some 250,000 transports
_NONCE_LIMIT = 1 << 64

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SignedHandler = Callable[[web.Request, PubKey], Awaitable[web.StreamResponse]]


class Nonces(Protocol):
    """The store's part: `stores.contracts.NonceStore`."""

    async def next_nonce(self, key: PubKey) -> int: ...

    async def advance(self, key: PubKey) -> None: ...


class Unsaid(web.Response):
    """A 200 without effect: the nonce stays."""


def signed_payload(body: bytes, nonce: int) -> bytes:
    """What a request's signature covers; neither its method nor its path."""
    return body + str(nonce).encode()


def signed_headers(pk: PubKey, sk: SecKey, nonce: int, body: bytes) -> dict[str, str]:
    return {
        PUBLIC: str(pk),
        NONCE: str(nonce),
        SIGNATURE: curve.sign(signed_payload(body, nonce), sk).hex(),
    }


def monitor_headers(pk: PubKey, sk: SecKey) -> dict[str, str]:
    """For deregistration: the signature is always of the key's own text."""
    return {MONITOR: str(pk), MONITOR_SIGNATURE: curve.sign(str(pk).encode(), sk).hex()}


class _Refusal(msgspec.Struct):
    message: str
    code: int


class _Refused(msgspec.Struct):
    error: _Refusal


class _NextNonce(msgspec.Struct):
    edge: str
    next_nonce: int


class SignedSession:
    """Requests of one key to one service, one at a time, each with the next nonce.

    `connector` may be a `DmsgConnector`, with `url` "dmsg://<pk>:80"; it stays its owner's.
    """

    def __init__(
        self,
        url: str,
        pk: PubKey,
        sk: SecKey,
        connector: aiohttp.BaseConnector | None = None,
        *,
        timeout: float = TIMEOUT,
        headers: Mapping[str, str] | None = None,
        more_headers: Callable[[], Awaitable[Mapping[str, str]]] | None = None,
    ) -> None:
        """`headers` go with every request, and what `more_headers` answers each time."""
        self.url = url.rstrip("/")
        self._pk = pk
        self._sk = sk
        self._connector = connector
        self._timeout = timeout
        self._headers = dict(headers or {})
        self._more_headers = more_headers
        self._session: aiohttp.ClientSession | None = None
        self._nonce: int | None = None  # None: to be asked for
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=self._connector is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            headers=self._headers,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body, whatever the status. Raises Unavailable, RemoteProtocolError.

        A refusal with code 401 is tried once more with the nonce the service then names.
        """
        async with self._turn:
            status, answer = await self._attempt(method, path, body)
            if status == 401 and _is_refusal(answer):
                self._nonce = None
                status, answer = await self._attempt(method, path, body)
            return status, answer

    async def plain(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """The same without a signature, for what a service tells everybody."""
        return await self._send(method, path, body, {})

    async def _attempt(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self._nonce is None:
            self._nonce = await self._ask_nonce()
        nonce, self._nonce = self._nonce, None  # unknown until the answer is here
        headers = signed_headers(self._pk, self._sk, nonce, body)
        status, answer = await self._send(method, path, body, headers)
        self._nonce = nonce + 1 if status == 200 else nonce
        return status, answer

    async def _ask_nonce(self) -> int:
        path = f"{NONCE_PATH}/{self._pk}"
        status, body = await self._send("GET", path, b"", {})
        try:
            nonce = msgspec.json.decode(body, type=_NextNonce).next_nonce if status == 200 else -1
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            nonce = -1
        if not 0 <= nonce < _NONCE_LIMIT:
            raise RemoteProtocolError(
                f"{self.url}{path}: status {status}, {body[:80]!r}; expected a nonce"
            )
        return nonce

    async def _send(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("a SignedSession is to be entered first")
        url = URL(self.url + path, encoded=True)
        if self._more_headers is not None:
            headers = {**await self._more_headers(), **headers}
        try:
            async with self._session.request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            ) as response:
                answer = bytearray()
                async for piece in response.content.iter_any():
                    answer += piece
                    if len(answer) > MAX_ANSWER:
                        raise RemoteProtocolError(f"{url}: answer exceeds {MAX_ANSWER} bytes")
                return response.status, bytes(answer)
        except TimeoutError as error:
            raise Unavailable(f"{url}: no answer within {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{url}: {error}") from error


def _is_refusal(body: bytes) -> bool:
    try:
        return msgspec.json.decode(body, type=_Refused).error.code == 401
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


class Turns:
    """One at a time for each key; a key that nobody waits for takes no memory."""

    def __init__(self) -> None:
        self._locks: dict[PubKey, asyncio.Lock] = {}
        self._users: Counter[PubKey] = Counter()

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def of(self, key: PubKey) -> AsyncIterator[None]:
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]


class Authentication:
    """Checks signed requests against the nonces of one service."""

    def __init__(self, nonces: Nonces) -> None:
        self._nonces = nonces
        self._turns = Turns()

    def signed(self, handler: SignedHandler) -> Handler:
        """`handler`, for callers whose signature holds; others get 401."""

        async def checked(request: web.Request) -> web.StreamResponse:
            try:
                key, signature, nonce = _credentials(request.headers)
            except AuthenticationFailed as error:
                return refusal(401, str(error))
            body = await read_body(request)
            async with self._turns.of(key):
                if nonce != await self._nonces.next_nonce(key):
                    return refusal(401, f"{NONCE} does not match")
                try:
                    curve.verify(key, signed_payload(body, nonce), signature)
                except AuthenticationFailed as error:
                    return refusal(401, str(error))
                response = await handler(request, key)
                if response.status == 200 and not isinstance(response, Unsaid):
                    await self._nonces.advance(key)
                return response

        return checked

    def route(self) -> web.RouteDef:
        """`GET /security/nonces/<pk>`."""
        return web.get(f"{NONCE_PATH}/{{pk}}", self._next_nonce, allow_head=False)

    async def _next_nonce(self, request: web.Request) -> web.Response:
        try:
            key = PubKey.parse(request.match_info["pk"])
        except InvalidValue as error:
            return refusal(400, str(error))
        nonce = await self._nonces.next_nonce(key)
        return json_line({"edge": str(key), "next_nonce": nonce})


def _credentials(headers: Mapping[str, str]) -> tuple[PubKey, Signature, int]:
    """Raises AuthenticationFailed with the reference's texts, in its order."""
    public, signature, nonce = (headers.get(name, "") for name in (PUBLIC, SIGNATURE, NONCE))
    if not public:
        raise AuthenticationFailed(f"{PUBLIC} missing")
    try:
        key = PubKey.parse(public)
    except InvalidValue as error:
        raise AuthenticationFailed(f"error parsing {PUBLIC}: {error}") from error
    if not signature:
        raise AuthenticationFailed(f"{SIGNATURE} missing")
    try:
        parsed = Signature.parse(signature)
    except InvalidValue as error:
        raise AuthenticationFailed(
            f"error parsing {SIGNATURE}:'{signature[:200]}': {error}"
        ) from error
    if not nonce:
        raise AuthenticationFailed(f"{NONCE} missing")
    if not (nonce.isascii() and nonce.isdigit() and len(nonce) <= 20):
        raise AuthenticationFailed(f"error parsing {NONCE}: invalid syntax")
    number = int(nonce)
    if number >= _NONCE_LIMIT:
        raise AuthenticationFailed(f"error parsing {NONCE}: value out of range")
    return key, parsed, number


async def read_body(request: web.Request) -> bytes:
    """The whole body; it is kept, so that a handler may ask again. Raises TimeoutError."""
    async with asyncio.timeout(BODY_TIMEOUT):
        return await request.read()


def check_monitor(headers: Mapping[str, str], monitors: frozenset[PubKey]) -> PubKey | None:
    """The monitor that may deregister others; None for everybody else.

    Raises InvalidValue when its signature is no signature. The signature never changes, so it can
    be replayed: services.md §1.4.
    """
    text = headers.get(MONITOR, "")
    monitor = next((key for key in monitors if str(key) == text), None)
    if monitor is None:
        return None
    signature = Signature.parse(headers.get(MONITOR_SIGNATURE, ""))
    try:
        curve.verify(monitor, text.encode(), signature)
    except AuthenticationFailed:
        return None
    return monitor


def refusal(status: int, message: str) -> web.Response:
    """An error as the layer of authentication words it."""
    return json_line({"error": {"message": message, "code": status}}, status)


def json_line(
    value: object, status: int = 200, content_type: str = "application/json"
) -> web.Response:
    """`value` and a line feed, as Go's JSON encoder ends what it writes."""
    return web.Response(
        status=status, body=msgspec.json.encode(value) + b"\n", content_type=content_type
    )
