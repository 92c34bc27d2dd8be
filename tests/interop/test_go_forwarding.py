"""Forwarded ports and pings between our code and a Go visor of 2024, over real routes.

Such a visor forwards on skynet port 47 and pings by a route that leads back to itself on 48.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from skywire.appkit.forward_client import FarPort, OldPort, Way
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Refused
from skywire.http.app import listen, running
from skywire.http.over_stream import serve_http
from skywire.router.finder import Fixed, Through
from skywire.router.ports import RouteListener
from skywire.router.route_group import RouteGroup
from skywire.rpc.client import RpcClient
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.testing.wait import eventually
from skywire.visor import ops_ping, ops_ports
from skywire.visor.client import RemoteVisor
from skywire.visor.modules import Modules, State
from skywire.visor.ops_ping import PingConfig, VisorTest
from skywire.visor.ops_ports import ConnectIn, ForwardConn
from skywire.visor.pings import Pings
from skywire.wire.routes import Path
from skywire.wire.transport import STCP
from tests.cli.fake_rpc import fake_rpc
from tests.interop.go import Go, has_way_out
from tests.interop.ours import SOON, Network
from tests.interop.processes import LOOPBACK, free_port
from tests.interop.test_go_routes import GoVisor, Ours, deployed, until_found

USUAL = 3435  # port of a visor's RPC


class Routes:
    """What a visor of ours has around its router."""

    def __init__(self, ours: Ours) -> None:
        self._router = ours.router

    async def dial(self, remote: PubKey, port: int) -> RouteGroup:
        return await self._router.dial(remote, port)

    async def dial_via(self, remote: PubKey, port: int, via: PubKey) -> RouteGroup:
        return await self._router.dial(remote, port, lambda finder: Through(finder, via))

    async def dial_along(self, path: Path, port: int) -> RouteGroup:
        return await self._router.dial(path[-1].to_pk, port, lambda _: Fixed(path))

    def listen(self, port: int) -> RouteListener:
        return self._router.listen(port)


@asynccontextmanager
async def rpc(visor: GoVisor) -> AsyncIterator[RemoteVisor]:
    host, _, port = visor.rpc.rpartition(":")
    async with asyncio.timeout(SOON):
        stream = await dial_tcp(host, int(port))
    async with RpcClient(stream) as client:
        yield RemoteVisor(client)


@asynccontextmanager
async def page() -> AsyncIterator[int]:
    """A web server that tells what it was asked; `/big` has 300 KB, `/chunked` no length."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/big":
            return web.Response(body=bytes(300_000))
        if request.path == "/chunked":
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(3):
                await response.write(b"piece ")
            return response
        body = await request.read()
        return web.Response(text=f"{request.method} {request.path} {len(body)}")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with running(app) as runner:
        yield await listen(runner, LOOPBACK, 0, what="page")


async def test_a_port_of_a_go_visor_is_reached_by_http(
    go: Go, go_net: Network, services: str
) -> None:
    async with deployed(go_net) as deployment, page() as port:
        ours = await deployment.visor()
        visor = await deployment.go_visor(go, services)
        async with asyncio.timeout(SOON):
            await ours.manager.save(visor.public, STCP)
        await until_found(ours, visor.public)
        far = FarPort(ours.router.dial, visor.public, port)
        async with asyncio.timeout(SOON), rpc(visor) as theirs:
            with pytest.raises(Refused, match=f"Port :{port} not registered"):
                await far.find_way()
            await theirs.call(ops_ports.register_http_port, port)
            assert await theirs.call(ops_ports.list_http_ports) == [port]
            assert await far.find_way() is Way.HTTP
        listener, tasks = await listen_tcp(LOOPBACK, 0), Tasks("old port")
        async with OldPort(far.open, port) as app, aiohttp.ClientSession() as browser:
            tasks.spawn(serve_http(app, listener))
            url = f"http://{LOOPBACK}:{listener.address.port}"
            async with asyncio.timeout(SOON):
                for size in (0, 1, 3000):
                    async with browser.post(f"{url}/some/path", data=bytes(size)) as answer:
                        assert await answer.text() == f"POST /some/path {size}"
                async with browser.post(url, data=bytes(5000)) as answer:
                    assert answer.status == 413  # it takes a request in one piece only
                async with browser.get(f"{url}/big") as answer:
                    assert len(await answer.read()) == 300_000
                async with browser.get(f"{url}/chunked") as answer:
                    assert await answer.text() == "piece " * 3
                async with browser.get(f"{url}/after") as answer:
                    assert await answer.text() == "GET /after 0"
            await listener.close()
            await tasks.close()


async def test_a_go_visor_is_refused_our_ports_for_we_do_not_listen_on_47(
    go: Go, go_net: Network, services: str
) -> None:
    """Update 3095: a node must not. So a visor of 2024 cannot reach ports of ours."""
    async with deployed(go_net) as deployment:
        ours = await deployment.visor()
        visor = await deployment.go_visor(go, services)
        async with asyncio.timeout(SOON):
            await ours.manager.save(visor.public, STCP)
        await until_found(ours, visor.public)
        async with asyncio.timeout(SOON), rpc(visor) as theirs:
            with pytest.raises(Refused, match="EOF"):  # all that it says
                await theirs.call(ops_ports.connect, ConnectIn(ours.public, 80, free_port()))
            assert await theirs.call(ops_ports.list_forwards) == {}
        # and it goes on to be reached itself
        async with page() as port, rpc(visor) as theirs, asyncio.timeout(SOON):
            await theirs.call(ops_ports.register_http_port, port)
            assert await FarPort(ours.router.dial, visor.public, port).find_way() is Way.HTTP


async def test_pings_there_and_from_there(go: Go, go_net: Network, services: str) -> None:
    async with deployed(go_net) as deployment:
        ours = await deployment.visor()
        visor = await deployment.go_visor(go, services)
        async with asyncio.timeout(SOON):
            await ours.manager.save(visor.public, STCP)
        await until_found(ours, visor.public)
        pings, modules = Pings(ours.public, Routes(ours)), Modules("pings")
        modules.start("ping", pings.serve)
        await eventually(lambda: modules["ping"].state is State.RUNNING)
        async with asyncio.timeout(SOON):
            taken, steps = await pings.trace(visor.public, 3, 2)
        assert len(taken) == 3
        assert [step.hop.to_pk for step in steps] == [visor.public]
        assert steps[0].round_trip is not None
        # its own way: a route over us back to it, laid by our setup node
        async with asyncio.timeout(SOON), rpc(visor) as theirs:
            request = PingConfig(ours.public, tries=2, size=2)
            await theirs.call(ops_ping.dial_ping, request)
            taken_there = await theirs.call(ops_ping.ping, request)
            assert len(taken_there) == 2
            await theirs.call(ops_ping.stop_ping, ours.public)
        await modules.close()


def test_go_s_words_drive_our_visor(go: Go) -> None:
    """Its `fwd` and `rev` ask the usual port only: here in a network of its own, nobody has it."""
    id_, far = uuid4(), key_pair()[0]
    answers: dict[Any, Any] = {
        ops_ports.register_http_port: None,
        ops_ports.deregister_http_port: None,
        ops_ports.list_http_ports: [80],
        ops_ports.connect: id_,
        ops_ports.disconnect: None,
        ops_ports.list_forwards: {id_: ForwardConn(id_, 9000, 8080)},
        ops_ping.dial_ping: None,
        ops_ping.ping: [2_000_000],
        ops_ping.stop_ping: None,
        ops_ping.test_visor: [VisorTest(str(far), "4.00", "2.00", "3.00", "Success")],
    }
    with socket.socket() as probe:
        if has_way_out() or probe.connect_ex((LOOPBACK, USUAL)) == 0:
            pytest.skip(f"port {USUAL} is not for us: run this in a network namespace")
    with fake_rpc(answers, USUAL) as fake:
        for line, told in {
            "fwd 80": "OK",
            "fwd -l": "80",
            "fwd -p 80 -d": "OK",
            f"rev {far} -r 8080 -p 9000": str(id_),
            "rev -l": f"{id_}   9000         8080",
            f"rev -d {id_}": "OK",
            f"visor ping {far} -s 4": "Latency: 2.00 ms | Speed: 2000.000 KB/s",
            "visor test -c 1": f"PK: {far}\nMax: 4.00\nMin: 2.00\nMean: 3.00\nStatus: Success",
        }.items():
            done = go.run("cli", *line.split())
            assert (done.returncode, told in done.stdout.decode()) == (0, True), done.stdout
        assert fake.asked[3] == ("Connect", ConnectIn(far, 8080, 9000))
        assert fake.asked[-1] == ("TestVisor", PingConfig(tries=1, size=2, public_visors=1))
