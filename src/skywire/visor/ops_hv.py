"""What a visor with a hypervisor does with the visors of that one. Source: hypervisor.md §6.2, §7.

A request names the visor that it is about: ours, one that is connected to us, or one behind the
hypervisor of one that is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID as Uuid

from skywire.crypto.keys import NULL_KEY, PubKey
from skywire.errors import Unavailable
from skywire.operations import operation
from skywire.visor import (
    managed,
    ops_apps,
    ops_dmsg,
    ops_info,
    ops_node,
    ops_reward,
    ops_routes,
    ops_services,
    ops_transports,
)
from skywire.visor.ops_services import ServiceHealth
from skywire.visor.ops_transports import AddTransportIn
from skywire.visor.types import DmsgServer, Summary, TransportSummary
from skywire.visor.types_apps import LogsRequest, SetAutoStart, StartApp
from skywire.visor.types_managed import HVSection, HVVisorEntry, HVVisorTree
from skywire.wire.gob_types import (
    BOOL,
    DURATION,
    INT,
    NULL_UUID,
    PUBKEY,
    STRING,
    TIME,
    UINT16,
    UINT32,
    UUID,
    ZERO_TIME,
    Go,
    GoTime,
)

if TYPE_CHECKING:
    from skywire.visor.visor import Visor

Pk = Annotated[PubKey, Go("PK", PUBKEY)]


@dataclass(slots=True)
class HVApp:
    """Of `HVStartApp` and `HVStopApp`."""

    pk: Pk = NULL_KEY
    name: Annotated[str, Go("AppName", STRING)] = ""


@dataclass(slots=True)
class HVSetAutoStart:
    pk: Pk = NULL_KEY
    name: Annotated[str, Go("AppName", STRING)] = ""
    auto_start: Annotated[bool, Go("Autostart", BOOL)] = False


@dataclass(slots=True)
class HVLogsSince:
    pk: Pk = NULL_KEY
    since: Annotated[GoTime, Go("Since", TIME)] = ZERO_TIME
    name: Annotated[str, Go("AppName", STRING)] = ""


@dataclass(slots=True)
class HVSetMinHops:
    pk: Pk = NULL_KEY
    hops: Annotated[int, Go("Hops", UINT16)] = 0


@dataclass(slots=True)
class HVSetRewardAddress:
    pk: Pk = NULL_KEY
    address: Annotated[str, Go("Addr", STRING)] = ""


@dataclass(slots=True)
class HVAddTransport:
    pk: Pk = NULL_KEY
    remote: Annotated[PubKey, Go("Remote", PUBKEY)] = NULL_KEY
    type: Annotated[str, Go("TpType", STRING)] = ""
    label: Annotated[str, Go("Label", STRING)] = ""
    timeout: Annotated[int, Go("Timeout", DURATION)] = 0


@dataclass(slots=True)
class HVRemoveTransport:
    pk: Pk = NULL_KEY
    id: Annotated[Uuid, Go("TID", UUID)] = NULL_UUID


@dataclass(slots=True)
class HVRemoveRoutingRule:
    pk: Pk = NULL_KEY
    id: Annotated[int, Go("Key", UINT32)] = 0


@dataclass(slots=True)
class HVSetBool:
    """Of `HVSetPublicAutoconnect` and `HVSetCalculateRoutes`."""

    pk: Pk = NULL_KEY
    enable: Annotated[bool, Go("Enable", BOOL)] = False


@dataclass(slots=True)
class HVSetMuxRoutes:
    pk: Pk = NULL_KEY
    count: Annotated[int, Go("N", INT)] = 0


@dataclass(slots=True)
class HVSetDmsgSessionsCount:
    pk: Pk = NULL_KEY
    count: Annotated[int, Go("Count", INT)] = 0


_Answer = TypeVar("_Answer")


@operation(rpc="HVListDirectVisors")
async def list_direct_visors(visor: "Visor") -> list[HVVisorEntry]:
    """This visor and those that are connected to its hypervisor."""
    return managed.flat(await managed.managed(visor).direct(), [])


@operation(rpc="HVListVisors")
async def list_visors(visor: "Visor") -> list[HVVisorEntry]:
    """The same, and the visors of the hypervisors among them."""
    return managed.flat(*await _lists(visor))


@operation(rpc="HVListVisorsTree")
async def list_visors_tree(visor: "Visor") -> HVVisorTree:
    """The same, by hypervisor."""
    return managed.tree(visor.pk, *await _lists(visor))


async def _lists(visor: "Visor") -> tuple[list[HVVisorEntry], list[HVSection]]:
    visors = managed.managed(visor)
    return await asyncio.gather(visors.direct(), visors.below())


async def _act(
    visor: "Visor",
    pk: PubKey,
    itself: tuple[Callable[..., Awaitable[_Answer]], Any],
    direct: Callable[..., Awaitable[_Answer]],
    *request: Any,
    limit: float = managed.PASS_LIMIT,
) -> _Answer:
    """Call `direct` of the visor `pk`; if that is behind another hypervisor, `itself` of that one.

    Raises what they raise, NotFound, and Unavailable when there is no answer in `limit` seconds.
    """
    visors = managed.managed(visor)
    place = await managed.find(visors, visor.pk, pk)
    function, arguments = (itself[0], itself[1:]) if place.behind else (direct, request)
    try:
        with visors.passing(pk):
            async with asyncio.timeout(limit):
                return await place.client.call(function, *arguments)
    except TimeoutError:
        raise Unavailable(f"visor {pk} did not answer within {limit:g} s") from None


@operation(rpc="HVVisorSummary")
async def summary_of(visor: "Visor", pk: PubKey) -> Summary:
    """What one of the visors tells about itself."""
    return await _act(visor, pk, (summary_of, pk), ops_info.summary)


@operation(rpc="HVStartApp")
async def start_app_of(visor: "Visor", request: HVApp) -> None:
    """Start an app of one of the visors."""
    itself = (start_app_of, request)
    await _act(visor, request.pk, itself, ops_apps.start_app, StartApp(request.name))


@operation(rpc="HVStopApp")
async def stop_app_of(visor: "Visor", request: HVApp) -> None:
    """Stop an app of one of the visors."""
    itself = (stop_app_of, request)
    await _act(visor, request.pk, itself, ops_apps.stop_app, request.name)


@operation(rpc="HVSetAutoStart")
async def set_auto_start_of(visor: "Visor", request: HVSetAutoStart) -> None:
    """Have an app of one of the visors start with it, or no longer."""
    wanted = SetAutoStart(request.name, request.auto_start)
    itself = (set_auto_start_of, request)
    await _act(visor, request.pk, itself, ops_apps.set_auto_start, wanted)


@operation(rpc="HVLogsSince")
async def logs_since_of(visor: "Visor", request: HVLogsSince) -> list[str]:
    """What an app of one of the visors has printed and logged since a moment."""
    wanted = LogsRequest(request.since, request.name)
    itself = (logs_since_of, request)
    return await _act(visor, request.pk, itself, ops_apps.logs_since, wanted)


@operation(rpc="HVSetMinHops")
async def set_min_hops_of(visor: "Visor", request: HVSetMinHops) -> None:
    """Have one of the visors use longer routes."""
    itself = (set_min_hops_of, request)
    await _act(visor, request.pk, itself, ops_routes.set_min_hops, request.hops)


@operation(rpc="HVSetCalculateRoutes")
async def set_calculate_routes_of(visor: "Visor", request: HVSetBool) -> None:
    """Have one of the visors calculate its routes, or ask the route finder."""
    itself = (set_calculate_routes_of, request)
    await _act(visor, request.pk, itself, ops_routes.set_calculate_routes, request.enable)


@operation(rpc="HVSetMuxRoutes")
async def set_mux_routes_of(visor: "Visor", request: HVSetMuxRoutes) -> None:
    """Have one of the visors use so many routes for a connection."""
    itself = (set_mux_routes_of, request)
    await _act(visor, request.pk, itself, ops_routes.set_mux_routes, request.count)


@operation(rpc="HVRemoveRoutingRule")
async def remove_routing_rule_of(visor: "Visor", request: HVRemoveRoutingRule) -> None:
    """Remove a rule of one of the visors."""
    itself = (remove_routing_rule_of, request)
    await _act(visor, request.pk, itself, ops_routes.remove_routing_rule, request.id)


@operation(rpc="HVSetRewardAddress")
async def set_reward_address_of(visor: "Visor", request: HVSetRewardAddress) -> str:
    """Have the rewards of one of the visors paid to another address."""
    itself = (set_reward_address_of, request)
    return await _act(visor, request.pk, itself, ops_reward.set_reward_address, request.address)


@operation(rpc="HVAddTransport")
async def add_transport_of(visor: "Visor", request: HVAddTransport) -> TransportSummary:
    """Have one of the visors open a transport."""
    wanted = AddTransportIn(request.remote, request.type, request.timeout, request.label)
    itself = (add_transport_of, request)
    return await _act(
        visor, request.pk, itself, ops_transports.add_transport, wanted, limit=managed.ADD_LIMIT
    )


@operation(rpc="HVRemoveTransport")
async def remove_transport_of(visor: "Visor", request: HVRemoveTransport) -> None:
    """Have one of the visors close a transport."""
    itself = (remove_transport_of, request)
    await _act(visor, request.pk, itself, ops_transports.remove_transport, request.id)


@operation(rpc="HVSetPublicAutoconnect")
async def set_public_autoconnect_of(visor: "Visor", request: HVSetBool) -> None:
    """Have one of the visors keep transports to public visors, or no longer."""
    itself = (set_public_autoconnect_of, request)
    await _act(visor, request.pk, itself, ops_transports.set_public_autoconnect, request.enable)


@operation(rpc="HVReload")
async def reload_of(visor: "Visor", pk: PubKey) -> None:
    """Have one of the visors read its config file again."""
    await _act(visor, pk, (reload_of, pk), ops_node.reload)


@operation(rpc="HVShutdown")
async def shutdown_of(visor: "Visor", pk: PubKey) -> None:
    """Have one of the visors stop."""
    await _act(visor, pk, (shutdown_of, pk), ops_node.shutdown)


@operation(rpc="HVServiceHealth")
async def service_health_of(visor: "Visor", pk: PubKey) -> list[ServiceHealth]:
    """How the services of the deployment answer one of the visors."""
    return await _act(visor, pk, (service_health_of, pk), ops_services.service_health)


@operation(rpc="HVDmsgSessions")
async def dmsg_sessions_of(visor: "Visor", pk: PubKey) -> list[DmsgServer]:
    """The dmsg servers of one of the visors."""
    return await _act(visor, pk, (dmsg_sessions_of, pk), ops_dmsg.dmsg_sessions)


@operation(rpc="HVDmsgConnectAll")
async def dmsg_connect_all_of(visor: "Visor", pk: PubKey) -> None:
    """Have one of the visors connect to every dmsg server."""
    await _act(visor, pk, (dmsg_connect_all_of, pk), ops_dmsg.dmsg_connect_all)


@operation(rpc="HVSetDmsgSessionsCount")
async def set_dmsg_sessions_of(visor: "Visor", request: HVSetDmsgSessionsCount) -> None:
    """Have one of the visors stay connected to so many dmsg servers."""
    itself = (set_dmsg_sessions_of, request)
    await _act(visor, request.pk, itself, ops_dmsg.set_dmsg_sessions, request.count)
