"""Routes over one and more hops, end to end, in one process."""

import asyncio

from skywire.streams.stream import Stream
from skywire.testing.route_network import RouteNetwork, line


async def connected(net: RouteNetwork, port: int = 80) -> tuple[Stream, Stream]:
    """From the first visor to the last one."""
    listener = net.routers[-1].listen(port)
    async with asyncio.timeout(10):
        ours = await net.routers[0].dial(net.keys[-1], port)
        theirs = await listener.accept()
    return ours, theirs


async def test_an_encrypted_stream_over_one_hop() -> None:
    async with line(2) as net:
        ours, theirs = await connected(net)
        await ours.write(b"hello")
        assert await theirs.read() == b"hello"
        await theirs.write(b"world")
        assert await ours.read() == b"world"
        await ours.close()
        assert await theirs.read() == b""
