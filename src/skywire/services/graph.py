"""The graph of all transports, kept in memory and in step with their store.

The reference asks the database for every visor of every request. Ours reads the store again only
when it has changed, and then takes over only what is different.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from skywire.stores.contracts import TransportStore
from skywire.wire.route_graph import Edge, RouteGraph

log = logging.getLogger(__name__)

FRESH = 0.05  # seconds for which the store is not asked whether it has changed
SHARE = 0.1  # of the time may go into reading a store that changes all the time


class LiveGraph:
    """`graph` is as fresh as the last `refresh`. The store stays its owner's."""

    def __init__(
        self, store: TransportStore, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.graph = RouteGraph()
        self.reads = 0  # of the whole store
        self._store = store
        self._clock = clock
        self._version: object = None
        self._checked = float("-inf")
        self._next_read = float("-inf")
        self._turn = asyncio.Lock()

    async def refresh(self, *, at_once: bool = False) -> bool:
        """Whether the graph has changed. `at_once`, for what was not found: the store is read
        even when it says that nothing has changed, for it may be a second behind.

        A store that takes 100 ms to read is read once a second, however often it changes. Raises
        Unavailable.
        """
        if not at_once and self._clock() < self._checked + FRESH:
            return False
        reads = self.reads
        async with self._turn:
            if self.reads != reads:
                return True  # somebody else did it meanwhile
            now = self._clock()
            if now < self._next_read:
                return False
            version = await self._store.version()
            self._checked = now
            if version is not None and version == self._version and not at_once:
                return False
            changed = await self._read()
            self._version = version
            self._next_read = self._clock() + (self._clock() - now) * (1 / SHARE - 1)
            return changed

    async def _read(self) -> bool:
        entries = await self._store.all()
        self.reads += 1
        graph = self.graph
        gone = set(graph.ids)
        changed = False
        for entry in entries:
            gone.discard(entry.id)
            one, other = entry.edges
            changed |= graph.add(Edge(entry.id, one, other, entry.type))
        for id in gone:
            graph.remove(id)
        if changed or gone:
            log.debug("transports read count=%d gone=%d", len(graph), len(gone))
        return changed or bool(gone)
