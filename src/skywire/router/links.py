"""What the router needs of transports: to send whole packets, and to know when one is gone.

The manager of `transport/` offers it, and so does the test kit's network in memory.
"""

from collections.abc import Callable, Mapping
from typing import Protocol
from uuid import UUID

from skywire.crypto.keys import PubKey


class Link(Protocol):
    """One transport. `congested`: more waits to be sent than is good; whoever can, should wait."""

    @property
    def id(self) -> UUID: ...
    @property
    def remote(self) -> PubKey: ...
    @property
    def type(self) -> str: ...
    @property
    def is_up(self) -> bool: ...
    @property
    def congested(self) -> bool: ...

    def send(self, data: bytes | memoryview, packets: int = 1) -> None:
        """Queue whole packets. Raises StreamReset when it is down, Unavailable when it is full."""
        ...

    def when_drained(self, call: Callable[[], None]) -> None:
        """Call once when it is no longer congested, or is down."""
        ...


class Transports(Protocol):
    @property
    def links(self) -> Mapping[UUID, Link]:
        """Those that are up."""
        ...
