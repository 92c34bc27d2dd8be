"""From a URL to a store.

sqlite::memory:           gone when the program ends
sqlite:///file.db         in the working directory
sqlite:////path/file.db   four slashes: an absolute path, as SQLAlchemy has it
redis://host:6379/0       or rediss://, with TLS
postgresql://host/db      for the services of a deployment, not for the dmsg discovery
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from skywire.errors import InvalidValue, NotSupported
from skywire.stores.contracts import (
    BindingStore,
    DiscoveryStore,
    NonceStore,
    ServiceStore,
    TransportStore,
    UptimeStore,
)
from skywire.stores.engine import Engine, SqliteEngine
from skywire.stores.sql import SqlDiscoveryStore
from skywire.stores.sql_services import (
    SqlBindingStore,
    SqlNonceStore,
    SqlServiceStore,
    SqlTransportStore,
)
from skywire.stores.sql_uptime import DISCOVERY, TRACKER, SqlUptimeStore
from skywire.stores.sqlite import MEMORY, Database

if TYPE_CHECKING:
    from redis.asyncio import Redis

_REDIS = ("redis:", "rediss:")
_POSTGRESQL = ("postgresql:", "postgres:")
CONNECTIONS = 10  # to PostgreSQL
EXPECTED = "expected sqlite:///file, sqlite::memory:, postgresql://host/db or redis://host"


async def open_discovery(url: str, password: str = "") -> DiscoveryStore:
    """The entries of a dmsg discovery. `password` is for Redis, when `url` has none.

    Raises InvalidValue for a URL that names no store, Unavailable when the store does not work.
    """
    if path := _sqlite_path(url):
        return SqlDiscoveryStore(Database(path))
    if url.startswith(_REDIS):
        try:
            from skywire.stores.redis import open_discovery as open_redis
        except ImportError as error:
            raise NotSupported(
                'Redis needs the package redis: install "pyskywire[redis]"'
            ) from error
        return await open_redis(url, password)
    raise InvalidValue(
        f'"{url}" names no store; expected sqlite:///file, sqlite::memory: or redis://host'
    )


def _sqlite_path(url: str) -> str:
    """ "" when it is another store's URL."""
    scheme, _, rest = url.partition(":")
    path = MEMORY if rest == MEMORY else rest[3:] if rest.startswith("///") else ""
    return path if scheme == "sqlite" and path.strip("/") else ""


class Stores(Protocol):
    """The stores of a deployment's services in one database; closing this closes them all."""

    def transports(self) -> TransportStore: ...

    def bindings(self) -> BindingStore: ...

    def services(self) -> ServiceStore: ...

    def uptimes(self) -> UptimeStore:
        """What the uptime tracker counts."""
        ...

    def transport_uptimes(self) -> UptimeStore:
        """What the transport discovery counts."""
        ...

    def nonces(self, service: str) -> NonceStore:
        """`service` is the reference's prefix, e.g. "transport-discovery"."""
        ...

    async def close(self) -> None: ...


async def open_stores(
    url: str,
    password: str = "",
    *,
    postgres: Mapping[str, str] | None = None,
    connections: int = CONNECTIONS,
) -> Stores:
    """`password` is for Redis, `postgres` (user, password, dbname) for PostgreSQL, where `url` says
    nothing. Raises as `open_discovery` does.
    """
    if path := _sqlite_path(url):
        return SqlStores(SqliteEngine(Database(path)))
    if url.startswith(_POSTGRESQL):
        try:
            from skywire.stores.postgres import open_engine
        except ImportError as error:
            raise NotSupported(
                'PostgreSQL needs the package psycopg: install "pyskywire[postgres]"'
            ) from error
        return SqlStores(await open_engine(url, postgres or {}, connections))
    if url.startswith(_REDIS):
        try:
            from skywire.stores.redis import open_client
        except ImportError as error:
            raise NotSupported(
                'Redis needs the package redis: install "pyskywire[redis]"'
            ) from error
        return RedisStores(*await open_client(url, password))
    raise InvalidValue(f'"{url}" names no store; {EXPECTED}')


class SqlStores:
    """Owns `engine`."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self.engine = engine
        self._clock = clock

    def transports(self) -> TransportStore:
        return SqlTransportStore(self.engine, self._clock, shares=True)

    def bindings(self) -> BindingStore:
        return SqlBindingStore(self.engine, self._clock, shares=True)

    def services(self) -> ServiceStore:
        return SqlServiceStore(self.engine, self._clock, shares=True)

    def uptimes(self) -> UptimeStore:
        return SqlUptimeStore(self.engine, TRACKER, shares=True)

    def transport_uptimes(self) -> UptimeStore:
        return SqlUptimeStore(self.engine, DISCOVERY, shares=True)

    def nonces(self, service: str) -> NonceStore:
        return SqlNonceStore(self.engine, service, shares=True)

    async def close(self) -> None:
        await self.engine.close()


class RedisStores:
    """Owns `client`."""

    def __init__(self, client: "Redis", name: str) -> None:
        self._client = client
        self._name = name

    def transports(self) -> TransportStore:
        from skywire.stores.redis_services import RedisTransportStore

        return RedisTransportStore(self._client, self._name)

    def bindings(self) -> BindingStore:
        from skywire.stores.redis_services import RedisBindingStore

        return RedisBindingStore(self._client, self._name)

    def services(self) -> ServiceStore:
        from skywire.stores.redis_services import RedisServiceStore

        return RedisServiceStore(self._client, self._name)

    def uptimes(self) -> UptimeStore:
        from skywire.stores.redis_uptime import TRACKER, RedisUptimeStore

        return RedisUptimeStore(self._client, self._name, TRACKER)

    def transport_uptimes(self) -> UptimeStore:
        from skywire.stores.redis_uptime import DISCOVERY, RedisUptimeStore

        return RedisUptimeStore(self._client, self._name, DISCOVERY)

    def nonces(self, service: str) -> NonceStore:
        from skywire.stores.redis_services import RedisNonceStore

        return RedisNonceStore(self._client, self._name, service)

    async def close(self) -> None:
        await self._client.aclose()
