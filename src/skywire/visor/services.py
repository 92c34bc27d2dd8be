"""Sessions with the services a visor uses, over HTTP or dmsg. Source: visor.md §1, services.md §1.

An URL `dmsg://<pk>:<port>` goes through the visor's own dmsg client; such a service sees no
address, so each request says what our public one is. One of HTTP is reached over dmsg when that
fails, if the service has a twin there.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
from yarl import URL

from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.client import DmsgClient
from skywire.errors import InvalidValue
from skywire.http.auth import SignedSession
from skywire.http.over_stream import DmsgConnector
from skywire.http.twin import TwinConnector
from skywire.visor.public_ip import PublicAddress

SCHEMES = ("http", "https", "dmsg")


class Services:
    """Use it as an async context manager; the sessions end with it."""

    def __init__(
        self,
        public: PubKey,
        secret: SecKey,
        dmsg: DmsgClient,
        twins: Mapping[str, tuple[PubKey, int]] | None = None,
    ) -> None:
        """`twins`: where on dmsg the service with a URL is, too."""
        self._twins = twins or {}
        self._public = public
        self._secret = secret
        self._dmsg = dmsg
        self.public_address = PublicAddress(dmsg)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Services":
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def connector(self, url: str) -> AsyncIterator[aiohttp.BaseConnector | None]:
        """What carries requests to `url`; None: TCP."""
        connector: aiohttp.BaseConnector | None = None
        if url.startswith("dmsg://"):
            connector = DmsgConnector(self._dmsg.dial)
        elif url in self._twins:
            connector = TwinConnector(self._dmsg.dial, *self._twins[url])
        try:
            yield connector
        finally:
            if connector is not None:
                await connector.close()

    async def session(self, key: str, url: str) -> SignedSession:
        """With the service at `url`, which `key` of the config names. Raises InvalidValue."""
        return await self._stack.enter_async_context(self.temporary(key, url))

    @asynccontextmanager
    async def temporary(self, key: str, url: str) -> AsyncIterator[SignedSession]:
        """The same for a part, which ends it."""
        check_url(key, url)
        over_dmsg = url.startswith("dmsg://") or url in self._twins
        more = self.public_address.headers if over_dmsg else None
        async with self.connector(url) as connector:
            session = SignedSession(url, self._public, self._secret, connector, more_headers=more)
            async with session:
                yield session


def check_url(key: str, url: str) -> None:
    """Raises InvalidValue naming `key` of the config."""
    try:
        parsed = URL(url)
        valid = parsed.scheme in SCHEMES and bool(parsed.host) and parsed.port is not None
    except ValueError:
        valid = False
    if not valid and not (url.startswith("dmsg://") and len(url) > len("dmsg://")):
        raise InvalidValue(f'{key}: "{url[:100]}": expected an http://, https:// or dmsg:// URL')
