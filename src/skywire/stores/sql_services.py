"""The stores of the deployment's services on SQLite or PostgreSQL, from one SQL text.

Tables are the reference's, with one more column, `expires_at`: rows that the reference inserts
never expire. Source: services.md §2, §5.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from skywire.crypto.keys import PubKey
from skywire.errors import Conflict
from skywire.stores.engine import Engine, array, items
from skywire.wire.resolver import Binding, parse_binding
from skywire.wire.service import Geo, Service
from skywire.wire.transport import Entry

FOREVER = 1e18  # Unix time in seconds; the default of the columns `expires_at`

_TRANSPORT = "SELECT transport_id, edge_a, edge_b, type, label FROM transports WHERE "
_SERVICE = (
    "addr, type, CAST(lat AS DOUBLE PRECISION), CAST(lon AS DOUBLE PRECISION), country, region,"
    " display_node_ip, version, CAST(local_ips AS TEXT)"
)
Clock = Callable[[], float]


class _Leased:
    """Owns `engine`, unless it `shares` it; `clock` is Unix time in seconds."""

    table: str

    def __init__(self, engine: Engine, clock: Clock = time.time, *, shares: bool = False) -> None:
        self._engine = engine
        self._clock = clock
        self._shares = shares

    def _end(self, lifetime: float | None) -> float:
        return FOREVER if lifetime is None else self._clock() + lifetime

    async def sweep(self) -> int:
        sql = f"DELETE FROM {self.table} WHERE expires_at <= ? RETURNING 1"  # noqa: S608 - ours
        return len(await self._engine.change(sql, (self._clock(),)))

    async def close(self) -> None:
        if not self._shares:
            await self._engine.close()


class SqlTransportStore(_Leased):
    """See `contracts.TransportStore`."""

    table = "transports"

    async def add(self, entry: Entry, lifetime: float | None) -> None:
        first, second = entry.edges
        end = self._end(lifetime)
        added = await self._engine.change(
            "INSERT INTO transports (transport_id, edge_a, edge_b, type, label, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (transport_id) DO UPDATE"
            " SET label = excluded.label, expires_at = excluded.expires_at,"
            " created_at = CURRENT_TIMESTAMP WHERE transports.expires_at <= ? RETURNING 1",
            (
                str(entry.id),
                first.hex(),
                second.hex(),
                entry.type,
                entry.label,
                end,
                self._clock(),
            ),
        )
        if not added:
            sql = "UPDATE transports SET expires_at = ? WHERE transport_id = ?"
            await self._engine.change(sql, (end, str(entry.id)))
            raise Conflict(f"transport {entry.id} is registered already; its lease is renewed")

    async def by_id(self, id: UUID) -> Entry | None:
        found = await self._select("transport_id = ?", (str(id),))
        return found[0] if found else None

    async def by_edge(self, key: PubKey) -> list[Entry]:
        return await self._select("(edge_a = ? OR edge_b = ?)", (key.hex(), key.hex()))

    async def all(self) -> list[Entry]:
        return await self._select("TRUE", ())

    async def _select(self, condition: str, parameters: tuple[str, ...]) -> list[Entry]:
        sql = f"{_TRANSPORT}{condition} AND expires_at > ? ORDER BY id"
        rows = await self._engine.read(sql, (*parameters, self._clock()))
        return [_transport(row) for row in rows]

    async def delete(self, id: UUID) -> bool:
        sql = "DELETE FROM transports WHERE transport_id = ? RETURNING expires_at"
        return _lived(await self._engine.change(sql, (str(id),)), self._clock())

    async def version(self) -> object:
        mark = self._engine.mark()
        if mark is None:
            return None
        sql = "SELECT min(expires_at) FROM transports WHERE expires_at > ?"
        ((end,),) = await self._engine.read(sql, (self._clock(),))
        return mark, end

    async def count(self) -> int:
        sql = "SELECT count(*) FROM transports WHERE expires_at > ?"
        ((count,),) = await self._engine.read(sql, (self._clock(),))
        return int(count)


class SqlBindingStore(_Leased):
    """See `contracts.BindingStore`."""

    table = "address_bindings"

    async def bind(
        self, network: str, key: PubKey, binding: Binding, lifetime: float | None
    ) -> None:
        await self._engine.change(
            "INSERT INTO address_bindings (network, key, document, expires_at)"
            " VALUES (?, ?, ?, ?) ON CONFLICT (network, key) DO UPDATE"
            " SET document = excluded.document, expires_at = excluded.expires_at",
            (network, key.hex(), binding.encode().decode(), self._end(lifetime)),
        )

    async def binding(self, network: str, key: PubKey) -> Binding | None:
        rows = await self._engine.read(
            "SELECT document FROM address_bindings"
            " WHERE network = ? AND key = ? AND expires_at > ?",
            (network, key.hex(), self._clock()),
        )
        return parse_binding(rows[0][0].encode()) if rows else None

    async def unbind(self, network: str, key: PubKey) -> bool:
        sql = "DELETE FROM address_bindings WHERE network = ? AND key = ? RETURNING expires_at"
        return _lived(await self._engine.change(sql, (network, key.hex())), self._clock())

    async def keys(self, network: str) -> list[PubKey]:
        sql = "SELECT key FROM address_bindings WHERE network = ? AND expires_at > ?"
        rows = await self._engine.read(sql, (network, self._clock()))
        return [PubKey(bytes.fromhex(key)) for (key,) in rows]


class SqlServiceStore(_Leased):
    """See `contracts.ServiceStore`."""

    table = "services"

    async def put(self, service: Service, lifetime: float | None) -> Service:
        geo = service.geo or Geo()
        rows = await self._engine.change(
            "INSERT INTO services (addr, type, lat, lon, country, region,"  # noqa: S608 - ours
            " display_node_ip, version, local_ips, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (substr(addr, 1, 66), type) DO UPDATE SET addr ="
            " CASE WHEN services.expires_at <= ? THEN excluded.addr ELSE services.addr END,"
            " lat = excluded.lat, lon = excluded.lon, country = excluded.country,"
            " region = excluded.region, display_node_ip = excluded.display_node_ip,"
            " version = excluded.version, local_ips = excluded.local_ips,"
            " expires_at = excluded.expires_at RETURNING " + _SERVICE,
            (
                service.address,
                service.type,
                geo.lat,
                geo.lon,
                geo.country,
                geo.region,
                service.display_node_ip,
                service.version,
                array(service.local_ips or ()),
                self._end(lifetime),
                self._clock(),
            ),
        )
        return _service(rows[0])

    async def service(self, key: PubKey, kind: str) -> Service | None:
        found = await self._select("substr(addr, 1, 66) = ? AND type = ?", (key.hex(), kind))
        return found[0] if found else None

    async def services(self, kind: str, version: str = "", country: str = "") -> list[Service]:
        conditions = {"type = ?": kind, "version = ?": version, "country = ?": country}
        chosen = {condition: text for condition, text in conditions.items() if text}
        return await self._select(" AND ".join(chosen), tuple(chosen.values()))

    async def _select(self, condition: str, parameters: tuple[str, ...]) -> list[Service]:
        sql = f"SELECT {_SERVICE} FROM services WHERE {condition} AND expires_at > ? ORDER BY id"  # noqa: S608
        return [_service(row) for row in await self._engine.read(sql, (*parameters, self._clock()))]

    async def delete(self, key: PubKey, kind: str) -> bool:
        sql = "DELETE FROM services WHERE substr(addr, 1, 66) = ? AND type = ? RETURNING expires_at"
        return _lived(await self._engine.change(sql, (key.hex(), kind)), self._clock())


class SqlNonceStore:
    """See `contracts.NonceStore`. `service` keeps the counters of several services apart."""

    def __init__(self, engine: Engine, service: str, *, shares: bool = False) -> None:
        self._engine = engine
        self._service = service
        self._shares = shares

    async def next_nonce(self, key: PubKey) -> int:
        sql = "SELECT next FROM nonces WHERE service = ? AND key = ?"
        rows = await self._engine.read(sql, (self._service, key.hex()))
        return int(rows[0][0]) if rows else 0

    async def advance(self, key: PubKey) -> None:
        await self._engine.change(
            "INSERT INTO nonces (service, key, next) VALUES (?, ?, 1)"
            " ON CONFLICT (service, key) DO UPDATE SET next = nonces.next + 1",
            (self._service, key.hex()),
        )

    async def close(self) -> None:
        if not self._shares:
            await self._engine.close()


def _lived(rows: Iterable[Any], now: float) -> bool:
    return any(end > now for (end,) in rows)


def _transport(row: Any) -> Entry:
    id, first, second, kind, label = row
    edges = (PubKey(bytes.fromhex(first)), PubKey(bytes.fromhex(second)))
    return Entry(UUID(id), edges, kind, label or "")


def _service(row: Any) -> Service:
    address, kind, lat, lon, country, region, shown, version, local_ips = row
    geo = Geo(lat or 0.0, lon or 0.0, country or "", region or "")
    return Service(
        address=address,
        type=kind,
        geo=geo if geo != Geo() else None,
        display_node_ip=bool(shown),
        version=version or "",
        local_ips=items(local_ips) or None,
    )
