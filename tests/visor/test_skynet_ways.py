"""The other ways to transports: by resolver, by themselves, by trusted nodes; services on dmsg."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from skywire.errors import InvalidValue, StreamError
from skywire.ports import DMSG_TRANSPORT_SETUP
from skywire.rpc.client import RpcClient
from skywire.testing.wait import eventually
from skywire.transport.setup import ADD, TransportRequest, TransportResponse
from skywire.visor import transports
from skywire.visor.modules import State
from skywire.visor.services import check_url
from tests.visor.network import Node
from tests.visor.skynet import Skynet, exchange, key, listed, skynet

PORT = 700
MEMORY = {"type": "memory"}


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Skynet]:
    async with skynet(tmp_path) as made:
        yield made


async def talk(a: Node, c: Node) -> None:
    listener = c.visor.network.listen(PORT)
    async with asyncio.timeout(30):
        here = await a.visor.network.dial(c.pk, PORT)
        there = await listener.accept()
    await exchange(here, there, 64 * 1024)


def transport(net: Skynet, **more: Any) -> dict[str, Any]:
    return {"discovery": net.urls["tpd"], "log_store": MEMORY} | more


def routing(net: Skynet, **more: Any) -> dict[str, Any]:
    return {"route_finder": net.urls["rf"], "route_setup_nodes": net.setup_nodes} | more


async def test_sudph_is_opened_by_a_dial_that_needs_it(
    net: Skynet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a public address nobody is bound for stcpr, which comes first otherwise."""
    monkeypatch.setattr(transports, "local_addresses", lambda: ["127.0.0.1"])
    settings = {
        "transport": transport(net, address_resolver=net.urls["ar"]),
        "routing": routing(net),
        "skywire-tcp": None,
    }
    a, c = await net.visor("a", **settings), await net.visor("c", **settings)
    await listed(a, c)
    parts = [node.visor.modules["transport sudph"] for node in (a, c)]
    await eventually(lambda: all(part.state is State.RUNNING for part in parts))
    for node in (a, c):
        assert sorted(node.visor.transports.types) == ["dmsg", "stcpr", "sudph"]
    await talk(a, c)
    (link,) = a.visor.transports.links
    assert (link.type, link.label) == ("sudph", "automatic")


async def test_without_a_resolver_dmsg_carries_the_transport(net: Skynet) -> None:
    settings = {"transport": transport(net), "routing": routing(net), "skywire-tcp": None}
    a, c = await net.visor("a", **settings), await net.visor("c", **settings)
    await listed(a, c)
    await talk(a, c)
    (link,) = c.visor.transports.links
    assert link.type == "dmsg"


async def test_services_are_asked_over_dmsg(net: Skynet) -> None:
    settings = {
        "transport": transport(net, discovery=net.on_dmsg("tpd")),
        "routing": routing(net, route_finder=net.on_dmsg("rf")),
        "skywire-tcp": None,
    }
    a, c = await net.visor("a", **settings), await net.visor("c", **settings)
    await listed(a, c)
    await talk(a, c)
    listing = a.visor.transports.listing
    assert listing is not None
    assert (await listing.plain("GET", "/all-transports"))[1].count(b"t_id") == 1


async def test_a_trusted_node_opens_transports(net: Skynet) -> None:
    trusted, other = await net.visor("trusted"), await net.visor("other")
    opened = transport(net, transport_setup=[str(trusted.pk)])
    b = await net.visor("b")
    a = await net.visor("a", transport=opened)
    await listed(trusted, other, a, b)
    async with asyncio.timeout(20):
        stream = await trusted.visor.dmsg.dial(a.pk, DMSG_TRANSPORT_SETUP)
        async with RpcClient(stream) as client:
            wanted = TransportRequest(b.pk, "dmsg")
            made = await client.call(ADD, TransportRequest, wanted, TransportResponse)
            assert (made.local, made.remote, made.type) == (a.pk, b.pk, "dmsg")
        assert a.visor.transports.links[0].label == "skycoin"
        stream = await other.visor.dmsg.dial(a.pk, DMSG_TRANSPORT_SETUP)
        async with RpcClient(stream) as client:
            with pytest.raises(StreamError):
                await client.call(ADD, TransportRequest, wanted, TransportResponse)


async def test_a_port_in_use_costs_stcp_only(net: Skynet) -> None:
    b = await net.visor("b")
    busy = {"listening_address": net.address("b"), "pk_table": {str(key("b")): net.address("b")}}
    a = await net.visor("a", **{"skywire-tcp": busy})
    assert a.state("transport stcp") is State.FAILED
    assert "in use" in a.visor.modules["transport stcp"].reason
    assert a.state("transport dmsg") is a.state("ping") is State.RUNNING
    async with asyncio.timeout(10):
        link = await a.visor.transports.manager.save(b.pk, "stcp")  # dialling needs no port
    assert link.is_up


@pytest.mark.parametrize("url", ["tpd.example.org", "ftp://tpd.example.org", "http://", "dmsg://"])
async def test_an_url_that_is_none_is_told_with_its_key(net: Skynet, url: str) -> None:
    with pytest.raises(InvalidValue, match=r"transport\.discovery: .* expected an http"):
        check_url("transport.discovery", url)
    with pytest.raises(InvalidValue, match=r"^routing\.route_finder: "):
        check_url("routing.route_finder", url)


@pytest.mark.parametrize("url", ["http://h", "https://h:1/x", f"dmsg://{key('b')}:80"])
async def test_an_url_that_is_one_is_taken(url: str) -> None:
    check_url("transport.discovery", url)
