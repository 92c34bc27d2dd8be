"""Streams over routes with a Go visor at either end and in the middle; over its own setup RPC.

Set up by our setup node, found by our route finder; transports are stcp.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey, SecKey
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import DiscoveryClient
from skywire.errors import NotFound, StreamReset
from skywire.http.app import listen, running
from skywire.http.auth import SignedSession
from skywire.ports import DMSG_SETUP_NODE
from skywire.router.finder import RouteFinder
from skywire.router.router import Router
from skywire.router.setup_client import SetupClient
from skywire.router.setup_node import SetupNode
from skywire.services.base import Common
from skywire.services.route_finder import RouteFinder as RouteFinderService
from skywire.services.transport_discovery import TransportDiscovery
from skywire.stores.engine import SqliteEngine
from skywire.stores.sql_services import SqlNonceStore, SqlTransportStore
from skywire.stores.sqlite import Database
from skywire.streams.supervise import Tasks
from skywire.testing.wait import eventually
from skywire.transport import networks as networking
from skywire.transport.discovery import TransportDiscoveryClient
from skywire.transport.dmsg import DmsgNetwork
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.stcp import StcpNetwork
from skywire.wire.routes import Bounds
from skywire.wire.transport import STCP
from tests.interop.go import Go, Visor
from tests.interop.ours import SOON, Network
from tests.interop.processes import LOOPBACK, free_port

SKYCHAT = 1  # port
NOBODY = 77  # port


class GoVisor(Visor):
    """With our directories and setup node, a fixed stcp port and skychat."""

    def __init__(self, go: Go, deployment: "Deployment", services: str) -> None:
        self.stcp = f"{LOOPBACK}:{free_port()}"
        self.chat = f"http://{LOOPBACK}:{free_port()}"
        self._deployment = deployment
        super().__init__(go, deployment.net.discovery, services)

    def start(self) -> None:
        config = json.loads(self._file.read_text())
        deployment, launcher = self._deployment, config["launcher"]
        table = {str(pk): address for pk, address in deployment.table.items()}
        config["skywire-tcp"] = {"pk_table": table, "listening_address": self.stcp}
        config["transport"]["discovery"] = deployment.tpd
        config["routing"]["route_finder"] = deployment.finder
        config["routing"]["route_setup_nodes"] = [str(deployment.setup_node)]
        binary = Path(launcher["bin_path"]) / "skywire"
        if not binary.exists():
            binary.symlink_to(self._go.binary)
        chat = ["app", "skychat", "--addr", f":{self.chat.rpartition(':')[2]}"]
        launcher["apps"] = [
            {"name": "skychat", "binary": "skywire", "args": chat, "auto_start": True, "port": 1}
        ]
        self._file.write_text(json.dumps(config))
        super().start()
        host, _, port = self.chat.removeprefix("http://").partition(":")

        def listens() -> bool:
            with suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
                return True
            return False

        self.program.until(listens, "its skychat")

    async def say(self, to: PubKey, text: str) -> None:
        """By its skychat, which dials a route."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(SOON):
            message = {"recipient": str(to), "message": text}
            async with session.post(f"{self.chat}/message", json=message) as answer:
                assert answer.status == 200, await answer.text()

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[asyncio.StreamReader]:
        """What its skychat hears, as server-sent events; headers come with the first one."""
        host, _, port = self.chat.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /sse HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            yield reader
        finally:
            writer.close()
            await writer.wait_closed()


class Ours(NamedTuple):
    public: PubKey
    manager: TransportManager
    router: Router


class Deployment(NamedTuple):
    stack: AsyncExitStack
    net: Network
    tpd: str  # URL
    finder: str  # URL
    setup_node: PubKey
    table: dict[PubKey, str]  # stcp addresses

    async def dmsg(self, public: PubKey, secret: SecKey) -> DmsgClient:
        entries = await self.stack.enter_async_context(DiscoveryClient(self.net.discovery))
        client = await self.stack.enter_async_context(DmsgClient(public, secret, entries))
        async with asyncio.timeout(SOON):
            await client.ready()
        return client

    async def visor(self) -> Ours:
        public, secret = key_pair()
        identity, enter = Identity.of(public, secret), self.stack.enter_async_context
        dmsg = await self.dmsg(public, secret)
        stcp = StcpNetwork(identity, self.table, listen=f"{LOOPBACK}:0")
        session = await enter(SignedSession(self.tpd, public, secret))
        # A Go visor opens a dmsg transport before it dials, and waits long where none is taken.
        networks: list[networking.Network] = [stcp, DmsgNetwork(dmsg)]
        manager = TransportManager(identity, networks, TransportDiscoveryClient(session))
        router = Router(
            public,
            secret,
            manager,
            setup_nodes=[self.setup_node],
            dmsg_listen=dmsg.listen,
            finder=await enter(RouteFinder(self.finder)),
            setup=SetupClient(dmsg.dial, [self.setup_node]).dial_route_group,
        )
        manager.on_data = router.handle_data
        manager.on_change.append(router.link_changed)
        await enter(manager)
        await enter(router)
        await eventually(lambda: stcp.port)
        self.table[public] = f"{LOOPBACK}:{stcp.port}"
        return Ours(public, manager, router)

    async def go_visor(self, go: Go, services: str) -> GoVisor:
        visor = await asyncio.to_thread(GoVisor, go, self, services)
        self.table[visor.public] = visor.stcp
        return visor


@asynccontextmanager
async def deployed(net: Network) -> AsyncIterator[Deployment]:
    """Our transport discovery, route finder and setup node on `net`."""
    engine = SqliteEngine(Database(":memory:"))
    transports, common = SqlTransportStore(engine), Common(allow_loopback=True)
    urls = []
    async with AsyncExitStack() as stack:
        stack.push_async_callback(transports.close)
        nonces = SqlNonceStore(engine, "tpd", shares=True)
        for app in (
            TransportDiscovery(transports, nonces, common).app(),
            RouteFinderService(transports).app(),
        ):
            runner = await stack.enter_async_context(running(app))
            urls.append(f"http://{LOOPBACK}:{await listen(runner, LOOPBACK, 0, what='service')}")
        public, secret = key_pair()
        tpd, finder = urls
        deployment = Deployment(stack, net, tpd, finder, public, {})
        client = await deployment.dmsg(public, secret)
        node, tasks = SetupNode(client.dial), Tasks("setup node")
        tasks.spawn(node.serve_all(client.listen(DMSG_SETUP_NODE)))
        stack.push_async_callback(node.close)
        stack.push_async_callback(tasks.close)
        yield deployment


async def until_found(ours: Ours, target: PubKey) -> None:
    finder = ours.router._dialler._finder
    assert finder is not None
    for _ in range(int(SOON / 0.1)):
        try:
            await finder.find(ours.public, target, Bounds(), ours.router._dialler.avoid())
        except NotFound:  # not registered yet
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError(f"no path to {target}")


async def test_go_at_the_far_end_and_as_the_dialler(go: Go, go_net: Network, services: str) -> None:
    async with deployed(go_net) as deployment:
        ours = await deployment.visor()
        visor = await deployment.go_visor(go, services)
        async with asyncio.timeout(SOON):
            await ours.manager.save(visor.public, STCP)
        await until_found(ours, visor.public)
        async with asyncio.timeout(SOON), visor.heard() as events:
            stream = await ours.router.dial(visor.public, SKYCHAT)
            assert stream.encrypted
            await stream.write("grüße from Python".encode())
            while b"from Python" not in await events.readline():
                pass
            await stream.close()
        for _ in range(2):  # each refusal in turn: its accept loop goes on
            async with asyncio.timeout(SOON):
                stream = await ours.router.dial(visor.public, NOBODY)
                with pytest.raises(StreamReset, match="no listener on port 77, service offline"):
                    await stream.read()
        listener = ours.router.listen(SKYCHAT)
        async with asyncio.timeout(SOON):
            saying = asyncio.ensure_future(visor.say(ours.public, "hello from Go"))
            theirs = await listener.accept()
            assert await theirs.read() == b"hello from Go"
            await saying
            assert (theirs.remote.pk, theirs.encrypted) == (visor.public, True)
            await theirs.write(b"and back")
            await eventually(lambda: theirs.latency is not None)
            await theirs.close()
        await eventually(lambda: not ours.router.groups)
        assert len(ours.router.rules) == 0


async def test_go_in_the_middle(go: Go, go_net: Network, services: str) -> None:
    data = bytes(range(256)) * 16 * 512  # 2 MiB
    async with deployed(go_net) as deployment:
        here, there = await deployment.visor(), await deployment.visor()
        visor = await deployment.go_visor(go, services)
        for ours in (here, there):
            async with asyncio.timeout(SOON):
                await ours.manager.save(visor.public, STCP)
        await until_found(here, there.public)
        listener = there.router.listen(80)
        async with asyncio.timeout(SOON):
            stream = await here.router.dial(there.public, 80)
            theirs = await listener.accept()
        assert [hop.to_pk for hop in stream.path] == [visor.public, there.public]

        async def receive() -> bytes:
            received = b""
            while len(received) < len(data):
                received += await theirs.read()
            return received

        async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
            got = tasks.create_task(receive())
            await stream.write(data)
        assert got.result() == data
        for size in (1, 4070, 100):
            await theirs.write(b"x" * size)
        async with asyncio.timeout(SOON):
            assert [len(await stream.read()) for _ in range(3)] == [1, 4070, 100]
        visor.program.stop()
        async with asyncio.timeout(10):
            with pytest.raises(StreamReset, match=str(visor.public)):
                await stream.read()
