"""The transport discovery of a visor that has none."""

import uuid
from collections.abc import Sequence

from skywire.crypto.keys import PubKey
from skywire.errors import NotFound
from skywire.wire.transport import Entry, SignedEntry


class Unlisted:
    """A `TransportDiscovery` that lists nothing: its visors' transports are theirs to know."""

    async def register(self, entries: Sequence[SignedEntry]) -> None:
        """Nobody is told."""

    async def entry(self, id: uuid.UUID) -> Entry:
        raise NotFound(f"transport {id}: this visor has no transport discovery")

    async def of_edge(self, pk: PubKey) -> list[Entry]:
        return []

    async def delete(self, id: uuid.UUID) -> None:
        raise NotFound(f"transport {id}: this visor has no transport discovery")
