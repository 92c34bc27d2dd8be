"""The service `pty` of one connection. Source: pty.md §3.2, §6.4.

Classic: the shell dies with the connection. With a registry: it is kept, and can be attached again.
"""

from collections.abc import Awaitable, Callable, Mapping

from skywire.crypto.keys import PubKey
from skywire.pty.registry import Registry
from skywire.pty.session import Follower, Session
from skywire.pty.types import (
    ALREADY_RUNNING,
    MAX_READ,
    NOT_RUNNING,
    SIGNATURES,
    VIEW_ONLY,
    CommandExecReq,
    CommandExecResult,
    CommandReq,
    WinSize,
)
from skywire.rpc.server import GoError, Handler, Method

StartSession = Callable[[PubKey, CommandReq], Session]
Execute = Callable[[CommandExecReq], Awaitable[CommandExecResult]]


class Gateway:
    """`owner` is the peer's authenticated key; the null key for the control socket.

    `start` makes a session, `stop_later` stops one in the background. Call `close` at the end of
    the connection.
    """

    def __init__(
        self,
        owner: PubKey,
        *,
        start: StartSession,
        execute: Execute,
        registry: Registry | None,
        clock: Callable[[], float],
        stop_later: Callable[[Session], None],
    ) -> None:
        self._owner = owner
        self._start_session = start
        self._execute = execute
        self._registry = registry
        self._clock = clock
        self._stop_later = stop_later
        self._follower: Follower | None = None
        self._view_only = False

    def methods(self) -> dict[str, Method]:
        handlers: dict[str, Handler] = {
            "pty.Start": self.start,
            "pty.Stop": self.stop,
            "pty.Read": self.read,
            "pty.Write": self.write,
            "pty.SetPtySize": self.set_size,
            "pty.Ping": ping,
            "pty.Exec": self._execute,
        }
        if self._registry is not None:
            handlers["pty.StartSession"] = self.start_session
            handlers["pty.Attach"] = self.attach
            handlers["pty.View"] = self.view
        return methods_of(handlers)

    async def start(self, request: CommandReq) -> None:
        await self.start_session(request)

    async def start_session(self, request: CommandReq) -> str:
        """The session's id; "" without persistence."""
        if self._follower is not None:
            raise GoError(ALREADY_RUNNING)
        if self._registry is not None and (old := self._registry.make_room(self._clock())):
            self._stop_later(old)
        session = self._start_session(self._owner, request)
        name = self._registry.add(session) if self._registry is not None else ""
        self._follower = session.follow()
        self._follower.size = request.size
        return name

    async def attach(self, name: str) -> None:
        if self._follower is not None:
            raise GoError(ALREADY_RUNNING)
        if self._registry is not None:
            self._follower = self._registry.get(name, self._owner).follow(replay=True)

    async def view(self, name: str) -> None:
        """As `attach`, but only to look on; also at what only the node itself may see."""
        if self._follower is not None:
            raise GoError(ALREADY_RUNNING)
        if self._registry is not None:
            self._follower = self._registry.find(name, self._owner).follow(replay=True)
            self._view_only = True

    def _acting(self) -> Follower:
        follower = self._running()
        if self._view_only:
            raise GoError(VIEW_ONLY)
        return follower

    def _running(self) -> Follower:
        if self._follower is None:
            raise GoError(NOT_RUNNING)
        return self._follower

    async def stop(self, _: None = None) -> None:
        """End the shell, for all its viewers. Afterwards another one may be started."""
        follower = self._acting()
        self._follower = None
        if self._registry is not None:
            self._registry.remove(follower.session.id)
        try:
            await follower.session.stop()  # first, for it tells a waiting Read why it ends
        finally:
            follower.close()

    def read(self, size: int) -> Awaitable[bytes]:
        check_read_size(size)
        return self._running().read(min(size, MAX_READ))

    def write(self, data: bytes) -> int | Awaitable[int]:
        """Answers at once when the terminal takes all of `data`, as it nearly always does."""
        follower = self._acting()
        rest = follower.session.write_now(follower, data)
        return self._write_rest(follower, rest, len(data)) if rest else len(data)

    async def _write_rest(self, follower: Follower, rest: bytes, size: int) -> int:
        await follower.session.write(follower, rest)
        return size

    async def set_size(self, size: WinSize) -> None:
        follower = self._acting()
        follower.session.resize(follower, size)

    async def close(self) -> None:
        """The connection is over: leave a kept session, stop another."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.close()
            if self._registry is None:
                await follower.session.stop()


def check_read_size(size: int) -> None:
    """Raises GoError. (A negative size crashes a 2024 host: never pass one on.)"""
    if size <= 0:
        raise GoError(f"invalid read size: {size}")


async def ping(_: None) -> None:
    """Keeps the stream from idling out."""


def methods_of(handlers: Mapping[str, Handler]) -> dict[str, Method]:
    """Write calls run in the order of their arrival: Go clients send them without waiting.

    Nobody is left to take what Read and Exec answer once the peer has finished.
    """
    return {
        name: Method(
            *SIGNATURES[name],
            handler,
            ordered=name == "pty.Write",
            for_peer=name in ("pty.Read", "pty.Exec"),
            unhurried=name == "pty.Write",  # the echo follows
        )
        for name, handler in handlers.items()
    }
