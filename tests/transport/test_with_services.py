"""Visors with our own transport discovery and address resolver, over HTTP."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from skywire.crypto.generate import key_pair
from skywire.http.app import listen, running
from skywire.http.auth import SignedSession
from skywire.services.address_resolver import AddressResolver
from skywire.services.base import Common
from skywire.services.transport_discovery import TransportDiscovery
from skywire.stores.engine import SqliteEngine
from skywire.stores.sql_services import SqlBindingStore, SqlNonceStore, SqlTransportStore
from skywire.stores.sqlite import Database
from skywire.testing.wait import eventually
from skywire.transport.discovery import TransportDiscoveryClient
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.resolver import AddressResolverClient
from skywire.transport.stcpr import StcprNetwork
from skywire.wire.transport import STCPR


@dataclass
class Services:
    tpd: str
    ar: str


async def services(stack: AsyncExitStack) -> Services:
    common = Common(allow_loopback=True)
    engine = SqliteEngine(Database(":memory:"))
    transports, bindings = SqlTransportStore(engine), SqlBindingStore(engine)
    stack.push_async_callback(transports.close)
    urls = []
    for rules in (
        TransportDiscovery(transports, SqlNonceStore(engine, "tpd", shares=True), common),
        AddressResolver(bindings, SqlNonceStore(engine, "ar", shares=True), common),
    ):
        runner = await stack.enter_async_context(running(rules.app()))
        port = await listen(runner, "127.0.0.1", 0, what="service")
        urls.append(f"http://127.0.0.1:{port}")
    return Services(*urls)


async def visor(stack: AsyncExitStack, where: Services) -> tuple[TransportManager, StcprNetwork]:
    public, secret = key_pair()
    identity = Identity.of(public, secret)
    tpd = await stack.enter_async_context(SignedSession(where.tpd, public, secret))
    ar = await stack.enter_async_context(SignedSession(where.ar, public, secret))
    network = StcprNetwork(identity, AddressResolverClient(ar), any_address=True)
    manager = TransportManager(identity, [network], TransportDiscoveryClient(tpd))
    await stack.enter_async_context(manager)
    async with asyncio.timeout(5):
        await network.bound.wait()
    return manager, network


async def test_bound_dialled_listed_renewed_and_withdrawn() -> None:
    async with AsyncExitStack() as stack:
        where = await services(stack)
        one, _ = await visor(stack, where)
        two, _ = await visor(stack, where)
        public, secret = key_pair()
        session = await stack.enter_async_context(SignedSession(where.tpd, public, secret))
        observer = TransportDiscoveryClient(session)
        async with asyncio.timeout(10):
            link = await one.save(two.public, STCPR)
            (entry,) = await observer.of_edge(one.public)
            assert entry == await observer.entry(link.id)
            assert set(entry.edges) == {one.public, two.public}
            await two._registrar.check()
            await one._registrar.check()
            assert two._registrar.error == one._registrar.error == ""
            assert len(await observer.of_edge(two.public)) == 1
            await one.remove(link.id)
            await eventually(lambda: not two.links)
            while await observer.of_edge(one.public):  # noqa: ASYNC110 - an HTTP service
                await asyncio.sleep(0.01)


async def test_many_visors_dial_one_at_the_same_time() -> None:
    async with AsyncExitStack() as stack:
        where = await services(stack)
        hub, _ = await visor(stack, where)
        spokes = [(await visor(stack, where))[0] for _ in range(15)]
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            for spoke in spokes:
                tasks.create_task(spoke.save(hub.public, STCPR))
        await eventually(lambda: len(hub.links) == len(spokes))
        assert not hub.refused
