"""How far away is another visor, over a route? Source: apps.md §10, routing.md §6.6.

    port 58  the other visor answers each message; nodes of 2026 and ours
    port 48  a node of 2024 answers nothing: a route leads over it back to us, and we are both ends

`dial` has such a route ready, `ping` sends messages over it, `trace` looks at each hop of it.
"""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from statistics import median
from time import monotonic
from typing import NamedTuple, Protocol

from skywire.crypto import generate
from skywire.crypto.keys import PubKey
from skywire.errors import (
    DialFailed,
    InvalidValue,
    NotFound,
    RemoteProtocolError,
    SkywireError,
    StreamReset,
)
from skywire.ports import SKYNET_PING, SKYNET_PING_2024
from skywire.router.finder import turned
from skywire.router.ports import RouteListener, offline
from skywire.router.route_group import RouteGroup
from skywire.streams.serving import serve_each
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.visor.modules import Report
from skywire.wire import ping as wire
from skywire.wire.ping import PingReader
from skywire.wire.routes import Hop, Path

log = logging.getLogger(__name__)

DIAL_LIMIT = 60.0  # seconds for a route
ECHO_LIMIT = 10.0  # seconds for one message there and back
IDLE_LIMIT = 300.0  # seconds without a message, then an echo stream is closed
MAX_ECHOES = 64  # streams answered at a time
MAX_ROUTES = 64  # kept to others
MAX_TRIES = 100  # of one ping
MAX_SIZE = 64  # KiB of a message
MAX_TRACED = 8  # hops of a route that are measured one by one
PROBE = 16  # bytes


class Routes(Protocol):
    """`visor.routes.Routes`."""

    async def dial(self, remote: PubKey, port: int) -> RouteGroup: ...

    async def dial_via(self, remote: PubKey, port: int, via: PubKey) -> RouteGroup: ...

    async def dial_along(self, path: Path, port: int) -> RouteGroup: ...

    def listen(self, port: int) -> RouteListener: ...


class Step(NamedTuple):
    """One hop of a route; `round_trip` in seconds, from us to its far end and back, or None."""

    hop: Hop
    round_trip: float | None


class _Echo:
    """A route to a visor that answers."""

    def __init__(self, own: PubKey, group: RouteGroup) -> None:
        self.path = group.path
        self._own = own
        self._group = group

    async def exchange(self, size: int) -> float:
        """Seconds of one message of `size` bytes."""
        stamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        payload = wire.encode_payload(self._own, generate.random_bytes(size), stamp)
        await self._group.write(wire.encode_size(len(payload)))
        await _expect(self._group, wire.OK)
        begin = monotonic()
        await self._group.write(payload)
        await _expect(self._group, wire.PONG)
        return monotonic() - begin

    def abort(self) -> None:
        self._group.abort()

    async def close(self) -> None:
        await self._group.close()


class _Loop:
    """A route over a visor back to us: `here` and `there` are its ends."""

    def __init__(self, here: RouteGroup, there: RouteGroup) -> None:
        self.path = here.path[: len(here.path) // 2]
        self._here = here
        self._there = there

    async def exchange(self, size: int) -> float:
        message = generate.random_bytes(size)
        begin = monotonic()
        await asyncio.gather(self._here.write(message), _expect(self._there, message))
        return monotonic() - begin

    def abort(self) -> None:
        self._here.abort()
        self._there.abort()

    async def close(self) -> None:
        await asyncio.gather(self._here.close(), self._there.close())


class Pings:
    def __init__(self, own: PubKey, routes: Routes) -> None:
        self._own = own
        self._network = routes
        self._routes: dict[PubKey, _Echo | _Loop] = {}
        self._turns: dict[PubKey, asyncio.Lock] = {}
        self._far_ends: dict[int, RouteGroup] = {}  # of loops, by the port of the near end
        self._arrived = asyncio.Condition()

    async def serve(self, report: Report) -> None:
        """The echo of this visor, and the far ends of its own loops."""
        echo = self._network.listen(SKYNET_PING)
        loops = self._network.listen(SKYNET_PING_2024)
        tasks = Tasks("ping")
        report.up()
        try:
            tasks.spawn(self._accept_loops(loops), "loops")
            await serve_each(echo, _answer, name="echo", limit=MAX_ECHOES)
        finally:
            await tasks.close()
            await echo.close()
            await loops.close()

    async def _accept_loops(self, listener: RouteListener) -> None:
        while True:
            group = await listener.accept()
            if group.remote.pk != self._own or len(self._far_ends) >= MAX_ROUTES:
                group.abort()
                continue
            async with self._arrived:
                self._far_ends[group.remote.port] = group
                self._arrived.notify_all()

    # A route

    async def dial(self, pk: PubKey, via: PubKey | None = None) -> None:
        """Have a route to `pk` ready. Raises InvalidValue, DialFailed, NotFound."""
        if pk == self._own:
            raise InvalidValue("Visor cannot ping itself")
        if pk in self._routes:
            return
        if len(self._routes) >= MAX_ROUTES:
            raise InvalidValue(f"{MAX_ROUTES} visors are pinged already: stop one first")
        route = await self._route(pk, via)
        if pk in self._routes:  # somebody else was quicker
            await route.close()
        else:
            self._routes[pk] = route

    async def _route(
        self, pk: PubKey, via: PubKey | None = None, path: Path | None = None
    ) -> _Echo | _Loop:
        if via in (self._own, pk):
            raise InvalidValue(f"over {via}: expected a visor between this one and {pk}")
        try:
            async with asyncio.timeout(DIAL_LIMIT):
                if path is not None:
                    group = await self._network.dial_along(path, SKYNET_PING)
                elif via is not None:
                    group = await self._network.dial_via(pk, SKYNET_PING, via)
                else:
                    group = await self._network.dial(pk, SKYNET_PING)
                return await self._answering(group)
        except TimeoutError:
            raise DialFailed(f"{pk}: no route that answers within {DIAL_LIMIT:g} s") from None

    async def _answering(self, group: RouteGroup) -> _Echo | _Loop:
        """A way to get answers, once the first one has come."""
        route = _Echo(self._own, group)
        try:
            async with asyncio.timeout(ECHO_LIMIT):
                await route.exchange(PROBE)
        except StreamReset as error:
            if offline(SKYNET_PING) not in str(error):
                raise
            log.info("no echo, pinging by a route back to us remote=%s", group.remote)
        except TimeoutError:
            route.abort()
            text = f"{group.remote.pk} answers no pings: nothing within {ECHO_LIMIT:g} s"
            raise DialFailed(text) from None
        except BaseException:
            route.abort()
            raise
        else:
            return route
        return await self._loop(group.path)

    async def _loop(self, path: Path) -> _Loop:
        here = await self._network.dial_along([*path, *turned(path)], SKYNET_PING_2024)
        port = here.local.port
        try:
            async with asyncio.timeout(ECHO_LIMIT), self._arrived:
                await self._arrived.wait_for(lambda: port in self._far_ends)
                return _Loop(here, self._far_ends.pop(port))
        except BaseException:
            here.abort()
            raise

    # Messages

    async def ping(self, pk: PubKey, tries: int, size: int) -> list[float]:
        """Seconds of each of `tries` messages of `size` KiB (at least 1 byte), there and back.

        Raises NotFound when there is no route, StreamReset when it has just ended.
        """
        _check(tries, size)
        async with self._turns.setdefault(pk, asyncio.Lock()):
            route = self._routes.get(pk)
            if route is None:
                raise NotFound(f"no route to {pk} is ready: dial first")
            try:
                return await _times(route, tries, max(1, size * 1024))
            except BaseException:
                self._routes.pop(pk, None)
                route.abort()
                raise

    async def stop(self, pk: PubKey) -> None:
        """Close the route to `pk`, if there is one."""
        route = self._routes.pop(pk, None)
        self._turns.pop(pk, None)
        if route is not None:
            await route.close()

    async def once(
        self, pk: PubKey, tries: int, size: int, via: PubKey | None = None
    ) -> list[float]:
        """As `dial`, `ping` and `stop`, over a route of its own."""
        return (await self.trace(pk, tries, size, via, hops=False))[0]

    async def trace(
        self,
        pk: PubKey,
        tries: int,
        size: int,
        via: PubKey | None = None,
        *,
        hops: bool = True,
    ) -> tuple[list[float], list[Step]]:
        """Seconds of each message, and the hops of the route they took, each measured by itself.

        A hop in between that cannot be measured has no figure. Raises as `dial` and `ping`.
        """
        if pk == self._own:
            raise InvalidValue("Visor cannot ping itself")
        _check(tries, size)
        route = await self._route(pk, via)
        try:
            taken = await _times(route, tries, max(1, size * 1024))
        except BaseException:
            route.abort()
            raise
        steps: list[Step] = []
        if hops:
            small = await self._trip(route, tries)
            ends = range(1, min(len(route.path), MAX_TRACED))
            steps = [await self._step(route.path[:end], tries) for end in ends]
            steps += [Step(hop, None) for hop in route.path[MAX_TRACED:-1]]
            steps.append(Step(route.path[-1], small))
        await route.close()
        return taken, steps

    async def _step(self, path: Path, tries: int) -> Step:
        trip = None
        with suppress(SkywireError, TimeoutError):
            route = await self._route(path[-1].to_pk, path=path)
            trip = await self._trip(route, tries)
            await route.close()
        return Step(path[-1], trip)

    async def _trip(self, route: _Echo | _Loop, tries: int) -> float | None:
        try:
            return median(await _times(route, tries, PROBE))
        except (SkywireError, TimeoutError):
            route.abort()
            return None


def _check(tries: int, size: int) -> None:
    if not 0 < tries <= MAX_TRIES or not 0 <= size <= MAX_SIZE:
        raise InvalidValue(
            f"{tries} messages of {size} KiB: expected 1 to {MAX_TRIES} of 0 to {MAX_SIZE}"
        )


async def _times(route: _Echo | _Loop, tries: int, size: int) -> list[float]:
    taken = []
    for _ in range(tries):
        async with asyncio.timeout(ECHO_LIMIT):
            taken.append(await route.exchange(size))
    return taken


async def _expect(stream: Stream, message: bytes) -> None:
    answer = b""
    while len(answer) < len(message):
        data = await stream.read(len(message) - len(answer))
        if not data:
            raise StreamReset(f"{stream.remote} has closed the route")
        answer += data
    if answer != message:
        raise RemoteProtocolError(f"{stream.remote} answered something else")


async def _answer(stream: Stream) -> None:
    reader = PingReader()
    while True:
        async with asyncio.timeout(IDLE_LIMIT):
            data = await stream.read()
            if not data:
                break
            if answer := reader.receive_data(data):
                await stream.write(answer)
    await stream.close()
