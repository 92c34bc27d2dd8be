"""The Redis stores, with the reference's keys, so that both may work on one database.

    <public key in hex>                 STRING  the entry's JSON; its lifetime is the key's
    servers, clients, visorClients      SET     of public keys in hex

Source of the names: skycoin/dmsg internal/dmsg-discovery/store/redis.go, `SetEntry`.
"""

import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, Unavailable
from skywire.stores.engine import without_password
from skywire.wire.entry import VISOR, Entry, check_iteration, parse

log = logging.getLogger(__name__)

SERVERS = "servers"
CLIENTS = "clients"
VISORS = "visorClients"
TIMEOUT = 5.0  # seconds for a connection or an answer
BATCH = 512  # keys in one command: a long command stops everybody else's
MAX_RACES = 20  # attempts to replace a value that others keep changing

# KEYS: the entry, the three sets. ARGV: the text that must be stored now ("" for none), the new
# text, its lifetime in ms (0: for ever), the key's name in the sets, and for each set 1 or 0.
_REPLACE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
for i = 2, 4 do
  redis.call(ARGV[3 + i] == '1' and 'SADD' or 'SREM', KEYS[i], ARGV[4])
end
return 1
"""

# KEYS: a set, then the entries of its members in ARGV. Returns the members that are gone.
_FORGET = """
local gone = {}
for i, member in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then
    redis.call('SREM', KEYS[1], member)
    gone[#gone + 1] = member
  end
end
return gone
"""


class _Server(msgspec.Struct):
    available: int = msgspec.field(name="availableSessions", default=0)


class _Stored(msgspec.Struct):
    """What the lists need of an entry."""

    server: _Server | None = None


async def open_client(url: str, password: str = "") -> "tuple[Redis, str]":
    """A client of a server that answers, and its URL without password.

    Raises InvalidValue for a bad URL, Unavailable when the server does not answer.
    """
    shown = without_password(url)
    try:
        client = Redis.from_url(
            url,
            password=password or None,  # one in the URL wins
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
        )
    except ValueError as error:
        raise InvalidValue(f'"{shown}" is no Redis URL: {error}') from error
    try:
        with translated(shown):
            await client.ping()
    except Unavailable:
        await client.aclose()
        raise
    return client, shown


async def open_discovery(url: str, password: str = "") -> "RedisDiscoveryStore":
    """Raises as `open_client` does."""
    return RedisDiscoveryStore(*await open_client(url, password))


class RedisDiscoveryStore:
    """See `contracts.DiscoveryStore`. Owns `client`; `name` is for errors."""

    def __init__(self, client: "Redis", name: str) -> None:
        self._client = client
        self._name = name
        self._replace = client.register_script(_REPLACE)
        self._forget = client.register_script(_FORGET)

    async def document(self, key: PubKey) -> bytes | None:
        with translated(self._name):
            return as_bytes(await self._client.get(key.hex()))

    async def put(self, entry: Entry, lifetime: float | None) -> bool:
        key = entry.static.hex()
        milliseconds = 0 if lifetime is None else max(1, round(lifetime * 1000))
        member_of = (
            entry.server is not None,
            entry.client is not None,
            entry.client_type == VISOR,
        )
        for _ in range(MAX_RACES):
            stored = await self.document(entry.static)
            if stored is not None:
                check_iteration(self._parsed(stored), entry)
            with translated(self._name):
                done = await self._replace(
                    keys=[key, SERVERS, CLIENTS, VISORS],
                    args=[stored or b"", entry.encode(), milliseconds, key, *map(int, member_of)],
                )
            if done:
                return stored is None
        raise Unavailable(f"Redis at {self._name}: the entry of {key} changes all the time")

    def _parsed(self, document: bytes) -> Entry:
        try:
            return parse(document)
        except InvalidValue as error:
            raise Unavailable(f"Redis at {self._name}: {error}; delete that key") from error

    async def delete(self, key: PubKey) -> bool:
        name = key.hex()
        with translated(self._name):
            async with self._client.pipeline(transaction=True) as commands:
                commands.delete(name)
                for group in (SERVERS, CLIENTS, VISORS):
                    commands.srem(group, name)
                removed, *_ = await commands.execute()
        return bool(removed)

    async def available_servers(self, limit: int) -> list[bytes]:
        found = [
            (stored.server.available, document)
            for stored, document in await self._servers()
            if stored.server and stored.server.available > 0
        ][:limit]
        found.sort(key=lambda pair: -pair[0])
        return [document for _, document in found]

    async def all_servers(self) -> list[bytes]:
        return [document for _, document in await self._servers()]

    async def _servers(self) -> list[tuple[_Stored, bytes]]:
        """All live servers in random order."""
        members = await self._members(SERVERS)
        random.shuffle(members)
        documents: list[bytes | None] = []
        with translated(self._name):
            for batch in batches(members):
                documents += map(as_bytes, await self._client.mget(batch))
        servers = []
        for document in documents:
            if document is not None:
                try:
                    servers.append((msgspec.json.decode(document, type=_Stored), document))
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    log.warning("stored entry is unreadable store=%s error=%s", self._name, error)
        return servers

    async def _members(self, group: str) -> list[bytes]:
        with translated(self._name):
            return [
                member for text in await self._client.smembers(group) if (member := as_bytes(text))
            ]

    async def client_keys(self) -> list[PubKey]:
        return await self._keys(CLIENTS)

    async def visor_keys(self) -> list[PubKey]:
        return await self._keys(VISORS)

    async def _keys(self, group: str) -> list[PubKey]:
        keys = []
        for member in await self._members(group):
            try:
                keys.append(PubKey(bytes.fromhex(member.decode("ascii"))))
            except (InvalidValue, ValueError):
                log.warning("no public key store=%s set=%s text=%r", self._name, group, member)
        return keys

    async def count(self) -> tuple[int, int]:
        with translated(self._name):
            async with self._client.pipeline(transaction=False) as commands:
                commands.scard(SERVERS)
                commands.scard(CLIENTS)
                servers, clients = await commands.execute()
        return servers, clients

    async def sweep(self) -> int:
        gone: set[bytes] = set()
        for group in (SERVERS, CLIENTS, VISORS):
            for batch in batches(await self._members(group)):
                with translated(self._name):
                    gone.update(await self._forget(keys=[group, *batch], args=batch))
        return len(gone)

    async def close(self) -> None:
        await self._client.aclose()


@contextmanager
def translated(name: str) -> Iterator[None]:
    """What goes wrong inside is Unavailable."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable(f"Redis at {name}: {error}") from error


@overload
def as_bytes(value: bytes | str) -> bytes: ...


@overload
def as_bytes(value: bytes | str | None) -> bytes | None: ...


def as_bytes(value: bytes | str | None) -> bytes | None:
    """The client's type allows for decoded answers; ours never decodes."""
    return value.encode() if isinstance(value, str) else value


def batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
