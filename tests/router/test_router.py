"""Routes over one and more hops, end to end, in one process."""

from skywire.testing.route_network import line
from tests.router.kit import connected


async def test_an_encrypted_stream_over_one_hop() -> None:
    async with line(2) as net:
        ours, theirs = await connected(net)
        await ours.write(b"hello")
        assert await theirs.read() == b"hello"
        await theirs.write(b"world")
        assert await ours.read() == b"world"
        await ours.close()
        assert await theirs.read() == b""
