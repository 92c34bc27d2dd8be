"""A whole deployment in one process: over HTTP, over dmsg, with its setup node."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from skywire.config.values import HostPort
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.errors import Conflict
from skywire.http.auth import SignedSession
from skywire.http.over_stream import DmsgConnector
from skywire.ports import DMSG_SETUP_NODE
from skywire.services.base import Common
from skywire.services.everything import (
    AR,
    CONF,
    NV,
    PORTS,
    SD,
    SETUP_NODE,
    TPD,
    UT,
    UT_PRIVATE,
    start_all,
)
from skywire.services.host import Host, service_key
from skywire.stores.open import open_stores
from skywire.streams.udp import open_udp
from skywire.testing.deployment import deployment
from skywire.wire import routes, transport
from skywire.wire.resolver import parse_binding
from skywire.wire.transport import Entry
from tests.services.serving import ALICE, ALICE_SK, BOB, BOB_SK

ANY_PORT = dict.fromkeys(PORTS, HostPort("127.0.0.1:0"))
_, MASTER = key_pair()


@asynccontextmanager
async def running_all(discovery: str = "") -> AsyncIterator[dict[str, str]]:
    async with AsyncExitStack() as stack:
        stores = await open_stores("sqlite::memory:")
        stack.push_async_callback(stores.close)
        host = await stack.enter_async_context(Host(discovery))
        yield await start_all(
            stack,
            host,
            stores,
            ANY_PORT,
            Common(allow_loopback=True),
            secret=MASTER if discovery else None,
            dmsg_discovery=discovery,
            stun_servers=("192.0.2.1:3478",),
        )


async def get(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200, url
        return await response.read()


def registration() -> bytes:
    signed = transport.sign(Entry.of(ALICE, BOB, "dmsg"), ALICE_SK)
    return transport.encode_list([transport.sign(signed, BOB_SK)])


async def test_what_one_service_stores_the_others_see() -> None:
    async with running_all() as urls, SignedSession(urls[TPD], ALICE, ALICE_SK) as alice:
        assert SETUP_NODE not in urls
        assert (await alice.request("POST", "/transports/", registration()))[0] == 201
        async with aiohttp.ClientSession() as session:
            asked = routes.encode_request([(ALICE, BOB)], routes.Bounds())
            async with session.post(f"{urls['rf']}/routes", data=asked) as response:
                assert response.status == 200
                assert len(routes.parse_response(await response.read())[ALICE, BOB]) == 1
        told = json.loads(await get(urls[CONF] + "/"))
        assert told["transport_discovery"] == urls[TPD]
        assert told["stun_servers"] == ["192.0.2.1:3478"]
        assert "route_setup_nodes" not in told
        for name, url in urls.items():
            assert set(json.loads(await get(f"{url}/health"))) == {"build_info", "started_at"}, name
            assert b"# TYPE" in await get(f"{url}/metrics")
        assert json.loads(await get(f"{urls[NV]}/map"))["nodes"] == {}


async def test_the_map_has_what_the_uptime_tracker_knows() -> None:
    async with running_all() as urls, SignedSession(urls[UT], ALICE, ALICE_SK) as alice:
        assert (await alice.request("GET", "/v4/update?version=v1.3.29"))[0] == 200
        assert json.loads(await get(f"{urls[UT_PRIVATE]}/visor-ips?month=all")) == {
            "127.0.0.1": {"count": 1, "public_keys": [str(ALICE)]}
        }
        async with asyncio.timeout(5):  # it may have been read a moment ago
            while not json.loads(await get(f"{urls[UT]}/uptimes")):  # noqa: ASYNC110 - a service's
                await asyncio.sleep(0.5)
        assert json.loads(await get(f"{urls[CONF]}/"))["uptime_tracker"] == urls[UT]


async def test_the_resolver_has_one_number_for_tcp_and_udp() -> None:
    async with running_all() as urls, SignedSession(urls[AR], ALICE, ALICE_SK) as alice:
        port = int(urls[AR].rpartition(":")[2])
        with pytest.raises(Conflict):
            await open_udp("127.0.0.1", port)
        bind = b'{"port":"7777","addresses":["127.0.0.1"]}'
        assert await alice.request("POST", "/bind/stcpr", bind) == (200, b"")
        _, answer = await alice.request("GET", f"/resolve/stcpr/{ALICE}")
        assert parse_binding(answer).remote_addr == "127.0.0.1"


async def test_every_service_is_on_dmsg_with_its_own_key() -> None:
    async with deployment() as net, running_all(net.url) as urls:
        client = await net.client()
        told = json.loads(await get(urls[CONF] + "/"))
        assert told["route_setup_nodes"] == [urls[SETUP_NODE]]
        assert urls[SETUP_NODE] == str(service_key(MASTER, SETUP_NODE).public())
        tpd = service_key(MASTER, TPD).public()
        await reachable(client, tpd, 80)
        connector = DmsgConnector(client.dial)
        url = f"dmsg://{tpd}:80"
        async with SignedSession(url, ALICE, ALICE_SK, connector) as alice:
            assert (await alice.request("POST", "/transports/", registration()))[0] == 201
            assert len(json.loads((await alice.plain("GET", "/all-transports"))[1])) == 1
        sd = service_key(MASTER, SD).public()
        await reachable(client, sd, 80)
        async with SignedSession(f"dmsg://{sd}:80", ALICE, ALICE_SK, connector) as alice:
            _, health = await alice.plain("GET", "/health")
            assert json.loads(health)["dmsg_address"] == f"{sd}:80"
            assert len(json.loads(health)["dmsg_servers"]) == 1
        ut = service_key(MASTER, UT).public()
        await reachable(client, ut, 80)
        async with SignedSession(f"dmsg://{ut}:80", ALICE, ALICE_SK, connector) as alice:
            assert (await alice.request("GET", "/v4/update?version=v1.3.29"))[0] == 200
        await connector.close()
        await reachable(client, PubKey.parse(urls[SETUP_NODE]), DMSG_SETUP_NODE)


async def test_over_dmsg_a_visor_names_its_address_itself() -> None:
    async with deployment() as net, running_all(net.url) as urls:
        assert urls
        client = await net.client()
        ar = service_key(MASTER, AR).public()
        await reachable(client, ar, 80)
        connector = DmsgConnector(client.dial)
        bind = b'{"port":"7777","addresses":["192.0.2.1"]}'
        for told, status in ((None, 400), ("10.0.0.1", 400), ("192.0.2.1", 200)):
            headers = {"SW-PublicIP": told} if told else {}
            async with SignedSession(
                f"dmsg://{ar}:80", ALICE, ALICE_SK, connector, headers=headers
            ) as alice:
                assert (await alice.request("POST", "/bind/stcpr", bind))[0] == status
        await connector.close()


async def reachable(client: DmsgClient, pk: PubKey, port: int) -> None:
    async def dialled() -> bool:
        try:
            stream = await client.dial(pk, port)
        except Exception:  # noqa: BLE001 - it may not be registered yet
            return False
        await stream.close()
        return True

    async with asyncio.timeout(20):
        while not await dialled():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_a_port_in_use_is_named() -> None:
    socket = await open_udp("127.0.0.1")
    port = socket.address.port
    places = {**ANY_PORT, AR: HostPort(f"127.0.0.1:{port}")}
    async with AsyncExitStack() as stack:
        stores = await open_stores("sqlite::memory:")
        stack.push_async_callback(stores.close)
        host = await stack.enter_async_context(Host())
        with pytest.raises(Conflict, match=str(port)):
            await start_all(stack, host, stores, places, Common())
    await socket.close()
