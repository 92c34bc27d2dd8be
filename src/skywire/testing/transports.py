"""A transport discovery in memory, and networks in memory for transport managers."""

import asyncio
import uuid
from collections.abc import Sequence

from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, DialFailed, NotFound, NotSupported, Unavailable
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.testing.streams import stream_pair
from skywire.transport.networks import OnStream
from skywire.wire import transport
from skywire.wire.handshake import TRANSPORT_PORT
from skywire.wire.transport import Entry, SignedEntry


class MemoryTransportDiscovery:
    """A `TransportDiscovery`; verifies as ours does, and can be away."""

    def __init__(self) -> None:
        self.entries: dict[uuid.UUID, SignedEntry] = {}
        self.away = False
        self.renews = True  # False: as Go with PostgreSQL
        self.registrations = 0
        self.deletions = 0

    def _check(self) -> None:
        if self.away:
            raise Unavailable("the transport discovery is away")

    async def register(self, entries: Sequence[SignedEntry]) -> None:
        self._check()
        for signed in entries:
            transport.verify(signed)
            self.registrations += 1
            if signed.entry.id in self.entries:
                kind = Conflict if self.renews else NotSupported
                raise kind(f"transport {signed.entry.id} is listed already")
            self.entries[signed.entry.id] = signed

    async def entry(self, id: uuid.UUID) -> Entry:
        self._check()
        if id not in self.entries:
            raise NotFound(f"transport {id} is not listed")
        return self.entries[id].entry

    async def of_edge(self, pk: PubKey) -> list[Entry]:
        self._check()
        return [signed.entry for signed in self.entries.values() if pk in signed.entry.edges]

    async def delete(self, id: uuid.UUID) -> None:
        self._check()
        self.deletions += 1
        if self.entries.pop(id, None) is None:
            raise NotFound(f"transport {id} is not listed")


class MemoryNetworks:
    """Where the `MemoryNetwork`s of a test find each other, by type and key."""

    def __init__(self, chunk: int = 65536) -> None:
        self.chunk = chunk
        self.serving: dict[tuple[str, PubKey], tuple[OnStream, Tasks]] = {}
        self.streams: list[Stream] = []  # the dialler's ends of all connections

    def of(self, pk: PubKey, kind: str) -> "MemoryNetwork":
        return MemoryNetwork(self, pk, kind)


class MemoryNetwork:
    """A transport `Network` whose connections are pairs of memory streams."""

    def __init__(self, where: MemoryNetworks, pk: PubKey, kind: str) -> None:
        self.type = kind
        self.dialled = 0
        self._where = where
        self._pk = pk

    def _address(self, pk: PubKey) -> Address:
        return Address(self.type, pk.hex(), TRANSPORT_PORT, pk)

    async def dial(self, remote: PubKey) -> Stream:
        self.dialled += 1
        found = self._where.serving.get((self.type, remote))
        if found is None:
            raise DialFailed(f"{remote} does not listen for {self.type}")
        on_stream, tasks = found
        here, there = stream_pair(self._where.chunk, self._address(self._pk), self._address(remote))
        self._where.streams.append(here)

        async def accept() -> None:
            await on_stream(there)

        tasks.spawn(accept(), "accept")
        return here

    async def serve(self, on_stream: OnStream) -> None:
        tasks = Tasks(f"memory {self.type}")
        self._where.serving[self.type, self._pk] = (on_stream, tasks)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            del self._where.serving[self.type, self._pk]
            await tasks.close()
