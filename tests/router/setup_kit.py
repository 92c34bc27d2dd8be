"""Visors as a setup node sees them: net/rpc on dmsg port 136, here in memory."""

import asyncio
import uuid
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed
from skywire.ports import DMSG_AWAIT_SETUP
from skywire.router.setup_types import (
    ADD_EDGE_RULES,
    ADD_INTERMEDIARY_RULES,
    CODE_ADD_RULES,
    RESERVE_IDS,
    SIGNATURES,
    BidirectionalRoute,
    EdgeRules,
    failure,
)
from skywire.rpc.server import GoError, Handler, Method, RpcServer
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.testing.streams import stream_pair
from skywire.wire.routes import Hop, Path
from skywire.wire.rule import DEFAULT_KEEP_ALIVE, RouteDescriptor

NODE = deterministic_key_pair(b"setup node")[0]


def key(name: str) -> PubKey:
    return deterministic_key_pair(name.encode())[0]


def path(*keys: PubKey) -> Path:
    """Over transports whose ids count from 1."""
    return [Hop(uuid.UUID(int=n), *pair) for n, pair in enumerate(pairwise(keys), 1)]


def route(*keys: PubKey) -> BidirectionalRoute:
    """There and back the same way."""
    descriptor = RouteDescriptor(keys[0], keys[-1], 49153, 44)
    return BidirectionalRoute(
        descriptor.encode(), DEFAULT_KEEP_ALIVE, path(*keys), path(*reversed(keys))
    )


@dataclass
class FakeVisor:
    """Records the calls; ids count from 1. Clear `answers` and calls hang."""

    pk: PubKey
    calls: list[tuple[str, Any]] = field(default_factory=list)
    next_id: int = 1
    refusal: str = ""  # of edge rules
    short: bool = False  # one id less than it should
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    async def reserve(self, count: int) -> list[int]:
        ids = list(range(self.next_id, self.next_id + count))
        self.next_id += count
        await self._called(RESERVE_IDS, count)
        return ids[self.short :]

    async def add_rules(self, rules: list[bytes]) -> bool:
        await self._called(ADD_INTERMEDIARY_RULES, rules)
        return True

    async def add_edge(self, rules: EdgeRules) -> bool:
        await self._called(ADD_EDGE_RULES, rules)
        if self.refusal:
            raise GoError(failure(CODE_ADD_RULES, self.refusal))
        return True

    async def _called(self, method: str, argument: Any) -> None:
        self.calls.append((method, argument))
        await self.answers.wait()

    def server(self) -> RpcServer:
        handlers: dict[str, Handler] = {
            RESERVE_IDS: self.reserve,
            ADD_INTERMEDIARY_RULES: self.add_rules,
            ADD_EDGE_RULES: self.add_edge,
        }
        return RpcServer(
            {name: Method(*SIGNATURES[name], handler) for name, handler in handlers.items()}
        )


class Visors:
    """`dial` reaches any of `visors`."""

    def __init__(self, *keys: PubKey) -> None:
        self.visors = {pk: FakeVisor(pk) for pk in keys}
        self.dialled: list[PubKey] = []
        self.streams: dict[PubKey, Stream] = {}  # the visors' ends
        self._tasks = Tasks("fake visors")

    async def dial(self, pk: PubKey, port: int) -> Stream:
        if port != DMSG_AWAIT_SETUP or pk not in self.visors:
            raise DialFailed("unknown visor")
        self.dialled.append(pk)
        node, visor = Address.dmsg(NODE, 49152 + len(self.dialled)), Address.dmsg(pk, port)
        ours, theirs = stream_pair(a=node, b=visor)
        self.streams[pk] = theirs
        self._tasks.spawn(self.visors[pk].server().serve(theirs), str(pk))
        return ours

    def calls(self) -> list[tuple[PubKey, str, Any]]:
        return [
            (pk, method, argument)
            for pk, visor in self.visors.items()
            for method, argument in visor.calls
        ]

    async def close(self) -> None:
        await self._tasks.close()
