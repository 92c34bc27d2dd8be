"""Which rules make a route: what a setup node tells the visors of a path. Source: routing.md §5.2.

For a path A → B → C, with ids that the visors reserved (a, b, c):

    A  forward       key a, next b, over the first transport
    B  intermediary  key b, next c, over the second transport
    C  consume       key c

A route has two such paths, one each way; the rules at either end make a route group.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue
from skywire.router.setup_types import (
    INVALID_ROUTE,
    NO_FORWARD_HOPS,
    NO_REVERSE_HOPS,
    BidirectionalRoute,
    EdgeRules,
)
from skywire.wire.routes import Path, is_path
from skywire.wire.rule import RouteDescriptor, Rule

MAX_PATH = 100  # hops of one path; each is a dmsg stream and two calls
MAX_IDS = 255  # of one visor: the count is a uint8
NOWHERE = uuid.UUID(int=0)


def check(route: BidirectionalRoute) -> RouteDescriptor:
    """The route's descriptor. Raises InvalidValue, with the reference's text where it has one.

    Ours also refuses hops that do not join, for which the reference makes rules of no use.
    """
    if not route.forward:
        raise InvalidValue(NO_FORWARD_HOPS)
    if not route.reverse:
        raise InvalidValue(NO_REVERSE_HOPS)
    longest = max(len(route.forward), len(route.reverse))
    if longest > MAX_PATH:
        raise InvalidValue(f"a path of {longest} hops: expected at most {MAX_PATH}")
    if route.keep_alive < 0:
        raise InvalidValue(f"a keep-alive of {route.keep_alive} ns: expected 0 or more")
    descriptor = RouteDescriptor.parse(route.desc)
    source, target = descriptor.src_pk, descriptor.dst_pk
    if not is_path(route.forward, source, target) or not is_path(route.reverse, target, source):
        raise InvalidValue(INVALID_ROUTE)
    for key, count in id_counts(route).items():
        if count > MAX_IDS:
            raise InvalidValue(f"{key} is {count} times on the route: expected at most {MAX_IDS}")
    return descriptor


def id_counts(route: BidirectionalRoute) -> dict[PubKey, int]:
    """How many route ids each visor has to reserve, in the order in which the visors appear."""
    counts: dict[PubKey, int] = {}
    for path in (route.forward, route.reverse):
        for key in (path[0].from_pk, *(hop.to_pk for hop in path)):
            counts[key] = counts.get(key, 0) + 1
    return counts


@dataclass(slots=True)
class Plan:
    """What to tell whom. Each edge's descriptor has that edge as its destination."""

    initiator: EdgeRules
    responder: EdgeRules
    intermediaries: dict[PubKey, list[bytes]] = field(default_factory=dict)

    def undo(self, key: PubKey) -> list[bytes]:
        """Rules that take the place of those of an intermediary and are dead at once."""
        return [
            Rule.intermediary(Rule.parse(rule).key_route_id, 0, 0, NOWHERE).encode()
            for rule in self.intermediaries[key]
        ]


def plan(
    route: BidirectionalRoute, descriptor: RouteDescriptor, reserved: Mapping[PubKey, list[int]]
) -> Plan:
    """`reserved` has as many ids as `id_counts` says; they are used in their order."""
    ids = {key: iter(numbers) for key, numbers in reserved.items()}
    back = descriptor.inverted()
    there = _path_rules(route.forward, descriptor, route.keep_alive, ids)
    home = _path_rules(route.reverse, back, route.keep_alive, ids)
    made = Plan(
        initiator=EdgeRules(back.encode(), there.forward, home.consume),
        responder=EdgeRules(descriptor.encode(), home.forward, there.consume),
    )
    for key, rule in (*there.between, *home.between):
        made.intermediaries.setdefault(key, []).append(rule)
    return made


@dataclass(slots=True)
class _PathRules:
    forward: bytes
    between: list[tuple[PubKey, bytes]]
    consume: bytes


def _path_rules(
    path: Path, descriptor: RouteDescriptor, keep_alive: int, ids: Mapping[PubKey, Iterator[int]]
) -> _PathRules:
    first = next(ids[path[0].from_pk])
    key = next(ids[path[0].to_pk])
    forward = Rule.forward(first, keep_alive, descriptor, key, path[0].tp_id).encode()
    between = []
    for hop in path[1:]:
        following = next(ids[hop.to_pk])
        rule = Rule.intermediary(key, keep_alive, following, hop.tp_id)
        between.append((hop.from_pk, rule.encode()))
        key = following
    return _PathRules(forward, between, Rule.consume(key, keep_alive, descriptor).encode())
