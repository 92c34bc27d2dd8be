"""What a visor does with its routes. Source: visor.md §3.2, hypervisor.md §6.1; apps.md §10."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import InvalidValue, NotSupported, Unavailable
from skywire.operations import operation
from skywire.visor import settings, shown
from skywire.visor.types import Hop, RouteGroupInfo
from skywire.wire.gob_types import BOOL, BYTES, PUBKEY, UINT16, UINT32, Go, Slice
from skywire.wire.routes import MAX_HOPS, Bounds, Path
from skywire.wire.rule import Rule

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

FIND_LIMIT = 14.0  # seconds
Rules = Annotated[list[bytes], Slice(BYTES)]


@operation(rpc="RoutingRules", http="GET /visors/{pk}/routes")
async def routing_rules(visor: "Visor") -> Rules:
    """The rules by which this visor passes packets on."""
    return [rule.encode() for rule in visor.routes.router.rules.all()]


@operation(rpc="RoutingRule", http="GET /visors/{pk}/routes/{rid}")
async def routing_rule(visor: "Visor", id: Annotated[int, UINT32]) -> bytes:
    """One rule."""
    return visor.routes.router.rules.get(id).rule.encode()


@operation(rpc="SaveRoutingRule", http="POST /visors/{pk}/routes")
async def save_routing_rule(visor: "Visor", rule: bytes) -> None:
    """Add a rule, or replace the one with its id; it dies when nothing follows it."""
    visor.routes.router.rules.save([Rule.parse(rule)])


@operation(rpc="RemoveRoutingRule", http="DELETE /visors/{pk}/routes/{rid}")
async def remove_routing_rule(visor: "Visor", id: Annotated[int, UINT32]) -> None:
    """Remove a rule: what follows it stops here. An unknown one is no error, as in Go."""
    visor.routes.router.rules.remove(id)


@operation(rpc="RouteGroups", http="GET /visors/{pk}/routegroups")
async def route_groups(visor: "Visor") -> list[RouteGroupInfo]:
    """The ends of routes that are here."""
    types = {str(link.id): link.type for link in visor.transports.links}
    return [shown.route_group(group, types) for group in visor.routes.router.groups]


@operation(rpc="SetMinHops", http="POST /visors/{pk}/min-hops")
async def set_min_hops(visor: "Visor", hops: Annotated[int, UINT16]) -> None:
    """Have new routes lead over at least so many transports; in the config file, too."""
    settings.set_min_hops(visor, hops)


@dataclass(slots=True)
class RouterSettings:
    """Ours."""

    min_hops: Annotated[int, Go("MinHops", UINT16)] = 0
    calculate_routes: Annotated[bool, Go("CalculateRoutes", BOOL)] = False


@operation(rpc="RouterSettings", http="GET /visors/{pk}/router-settings")
async def router_settings(visor: "Visor") -> RouterSettings:
    """How this visor chooses its routes."""
    routing = visor.config.routing
    return RouterSettings(routing.min_hops, routing.calculate_routes)


@dataclass(slots=True)
class FindRoutesIn:
    """Ours. A null `source` is this visor; `max_hops` 0 is as many as there may be."""

    source: Annotated[PubKey, Go("From", PUBKEY)] = NULL_KEY
    target: Annotated[PubKey, Go("To", PUBKEY)] = NULL_KEY
    min_hops: Annotated[int, Go("MinHops", UINT16)] = 0
    max_hops: Annotated[int, Go("MaxHops", UINT16)] = 0
    calculate: Annotated[bool, Go("Calculate", BOOL)] = False


@dataclass(slots=True)
class FoundRoutes:
    """Ours: the best way there and back."""

    forward: Annotated[list[Hop], Go("Forward", Slice(Hop))] = field(default_factory=list)
    reverse: Annotated[list[Hop], Go("Reverse", Slice(Hop))] = field(default_factory=list)


@operation(rpc="FindRoutes", http="GET /visors/{pk}/route-find")
async def find_routes(visor: "Visor", request: FindRoutesIn) -> FoundRoutes:
    """A way from one visor to another and back; nothing is opened."""
    source = visor.pk if request.source == NULL_KEY else request.source
    high = min(request.max_hops or MAX_HOPS, MAX_HOPS)
    if request.min_hops > high:
        raise InvalidValue(f"{request.min_hops} to {high} hops: expected the smaller one first")
    bounds = Bounds(request.min_hops, high)
    try:
        async with asyncio.timeout(FIND_LIMIT):
            found = await visor.routes.find(
                source, request.target, bounds, calculate=request.calculate
            )
    except TimeoutError:
        raise Unavailable(f"no route found within {FIND_LIMIT:g} s") from None
    types = {link.id: link.type for link in visor.transports.links}

    def shown_path(path: Path) -> list[Hop]:
        return [
            Hop(str(hop.tp_id), str(hop.from_pk), str(hop.to_pk), types.get(hop.tp_id, ""))
            for hop in path
        ]

    return FoundRoutes(shown_path(found.forward[0]), shown_path(found.reverse[0]))


@operation(rpc="SetCalculateRoutes")
async def set_calculate_routes(visor: "Visor", wanted: bool) -> None:
    """Calculate routes here, or ask the route finder; in the config file, too."""
    settings.set_calculate_routes(visor, wanted)


@operation(rpc="SetMuxRoutes")
async def set_mux_routes(visor: "Visor", count: int) -> None:
    """Use so many routes for one connection; this visor always uses one."""
    if count != 1:
        raise NotSupported(f"{count} routes for one connection: this visor always uses 1")
