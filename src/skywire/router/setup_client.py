"""A visor asks setup nodes to make a route. Source: routing.md §5.1.

    client = SetupClient(dmsg.dial, nodes)
    rules = await client.dial_route_group(route)

The reference takes the first node that it can reach and keeps to it. Ours goes on to the next one
also when the node reached fails, and begins with the one that worked last.
"""

import asyncio
import logging
from collections.abc import Sequence

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, InvalidValue, Refused, RemoteProtocolError, SkywireError
from skywire.ports import DMSG_SETUP_NODE
from skywire.router.setup_types import (
    DIAL_ROUTE_GROUP,
    INVALID_ROUTE,
    NO_FORWARD_HOPS,
    NO_REVERSE_HOPS,
    SIGNATURES,
    BidirectionalRoute,
    EdgeRules,
)
from skywire.router.setup_visors import Dial
from skywire.rpc.client import RpcClient
from skywire.wire.rule import RouteDescriptor, Rule, RuleType

log = logging.getLogger(__name__)

DIAL_TIME = 10.0  # seconds for a stream to one node
CALL_TIME = 30.0  # seconds for one node's answer; it gives itself as much
TOTAL_TIME = 60.0  # seconds for all nodes
MAX_ANSWER = 4096  # bytes; two rules and a descriptor are some 400

NO_NODE = "failed to dial to a setup node"
OUR_FAULT = (NO_FORWARD_HOPS, NO_REVERSE_HOPS, INVALID_ROUTE)  # another node would say the same


class SetupClient:
    """`nodes` in order of preference."""

    def __init__(
        self,
        dial: Dial,
        nodes: Sequence[PubKey],
        *,
        dial_time: float = DIAL_TIME,
        call_time: float = CALL_TIME,
        total_time: float = TOTAL_TIME,
    ) -> None:
        self._dial = dial
        self._nodes = list(nodes)
        self._dial_time = dial_time
        self._call_time = call_time
        self._total_time = total_time

    @property
    def nodes(self) -> tuple[PubKey, ...]:
        """The next one to be asked first."""
        return tuple(self._nodes)

    async def dial_route_group(self, route: BidirectionalRoute) -> EdgeRules:
        """The rules of our end, checked to be for this route.

        Meanwhile the node calls us on dmsg port 136. Raises DialFailed when no node could be
        reached, Refused with the last node's text otherwise; TimeoutError.
        """
        refusal: SkywireError | None = None
        tried: list[str] = []
        try:
            async with asyncio.timeout(self._total_time):
                for node in self.nodes:
                    try:
                        rules = await self._ask(node, route)
                    except _Unreachable as error:
                        tried.append(f"{node}: {error}")
                    except (SkywireError, TimeoutError) as error:
                        reason = str(error) or f"no answer within {self._call_time:.0f} s"
                        log.info("setup node failed node=%s reason=%s", node, reason)
                        tried.append(f"{node}: {reason}")
                        refusal = Refused(f"route setup: {reason}", reason=reason)
                        if reason in OUR_FAULT:
                            break
                    else:
                        self._prefer(node)
                        return rules
        except TimeoutError:
            raise TimeoutError(
                f"no route within {self._total_time:.0f} s (setup nodes tried: {len(tried) + 1})"
            ) from refusal
        if refusal is not None:
            raise refusal
        why = f" ({'; '.join(tried)})" if tried else ': none is configured, see "route_setup_nodes"'
        raise DialFailed(NO_NODE + why)

    def _prefer(self, node: PubKey) -> None:
        if self._nodes[0] != node:
            self._nodes.remove(node)
            self._nodes.insert(0, node)

    async def _ask(self, node: PubKey, route: BidirectionalRoute) -> EdgeRules:
        try:
            async with asyncio.timeout(self._dial_time):
                stream = await self._dial(node, DMSG_SETUP_NODE)
        except (SkywireError, TimeoutError) as error:
            raise _Unreachable(str(error) or "time") from error
        async with RpcClient(stream, max_message=MAX_ANSWER) as rpc:
            async with asyncio.timeout(self._call_time):
                rules: EdgeRules = await rpc.call(
                    DIAL_ROUTE_GROUP, BidirectionalRoute, route, SIGNATURES[DIAL_ROUTE_GROUP][1]
                )
        _check(route, rules)
        return rules


class _Unreachable(SkywireError):
    pass


def _check(route: BidirectionalRoute, rules: EdgeRules) -> None:
    """Raises RemoteProtocolError unless the rules are those of the route's source."""
    ours = RouteDescriptor.parse(route.desc)
    back = ours.inverted()
    try:
        forward, consume = Rule.parse(rules.forward), Rule.parse(rules.reverse)
    except (InvalidValue, RemoteProtocolError) as error:
        raise RemoteProtocolError(f"setup node answered with a broken rule: {error}") from error
    first = route.forward[0].tp_id
    if (
        rules.desc != back.encode()
        or (forward.type, forward.descriptor) != (RuleType.FORWARD, ours)
        or (consume.type, consume.descriptor) != (RuleType.CONSUME, back)
        or forward.next_transport_id != first
    ):
        raise RemoteProtocolError("setup node answered with the rules of another route")
