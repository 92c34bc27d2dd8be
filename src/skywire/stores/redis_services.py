"""The stores of the deployment's services on Redis.

    address-resolver:<stcpr or sudph>:<pk hex>   STRING  a binding's JSON; its lease is the key's
    <service>:nonces:<pk hex>                    STRING  the next nonce, decimal
    <service>:nonces                             SET     of public keys, 33 bytes each
    transport-discovery:transport:<uuid>         STRING  a transport's JSON; its lease is the key's
    transport-discovery:edge:<pk hex>            SET     of transport ids
    transport-discovery:transports               SET     of transport ids
    service-discovery:service:<type>:<pk hex>    HASH    address, and record: the service's JSON
                                                         without it; its lease is the key's
    service-discovery:type:<type>                ZSET    of keys, hex, in the order of their coming
    service-discovery:number                     STRING  how many have come

The names of bindings and nonces are the reference's (services.md §1.3, §4), so that both may work
on one database; it has no lease there. The others are ours: those of 2026 are unknown, and in 2024
transports and services were in PostgreSQL only.
"""

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, InvalidValue
from skywire.stores.redis import BATCH, as_bytes, batches, translated
from skywire.wire.resolver import Binding, parse_binding
from skywire.wire.service import Geo, Service, parse_address
from skywire.wire.transport import Entry, encode_list, parse_entry

log = logging.getLogger(__name__)

_TRANSPORTS = "transport-discovery:"
_ALL = _TRANSPORTS + "transports"
_SERVICES = "service-discovery:"

# KEYS: the transport, the sets of its edges, the set of all. ARGV: its JSON, its lifetime in ms
# (0: for ever), its id. Returns 1 when it is new; otherwise its lease is renewed.
_ADD = """
local new = redis.call('EXISTS', KEYS[1]) == 0
if ARGV[2] == '0' then redis.call('SET', KEYS[1], ARGV[1])
else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
for i = 2, 4 do redis.call('SADD', KEYS[i], ARGV[3]) end
return new and 1 or 0
"""

# KEYS: the service, those of its type, the counter. ARGV: address, record, lifetime in ms (0: for
# ever), public key. Returns the address that is stored: an earlier one stays.
_PUT = """
local new = redis.call('EXISTS', KEYS[1]) == 0
if new then redis.call('HSET', KEYS[1], 'address', ARGV[1]) end
if new or not redis.call('ZSCORE', KEYS[2], ARGV[4]) then -- a sweep may just have taken it out
  redis.call('ZADD', KEYS[2], redis.call('INCR', KEYS[3]), ARGV[4])
end
redis.call('HSET', KEYS[1], 'record', ARGV[2])
if ARGV[3] == '0' then redis.call('PERSIST', KEYS[1])
else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return redis.call('HGET', KEYS[1], 'address')
"""


def _milliseconds(lifetime: float | None) -> int | None:
    return None if lifetime is None else max(1, round(lifetime * 1000))


class _Shared:
    """Uses `client`, which stays its owner's; `name` is for errors."""

    def __init__(self, client: "Redis", name: str) -> None:
        self._client = client
        self._name = name

    async def sweep(self) -> int:
        return 0  # Redis forgets by itself

    async def close(self) -> None:
        return


class RedisBindingStore(_Shared):
    """See `contracts.BindingStore`."""

    async def bind(
        self, network: str, key: PubKey, binding: Binding, lifetime: float | None
    ) -> None:
        with translated(self._name):
            await self._client.set(
                _binding(network, key), binding.encode(), px=_milliseconds(lifetime)
            )

    async def binding(self, network: str, key: PubKey) -> Binding | None:
        with translated(self._name):
            document = await self._client.get(_binding(network, key))
        try:
            return None if document is None else parse_binding(as_bytes(document))
        except InvalidValue as error:
            log.warning("binding is unreadable network=%s pk=%s error=%s", network, key, error)
            return None

    async def unbind(self, network: str, key: PubKey) -> bool:
        with translated(self._name):
            return bool(await self._client.delete(_binding(network, key)))

    async def keys(self, network: str) -> list[PubKey]:
        prefix = _binding(network, "").encode()
        found = set()
        with translated(self._name):
            async for name in self._client.scan_iter(match=prefix + b"*", count=BATCH):
                found.add(name[len(prefix) :])
        keys = []
        for text in found:
            try:
                keys.append(PubKey(bytes.fromhex(text.decode("ascii"))))
            except (InvalidValue, ValueError):
                log.warning("no public key store=%s key=%r", self._name, text)
        return keys


def _binding(network: str, key: PubKey | str) -> str:
    return f"address-resolver:{network}:{key}"


class RedisNonceStore(_Shared):
    """See `contracts.NonceStore`. `service` keeps the counters of several services apart."""

    def __init__(self, client: "Redis", name: str, service: str) -> None:
        super().__init__(client, name)
        self._prefix = f"{service}:nonces"

    async def next_nonce(self, key: PubKey) -> int:
        with translated(self._name):
            text = await self._client.get(f"{self._prefix}:{key}")
        try:
            return int(text or 0)
        except ValueError:
            log.warning("no nonce store=%s key=%s:%s text=%r", self._name, self._prefix, key, text)
            return 0

    async def advance(self, key: PubKey) -> None:
        with translated(self._name):
            async with self._client.pipeline(transaction=True) as commands:
                commands.incr(f"{self._prefix}:{key}")
                commands.sadd(self._prefix, bytes(key))
                await commands.execute()


class RedisTransportStore(_Shared):
    """See `contracts.TransportStore`."""

    def __init__(self, client: "Redis", name: str) -> None:
        super().__init__(client, name)
        self._add = client.register_script(_ADD)

    async def add(self, entry: Entry, lifetime: float | None) -> None:
        first, second = entry.edges
        with translated(self._name):
            is_new = await self._add(
                keys=[_transport(entry.id), _edge(first), _edge(second), _ALL],
                args=[encode_list([entry])[1:-1], _milliseconds(lifetime) or 0, str(entry.id)],
            )
        if not is_new:
            raise Conflict(f"transport {entry.id} is registered already; its lease is renewed")

    async def by_id(self, id: UUID) -> Entry | None:
        found = await self._entries([str(id).encode()])
        return found[0] if found else None

    async def by_edge(self, key: PubKey) -> list[Entry]:
        return await self._members(_edge(key))

    async def all(self) -> list[Entry]:
        return await self._members(_ALL)

    async def _members(self, group: str) -> list[Entry]:
        with translated(self._name):
            ids = list(await self._client.smembers(group))
        return await self._entries(ids)

    async def _entries(self, ids: Sequence[Any]) -> list[Entry]:
        documents: list[Any] = []
        with translated(self._name):
            for batch in batches(ids):
                documents += await self._client.mget([_transport(id) for id in batch])
        entries = []
        for document in documents:
            if document is not None:
                try:
                    entries.append(parse_entry(document))
                except InvalidValue as error:
                    log.warning("transport is unreadable store=%s error=%s", self._name, error)
        return entries

    async def delete(self, id: UUID) -> bool:
        entry = await self.by_id(id)
        edges = entry.edges if entry else ()
        with translated(self._name):
            async with self._client.pipeline(transaction=True) as commands:
                commands.delete(_transport(id))
                for group in (_ALL, *map(_edge, edges)):
                    commands.srem(group, str(id))
                removed, *_ = await commands.execute()
        return bool(removed)

    async def version(self) -> object:
        return None

    async def count(self) -> int:
        with translated(self._name):
            return int(await self._client.scard(_ALL))

    async def sweep(self) -> int:
        """Take ids whose transport is gone out of the sets."""
        with translated(self._name):
            removed = await self._clean(_ALL)
            async for name in self._client.scan_iter(match=f"{_TRANSPORTS}edge:*", count=BATCH):
                await self._clean(name)
        return removed

    async def _clean(self, group: str | bytes) -> int:
        removed = 0
        for batch in batches(list(await self._client.smembers(group))):
            there = await self._client.mget([_transport(id) for id in batch])
            gone = [id for id, text in zip(batch, there, strict=True) if text is None]
            if gone:
                removed += await self._client.srem(group, *gone)
        return removed


class RedisServiceStore(_Shared):
    """See `contracts.ServiceStore`."""

    def __init__(self, client: "Redis", name: str) -> None:
        super().__init__(client, name)
        self._put = client.register_script(_PUT)

    async def put(self, service: Service, lifetime: float | None) -> Service:
        key, _ = parse_address(service.address)
        record = msgspec.json.encode(msgspec.structs.replace(service, address="", info=None))
        with translated(self._name):
            address = await self._put(
                keys=[_service(service.type, key), _type(service.type), _SERVICES + "number"],
                args=[service.address, record, _milliseconds(lifetime) or 0, key.hex()],
            )
        return msgspec.structs.replace(service, address=address.decode(), info=None)

    async def service(self, key: PubKey, kind: str) -> Service | None:
        found = await self._records(kind, [key.hex()])
        return found[0] if found else None

    async def services(self, kind: str, version: str = "", country: str = "") -> list[Service]:
        with translated(self._name):
            keys = await self._client.zrange(_type(kind), 0, -1)
        return [
            service
            for service in await self._records(kind, keys)
            if (not version or service.version == version)
            and (not country or (service.geo or Geo()).country == country)
        ]

    async def _records(self, kind: str, keys: Sequence[Any]) -> list[Service]:
        found = []
        for batch in batches(keys):
            with translated(self._name):
                async with self._client.pipeline(transaction=False) as commands:
                    for key in batch:
                        commands.hmget(_service(kind, key), ["address", "record"])
                    rows = await commands.execute()
            for address, record in rows:
                if address is not None:
                    found += self._parsed(address, record)
        return found

    def _parsed(self, address: bytes, record: bytes | None) -> list[Service]:
        try:
            service = msgspec.json.decode(record or b"", type=Service)
            return [msgspec.structs.replace(service, address=address.decode())]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("service is unreadable store=%s error=%s", self._name, error)
            return []

    async def delete(self, key: PubKey, kind: str) -> bool:
        with translated(self._name):
            async with self._client.pipeline(transaction=True) as commands:
                commands.delete(_service(kind, key))
                commands.zrem(_type(kind), key.hex())
                removed, _ = await commands.execute()
        return bool(removed)

    async def sweep(self) -> int:
        """Take keys whose service is gone out of the lists."""
        removed = 0
        with translated(self._name):
            async for name in self._client.scan_iter(match=f"{_SERVICES}type:*", count=BATCH):
                kind = name.decode().removeprefix(f"{_SERVICES}type:")
                for batch in batches(await self._client.zrange(name, 0, -1)):
                    async with self._client.pipeline(transaction=False) as commands:
                        for key in batch:
                            commands.exists(_service(kind, key))
                        there = await commands.execute()
                    gone = [key for key, is_there in zip(batch, there, strict=True) if not is_there]
                    if gone:
                        removed += await self._client.zrem(name, *gone)
        return removed


def _service(kind: str, key: PubKey | bytes | str) -> str:
    """`key` as such, or in hexadecimal."""
    text = key.hex() if isinstance(key, PubKey) else as_bytes(key).decode()
    return f"{_SERVICES}service:{kind}:{text}"


def _type(kind: str) -> str:
    return f"{_SERVICES}type:{kind}"


def _transport(id: UUID | bytes) -> str:
    return f"{_TRANSPORTS}transport:{id.decode() if isinstance(id, bytes) else id}"


def _edge(key: PubKey) -> str:
    return f"{_TRANSPORTS}edge:{key}"
