"""`skywire demo break`: cut what a terminal hangs on, and watch it come back."""

import os
import signal
from collections.abc import Collection, Sequence
from enum import Enum

from skywire.crypto.keys import PubKey
from skywire.demo import plan
from skywire.demo.state import DemoInfo, PartInfo
from skywire.dmsg.discovery import DiscoveryClient
from skywire.errors import NotFound, Unavailable


class What(Enum):
    TRANSPORT = "transport"
    SERVER = "server"
    STREAM = "stream"
    NODE = "node"


async def cut(demo: DemoInfo, what: What, node_name: str) -> tuple[PartInfo, str]:
    """Break what leads to the node. Returns the part that was hit, and what happened to it.

    TRANSPORT makes the node close its transports, and with them the routes over it; SERVER kills
    the dmsg server that streams to the node come through when they do not take a route; STREAM
    makes the node drop its dmsg sessions; NODE kills the node, its shells included.
    Raises NotFound, Unavailable.
    """
    node = demo.part(node_name)
    if node_name not in plan.NODES:
        raise NotFound(f'"{node_name}" is no node; expected one of {", ".join(plan.NODES)}')
    if what is What.TRANSPORT:
        from skywire.demo.routes import close_transports  # not needed by the rest

        await close_transports(node)
        return node, "has closed its transports, and opens them again"
    if what is What.STREAM:
        _signal(node, signal.SIGUSR1)
        return node, "drops its dmsg sessions, and connects again"
    hit = await _server_of(demo, node) if what is What.SERVER else node
    _signal(hit, signal.SIGKILL)
    return hit, "killed; the demo starts it again in some seconds"


async def _server_of(demo: DemoInfo, node: PartInfo) -> PartInfo:
    """The dmsg server that a terminal on the node hangs on."""
    async with DiscoveryClient(f"http://{demo.part(plan.DISCOVERY).address}") as discovery:
        own = await _servers(discovery, node)
        shared = await _servers(discovery, demo.part(plan.HYPERVISOR))
    return choose_server(demo, node, own, shared)


def choose_server(
    demo: DemoInfo, node: PartInfo, own: Sequence[str], shared: Collection[str]
) -> PartInfo:
    """Of the node's `own` servers the one the hypervisor dials through.

    It takes the first that it has a session with itself (`shared`), else the first
    (`dmsg.client.DmsgClient.dial`). Raises Unavailable when the node has none.
    """
    for key in sorted(own, key=lambda key: key not in shared):
        for part in demo.parts:
            if part.public_key == key:
                return part
    raise Unavailable(f"{node.name} is connected to no dmsg server now; try again")


async def _servers(discovery: DiscoveryClient, node: PartInfo) -> list[str]:
    entry = await discovery.entry(PubKey.parse(node.public_key))
    servers = (entry.client and entry.client.delegated_servers) or ()
    return [str(key) for key in servers]


def _signal(part: PartInfo, number: signal.Signals) -> None:
    if not part.pid:
        raise Unavailable(f"{part.name} is down; it is started again in some seconds")
    try:
        os.kill(part.pid, number)
    except ProcessLookupError:
        raise Unavailable(f"{part.name} (pid {part.pid}) has just ended; try again") from None
