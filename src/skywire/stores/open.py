"""From a URL to a store: `sqlite::memory:`, `sqlite:///absolute/path`, `redis://host:port/db`."""

from skywire.errors import InvalidValue, NotSupported
from skywire.stores.contracts import DiscoveryStore
from skywire.stores.sql import SqlDiscoveryStore
from skywire.stores.sqlite import Database


async def open_discovery(url: str, password: str = "") -> DiscoveryStore:
    """The entries of a dmsg discovery. `password` is for Redis, when `url` has none.

    Raises InvalidValue for a URL that names no store, Unavailable when the store does not work.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest.strip("/"):
        return SqlDiscoveryStore(Database(rest.removeprefix("//")))
    if scheme in ("redis", "rediss"):
        try:
            from skywire.stores.redis import open_discovery as open_redis
        except ImportError as error:
            raise NotSupported(
                'Redis needs the package redis: install "pyskywire[redis]"'
            ) from error
        return await open_redis(url, password)
    raise InvalidValue(
        f'"{url}" names no store; expected sqlite:///path/to/file, sqlite::memory: or redis://host'
    )
