"""A service's HTTP on dmsg port 80, beside TCP. Source: dmsg.md §9, §12; services.md §1.1.

    async with DmsgClient(pk, sk, OwnDirectory(store), min_sessions=0) as client:
        await serve_over_dmsg(client, runner)

Whoever wants to reach a service there knows its key and guesses a server: the service has a session
with every server, and is in no public directory.
"""

import logging

from aiohttp import web

from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import NO_ENTRY
from skywire.errors import NotFound
from skywire.http.over_stream import serve_http
from skywire.ports import DMSG_HTTP
from skywire.stores.contracts import DiscoveryStore
from skywire.streams.stream import Listener
from skywire.wire import entry as wire
from skywire.wire.entry import Entry

log = logging.getLogger(__name__)

MAX_SERVERS = 512  # sessions of a service, however many servers the store lists


class OwnDirectory:
    """A Directory for the dmsg client of the discovery itself: servers come from its store, what
    is posted stays in memory."""

    def __init__(self, store: DiscoveryStore) -> None:
        self._store = store
        self._posted: dict[PubKey, Entry] = {}  # our own entry only

    async def entry(self, pk: PubKey) -> Entry:
        if pk in self._posted:
            return self._posted[pk]
        document = await self._store.document(pk)
        if document is None:
            raise NotFound(f"{pk}: {NO_ENTRY}")
        return wire.parse(document)

    async def post(self, entry: Entry) -> None:
        self._posted[entry.static] = entry

    async def delete(self, entry: Entry) -> None:
        self._posted.pop(entry.static, None)

    async def available_servers(self) -> list[Entry]:
        return [wire.parse(document) for document in await self._store.all_servers()][:MAX_SERVERS]

    async def all_servers(self) -> list[Entry]:
        return await self.available_servers()


async def serve_over_dmsg(client: DmsgClient, runner: web.AppRunner) -> None:
    """Answer on the client's port 80 until cancelled. Raises Conflict when it is taken."""
    listener: Listener = client.listen(DMSG_HTTP)
    log.info("serving on dmsg address=%s", listener.address)
    try:
        await serve_http(runner, listener)
    finally:
        await listener.close()
