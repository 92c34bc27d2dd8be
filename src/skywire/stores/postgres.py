"""PostgreSQL behind `engine.Engine`: a few connections, one statement at a time on each.

The database may be the reference's: what it lacks of our tables and columns is added, and its own
programs go on working.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any, cast

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from skywire.errors import InvalidValue, Unavailable
from skywire.stores.engine import without_password
from skywire.stores.sqlite import Parameters

CONNECTIONS = 10
TIMEOUT = 10.0  # seconds for a connection or an answer
STALE = 1.0  # seconds that what other programs write may go unnoticed by `mark`
_LEASE = "ADD COLUMN IF NOT EXISTS expires_at DOUBLE PRECISION NOT NULL DEFAULT 1e18"
_LOCK = 0x736B7977  # of the advisory lock: one program changes tables at a time

Connection = AsyncConnection[tuple[Any, ...]]


async def open_engine(url: str, defaults: Mapping[str, str], limit: int) -> "PostgresEngine":
    """`defaults` (user, password, dbname) count where `url` says nothing.

    Raises InvalidValue for a bad URL, Unavailable when the server does not do its part.
    """
    shown = without_password(url)
    try:
        given = cast(dict[str, Any], conninfo_to_dict(url))
    except psycopg.ProgrammingError as error:
        raise InvalidValue(f'"{shown}" is no PostgreSQL URL: {error}') from error
    filled = {name: value for name, value in defaults.items() if value}
    engine = PostgresEngine(make_conninfo("", **{**filled, **given}), shown, limit)
    try:
        await engine.migrate()
    except Unavailable:
        await engine.close()
        raise
    return engine


class PostgresEngine:
    """See `engine.Engine`. `name` is for errors."""

    def __init__(self, conninfo: str, name: str, limit: int = CONNECTIONS) -> None:
        self._conninfo = conninfo
        self._name = name
        self._idle: list[Connection] = []
        self._room = asyncio.Semaphore(limit)
        self._writes = 0
        self._closed = False

    async def migrate(self) -> None:
        text = resources.files("skywire.stores").joinpath("schema.sql").read_text()
        *_, tables = re.split(r"^-- version 2.*$", text, flags=re.MULTILINE)
        async with self._connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            for table in ("transports", "services"):
                await connection.execute(f"ALTER TABLE IF EXISTS {table} {_LEASE}")
            await connection.execute(
                "ALTER TABLE IF EXISTS daily_uptime_histories ADD COLUMN IF NOT EXISTS day TEXT"
            )
            for statement in tables.split(";\n"):
                await connection.execute(statement.encode())

    async def read(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        return await self._run(sql, parameters)

    async def change(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        try:
            return await self._run(sql, parameters)
        finally:
            self._writes += 1

    async def _run(self, sql: str, parameters: Parameters) -> list[Any]:
        query = sql.replace("?", "%s").encode()
        async with self._connection() as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall() if cursor.description else []

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """Goes back to the others unless something failed."""
        try:
            async with asyncio.timeout(TIMEOUT), self._room:
                connection = await self._taken()
                try:
                    yield connection
                except psycopg.DataError:
                    self._idle.append(connection)
                    raise
                except BaseException:
                    await connection.close()
                    raise
                if self._closed:
                    await connection.close()
                else:
                    self._idle.append(connection)
        except psycopg.DataError as error:
            raise InvalidValue(f"PostgreSQL cannot store this: {error}") from error
        except TimeoutError as error:
            raise Unavailable(
                f"PostgreSQL at {self._name}: no answer within {TIMEOUT:g} s"
            ) from error
        except (psycopg.Error, OSError) as error:
            why = " ".join(str(error).split())  # it comes in lines
            raise Unavailable(f"PostgreSQL at {self._name}: {why}") from error

    async def _taken(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not (connection.closed or connection.broken):
                return connection
        return await AsyncConnection.connect(self._conninfo, autocommit=True)

    def mark(self) -> object:
        return self._writes, int(time.monotonic() / STALE)

    async def close(self) -> None:
        self._closed = True
        while self._idle:
            await self._idle.pop().close()
