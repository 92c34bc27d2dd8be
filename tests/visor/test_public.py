"""Public visors and those that connect to some of them, with the real services."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from skywire.crypto import generate
from skywire.http.auth import SignedSession
from skywire.testing.wait import eventually
from skywire.transport.service_directory import ServiceDirectory
from skywire.visor import public_visor, transports
from skywire.visor.modules import State
from skywire.wire.service import VISOR, Service
from skywire.wire.transport import AUTOMATIC
from tests.visor.network import Node
from tests.visor.skynet import Skynet, skynet

LOOPBACK = "127.0.0.1"


@pytest.fixture
async def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Skynet]:
    """A deployment in which the loopback address counts as a public one."""
    for module in (transports, public_visor):
        monkeypatch.setattr(module, "local_addresses", lambda: [LOOPBACK, "192.168.1.2"])
    monkeypatch.setattr(public_visor, "is_public", lambda address: address == LOOPBACK)
    monkeypatch.setattr(public_visor, "LOOK", 0.1)
    monkeypatch.setattr("skywire.platform.addresses.is_public", lambda text: text == LOOPBACK)
    async with skynet(tmp_path) as made:
        yield made


def settings(net: Skynet, **more: Any) -> dict[str, Any]:
    return {
        "transport": {
            "discovery": net.urls["tpd"],
            "address_resolver": net.urls["ar"],
            "public_autoconnect": False,
            "log_store": {"type": "memory"},
        }
        | more,
        "launcher": {"service_discovery": net.urls["sd"], "server_addr": "127.0.0.1:0"},
        "skywire-tcp": None,
    }


async def public(net: Skynet, name: str) -> Node:
    node = await net.visor(name, **settings(net), is_public=True)
    await eventually(lambda: node.state("public visor") is State.RUNNING, 20)
    return node


async def listed(net: Skynet) -> set[str]:
    async with SignedSession(net.urls["sd"], *generate.key_pair()) as session:
        return {str(pk) for pk in await ServiceDirectory(session).public_visors(0)}


async def test_a_public_visor_is_listed_while_it_runs(net: Skynet) -> None:
    node = await public(net, "a")
    assert await listed(net) == {str(node.pk)}
    await node.stop()
    assert await listed(net) == set()


async def test_one_that_is_public_no_longer_withdraws_what_is_left(net: Skynet) -> None:
    pk, sk, _ = generate.deterministic_key_pair(b"a")
    left = Service(address=f"{pk}:7", type=VISOR, version="v1.3.29", local_ips=(LOOPBACK,))
    async with SignedSession(net.urls["sd"], pk, sk) as session:  # by a run that was killed
        await ServiceDirectory(session).register(left)
    assert await listed(net) == {str(pk)}
    node = await net.visor("a", **settings(net))
    await eventually(lambda: node.state("public visor") is State.RUNNING, 20)
    assert await listed(net) == set()


async def test_a_visor_connects_to_public_ones_by_itself(net: Skynet) -> None:
    nodes = [await public(net, name) for name in "abc"]
    node = await net.visor("d", **settings(net, public_autoconnect=True))
    links = node.visor.transports.manager.links
    async with asyncio.timeout(40):
        await eventually(lambda: len(links) == 3, 30)
    assert {link.remote for link in links.values()} == {each.pk for each in nodes}
    assert {(link.type, link.label) for link in links.values()} == {("stcpr", AUTOMATIC)}
    assert node.visor.health().autoconnect_health == "healthy"


async def test_without_a_public_address_it_says_why(
    net: Skynet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_visor, "local_addresses", lambda: ["192.168.1.2"])
    node = await net.visor("a", **settings(net), is_public=True)
    await eventually(lambda: node.state("public visor") is State.FAILED)
    reason = node.visor.modules["public visor"].reason
    assert reason == "no public IPv4 address, or no stcpr"
    assert await listed(net) == set()
