"""From a key and a port to an open route: find paths, ask for a route, try others. routing.md §5.1.

The reference takes the first path and gives up when it fails. Ours goes on to other paths, and
remembers for a while which visors and transports failed: they come last then.
"""

import asyncio
import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Sequence,
)
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, InvalidValue, NotFound, SkywireError
from skywire.router.links import Transports
from skywire.router.ports import Ports
from skywire.router.route_group import RouteGroup
from skywire.router.setup_client import NO_NODE
from skywire.router.setup_types import BidirectionalRoute, EdgeRules
from skywire.wire.routes import Bounds, Path
from skywire.wire.rule import DEFAULT_KEEP_ALIVE, RouteDescriptor

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 4  # routes set up for one dial
MAX_DIALS = 64  # at a time; further ones wait
DIAL_LIMIT = 60.0  # seconds for everything
AVOID_TIME = 60.0  # seconds a failed visor or transport comes last
MAX_AVOIDED = 1024  # of each
NO_TRANSPORT = "no transport found"

K = TypeVar("K", bound=Hashable)


class Avoid(NamedTuple):
    """What a path should not have in it."""

    visors: frozenset[PubKey] = frozenset()
    transports: frozenset[UUID] = frozenset()

    def faults(self, path: Path) -> int:
        """How many of these are in `path`, its ends not counted."""
        return sum(hop.tp_id in self.transports for hop in path) + sum(
            hop.to_pk in self.visors for hop in path[:-1]
        )


class Routes(NamedTuple):
    """Paths there and back, the best first, at least one of each."""

    forward: list[Path]
    reverse: list[Path]


class Finder(Protocol):
    async def find(self, source: PubKey, target: PubKey, bounds: Bounds, avoid: Avoid) -> Routes:
        """Raises NotFound when there is no path, or none without what is to be avoided."""
        ...


RouteSetup = Callable[[BidirectionalRoute], Awaitable[EdgeRules]]
"""Has a route set up: `SetupClient.dial_route_group`. Raises SkywireError or TimeoutError."""

Open = Callable[[EdgeRules, Path], Awaitable[RouteGroup]]


class Dialler:
    """`open_group` is the router's; `prepare` may open transports to a key before a dial."""

    def __init__(
        self,
        public: PubKey,
        transports: Transports,
        ports: Ports,
        open_group: Open,
        *,
        finder: Finder | None,
        setup: RouteSetup | None,
        prepare: Callable[[PubKey], Awaitable[object]] | None = None,
        bounds: Bounds,
    ) -> None:
        self._public = public
        self._transports = transports
        self._ports = ports
        self._open_group = open_group
        self._finder = finder
        self._setup = setup
        self._prepare = prepare
        self.bounds = bounds
        self._clock = asyncio.get_running_loop().time
        self._slots = asyncio.Semaphore(MAX_DIALS)
        self._visors: dict[PubKey, float] = {}  # until when to avoid
        self._failed_transports: dict[UUID, float] = {}

    async def dial(
        self, remote: PubKey, port: int, along: "Callable[[Finder], Finder] | None" = None
    ) -> RouteGroup:
        """Raises InvalidValue, NotFound (no path), DialFailed with every attempt's cause.

        `along` makes the finder to use of the usual one; only with it a route may lead to oneself.
        """
        if self._finder is None or self._setup is None:
            raise DialFailed("this visor has no route finder or no setup node: see its config")
        finder = self._finder if along is None else along(self._finder)
        if remote == self._public and along is None:
            raise InvalidValue("a route to oneself: expected another visor's key")
        if not 0 < port < 65536:
            raise InvalidValue(f"port {port} cannot be dialled: expected 1 to 65535")
        causes: list[str] = []
        try:
            async with asyncio.timeout(DIAL_LIMIT), self._slots:
                return await self._dial(remote, port, finder, self._setup, causes)
        except TimeoutError:
            raise DialFailed(
                f"route to {remote}:{port}: not open within {DIAL_LIMIT:.0f} s"
                + "".join(f"; {cause}" for cause in causes)
            ) from None

    async def _dial(
        self, remote: PubKey, port: int, finder: Finder, setup: RouteSetup, causes: list[str]
    ) -> RouteGroup:
        if self._prepare is not None and remote != self._public:
            await self._prepare(remote)
        if not self._transports.links:
            raise DialFailed(f"route to {remote}:{port}: {NO_TRANSPORT}")
        async for forward, reverse in self._candidates(remote, finder):
            try:
                return await self._attempt(remote, port, setup, forward, reverse)
            except (SkywireError, TimeoutError) as error:
                cause = str(error) or "no answer in time"
                log.info("route failed remote=%s path=%s reason=%s", remote, text(forward), cause)
                causes.append(cause)
                if cause.startswith(NO_NODE):
                    break  # another path would not help
                self.failed((forward, reverse), cause)
        raise DialFailed(f"route to {remote}:{port}: " + "; ".join(causes))

    async def _candidates(self, remote: PubKey, finder: Finder) -> AsyncIterator[tuple[Path, Path]]:
        """Pairs of paths to try, `MAX_ATTEMPTS` at most; asks again when those known are used up.

        When there is only one pair it is tried twice. The way back prefers the visors of the way
        there: then a fault in between is told to both ends.
        """
        tried: list[tuple[Path, Path]] = []
        routes = await self._find(remote, finder)
        while len(tried) < MAX_ATTEMPTS:
            pair = self._best(routes)
            if pair in tried:
                routes = await self._find(remote, finder)
                pair = next((new for new in self._pairs(routes) if new not in tried), pair)
                if pair in tried and len(tried) > 1:
                    return
            tried.append(pair)
            yield pair

    async def _find(self, remote: PubKey, finder: Finder) -> Routes:
        avoid = self.avoid()
        try:
            return await finder.find(self._public, remote, self.bounds, avoid)
        except NotFound:
            if avoid == Avoid():
                raise
            return await finder.find(self._public, remote, self.bounds, Avoid())

    def _pairs(self, routes: Routes) -> Iterator[tuple[Path, Path]]:
        for forward in self._sorted(routes.forward):
            there = {hop.to_pk for hop in forward[:-1]}
            back = self._sorted(routes.reverse)
            back.sort(key=lambda path: {hop.to_pk for hop in path[:-1]} != there)
            for reverse in sorted(back, key=self.avoid().faults):
                yield forward, reverse

    def _best(self, routes: Routes) -> tuple[Path, Path]:
        return next(self._pairs(routes))

    def _sorted(self, paths: Iterable[Path]) -> list[Path]:
        return sorted(paths, key=self.avoid().faults)

    async def _attempt(
        self, remote: PubKey, port: int, setup: RouteSetup, forward: Path, reverse: Path
    ) -> RouteGroup:
        local = self._ports.reserve()
        try:
            descriptor = RouteDescriptor(self._public, remote, local, port)
            route = BidirectionalRoute(descriptor.encode(), DEFAULT_KEEP_ALIVE, forward, reverse)
            rules = await setup(route)
            return await self._open_group(rules, forward)
        except BaseException:
            self._ports.release(local)
            raise

    # What failed

    def failed(self, paths: Sequence[Path], reason: str) -> None:
        """Avoid what `reason` names of `paths` for a while; all of it when it names nothing.

        When the far end itself could not be dialled, the way there is not at fault.
        """
        ends = {key for path in paths for key in (path[0].from_pk, path[-1].to_pk)}
        if any(f"dial {key}" in reason for key in ends):
            return
        hops = [hop for path in paths for hop in path]
        between = {hop.to_pk for hop in hops} - ends
        transports = {hop.tp_id for hop in hops if str(hop.tp_id) in reason}
        visors = {key for key in between if f"to {key}" in reason or f"dial {key}" in reason}
        if not transports and not visors:
            transports, visors = {hop.tp_id for hop in hops}, between
        until = self._clock() + AVOID_TIME
        for transport in transports:
            _remember(self._failed_transports, transport, until)
        for visor in visors:
            _remember(self._visors, visor, until)

    def avoid(self) -> Avoid:
        now = self._clock()
        return Avoid(
            frozenset(key for key, until in self._visors.items() if until > now),
            frozenset(id for id, until in self._failed_transports.items() if until > now),
        )


def _remember(table: dict[K, float], key: K, until: float) -> None:
    table.pop(key, None)
    if len(table) >= MAX_AVOIDED:
        del table[next(iter(table))]
    table[key] = until


def text(path: Path) -> str:
    """For people: the visors of a path and what leads to each."""
    return " → ".join(
        [str(path[0].from_pk), *(f"{hop.to_pk} (transport {hop.tp_id})" for hop in path)]
    )
