"""The setup node: makes routes for visors that ask, by telling every visor of a path its rules.

    node = SetupNode(client.dial)
    listener = client.listen(DMSG_SETUP_NODE)
    try:
        await node.serve_all(listener)
    finally:
        await node.close()

Source: routing.md §5.2. Ours differs on purpose: connections to visors are kept for a while, a
caller's requests are limited, and when a set-up fails half-way the rules that intermediaries have
already got are replaced by dead ones rather than left to time out.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import Refused, RemoteProtocolError, SkywireError
from skywire.metrics import Registry
from skywire.router import setup_rules
from skywire.router.setup_rules import Plan
from skywire.router.setup_types import (
    ADD_EDGE_RULES,
    ADD_INTERMEDIARY_RULES,
    DIAL_ROUTE_GROUP,
    RESERVE_IDS,
    SIGNATURES,
    BidirectionalRoute,
    EdgeRules,
)
from skywire.router.setup_visors import Dial, Held, Visors, together
from skywire.rpc.server import Method, RpcServer
from skywire.streams.serving import serve_each
from skywire.streams.stream import Listener, Stream
from skywire.streams.supervise import Tasks

log = logging.getLogger(__name__)

SETUP_TIME = 30.0  # seconds for one request
UNDO_TIME = 5.0  # seconds for the rules of a failed set-up to be withdrawn
MAX_RUNNING = 256  # set-ups at a time; others wait
MAX_RUNNING_OF_CALLER = 64
MAX_PENDING_OF_CALLER = 256  # running or waiting; one more is refused
MAX_STREAMS = 2048  # callers' connections
MAX_REQUEST = 64 * 1024  # bytes; two paths of 100 hops are some 20 KB
MAX_CALLS = 16  # of one connection

BUSY = "too many route set-ups at once"


class _Caller:
    """Set-ups of one key."""

    def __init__(self) -> None:
        self.pending = 0
        self.running = asyncio.Semaphore(MAX_RUNNING_OF_CALLER)


class SetupNode:
    """Does not check that the caller is the route's source: the visors trust the node's key."""

    def __init__(self, dial: Dial, *, metrics: Registry | None = None) -> None:
        self._visors = Visors(dial)
        self._running = asyncio.Semaphore(MAX_RUNNING)
        self._callers: dict[PubKey, _Caller] = {}
        self._tasks = Tasks("setup node")
        registry = metrics or Registry()
        self._done = registry.counter(
            "setup_node_routes_total", "Route set-ups by outcome", outcome="done"
        )
        self._failed = registry.counter(
            "setup_node_routes_total", "Route set-ups by outcome", outcome="failed"
        )
        registry.gauge(
            "setup_node_visors", "Connections to visors", lambda: float(len(self._visors))
        )

    async def serve_all(self, listener: Listener) -> None:
        """Answer every stream of `listener` until it is closed. Cancel to stop."""
        await serve_each(listener, self.serve, name="setup node", limit=MAX_STREAMS)

    async def serve(self, stream: Stream) -> None:
        """Answer the requests on `stream` until the peer is done; closes it."""
        caller = stream.remote.pk or NULL_KEY
        method = Method(*SIGNATURES[DIAL_ROUTE_GROUP], partial(self.dial_route_group, caller))
        server = RpcServer({DIAL_ROUTE_GROUP: method}, max_calls=MAX_CALLS, max_message=MAX_REQUEST)
        await server.serve(stream)

    async def dial_route_group(self, caller: PubKey, route: BidirectionalRoute) -> EdgeRules:
        """Set the route up and return the rules of its source.

        Raises InvalidValue for a route that makes no sense, Refused otherwise, both with the
        reference's texts; TimeoutError.
        """
        try:
            async with asyncio.timeout(SETUP_TIME), self._place(caller):
                rules = await self._set_up(route)
        except BaseException as error:
            self._failed.add()
            log.info("route set-up failed caller=%s reason=%s", caller, str(error) or "time")
            raise
        self._done.add()
        log.debug("route set up caller=%s hops=%d", caller, len(route.forward))
        return rules

    @asynccontextmanager
    async def _place(self, pk: PubKey) -> AsyncIterator[None]:
        caller = self._callers.setdefault(pk, _Caller())
        if caller.pending >= MAX_PENDING_OF_CALLER:
            raise Refused(BUSY)
        caller.pending += 1
        try:
            async with caller.running, self._running:
                yield
        finally:
            caller.pending -= 1
            if not caller.pending:
                self._callers.pop(pk, None)

    async def _set_up(self, route: BidirectionalRoute) -> EdgeRules:
        descriptor = setup_rules.check(route)
        counts = setup_rules.id_counts(route)
        async with _during("failed to instantiate route id reserver: a dial attempt failed with"):
            held = await self._visors.hold(counts)
        try:
            async with _during("failed to reserve route ids"):
                ids = await together(_reserve(held[key], count) for key, count in counts.items())
            plan = setup_rules.plan(route, descriptor, dict(zip(counts, ids, strict=True)))
            try:
                await self._tell(plan, held, descriptor.dst_pk)
            except BaseException:
                if plan.intermediaries:
                    self._tasks.spawn(self._undo(plan), "undo")
                raise
        finally:
            self._visors.release(held)
        return plan.initiator

    async def _tell(self, plan: Plan, held: dict[PubKey, Held], target: PubKey) -> None:
        await together(_add_rules(held[key], rules) for key, rules in plan.intermediaries.items())
        async with _during("failed to broadcast rules to destination router"):
            if not await held[target].call(ADD_EDGE_RULES, plan.responder):
                raise Refused("the rules were not taken")

    async def _undo(self, plan: Plan) -> None:
        """As far as it goes: what stays times out by itself."""
        held: dict[PubKey, Held] = {}
        try:
            async with asyncio.timeout(UNDO_TIME):
                held = await self._visors.hold(plan.intermediaries)
                await together(
                    one.call(ADD_INTERMEDIARY_RULES, plan.undo(pk)) for pk, one in held.items()
                )
        except (SkywireError, TimeoutError) as error:
            log.debug("rules not withdrawn error=%s", str(error) or "time")
        finally:
            self._visors.release(held)

    async def close(self) -> None:
        """End connections to visors. Idempotent."""
        await self._tasks.close()
        await self._visors.close()


@asynccontextmanager
async def _during(what: str) -> AsyncIterator[None]:
    """Failures with the text "<what>: <why>", as the reference composes them."""
    try:
        yield
    except (SkywireError, TimeoutError) as error:
        raise Refused(f"{what}: {error}") from error


async def _reserve(held: Held, count: int) -> list[int]:
    async with _during(f"reserve routeID from {held.pk} failed"):
        ids: list[int] = await held.call(RESERVE_IDS, count)
        if len(ids) != count:
            raise RemoteProtocolError(f"{len(ids)} ids, expected {count}")
        return ids


async def _add_rules(held: Held, rules: list[bytes]) -> None:
    async with _during(f"failed to add intermediary rules to {held.pk}"):
        if not await held.call(ADD_INTERMEDIARY_RULES, rules):
            raise Refused("the rules were not taken")
