"""Entries of services that need no discovery. Source: update-2026-06-12.md 3088.

    directory = seeded(DiscoveryClient(url), keys_of({"conf_service_dmsg": "dmsg://…"}), servers)

A service is a dmsg *client* on some of the known servers: its entry delegates to all of them, and
a dial tries them until one knows the service. Where a server is, is believed from the discovery
first: addresses change, keys stay.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from skywire.crypto.keys import PubKey
from skywire.dmsg.discovery import Directory
from skywire.errors import InvalidValue, SkywireError, Unavailable
from skywire.wire.dmsg_url import parse_url
from skywire.wire.entry import Entry

log = logging.getLogger(__name__)

PATIENCE = 4.0  # seconds for one directory while there is another way
MAX_LEARNT = 1024  # servers whose address the discovery told

T = TypeVar("T")


def keys_of(addresses: Mapping[str, str]) -> list[PubKey]:
    """The keys in `dmsg://<pk>[:port]` addresses, by the name of their field, each once.

    What cannot be parsed is skipped, with one warning for all of it; "" is nothing.
    """
    found: dict[PubKey, None] = {}
    wrong = []
    for field, address in addresses.items():
        if not address:
            continue
        try:
            found[parse_url(address).pk] = None
        except InvalidValue as error:
            wrong.append(f"{field}: {error}")
    if wrong:
        log.warning("service addresses not understood count=%d: %s", len(wrong), "; ".join(wrong))
    return list(found)


def seeded(
    directory: Directory,
    services: Iterable[PubKey],
    servers: Iterable[Entry],
    *,
    first_known: bool = False,
) -> Directory:
    """`directory` that knows `services` without asking; itself when there is nothing to know."""
    keys, known = list(services), list(servers)
    if not known:
        log.debug("no service seeded keys=%d servers=0", len(keys))
        return directory
    log.info("services seeded count=%d servers=%d", len(keys), len(known))
    return SeededDirectory(directory, keys, known, first_known=first_known)


class SeededDirectory:
    """A Directory in front of another one, which may be away, or be reached over dmsg itself.

    `first_known`: answer the first question for servers from what is known. A discovery over dmsg
    cannot be asked without a server.
    """

    def __init__(
        self,
        directory: Directory,
        services: Iterable[PubKey],
        servers: Iterable[Entry],
        *,
        first_known: bool = False,
    ) -> None:
        self._directory = directory
        self._known = {server.static: server for server in servers}
        self._learnt: dict[PubKey, Entry] = {}
        self._first_known = first_known
        self.seeds = {pk: Entry.of_client(pk, self._known) for pk in services}

    async def entry(self, pk: PubKey) -> Entry:
        if pk in self.seeds:
            return self.seeds[pk]
        if pk in self._learnt or pk in self._known:
            return self._server(pk)
        return await self._directory.entry(pk)

    async def post(self, entry: Entry) -> None:
        await self._directory.post(entry)

    async def delete(self, entry: Entry) -> None:
        await self._directory.delete(entry)

    async def available_servers(self) -> list[Entry]:
        return await self._servers(self._directory.available_servers)

    async def all_servers(self) -> list[Entry]:
        return await self._servers(self._directory.all_servers)

    async def _servers(self, ask: Callable[[], Awaitable[list[Entry]]]) -> list[Entry]:
        """Those of the discovery; while it cannot be asked, those that are known."""
        known = [self._server(pk) for pk in self._known]
        if self._first_known:
            self._first_known = False
            return known
        try:
            async with asyncio.timeout(2 * PATIENCE):
                found = await ask()
        except (SkywireError, TimeoutError) as error:
            log.info("discovery not asked, using known servers error=%s", str(error) or "no answer")
            return known
        self._learnt |= {server.static: server for server in found}
        while len(self._learnt) > MAX_LEARNT:
            del self._learnt[next(iter(self._learnt))]
        return found or known

    def _server(self, pk: PubKey) -> Entry:
        return self._learnt.get(pk) or self._known[pk]


class FirstOf:
    """A Directory that asks several, the one that answered last first. All hold the same entries:
    the discovery over HTTP, and the same one over dmsg."""

    def __init__(self, directories: Sequence[Directory]) -> None:
        self._directories = list(directories)

    async def entry(self, pk: PubKey) -> Entry:
        return await self._ask(lambda directory: directory.entry(pk))

    async def post(self, entry: Entry) -> None:
        await self._ask(lambda directory: directory.post(entry))

    async def delete(self, entry: Entry) -> None:
        await self._ask(lambda directory: directory.delete(entry))

    async def available_servers(self) -> list[Entry]:
        return await self._ask(lambda directory: directory.available_servers())

    async def all_servers(self) -> list[Entry]:
        return await self._ask(lambda directory: directory.all_servers())

    async def _ask(self, question: Callable[[Directory], Awaitable[T]]) -> T:
        """Raises Unavailable with every cause; whatever else one answers, is the answer."""
        causes = []
        for directory in list(self._directories):
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await question(directory)
            except (Unavailable, TimeoutError) as error:
                causes.append(str(error) or f"no answer within {PATIENCE:g} s")
                continue
            if self._directories[0] is not directory:
                self._directories.remove(directory)
                self._directories.insert(0, directory)
            return answer
        raise Unavailable("; ".join(causes))
