"""A visor behind another hypervisor, asked through that one. Source: hypervisor.md §7.

What it tells is taken from its summary; what is done to it is a method of its hypervisor's, `HV…`.
Everything else is not supported. Terminals are not proxied: those are dialled directly.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from skywire.crypto.keys import PubKey
from skywire.errors import NotFound, NotSupported
from skywire.visor import (
    ops_apps,
    ops_dmsg,
    ops_hv,
    ops_info,
    ops_node,
    ops_reward,
    ops_routes,
    ops_services,
    ops_transports,
)
from skywire.visor.client import VisorClient
from skywire.visor.types import Overview, Summary

NOT_SUPPORTED = "operation not supported on proxied visor"

_Answer = TypeVar("_Answer")


class ProxiedVisor:
    """A `VisorClient` for `pk`, behind the hypervisor at `through`, which stays its owner's."""

    def __init__(self, through: VisorClient, pk: PubKey) -> None:
        self._through = through
        self._pk = pk

    async def call(self, function: Callable[..., Awaitable[_Answer]], *request: Any) -> _Answer:
        """Raises NotSupported for what cannot be asked of it."""
        read = _READ.get(function)
        if read is not None:
            summary = await self._through.call(ops_hv.summary_of, self._pk)
            return cast(_Answer, read(summary, *request))
        change = _CHANGE.get(function)
        if change is None:
            raise NotSupported(NOT_SUPPORTED)
        method, argument = change
        found: _Answer = await self._through.call(method, argument(self._pk, *request))
        return found

    async def close(self) -> None:
        """The connection is the hypervisor's that it is behind."""


def _overview(summary: Summary) -> Overview:
    return summary.overview or Overview()


def _app(summary: Summary, name: str) -> Any:
    for state in _overview(summary).apps:
        if state.app_config.name == name:
            return state
    raise NotFound("no process of given app is running")


def _transports(summary: Summary, wanted: ops_transports.TransportsIn) -> Any:
    return [
        one
        for one in _overview(summary).transports
        if (not wanted.types or one.type in wanted.types)
        and (not wanted.keys or one.remote_pk in wanted.keys)
    ]


def _transport(summary: Summary, id: Any) -> Any:
    for one in _overview(summary).transports:
        if one.id == id:
            return one
    raise NotFound(ops_transports.NOT_FOUND)


def _rules(summary: Summary) -> list[bytes]:
    return [bytes.fromhex(row.rule) for row in summary.routes]


def _rule(summary: Summary, id: int) -> bytes:
    for row in summary.routes:
        if row.key == id:
            return bytes.fromhex(row.rule)
    raise NotFound("rule not found")


_READ: dict[Any, Callable[..., Any]] = {
    ops_info.summary: lambda summary: summary,
    ops_info.overview: _overview,
    ops_info.health: lambda summary: summary.health,
    ops_info.uptime: lambda summary: summary.uptime,
    ops_apps.apps: lambda summary: _overview(summary).apps,
    ops_apps.app: _app,
    ops_transports.transports: _transports,
    ops_transports.transport: _transport,
    ops_transports.persistent_transports: lambda summary: summary.persistent_transports,
    ops_routes.routing_rules: _rules,
    ops_routes.routing_rule: _rule,
    ops_routes.route_groups: lambda summary: summary.route_groups,
    ops_reward.reward_address: lambda summary: summary.reward_address,
}
# function → method of the hypervisor, and what it makes of key and request
_CHANGE: dict[Any, tuple[Callable[..., Awaitable[Any]], Callable[..., Any]]] = {
    ops_apps.start_app: (
        ops_hv.start_app_of,
        lambda pk, app: ops_hv.HVApp(pk, app if isinstance(app, str) else app.name),
    ),
    ops_apps.stop_app: (ops_hv.stop_app_of, ops_hv.HVApp),
    ops_apps.set_auto_start: (
        ops_hv.set_auto_start_of,
        lambda pk, wanted: ops_hv.HVSetAutoStart(pk, wanted.name, wanted.auto_start),
    ),
    ops_apps.logs_since: (
        ops_hv.logs_since_of,
        lambda pk, wanted: ops_hv.HVLogsSince(pk, wanted.since, wanted.name),
    ),
    ops_routes.set_min_hops: (ops_hv.set_min_hops_of, ops_hv.HVSetMinHops),
    ops_routes.set_calculate_routes: (ops_hv.set_calculate_routes_of, ops_hv.HVSetBool),
    ops_routes.set_mux_routes: (ops_hv.set_mux_routes_of, ops_hv.HVSetMuxRoutes),
    ops_routes.remove_routing_rule: (ops_hv.remove_routing_rule_of, ops_hv.HVRemoveRoutingRule),
    ops_reward.set_reward_address: (ops_hv.set_reward_address_of, ops_hv.HVSetRewardAddress),
    ops_transports.add_transport: (
        ops_hv.add_transport_of,
        lambda pk, wanted: ops_hv.HVAddTransport(
            pk, wanted.remote_pk, wanted.type, wanted.label, wanted.timeout
        ),
    ),
    ops_transports.remove_transport: (ops_hv.remove_transport_of, ops_hv.HVRemoveTransport),
    ops_transports.set_public_autoconnect: (ops_hv.set_public_autoconnect_of, ops_hv.HVSetBool),
    ops_services.service_health: (ops_hv.service_health_of, lambda pk: pk),
    ops_dmsg.dmsg_sessions: (ops_hv.dmsg_sessions_of, lambda pk: pk),
    ops_dmsg.dmsg_connect_all: (ops_hv.dmsg_connect_all_of, lambda pk: pk),
    ops_dmsg.set_dmsg_sessions: (ops_hv.set_dmsg_sessions_of, ops_hv.HVSetDmsgSessionsCount),
    ops_node.reload: (ops_hv.reload_of, lambda pk: pk),
    ops_node.shutdown: (ops_hv.shutdown_of, lambda pk: pk),
}
