"""What each service needs of its store. Tests run every contract on every backend.

All methods raise Unavailable when the database does not do its part (full disk, lost connection).
"""

from typing import Protocol

from skywire.crypto.keys import PubKey
from skywire.wire.entry import Entry


class DiscoveryStore(Protocol):
    """Entries of dmsg clients and servers, one per key.

    Documents are canonical JSON (`Entry.encode`), ready to be sent. An entry whose lifetime is over
    is gone for `document` and the server lists at once; from `client_keys`, `visor_keys` and
    `count` it may vanish with the next `sweep` only.
    """

    async def document(self, key: PubKey) -> bytes | None:
        """The entry of `key`, None when there is none."""
        ...

    async def put(self, entry: Entry, lifetime: float | None) -> bool:
        """Store `entry` for `lifetime` seconds (None: for ever); True when its key is new.

        Raises Conflict when it may not replace the stored one (`check_iteration`). Check and write
        are one step: of two concurrent calls with the same sequence exactly one succeeds.
        """
        ...

    async def delete(self, key: PubKey) -> bool:
        """True when there was an entry."""
        ...

    async def available_servers(self, limit: int) -> list[bytes]:
        """Documents of up to `limit` servers with room for sessions, most room first.

        When there are more, a random choice.
        """
        ...

    async def all_servers(self) -> list[bytes]:
        """Documents of all servers, in random order."""
        ...

    async def client_keys(self) -> list[PubKey]:
        """Keys of all entries with a client part, in no order."""
        ...

    async def visor_keys(self) -> list[PubKey]:
        """Keys of all entries of client type "visor", in no order."""
        ...

    async def count(self) -> tuple[int, int]:
        """How many servers, how many clients."""
        ...

    async def sweep(self) -> int:
        """Forget what is past its lifetime; returns how many entries that concerned."""
        ...

    async def close(self) -> None:
        """Idempotent. Nothing else may be called afterwards."""
        ...
