"""Client of the dmsg discovery: look up, post and withdraw entries. Source: dmsg.md §9, §10.

    async with DiscoveryClient("http://127.0.0.1:9090") as directory:
        entry = await directory.entry(pk)
        await update_entry(directory, sk, lambda old: Entry.of_client(pk, servers))

For a `dmsg://<pk>:80` discovery pass `connector=DmsgConnector(client.dial)`.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TypeVar

import msgspec
from aiohttp import BaseConnector, ClientError, ClientSession, ClientTimeout
from yarl import URL

from skywire.config.values import is_host
from skywire.crypto.keys import PubKey, SecKey
from skywire.errors import (
    AuthenticationFailed,
    Conflict,
    InvalidValue,
    LocalProtocolError,
    NotFound,
    RemoteProtocolError,
    SkywireError,
    Unavailable,
)
from skywire.streams.supervise import Backoff
from skywire.wire import entry as wire
from skywire.wire.entry import Entry

log = logging.getLogger(__name__)

BASE_PATH = "/dmsg-discovery"
TIMEOUT = 10.0  # seconds per attempt; the reference waits for ever
ATTEMPTS = 3
MAX_ANSWER = 8 * 1024 * 1024  # bytes; 512 servers are about 200 KiB
JSON = {"Content-Type": "application/json"}
MAX_RECOVERIES = 5  # posts of `update_entry` that may lose against another one of the same key

# The texts are compared by clients: both sides use these.
BAD_INPUT = "error bad input"
NO_ENTRY = "entry of public key is not found"
NO_SERVERS = "no delegated dmsg servers available for remote"
UNEXPECTED = "something unexpected happened"
BAD_SIGNATURE = "invalid signature"
LOCALHOST = (
    f"{wire.VALIDATION}advertising localhost listening address is not allowed in production mode"
)

T = TypeVar("T")


class Directory(Protocol):
    """Where entries are kept. All methods raise Unavailable when it cannot be asked."""

    async def entry(self, pk: PubKey) -> Entry:
        """Raises NotFound. A server's entry does not verify: the discovery rewrites its type."""
        ...

    async def post(self, entry: Entry) -> None:
        """Store a signed entry. Raises Conflict when a newer one is stored; InvalidValue,
        AuthenticationFailed when it is refused."""
        ...

    async def delete(self, entry: Entry) -> None:
        """Forget the entry of this key; `entry` has any sequence but a valid signature."""
        ...

    async def available_servers(self) -> list[Entry]:
        """Servers with room for a session, most room first; empty when there are none."""
        ...

    async def all_servers(self) -> list[Entry]:
        """All servers in no order; empty when there are none."""
        ...


class DiscoveryClient:
    """A Directory over HTTP; an async context manager. Requests may run at the same time.

    What fails for a passing reason (connection, time, status 500) is tried `attempts` times.
    """

    def __init__(
        self,
        url: str,
        *,
        connector: BaseConnector | None = None,
        timeout: float = TIMEOUT,
        attempts: int = ATTEMPTS,
    ) -> None:
        """`url` is http(s)://host[:port] or, with a connector for it, dmsg://<pk>[:port].

        The connector is closed with the client. Raises InvalidValue for other URLs.
        """
        try:
            parsed = URL(url)
        except ValueError as error:
            raise InvalidValue(f'"{url}" is no discovery URL: {error}') from error
        schemes = ("http", "https") if connector is None else ("http", "https", "dmsg")
        if parsed.scheme not in schemes or not parsed.host:
            raise InvalidValue(f'"{url}" is no discovery URL: expected {" or ".join(schemes)}://…')
        if parsed.scheme != "dmsg" and not is_host(parsed.host):
            raise InvalidValue(f'"{url}" is no discovery URL: "{parsed.host}" is no host name')
        self.url = url.rstrip("/")
        self._connector = connector
        self._timeout = timeout
        self._attempts = attempts
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = ClientSession(
            connector=self._connector, timeout=ClientTimeout(total=self._timeout)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Idempotent."""
        if self._session is not None:
            await self._session.close()

    async def entry(self, pk: PubKey) -> Entry:
        status, body = await self._request("GET", f"/entry/{pk}")
        if status != 200:
            raise self._refused(status, body, f"entry of {pk}")
        entry = self._understood(wire.parse, body)
        if entry.static != pk:
            raise RemoteProtocolError(
                f"discovery {self.url}: asked for {pk}, answered with the entry of {entry.static}"
            )
        return entry

    async def post(self, entry: Entry) -> None:
        status, body = await self._request("POST", "/entry/", entry.encode())
        if status != 200:
            raise self._refused(status, body, f"entry of {entry.static}")

    async def delete(self, entry: Entry) -> None:
        status, body = await self._request("DELETE", "/entry", entry.encode())
        if status != 200:
            raise self._refused(status, body, f"entry of {entry.static}")

    async def available_servers(self) -> list[Entry]:
        return await self._servers("/available_servers")

    async def all_servers(self) -> list[Entry]:
        return await self._servers("/all_servers")

    async def client_keys(self, *, visors_only: bool = False) -> list[PubKey]:
        """Keys of all registered clients, or of those that are visors."""
        path = "/visorEntries" if visors_only else "/entries"
        status, body = await self._request("GET", path)
        if status != 200:
            raise self._refused(status, body, "list of clients")
        return self._understood(_keys, body)

    async def _servers(self, path: str) -> list[Entry]:
        status, body = await self._request("GET", path)
        if status == 404 and _message(body) == NO_SERVERS:
            return []
        if status != 200:
            raise self._refused(status, body, "list of servers")
        return self._understood(wire.parse_list, body)

    async def _request(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer. Raises Unavailable after the last attempt."""
        if self._session is None:
            raise LocalProtocolError('use a DiscoveryClient with "async with"')
        backoff = Backoff(0.1, 1.0, factor=3.0, jitter=0.2)
        attempt = 0
        while True:
            attempt += 1
            last = attempt >= self._attempts
            try:
                status, answer = await self._attempt(self._session, method, path, body)
            except (ClientError, SkywireError, TimeoutError, OSError) as error:
                timed_out = isinstance(error, TimeoutError)
                reason = f"no answer within {self._timeout:g} s" if timed_out else error
                if last:
                    raise Unavailable(
                        f"discovery {self.url} cannot be asked: {reason} (tried {attempt} times)"
                    ) from error
                log.debug("discovery retry url=%s attempt=%d error=%s", self.url, attempt, reason)
            else:
                if last or status < 500:
                    return status, answer
            await asyncio.sleep(backoff.next())

    async def _attempt(
        self, session: ClientSession, method: str, path: str, body: bytes | None
    ) -> tuple[int, bytes]:
        async with session.request(
            method, self.url + BASE_PATH + path, data=body, headers=JSON, allow_redirects=False
        ) as response:
            answer = bytearray()
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > MAX_ANSWER:
                    raise RemoteProtocolError(f"answer is larger than {MAX_ANSWER} bytes")
            return response.status, bytes(answer)

    def _understood(self, parse: Callable[[bytes], T], body: bytes) -> T:
        try:
            return parse(body)
        except InvalidValue as error:
            raise RemoteProtocolError(f"discovery {self.url}: {error}") from error

    def _refused(self, status: int, body: bytes, what: str) -> SkywireError:
        """The error that stands for the discovery's message."""
        text = _message(body)
        full = f"discovery {self.url}, {what}: {text or UNEXPECTED} (status {status})"
        if text == NO_ENTRY:
            return NotFound(full)
        if text in (wire.WRONG_SEQUENCE, wire.WRONG_TIME):
            return Conflict(full)
        if text == BAD_SIGNATURE:
            return AuthenticationFailed(full)
        if text == BAD_INPUT or text.startswith(wire.VALIDATION):
            return InvalidValue(full)
        return Unavailable(full)


class _Message(msgspec.Struct):
    message: str = ""


def _message(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Message).message
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return ""


def _keys(body: bytes) -> list[PubKey]:
    """From a JSON array of keys; null is an empty one. Raises InvalidValue."""
    try:
        texts = msgspec.json.decode(body, type=list[str] | None)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidValue(f"keys are not a JSON array of texts: {error}") from error
    return [PubKey.parse(text) for text in texts or ()]


async def update_entry(
    directory: Directory,
    sk: SecKey,
    change: Callable[[Entry | None], Entry],
    *,
    clock: Callable[[], int] = time.time_ns,
) -> Entry:
    """Post what `change` makes of the stored entry (None when there is none); return it.

    Key, version, sequence, timestamp and signature are set here. When somebody else with this key
    posted meanwhile, the newer timestamp wins: theirs is returned, or ours is posted on top.
    `clock` is Unix time in ns. Raises what `post` raises.
    """
    pk = sk.public()
    stored: Entry | None
    try:
        stored = await directory.entry(pk)
    except SkywireError as error:  # whatever the reason: register anew, `post` tells the rest
        log.debug("no stored entry pk=%s error=%s", pk, error)
        stored = None
    content = change(stored)
    # A clock that was set back must not lock us out: a timestamp may stay but never shrink.
    timestamp = max(clock(), stored.timestamp) if stored else clock()
    sequence = stored.sequence + 1 if stored else 0
    for _ in range(MAX_RECOVERIES):
        entry = msgspec.structs.replace(
            content, version=wire.VERSION, static=pk, sequence=sequence, timestamp=timestamp
        )
        entry = wire.sign(entry, sk)
        try:
            await directory.post(entry)
        except Conflict:
            stored = await directory.entry(pk)
            if stored.timestamp > timestamp:
                return stored
            sequence = stored.sequence + 1
        else:
            return entry
    raise Conflict(f"entry of {pk}: others with this key post faster than we do")


async def withdraw_entry(
    directory: Directory, sk: SecKey, *, clock: Callable[[], int] = time.time_ns
) -> None:
    """Delete our own entry, if there is one.

    It is signed anew: a server's stored entry does not verify, and may be too old.
    """
    try:
        stored = await directory.entry(sk.public())
    except NotFound:
        return
    entry = msgspec.structs.replace(stored.without_newer_keys(), timestamp=clock())
    await directory.delete(wire.sign(entry, sk))
