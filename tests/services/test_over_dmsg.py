"""The discovery on dmsg: its own client, our servers, and a client that only knows the keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg import client as dmsg
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.direct import StaticDirectory, delegate_to_all
from skywire.dmsg.discovery import DiscoveryClient, update_entry
from skywire.dmsg.server import DmsgServer
from skywire.errors import NotFound
from skywire.http.app import listen, running
from skywire.http.over_stream import DmsgConnector
from skywire.services.dmsg_discovery import DmsgDiscovery, Settings
from skywire.services.over_dmsg import OwnDirectory, serve_over_dmsg
from skywire.stores.contracts import DiscoveryStore
from skywire.stores.open import open_discovery
from skywire.testing.wait import eventually
from skywire.wire import entry as wire
from skywire.wire.entry import Entry

PK, SK = key_pair()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as made:
        yield made


@pytest.fixture
async def store(stack: AsyncExitStack) -> DiscoveryStore:
    made = await open_discovery("sqlite::memory:")
    stack.push_async_callback(made.close)
    return made


async def relay(stack: AsyncExitStack, discovery_url: str) -> DmsgServer:
    directory = await stack.enter_async_context(DiscoveryClient(discovery_url))
    pk, sk = key_pair()
    server = DmsgServer(pk, sk, directory, public_address="127.0.0.1:0")
    await stack.enter_async_context(server)
    await server.serve("127.0.0.1", 0)
    async with asyncio.timeout(10):
        await server.posted()
    return server


async def test_a_client_asks_the_discovery_over_dmsg(
    stack: AsyncExitStack, store: DiscoveryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dmsg, "SERVERS_RETRY", (0.02, 0.1))
    service = DmsgClient(PK, SK, OwnDirectory(store), min_sessions=0)

    def sessions() -> list[str]:
        return [str(key) for key in service.sessions]

    app = DmsgDiscovery(store, Settings(test_mode=True)).app(f"{PK}:80", sessions)
    runner = await stack.enter_async_context(running(app))
    url = f"http://127.0.0.1:{await listen(runner, '127.0.0.1', 0, what='discovery')}"
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    await stack.enter_async_context(service)
    stack.callback(tasks.create_task(serve_over_dmsg(service, runner)).cancel)

    first = await relay(stack, url)
    await eventually(lambda: service.sessions == (first.public,))
    second = await relay(stack, url)  # a server that comes later is noticed
    await eventually(lambda: set(service.sessions) == {first.public, second.public})

    pk, sk = key_pair()
    known = await OwnDirectory(store).all_servers()
    directory = StaticDirectory(delegate_to_all([pk, PK], known))
    client = await stack.enter_async_context(DmsgClient(pk, sk, directory))
    async with asyncio.timeout(20):
        await client.ready()
        over_dmsg = DiscoveryClient(f"dmsg://{PK}:80", connector=DmsgConnector(client.dial))
        async with over_dmsg as discovery:
            await update_entry(discovery, sk, lambda _: Entry.of_client(pk, client.sessions))
            assert (await discovery.entry(pk)).client is not None
            assert {entry.static for entry in await discovery.all_servers()} == set(
                service.sessions
            )
            with pytest.raises(NotFound):  # the discovery itself is in no public directory
                await discovery.entry(PK)


async def test_a_server_takes_its_entry_with_it(
    stack: AsyncExitStack, store: DiscoveryStore
) -> None:
    app = DmsgDiscovery(store, Settings(test_mode=True)).app()
    runner = await stack.enter_async_context(running(app))
    port = await listen(runner, "127.0.0.1", 0, what="discovery")
    async with AsyncExitStack() as life:
        server = await relay(life, f"http://127.0.0.1:{port}")
        assert await store.document(server.public) is not None
    assert await store.document(server.public) is None


async def test_what_the_service_posts_stays_in_memory(store: DiscoveryStore) -> None:
    directory = OwnDirectory(store)
    posted = await update_entry(directory, SK, lambda _: Entry.of_client(PK, []))
    assert await directory.entry(PK) == posted
    assert await store.document(PK) is None
    assert await store.count() == (0, 0)
    await directory.delete(posted)
    await directory.delete(posted)
    with pytest.raises(NotFound):
        await directory.entry(PK)


async def test_servers_come_from_the_store(store: DiscoveryStore) -> None:
    directory = OwnDirectory(store)
    assert await directory.available_servers() == []
    pk, sk = key_pair()
    full = wire.sign(Entry.of_server(pk, "192.0.2.1:80", 0), sk)
    await store.put(full, 60)
    assert await directory.entry(pk) == full
    assert await directory.available_servers() == await directory.all_servers() == [full]
    with pytest.raises(NotFound):
        await directory.entry(PubKey(bytes(33)))
