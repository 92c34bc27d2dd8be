"""Ports: names of apps, running out, and acceptors that give up."""

import asyncio
from typing import cast

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import StreamClosed, Unavailable
from skywire.router.ports import offline, route_ports
from skywire.router.route_group import RouteGroup
from skywire.streams.stream import Address

HERE = Address.skynet(deterministic_key_pair(b"a")[0], 80)


class Group:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def group() -> RouteGroup:
    return cast("RouteGroup", Group())


@pytest.mark.parametrize(
    ("port", "app"),
    [
        (1, "skychat"),
        (3, "skysocks"),
        (13, "skysocks-client"),
        (43, "vpn-client"),
        (44, "vpn-server"),
        (45, "service"),
    ],
)
def test_the_texts_that_apps_of_the_reference_compare(port: int, app: str) -> None:
    assert offline(port) == f"no listener on port {port}, {app} offline"


def test_local_ports_count_up_skip_what_is_taken_and_come_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("skywire.streams.ports.EPHEMERAL_LAST", 49157)
    ports = route_ports()
    ports.listen(HERE._replace(port=49155))
    assert [ports.reserve() for _ in range(5)] == [49153, 49154, 49156, 49157, 49152]
    with pytest.raises(Unavailable, match="ephemeral"):
        ports.reserve()
    ports.release(49156)
    assert ports.reserve() == 49156


async def test_an_acceptor_that_gives_up_leaves_the_group_to_the_next() -> None:
    listener = route_ports().listen(HERE)
    first, second = (asyncio.ensure_future(listener.accept()) for _ in range(2))
    await asyncio.sleep(0)
    new = group()
    listener.offer(new)
    first.cancel()
    async with asyncio.timeout(2):
        assert await second is new
    await asyncio.gather(first, return_exceptions=True)


async def test_closing_ends_waiting_groups_and_acceptors() -> None:
    ports = route_ports()
    listener, other = ports.listen(HERE), ports.listen(HERE._replace(port=81))
    unheard = group()
    listener.offer(unheard)
    accepting = asyncio.ensure_future(other.accept())
    await asyncio.sleep(0)
    await ports.close()
    assert cast("Group", unheard).aborted
    with pytest.raises(StreamClosed, match="81"):
        await accepting
    ports.listen(HERE)
