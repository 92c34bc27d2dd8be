"""From a URL to a store.

sqlite::memory:           gone when the program ends
sqlite:///file.db         in the working directory
sqlite:////path/file.db   four slashes: an absolute path, as SQLAlchemy has it
redis://host:6379/0       or rediss://, with TLS
"""

from skywire.errors import InvalidValue, NotSupported
from skywire.stores.contracts import DiscoveryStore
from skywire.stores.sql import SqlDiscoveryStore
from skywire.stores.sqlite import MEMORY, Database


async def open_discovery(url: str, password: str = "") -> DiscoveryStore:
    """The entries of a dmsg discovery. `password` is for Redis, when `url` has none.

    Raises InvalidValue for a URL that names no store, Unavailable when the store does not work.
    """
    scheme, _, rest = url.partition(":")
    path = MEMORY if rest == MEMORY else rest[3:] if rest.startswith("///") else ""
    if scheme == "sqlite" and path.strip("/"):
        return SqlDiscoveryStore(Database(path))
    if scheme in ("redis", "rediss"):
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
