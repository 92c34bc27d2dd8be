"""All that `status`, `doctor` and `top` show of a visor, asked in one go."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from skywire.cli.node import is_missing
from skywire.errors import Refused
from skywire.visor import ops_info, ops_routes, ops_state, ops_transports
from skywire.visor.client import RemoteVisor
from skywire.visor.ops_state import PartState
from skywire.visor.ops_transports import TransportFigures
from skywire.visor.shown import route_groups_of
from skywire.visor.types import Overview, RouteGroupInfo, Summary

_Answer = TypeVar("_Answer")


class Snapshot(NamedTuple):
    """`parts` and `figures` are None when the visor does not tell them: a Go one."""

    taken: float  # by the monotonic clock
    summary: Summary
    parts: dict[str, PartState] | None
    figures: dict[str, TransportFigures] | None  # by the id of the transport
    groups: list[RouteGroupInfo]

    @property
    def overview(self) -> Overview:
        return self.summary.overview or Overview()

    @property
    def dmsg_servers(self) -> dict[str, float]:
        """Key → round trip in ms, 0 for one not measured yet."""
        found = {str(one.pk): one.latency / 1e6 for one in self.summary.dmsg_servers}
        for key in self.summary.connected_dmsg_servers:
            found.setdefault(key, 0.0)
        stats = self.summary.dmsg_stats
        if stats is not None and not stats.server_public_key.is_null:
            found.setdefault(str(stats.server_public_key), stats.round_trip / 1e6)
        return found


async def take(visor: RemoteVisor) -> Snapshot:
    """Raises as `visor.call`; the caller sets the deadline."""
    summary, parts, figures = await asyncio.gather(
        visor.call(ops_info.summary),
        _or_none(visor, ops_state.part_states),
        _or_none(visor, ops_transports.transport_figures),
    )
    groups = await _route_groups(visor, ours=parts is not None)
    return Snapshot(
        time.monotonic(),
        summary,
        None if parts is None else {part.name: part for part in parts},
        None if figures is None else {str(one.id): one for one in figures},
        groups,
    )


async def _or_none(
    visor: RemoteVisor, function: Callable[..., Awaitable[_Answer]]
) -> _Answer | None:
    try:
        return await visor.call(function)
    except Refused as error:
        if is_missing(error):
            return None
        raise


async def _route_groups(visor: RemoteVisor, *, ours: bool) -> list[RouteGroupInfo]:
    """One of 2024 dies when it is asked for them: others are asked for their rules."""
    if ours:
        return await visor.call(ops_routes.route_groups)
    return route_groups_of(await visor.call(ops_routes.routing_rules))
