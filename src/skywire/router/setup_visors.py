"""A setup node's connections to visors: kept for a while, shared by the set-ups that need them.

    held = await visors.hold([a, b, c])
    try:
        await held[a].call(RESERVE_IDS, 2)
    finally:
        visors.release(held)

A visor in the middle of things is on many routes: without keeping, each set-up would cost it and
the relay servers a stream.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, SkywireError, StreamError
from skywire.ports import DMSG_AWAIT_SETUP
from skywire.router.setup_types import SIGNATURES
from skywire.rpc.client import RpcClient
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks

log = logging.getLogger(__name__)

DIAL_TIME = 15.0  # seconds for a stream to a visor
CALL_TIME = 10.0  # seconds for a visor's answer
STALE_TIME = 3.0  # seconds for the first answer over a kept connection: it may be dead
KEEP_TIME = 15.0  # seconds a connection that nobody uses is kept
MAX_KEPT = 256  # connections that nobody uses
MAX_ANSWER = 64 * 1024  # bytes; 255 ids are less than 2 KB

Dial = Callable[[PubKey, int], Awaitable[Stream]]

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order; the first failure cancels the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


class _Connection:
    """To one visor. `opening` never fails: its result is the client or the error."""

    def __init__(self, opening: "asyncio.Task[RpcClient | Exception]") -> None:
        self.opening = opening
        self.users = 0
        self.end: asyncio.TimerHandle | None = None

    @property
    def client(self) -> RpcClient | None:
        if not self.opening.done() or self.opening.cancelled():
            return None
        result = self.opening.result()
        return result if isinstance(result, RpcClient) else None

    @property
    def usable(self) -> bool:
        if not self.opening.done():
            return True
        client = self.client
        return client is not None and not client.closed


class Held:
    """A visor's connection, in use by one set-up."""

    def __init__(self, visors: "Visors", pk: PubKey) -> None:
        self.pk = pk
        self._visors = visors
        self._connection: _Connection | None = None
        self._fresh = True

    async def open(self) -> None:
        """Raises DialFailed."""
        self._connection, self._fresh = self._visors.take(self.pk)
        client = await asyncio.shield(self._connection.opening)
        if isinstance(client, Exception):
            why = str(client) or f"no answer within {DIAL_TIME:.0f} s"
            raise DialFailed(f"dial {self.pk}@{DMSG_AWAIT_SETUP}: {why}") from client

    async def call(self, method: str, argument: Any) -> Any:
        """The visor's answer. Raises Refused, RemoteProtocolError, StreamError or TimeoutError.

        A kept connection that turns out to be dead is replaced, once, so a call may arrive twice
        unless another one was answered before.
        """
        if self._fresh:
            return await self._call(method, argument, CALL_TIME)
        self._fresh = True
        try:
            return await self._call(method, argument, STALE_TIME)
        except (StreamError, TimeoutError) as error:
            log.debug("kept connection is dead visor=%s error=%s", self.pk, error or "time")
        self._let_go(broken=True)
        await self.open()
        self._fresh = True
        return await self._call(method, argument, CALL_TIME)

    async def _call(self, method: str, argument: Any, time: float) -> Any:
        client = self._connection.client if self._connection else None
        if client is None:
            raise DialFailed(f"dial {self.pk}@{DMSG_AWAIT_SETUP}: not connected")
        argument_type, reply_type = SIGNATURES[method]
        try:
            async with asyncio.timeout(time):
                return await client.call(method, argument_type, argument, reply_type)
        except TimeoutError as error:
            raise TimeoutError(f"no answer within {time:.0f} s") from error

    def close(self) -> None:
        self._let_go(broken=False)

    def _let_go(self, *, broken: bool) -> None:
        if self._connection is not None:
            self._visors.give_back(self.pk, self._connection, broken=broken)
            self._connection = None


class Visors:
    """Owns the connections; `close` ends them."""

    def __init__(self, dial: Dial, *, keep_time: float = KEEP_TIME) -> None:
        self._dial = dial
        self._keep_time = keep_time
        self._connections: dict[PubKey, _Connection] = {}
        self._kept = 0
        self._tasks = Tasks("setup node's visors")

    def __len__(self) -> int:
        """Connections, open or being opened."""
        return len(self._connections)

    async def hold(self, keys: Iterable[PubKey]) -> dict[PubKey, Held]:
        """Connections to all `keys`, dialled side by side; `release` them.

        Raises DialFailed for the first that cannot be reached; the others are not waited for.
        """
        held = {key: Held(self, key) for key in keys}
        try:
            await together(one.open() for one in held.values())
        except BaseException:
            self.release(held)
            raise
        return held

    @staticmethod
    def release(held: Mapping[PubKey, Held]) -> None:
        for one in held.values():
            one.close()

    def take(self, pk: PubKey) -> tuple[_Connection, bool]:
        """A connection, and whether it is a new one; `give_back` it."""
        connection = self._connections.get(pk)
        fresh = connection is None or not connection.usable
        if connection is None or fresh:
            connection = _Connection(self._tasks.spawn(self._open(pk), f"dial {pk}"))
            self._connections[pk] = connection
        if connection.end is not None:
            connection.end.cancel()
            connection.end = None
            self._kept -= 1
        connection.users += 1
        return connection, fresh

    def give_back(self, pk: PubKey, connection: _Connection, *, broken: bool) -> None:
        connection.users -= 1
        current = self._connections.get(pk) is connection
        if current and (broken or not connection.usable):
            del self._connections[pk]
            current = False
        if connection.users:
            return
        if not current or self._kept >= MAX_KEPT:
            self._end(pk, connection)
            return
        self._kept += 1
        loop = asyncio.get_running_loop()
        connection.end = loop.call_later(self._keep_time, self._expire, pk, connection)

    def _expire(self, pk: PubKey, connection: _Connection) -> None:
        connection.end = None
        self._kept -= 1
        self._end(pk, connection)

    def _end(self, pk: PubKey, connection: _Connection) -> None:
        if self._connections.get(pk) is connection:
            del self._connections[pk]
        if not connection.opening.done():
            connection.opening.cancel()
        elif (client := connection.client) is not None:
            self._tasks.spawn(client.close(), f"close {pk}")

    async def _open(self, pk: PubKey) -> RpcClient | Exception:
        try:
            async with asyncio.timeout(DIAL_TIME):
                stream = await self._dial(pk, DMSG_AWAIT_SETUP)
        except (SkywireError, TimeoutError) as error:
            return error
        client = RpcClient(stream, max_message=MAX_ANSWER)
        return await client.__aenter__()

    async def close(self) -> None:
        """Idempotent."""
        for connection in self._connections.values():
            if connection.end is not None:
                connection.end.cancel()
        connections = list(self._connections.values())
        self._connections.clear()
        await self._tasks.close()
        for connection in connections:
            if (client := connection.client) is not None:
                await client.close()
