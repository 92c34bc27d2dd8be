"""The SQL stores. SQLite runs them."""

import math
import sqlite3
import time
from collections.abc import Callable

from skywire.crypto.keys import PubKey
from skywire.stores.sqlite import Database
from skywire.wire.entry import VISOR, Entry, check_iteration, parse

_DOCUMENT = "SELECT document FROM dmsg_entries WHERE key = ? AND expires_at > ?"


class SqlDiscoveryStore:
    """See `contracts.DiscoveryStore`. Owns `database`; `clock` is Unix time in seconds."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def document(self, key: PubKey) -> bytes | None:
        rows = self._database.read(_DOCUMENT, (key.hex(), self._clock()))
        return rows[0][0] if rows else None

    async def put(self, entry: Entry, lifetime: float | None) -> bool:
        now = self._clock()
        row = (
            entry.static.hex(),
            entry.encode(),
            entry.client is not None,
            entry.client_type == VISOR,
            entry.server.available_sessions if entry.server else None,
            math.inf if lifetime is None else now + lifetime,
        )

        def work(connection: sqlite3.Connection) -> bool:
            stored = connection.execute(_DOCUMENT, (row[0], now)).fetchone()
            if stored:
                check_iteration(parse(stored[0]), entry)
            connection.execute("REPLACE INTO dmsg_entries VALUES (?, ?, ?, ?, ?, ?)", row)
            return stored is None

        return await self._database.write(work)

    async def delete(self, key: PubKey) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            sql = "DELETE FROM dmsg_entries WHERE key = ? AND expires_at > ?"
            return connection.execute(sql, (key.hex(), self._clock())).rowcount > 0

        return await self._database.write(work)

    async def available_servers(self, limit: int) -> list[bytes]:
        rows = self._database.read(
            "SELECT document FROM (SELECT document, available FROM dmsg_entries"
            " WHERE available > 0 AND expires_at > ? ORDER BY random() LIMIT ?)"
            " ORDER BY available DESC",
            (self._clock(), limit),
        )
        return [document for (document,) in rows]

    async def all_servers(self) -> list[bytes]:
        rows = self._database.read(
            "SELECT document FROM dmsg_entries"
            " WHERE available IS NOT NULL AND expires_at > ? ORDER BY random()",
            (self._clock(),),
        )
        return [document for (document,) in rows]

    async def client_keys(self) -> list[PubKey]:
        return self._keys("SELECT key FROM dmsg_entries WHERE is_client AND expires_at > ?")

    async def visor_keys(self) -> list[PubKey]:
        return self._keys("SELECT key FROM dmsg_entries WHERE is_visor AND expires_at > ?")

    def _keys(self, sql: str) -> list[PubKey]:
        rows = self._database.read(sql, (self._clock(),))
        return [PubKey(bytes.fromhex(key)) for (key,) in rows]

    async def count(self) -> tuple[int, int]:
        ((servers, clients),) = self._database.read(
            "SELECT count(available), total(is_client) FROM dmsg_entries WHERE expires_at > ?",
            (self._clock(),),
        )
        return servers, int(clients)

    async def sweep(self) -> int:
        def work(connection: sqlite3.Connection) -> int:
            sql = "DELETE FROM dmsg_entries WHERE expires_at <= ?"
            return connection.execute(sql, (self._clock(),)).rowcount

        return await self._database.write(work)

    async def close(self) -> None:
        await self._database.close()
