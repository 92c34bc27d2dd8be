"""Routes for tests."""

import asyncio
from typing import Any

from skywire.errors import StreamReset
from skywire.router.route_group import RouteGroup
from skywire.testing.route_network import RouteNetwork


async def connected(net: RouteNetwork, port: int = 80) -> tuple[RouteGroup, RouteGroup]:
    """A route from the first visor to the last one."""
    listener = net.routers[-1].listen(port)
    async with asyncio.timeout(10):
        ours = await net.routers[0].dial(net.keys[-1], port)
        theirs = await listener.accept()
    await listener.close()
    return ours, theirs


async def outcome(work: Any) -> Any:
    """What it gives, or the text of the reset."""
    try:
        return await work
    except StreamReset as error:
        return str(error)
