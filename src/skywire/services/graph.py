"""The graph of all transports, kept in memory and in step with their store.

The reference asks the database for every visor of every request. Ours reads the store again only
when it has changed, and then takes over only what is different.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from skywire.stores.contracts import TransportStore
from skywire.wire.route_graph import Edge, RouteGraph

log = logging.getLogger(__name__)

FRESH = 0.05  # seconds for which the store is not asked whether it has changed
SHARE = 0.1  # of the time may go into reading a store that changes all the time
MAX_FORGOTTEN = 10_000  # visors without transports that the graph remembers
MAX_WAIT = 1.0  # seconds that a request waits for its turn to have the store read

Sleep = Callable[[float], Awaitable[None]]


class LiveGraph:
    """`graph` is as fresh as the last `refresh`. The store stays its owner's."""

    def __init__(
        self,
        store: TransportStore,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.graph = RouteGraph()
        self.reads = 0  # of the whole store
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._changes = 0
        self._version: object = None
        self._checked = float("-inf")
        self._next_read = float("-inf")
        self._turn = asyncio.Lock()

    async def refresh(self, *, at_once: bool = False) -> bool:
        """Whether the graph has changed meanwhile.

        A store that takes 100 ms to read is read once a second, however often it changes.
        `at_once` is for what was not found: it waits until the store may be read again. Then it is
        read even when it says that nothing has changed, for it may be a second behind. Raises
        Unavailable.
        """
        if not at_once and self._clock() < self._checked + FRESH:
            return False
        reads, changes = self.reads, self._changes
        async with self._turn:
            if self.reads == reads:  # else a reading has begun after the question
                await self._follow(at_once)
        return self._changes != changes

    async def _follow(self, at_once: bool) -> None:
        self._checked = self._clock()
        version = await self._store.version()
        same = version is not None and version == self._version
        wait = self._next_read - self._checked
        if wait > 0:
            if same or not at_once or wait > MAX_WAIT:
                return
            await self._sleep(wait)
            version = await self._store.version()
        elif same and not at_once:
            return
        began = self._clock()
        await self._read()
        self._version = version
        self._next_read = self._clock() + (self._clock() - began) * (1 / SHARE - 1)

    async def _read(self) -> None:
        self.reads += 1  # now: who asks from here on needs another reading
        entries = await self._store.all()
        graph = self.graph
        gone = set(graph.ids)
        changed = False
        for entry in entries:
            gone.discard(entry.id)
            one, other = entry.edges
            changed |= graph.add(Edge(entry.id, one, other, entry.type))
        for id in gone:
            graph.remove(id)
        if graph.forgotten > MAX_FORGOTTEN:
            self.graph = graph.copy()
        if changed or gone:
            self._changes += 1
            log.debug("transports read count=%d gone=%d", len(graph), len(gone))
