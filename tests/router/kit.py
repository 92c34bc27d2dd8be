"""Routes for tests."""

import asyncio

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
