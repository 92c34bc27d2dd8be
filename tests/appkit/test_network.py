"""One interface to two networks; which one is tried first, and when the other."""

import asyncio
import logging

import pytest

from skywire.appkit import network as module
from skywire.appkit.network import DMSG, SKYNET, Network
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, DialFailed, InvalidValue, NotFound, NotSupported
from skywire.streams.stream import Address, Listener, Stream
from skywire.testing.streams import stream_pair

PK = deterministic_key_pair(b"network")[0]
PORT = 22


class FakeCarrier:
    """Dials as it is told, and remembers what it was asked for."""

    def __init__(self, name: str, *, can_dial: bool = True) -> None:
        self.name = name
        self.can_dial = can_dial
        self.dialled: list[tuple[PubKey, int]] = []
        self.listened: list[int] = []
        self.error: Exception | None = None
        self.wedged = False

    async def dial(self, remote: PubKey, port: int) -> Stream:
        self.dialled.append((remote, port))
        if self.wedged:
            await asyncio.get_running_loop().create_future()
        if self.error is not None:
            raise self.error
        here, _ = stream_pair(
            65536, Address(self.name, "", 0), Address(self.name, "", port, remote)
        )
        return here

    def listen(self, port: int) -> Listener:
        self.listened.append(port)
        raise Conflict(f"port {port} is in use")


def both(*, can_dial: bool = True) -> tuple[Network, FakeCarrier, FakeCarrier]:
    dmsg, routes = FakeCarrier(DMSG), FakeCarrier(SKYNET, can_dial=can_dial)
    return Network(dmsg, routes), dmsg, routes


async def test_a_dial_goes_where_it_says() -> None:
    network, dmsg, routes = both()
    assert (await network.dial(PK, PORT)).local.network == SKYNET
    assert (await network.dial(PK, PORT, SKYNET)).local.network == SKYNET
    assert (await network.dial(PK, PORT, DMSG)).local.network == DMSG
    assert (len(routes.dialled), len(dmsg.dialled)) == (2, 1)


async def test_other_networks_are_refused() -> None:
    network, dmsg, routes = both()
    with pytest.raises(InvalidValue, match='unknown network "tor": expected skynet or dmsg'):
        await network.dial(PK, PORT, "tor")
    with pytest.raises(InvalidValue, match="unknown network"):
        network.listen(PORT, "tor")
    assert dmsg.dialled == routes.dialled == []


async def test_a_listener_belongs_to_one_of_them() -> None:
    network, dmsg, routes = both()
    with pytest.raises(Conflict):
        network.listen(PORT)
    with pytest.raises(Conflict):
        network.listen(80, DMSG)
    assert (routes.listened, dmsg.listened) == ([PORT], [80])


async def test_a_node_without_routes_has_dmsg_only() -> None:
    dmsg = FakeCarrier(DMSG)
    network = Network(dmsg)
    for call in (network.dial(PK, PORT), network.dial_by_scheme(PK, PORT, "skynet")):
        with pytest.raises(NotSupported, match="not on skynet"):
            await call
    assert (await network.dial_by_scheme(PK, PORT, "")).local.network == DMSG


async def test_without_a_scheme_a_route_comes_first() -> None:
    network, dmsg, _ = both()
    assert (await network.dial_by_scheme(PK, PORT, "")).local.network == SKYNET
    assert dmsg.dialled == []


@pytest.mark.parametrize("error", [NotFound("no path"), DialFailed("wedged")])
async def test_without_a_route_dmsg_does(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    network, _, routes = both()
    routes.error = error
    with caplog.at_level(logging.INFO):
        assert (await network.dial_by_scheme(PK, PORT, "")).local.network == DMSG
    assert str(error) in caplog.text


async def test_a_wedged_route_costs_its_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SKYNET_FIRST", 0.05)
    network, _, routes = both()
    routes.wedged = True
    async with asyncio.timeout(2):
        assert (await network.dial_by_scheme(PK, PORT, "")).local.network == DMSG


async def test_a_node_that_cannot_dial_routes_does_not_try() -> None:
    network, _, routes = both(can_dial=False)
    assert (await network.dial_by_scheme(PK, PORT, "")).local.network == DMSG
    assert routes.dialled == []


async def test_the_scheme_dmsg_never_tries_a_route() -> None:  # 3089 a
    network, _, routes = both()
    routes.wedged = True
    async with asyncio.timeout(1):
        assert (await network.dial_by_scheme(PK, PORT, "dmsg")).local.network == DMSG
    assert routes.dialled == []


async def test_the_scheme_skynet_never_falls_back() -> None:  # 3089 b
    network, dmsg, routes = both()
    routes.error = DialFailed("no transport found")
    with pytest.raises(DialFailed, match="no transport found"):
        await network.dial_by_scheme(PK, PORT, "skynet")
    assert dmsg.dialled == []
