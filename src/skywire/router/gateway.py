"""What setup nodes may ask of a visor, on dmsg port 136. Source: routing.md §5.3."""

import logging
from collections.abc import Collection, Sequence
from typing import Protocol

from skywire.crypto.keys import PubKey
from skywire.errors import SkywireError
from skywire.router.setup_types import (
    ADD_EDGE_RULES,
    ADD_INTERMEDIARY_RULES,
    CODE_ADD_RULES,
    CODE_RESERVE_IDS,
    RESERVE_IDS,
    SIGNATURES,
    EdgeRules,
    failure,
)
from skywire.rpc.server import GoError, Handler, Method, RpcServer
from skywire.streams.serving import serve_each
from skywire.streams.stream import Listener, Stream

log = logging.getLogger(__name__)

MAX_ARGUMENT = 64 * 1024  # bytes; 510 rules of 50 bytes are 26 KB


class Rules(Protocol):
    """The router, as the gateway sees it. Refusals are SkywireErrors."""

    def reserve_ids(self, count: int) -> list[int]: ...

    def add_intermediary_rules(self, rules: Sequence[bytes]) -> None: ...

    def add_edge_rules(self, rules: EdgeRules) -> None: ...


class Gateway:
    """Serves `RPCGateway` to the setup nodes in `trusted`; other streams end at once."""

    def __init__(self, rules: Rules, trusted: Collection[PubKey]) -> None:
        self._rules = rules
        self._trusted = frozenset(trusted)
        handlers: dict[str, Handler] = {
            RESERVE_IDS: self._reserve,
            ADD_INTERMEDIARY_RULES: self._add_intermediary,
            ADD_EDGE_RULES: self._add_edge,
        }
        self._server = RpcServer(
            {name: Method(*SIGNATURES[name], handler) for name, handler in handlers.items()},
            max_message=MAX_ARGUMENT,
        )

    async def serve(self, listener: Listener) -> None:
        """Until the listener is closed."""
        await serve_each(listener, self.answer, name="router gateway")

    async def answer(self, stream: Stream) -> None:
        if stream.remote.pk not in self._trusted:
            log.warning("not a trusted setup node remote=%s", stream.remote)
            await stream.close()
            return
        await self._server.serve(stream)

    async def _reserve(self, count: int) -> list[int]:
        try:
            return self._rules.reserve_ids(count)
        except SkywireError as error:
            raise GoError(failure(CODE_RESERVE_IDS, str(error))) from error

    async def _add_intermediary(self, rules: list[bytes] | None) -> bool:
        try:
            self._rules.add_intermediary_rules(rules or [])
        except SkywireError as error:
            raise GoError(failure(CODE_ADD_RULES, str(error))) from error
        return True

    async def _add_edge(self, rules: EdgeRules) -> bool:
        try:
            self._rules.add_edge_rules(rules)
        except SkywireError as error:
            raise GoError(failure(CODE_ADD_RULES, str(error))) from error
        return True
