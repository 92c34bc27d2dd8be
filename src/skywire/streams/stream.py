"""The one interface of everything two-way: TCP, dmsg, yamux and route group connections.

Every implementation passes `skywire.testing.stream_contract`. One reader and one writer at a time.
A cancelled `read` loses nothing; after a cancelled `write` the stream must be aborted.
Deadlines are the caller's: `async with asyncio.timeout(…)`.
"""

from typing import NamedTuple, Protocol, runtime_checkable

from skywire.crypto.keys import PubKey

READ_SIZE = 65536


class Address(NamedTuple):
    """Where an end of a stream is. `pk` is the authenticated key of that end, if there is one."""

    network: str  # "dmsg", "skynet", "tcp", "unix", "memory"
    host: str  # public key in hexadecimal, host name or path
    port: int = 0
    pk: PubKey | None = None

    @classmethod
    def dmsg(cls, pk: PubKey, port: int) -> "Address":
        return cls("dmsg", pk.hex(), port, pk)

    @classmethod
    def skynet(cls, pk: PubKey, port: int) -> "Address":
        """At the end of a route."""
        return cls("skynet", pk.hex(), port, pk)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.network != "unix" else self.host


class Stream(Protocol):
    @property
    def local(self) -> Address: ...

    @property
    def remote(self) -> Address: ...

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        """At least one byte, at most `max_bytes`; b"" when the peer has finished.

        Raises StreamReset when the connection broke, StreamClosed when we closed it.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Returns when `data` is accepted; waits while the peer does not take more.

        Raises StreamReset or StreamClosed. Writing b"" does nothing.
        """
        ...

    async def write_eof(self) -> None:
        """Finish our direction only. Raises NotSupported where there is no half-close (dmsg)."""
        ...

    async def close(self) -> None:
        """Orderly end; what was written still arrives. Idempotent, never raises."""
        ...

    def abort(self) -> None:
        """End now, from any state. Idempotent, never raises."""
        ...


@runtime_checkable
class WritesNow(Protocol):
    """A stream that may take data without a task switch."""

    def write_now(self, data: bytes) -> bool:
        """Take all of `data` and return True, or nothing because it would have to wait.

        Raises as `write`. Not while a `write` is running.
        """
        ...


class Listener(Protocol):
    @property
    def address(self) -> Address: ...

    async def accept(self) -> Stream:
        """The next incoming stream. Raises StreamClosed once the listener is closed."""
        ...

    async def close(self) -> None: ...
