"""`skywire demo ping`: a route between two nodes of the demo, and how long its hops take.

The nodes are asked over their RPC, each for what it knows: the first for the route and its round
trip, and for each hop the visor that it starts from.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from skywire.config.values import HostPort
from skywire.crypto.keys import PubKey
from skywire.demo import plan
from skywire.demo.state import DemoInfo, PartInfo
from skywire.errors import InvalidValue, Refused, Unavailable
from skywire.rpc.client import RpcClient
from skywire.streams.tcp import dial_tcp
from skywire.visor import ops_ping, ops_transports
from skywire.visor.client import RemoteVisor
from skywire.visor.ops_ping import PingConfig, TracePingIn
from skywire.visor.ping_report import PingInfo, report, with_figure

CALL_LIMIT = 20.0  # seconds for a node to answer
READY_LIMIT = 20.0  # seconds until the first route must be there
POLL_INTERVAL = 0.1  # seconds
TRIES = 5


def node(demo: DemoInfo, name: str) -> PartInfo:
    """By "node-a", or "A" for short. Raises InvalidValue."""
    full = name if name in plan.NODES else f"node-{name.lower()}"
    if full not in plan.NODES:
        raise InvalidValue(f'"{name}" is no node; expected one of {", ".join(plan.NODES)}')
    return demo.part(full)


async def ping(demo: DemoInfo, source: PartInfo, target: PartInfo) -> PingInfo:
    """Raises Unavailable, and what the nodes say: no route, a hop that is down."""
    by_key = {PubKey.parse(part.public_key): part for part in demo.parts if part.public_key}
    request = TracePingIn(PubKey.parse(target.public_key), tries=TRIES)
    async with asyncio.timeout(CALL_LIMIT), _visor(source.rpc) as visor:
        trace = await visor.call(ops_ping.trace_ping, request)
    found = report(trace, request.pk, {pk: part.name for pk, part in by_key.items()})
    hops = []
    for hop, told in zip(found.hops, trace.hops, strict=True):
        async with asyncio.timeout(CALL_LIMIT), _visor(by_key[told.from_pk].rpc) as visor:
            hops.append(with_figure(hop, await visor.call(ops_transports.transport_figures)))
    return msgspec.structs.replace(found, hops=hops)


async def close_transports(part: PartInfo) -> None:
    """Of a node; it opens those again that it keeps. Raises Unavailable when it is down."""
    if not part.pid:
        raise Unavailable(f"{part.name} is down; it is started again in some seconds")
    async with asyncio.timeout(CALL_LIMIT), _visor(part.rpc) as visor:
        await visor.call(ops_transports.remove_all_transports)


async def make_ready(rpc: str, target: PubKey) -> None:
    """Return when the node at `rpc` has a route to `target`. Raises Unavailable."""
    reason = "no answer"
    try:
        async with asyncio.timeout(READY_LIMIT), _visor(rpc) as visor:
            while True:
                try:
                    return await visor.call(ops_ping.dial_ping, PingConfig(pk=target))
                except Refused as error:  # not yet
                    reason = str(error)
                await asyncio.sleep(POLL_INTERVAL)
    except TimeoutError:
        raise Unavailable(f"no route to {target} after {READY_LIMIT:g} s: {reason}") from None


@asynccontextmanager
async def _visor(rpc: str) -> AsyncIterator[RemoteVisor]:
    """The node's operations; the caller sets the deadline. Raises DialFailed."""
    address = HostPort(rpc)
    async with asyncio.timeout(CALL_LIMIT):
        stream = await dial_tcp(address.host, address.port)
    async with RpcClient(stream) as client:
        yield RemoteVisor(client)
