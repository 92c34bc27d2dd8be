"""Transports between a Go visor and ours, dialled from either side, listed at our discovery."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import DiscoveryClient
from skywire.http.app import listen, running
from skywire.http.auth import SignedSession
from skywire.platform.addresses import local_addresses, public_address
from skywire.services.address_resolver import AddressResolver
from skywire.services.base import Common
from skywire.services.transport_discovery import TransportDiscovery
from skywire.stores.engine import SqliteEngine
from skywire.stores.sql_services import SqlBindingStore, SqlNonceStore, SqlTransportStore
from skywire.stores.sqlite import Database
from skywire.testing.wait import eventually
from skywire.transport.discovery import TransportDiscoveryClient
from skywire.transport.dmsg import DmsgNetwork
from skywire.transport.link import Link
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.resolver import AddressResolverClient
from skywire.transport.stcp import StcpNetwork
from skywire.transport.stcpr import StcprNetwork
from skywire.wire.transport import DMSG, STCP, STCPR
from tests.interop.go import Go, Visor
from tests.interop.ours import SOON, Network
from tests.interop.processes import LOOPBACK, free_port


class Directories(NamedTuple):
    """URLs of our transport discovery and address resolver."""

    tpd: str
    ar: str


@asynccontextmanager
async def directories() -> AsyncIterator[Directories]:
    """On all addresses: a Go visor is bound only where it comes from a public one."""
    host = public_address(local_addresses()) or LOOPBACK
    common = Common(allow_loopback=True)
    engine = SqliteEngine(Database(":memory:"))
    transports, bindings = SqlTransportStore(engine), SqlBindingStore(engine)
    urls = []
    async with AsyncExitStack() as stack:
        stack.push_async_callback(transports.close)
        for rules in (
            TransportDiscovery(transports, SqlNonceStore(engine, "tpd", shares=True), common),
            AddressResolver(bindings, SqlNonceStore(engine, "ar", shares=True), common),
        ):
            runner = await stack.enter_async_context(running(rules.app()))
            port = await listen(runner, host, 0, what="service")
            urls.append(f"http://{host}:{port}")
        yield Directories(*urls)


class GoVisor(Visor):
    """With our directories and a fixed stcp port."""

    def __init__(
        self, go: Go, discovery: str, services: str, where: Directories, table: dict[PubKey, str]
    ) -> None:
        self.stcp = f"{LOOPBACK}:{free_port()}"
        self._where = where
        self._table = table
        super().__init__(go, discovery, services)

    def start(self) -> None:
        config = json.loads(self._file.read_text())
        config["skywire-tcp"] = {
            "pk_table": {str(pk): address for pk, address in self._table.items()},
            "listening_address": self.stcp,
        }
        config["transport"]["discovery"] = self._where.tpd
        config["transport"]["address_resolver"] = self._where.ar
        self._file.write_text(json.dumps(config))
        super().start()

    async def dial(self, remote: PubKey, kind: str) -> None:
        done = await asyncio.to_thread(
            self._go.run, "cli", "tp", "add", "--force", "--rpc", self.rpc, "-t", kind, str(remote)
        )
        said = (done.stdout + done.stderr).decode()
        assert f"Established {kind} transport" in said, said

    async def links(self) -> str:
        done = await asyncio.to_thread(self._go.run, "cli", "tp", "ls", "--rpc", self.rpc, "--json")
        return done.stdout.decode()


class Ours(NamedTuple):
    manager: TransportManager
    directory: TransportDiscoveryClient
    resolver: AddressResolverClient
    stcp: StcpNetwork
    stcpr: StcprNetwork


async def our_visor(
    stack: AsyncExitStack,
    identity: Identity,
    net: Network,
    where: Directories,
    table: dict[PubKey, str],
) -> Ours:
    public, secret = identity.public, identity.secret
    entries = await stack.enter_async_context(DiscoveryClient(net.discovery))
    client = await stack.enter_async_context(DmsgClient(public, secret, entries))
    tpd = await stack.enter_async_context(SignedSession(where.tpd, public, secret))
    ar = await stack.enter_async_context(SignedSession(where.ar, public, secret))
    resolver = AddressResolverClient(ar)
    stcp = StcpNetwork(identity, table, listen=f"{LOOPBACK}:0")
    stcpr = StcprNetwork(identity, resolver, any_address=True)
    directory = TransportDiscoveryClient(tpd)
    manager = TransportManager(identity, [stcp, stcpr, DmsgNetwork(client)], directory)
    await stack.enter_async_context(manager)
    async with asyncio.timeout(SOON):
        await client.ready()
    await eventually(lambda: stcp.port)
    return Ours(manager, directory, resolver, stcp, stcpr)


async def listed(ours: Ours, wanted: bool, link: Link) -> None:
    for _ in range(int(SOON / 0.05)):
        entries = await ours.directory.of_edge(ours.manager.public)
        if any(entry.id == link.id for entry in entries) is wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{link} is {'not ' if wanted else 'still '}listed after {SOON} s")


@pytest.mark.parametrize("kind", [STCP, STCPR, DMSG])
async def test_go_dials_us_and_we_dial_go(
    kind: str, go: Go, go_net: Network, services: str
) -> None:
    if kind == STCPR and public_address(local_addresses()) is None:
        pytest.skip("a Go visor accepts stcpr only where an interface has a public address")
    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(directories())
        identity = Identity.of(*key_pair())
        table: dict[PubKey, str] = {}
        ours = await our_visor(stack, identity, go_net, where, table)
        theirs = {identity.public: f"{LOOPBACK}:{ours.stcp.port}"}
        visor = await asyncio.to_thread(GoVisor, go, go_net.discovery, services, where, theirs)
        table[visor.public] = visor.stcp
        if kind == STCPR:
            async with asyncio.timeout(SOON):
                await ours.stcpr.bound.wait()
            await _until_bound(ours, visor.public)
        links = ours.manager.links

        await visor.dial(identity.public, kind)
        await eventually(lambda: len(links) == 1)
        (link,) = links.values()
        assert (link.remote, link.type, link.dialled) == (visor.public, kind, False)
        await listed(ours, True, link)
        assert str(link.id) in await visor.links()
        await ours.manager.remove(link.id)
        await listed(ours, False, link)

        for _ in range(3):
            async with asyncio.timeout(SOON):
                link = await ours.manager.save(visor.public, kind)
            assert link.dialled
            await listed(ours, True, link)
            assert str(link.id) in await visor.links()
            assert link.latency is None, "a node of 2024 does not answer pings"
            assert link.is_up
            await ours.manager.remove(link.id)
            await listed(ours, False, link)


async def _until_bound(ours: Ours, remote: PubKey) -> None:
    for _ in range(int(SOON / 0.1)):
        if remote in (await ours.resolver.bound()).get(STCPR, ()):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the Go visor is not bound")
