"""What each service needs of its store. Tests run every contract on every backend.

All methods raise Unavailable when the database does not do its part (full disk, lost connection).
"""

from typing import NamedTuple, Protocol
from uuid import UUID

from skywire.crypto.keys import PubKey
from skywire.wire import transport
from skywire.wire.entry import Entry
from skywire.wire.resolver import Binding
from skywire.wire.service import Service


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


class TransportStore(Protocol):
    """Which transports exist, each for its lease. What has expired is gone for all methods.

    A lifetime is in seconds; None is for ever.
    """

    async def add(self, entry: transport.Entry, lifetime: float | None) -> None:
        """Raises Conflict when the transport is there already: then its lease is renewed."""
        ...

    async def by_id(self, id: UUID) -> transport.Entry | None: ...

    async def by_edge(self, key: PubKey) -> list[transport.Entry]:
        """Transports with `key` at either end, in no order."""
        ...

    async def all(self) -> list[transport.Entry]: ...

    async def delete(self, id: UUID) -> bool:
        """True when there was one."""
        ...

    async def version(self) -> object:
        """Equal to an earlier version: all answers are as they were then.

        None: cannot be told. A database on another machine may be a second behind what other
        programs write to it.
        """
        ...

    async def count(self) -> int: ...

    async def sweep(self) -> int:
        """Make room: forget for good what has expired; returns how many."""
        ...

    async def close(self) -> None:
        """Idempotent. Nothing else may be called afterwards."""
        ...


class BindingStore(Protocol):
    """Where visors can be reached, per network ("stcpr", "sudph"), each for its lease."""

    async def bind(
        self, network: str, key: PubKey, binding: Binding, lifetime: float | None
    ) -> None:
        """Replaces what was bound."""
        ...

    async def binding(self, network: str, key: PubKey) -> Binding | None: ...

    async def unbind(self, network: str, key: PubKey) -> bool:
        """True when something was bound."""
        ...

    async def keys(self, network: str) -> list[PubKey]:
        """Of all visors that are bound, in no order."""
        ...

    async def sweep(self) -> int: ...

    async def close(self) -> None: ...


class ServiceStore(Protocol):
    """Which visors offer what, one record per key and type, each for its lease."""

    async def put(self, service: Service, lifetime: float | None) -> Service:
        """What is stored now: the port of an earlier record stays."""
        ...

    async def service(self, key: PubKey, kind: str) -> Service | None: ...

    async def services(self, kind: str, version: str = "", country: str = "") -> list[Service]:
        """In the order in which they came; an empty text matches all."""
        ...

    async def delete(self, key: PubKey, kind: str) -> bool: ...

    async def sweep(self) -> int: ...

    async def close(self) -> None: ...


class DailyUptime(NamedTuple):
    """What is known of one visor on one day."""

    key: str  # public key, hexadecimal
    day: str  # YYYY-MM-DD in UTC
    seconds: int
    version: str
    ips: str  # the public addresses it had, with commas between them
    last_ip: str
    updated: float  # Unix time in seconds of the last credit


class UptimeStore(Protocol):
    """How long visors were up, by day in UTC."""

    async def credit(self, key: PubKey, now: float, seconds: int, version: str, ip: str) -> None:
        """Add `seconds` to the day of `now`, a Unix time; `ip` "" is unknown."""
        ...

    async def days(self, first: str, last: str) -> list[DailyUptime]:
        """From day `first` to day `last`, by key and day; several of one day are to be added."""
        ...

    async def oldest(self) -> str:
        """The first day of which something is known, "" when nothing is."""
        ...

    async def forget(self, day: str) -> int:
        """Delete what is known of a day; returns how many records that were."""
        ...

    async def close(self) -> None: ...


class NonceStore(Protocol):
    """Counters of one service: the nonce that the next request of a key must have."""

    async def next_nonce(self, key: PubKey) -> int:
        """0 for a key that is new."""
        ...

    async def advance(self, key: PubKey) -> None:
        """Add one, in one step."""
        ...

    async def close(self) -> None: ...
