"""What a visor does with its routes. Source: visor.md §3.2, hypervisor.md §6.1; apps.md §10."""

from typing import TYPE_CHECKING, Annotated

from skywire.errors import NotSupported
from skywire.operations import operation
from skywire.visor import settings, shown
from skywire.visor.types import RouteGroupInfo
from skywire.wire.gob_types import BYTES, UINT16, UINT32, Slice
from skywire.wire.rule import Rule

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

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


@operation(rpc="SetCalculateRoutes")
async def set_calculate_routes(visor: "Visor", wanted: bool) -> None:
    """Calculate routes here, or ask the route finder; in the config file, too."""
    settings.set_calculate_routes(visor, wanted)


@operation(rpc="SetMuxRoutes")
async def set_mux_routes(visor: "Visor", count: int) -> None:
    """Use so many routes for one connection; this visor always uses one."""
    if count != 1:
        raise NotSupported(f"{count} routes for one connection: this visor always uses 1")
