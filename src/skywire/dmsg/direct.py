"""Fixed entries, for reaching known keys without a discovery. Source: dmsg.md §12.

servers = [Entry.of_server(pk, "192.0.2.1:8081", available=1)]
directory = StaticDirectory(delegate_to_all([own_pk, service_pk], servers))
"""

import random
from collections.abc import Iterable

from skywire.crypto.keys import PubKey
from skywire.wire.entry import Entry


class StaticDirectory:
    """A Directory in memory: posting and deleting change nothing outside of it."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = {entry.static: entry for entry in entries}

    async def entry(self, pk: PubKey) -> Entry:
        """An unknown key has an entry with nothing in it, as in the reference: dialling it fails
        with code 102, not 100."""
        return self._entries.get(pk) or Entry(version="", sequence=0, timestamp=0, static=pk)

    async def post(self, entry: Entry) -> None:
        self._entries[entry.static] = entry

    async def delete(self, entry: Entry) -> None:
        self._entries.pop(entry.static, None)

    async def available_servers(self) -> list[Entry]:
        return await self.all_servers()

    async def all_servers(self) -> list[Entry]:
        servers = [entry for entry in self._entries.values() if entry.server is not None]
        random.shuffle(servers)
        return servers


def delegate_to_all(keys: Iterable[PubKey], servers: Iterable[Entry]) -> list[Entry]:
    """`servers`, and for each of `keys` a client entry that is delegated to all of them."""
    known = list(servers)
    delegated = [server.static for server in known]
    return known + [Entry.of_client(key, delegated) for key in keys]
