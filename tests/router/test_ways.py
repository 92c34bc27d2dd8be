"""Finders of certain ways: over a visor, and one that is given."""

import pytest

from skywire.crypto.keys import PubKey
from skywire.errors import InvalidValue, NotFound
from skywire.router.dialling import Avoid
from skywire.router.finder import Fixed, Through
from skywire.testing.route_network import RouteNetwork, network
from skywire.wire.routes import Bounds, Path

ANY = Bounds()
SQUARE = ((0, 1), (1, 2), (2, 3), (3, 0))


def visors(net: RouteNetwork, path: Path) -> list[int]:
    keys: list[PubKey] = [path[0].from_pk, *(hop.to_pk for hop in path)]
    return [net.keys.index(pk) for pk in keys]


async def test_ways_lead_over_the_visor_and_pass_none_twice() -> None:
    async with network(4, *SQUARE) as net:
        found = await Through(net, net.keys[3]).find(net.keys[0], net.keys[1], ANY, Avoid())
        assert [visors(net, path) for path in found.forward] == [[0, 3, 2, 1]]
        assert [visors(net, path) for path in found.reverse] == [[1, 2, 3, 0]]


async def test_there_is_no_such_way() -> None:
    async with network(4, (0, 1), (1, 2)) as net:
        for via in (2, 3):  # beyond the target; without any transport
            with pytest.raises(NotFound, match=f"leads over {net.keys[via]}"):
                await Through(net, net.keys[via]).find(net.keys[0], net.keys[1], ANY, Avoid())


async def test_bounds_are_those_of_the_whole_way() -> None:
    async with network(4, *SQUARE) as net:
        through = Through(net, net.keys[1])
        assert (await through.find(net.keys[0], net.keys[2], Bounds(2, 2), Avoid())).forward
        with pytest.raises(NotFound):
            await through.find(net.keys[0], net.keys[2], Bounds(3, 9), Avoid())


async def test_a_route_may_lead_back_to_where_it_begins() -> None:
    async with network(2, (0, 1)) as net:
        router, own = net.routers[0], net.keys[0]
        listener = router.listen(48)
        loop = net.path(0, 1, 0)
        here = await router.dial(own, 48, lambda _: Fixed(loop))
        there = await listener.accept()
        await here.write(b"round")
        assert await there.read() == b"round"
        await there.write(b"and back")
        assert await here.read() == b"and back"
        assert (here.remote.pk, there.remote) == (own, here.local)
        await here.close()
        assert await there.read() == b""
        with pytest.raises(InvalidValue, match="oneself"):
            await router.dial(own, 48)
