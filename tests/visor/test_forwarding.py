"""Forwarded ports between visors, over real transports and routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from skywire.appkit.forward_client import Way
from skywire.appkit.forward_server import CARRIER_HEADER, KEY_HEADER, ForwardedPort
from skywire.errors import Refused, StreamReset
from skywire.http.app import listen, running
from skywire.ports import SKYNET_FORWARDING_2024, SKYNET_FORWARDING_MUX
from skywire.streams.serving import serve_each
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.testing.stream_contract import pattern, read_all, read_exactly
from skywire.testing.wait import eventually
from skywire.visor import ops_ports
from skywire.visor.client import RemoteVisor
from skywire.visor.ops_ports import ConnectIn, StartForwardIn
from tests.visor.network import Node
from tests.visor.skynet import Skynet, key, listed, skynet
from tests.visor.test_skynet import rpc

LIMIT = 30.0


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Skynet]:
    async with skynet(tmp_path) as made:
        yield made


async def pair(net: Skynet, tmp_path: Path) -> tuple[Node, Node]:
    """A and B, joined; each has files of its own."""
    b = await net.visor("b", local_path=str(tmp_path / "b"))
    a = await net.visor("a", "b", local_path=str(tmp_path / "a"))
    await listed(a, b)
    return a, b


@asynccontextmanager
async def shouting() -> AsyncIterator[int]:
    """A server that says hello, then returns everything in capitals; its port."""
    listener, tasks = await listen_tcp("127.0.0.1", 0), Tasks("shouting")

    async def serve(stream: Stream) -> None:
        await stream.write(b"hello ")
        while data := await stream.read():
            await stream.write(data.upper())
        await stream.close()

    tasks.spawn(serve_each(listener, serve, name="shouting"))
    try:
        yield listener.address.port
    finally:
        await listener.close()
        await tasks.close()


@asynccontextmanager
async def page() -> AsyncIterator[int]:
    """A web page that tells what it was asked with; its port."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.text()
        told = {name: request.headers.get(name, "") for name in (KEY_HEADER, CARRIER_HEADER)}
        return web.json_response(told | {"host": request.host, "body": body, "path": request.path})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with running(app) as runner:
        yield await listen(runner, "127.0.0.1", 0, what="page")


async def ask(port: int, question: bytes) -> bytes:
    """Everything that comes back when we have finished our direction."""
    async with asyncio.timeout(LIMIT):
        stream = await dial_tcp("127.0.0.1", port)
        await stream.write(question)
        await stream.write_eof()
        answer = await read_all(stream)
        await stream.close()
    return answer


async def start(visor: RemoteVisor, b: Node, port: int, name: str = "") -> ops_ports.ForwardState:
    return await visor.call(ops_ports.start_forward, StartForwardIn(b.pk, port, 0, name))


async def test_a_port_is_reached_and_one_that_is_not_forwarded_is_not(
    net: Skynet, tmp_path: Path
) -> None:
    a, b = await pair(net, tmp_path)
    async with shouting() as port, rpc(a) as here, rpc(b) as there:
        with pytest.raises(Refused, match=f"port :{port} not registered"):
            await here.call(ops_ports.connect, ConnectIn(b.pk, port, 0))
        await there.call(ops_ports.register_http_port, port)
        assert await there.call(ops_ports.list_http_ports) == [port]
        with pytest.raises(Refused, match=f"Port :{port} already registered"):
            await there.call(ops_ports.register_http_port, port)
        forward = await start(here, b, port)
        assert forward.way == Way.MUX.value
        assert await ask(forward.local_port, b"world") == b"hello WORLD"
        assert await ask(forward.local_port, b"again") == b"hello AGAIN"
        assert len([g for g in a.visor.routes.router.groups if g.is_open]) == 1
        (conn,) = (await here.call(ops_ports.list_forwards)).values()
        assert (conn.id, conn.local_port, conn.remote_port) == (
            forward.id,
            forward.local_port,
            port,
        )
        await there.call(ops_ports.deregister_http_port, port)
        with pytest.raises(Refused, match=f"Port :{port} not registered"):
            await there.call(ops_ports.deregister_http_port, port)
        with pytest.raises(StreamReset):
            await ask(forward.local_port, b"too late")
        (state,) = await here.call(ops_ports.forwards)
        assert "not registered" in state.error
        await here.call(ops_ports.disconnect, forward.id)
        assert await here.call(ops_ports.forwards) == []
        with pytest.raises(Refused, match="no forward has the id"):
            await here.call(ops_ports.disconnect, uuid4())
        await eventually(lambda: not a.visor.routes.router.groups)


async def test_megabytes_go_both_ways_beside_each_other(net: Skynet, tmp_path: Path) -> None:
    a, b = await pair(net, tmp_path)
    data = pattern(1 << 20)
    async with shouting() as port, rpc(a) as here:
        await b.visor.forwarding.register(port)
        forward = await start(here, b, port)

        async def exchange() -> bytes:
            stream = await dial_tcp("127.0.0.1", forward.local_port)
            assert await read_exactly(stream, 6) == b"hello "

            async def send() -> None:
                await stream.write(data)
                await stream.write_eof()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(send())
                got = tasks.create_task(read_all(stream))
            await stream.close()
            return got.result()

        async with asyncio.timeout(LIMIT):
            for got in await asyncio.gather(exchange(), exchange(), exchange()):
                assert got == data.upper()
        await eventually(lambda: not b.visor.forwarding._server._of_peer)


async def test_without_sessions_each_connection_has_a_route(net: Skynet, tmp_path: Path) -> None:
    a, b = await pair(net, tmp_path)
    mux = b.visor.routes.router.ports.listener(SKYNET_FORWARDING_MUX)
    assert mux is not None
    await mux.close()  # as a node that has none
    async with shouting() as port, rpc(a) as here:
        await b.visor.forwarding.register(port)
        forward = await start(here, b, port)
        assert forward.way == Way.ROUTES.value
        # our end cannot be told over a route, but the answer still comes
        async with asyncio.timeout(LIMIT):
            stream = await dial_tcp("127.0.0.1", forward.local_port)
            await stream.write(b"world")
            assert await read_exactly(stream, 11) == b"hello WORLD"
            assert len([g for g in a.visor.routes.router.groups if g.is_open]) == 1
            await stream.close()


async def test_nobody_listens_for_forwarding_on_port_47(net: Skynet, tmp_path: Path) -> None:
    a, b = await pair(net, tmp_path)
    assert b.visor.routes.router.ports.listener(SKYNET_FORWARDING_2024) is None
    async with asyncio.timeout(LIMIT):
        stream = await a.visor.network.dial(b.pk, SKYNET_FORWARDING_2024)
        with pytest.raises(StreamReset, match="no listener on port 47, service offline"):
            await stream.read()


async def test_a_whitelist_lets_in_whom_it_names(net: Skynet, tmp_path: Path) -> None:
    a, b = await pair(net, tmp_path)
    async with shouting() as port, rpc(a) as here, rpc(b) as there:
        await there.call(
            ops_ports.add_forwarded_port,
            ForwardedPort(port=4000, target=f"127.0.0.1:{port}", whitelist=[b.pk]),
        )
        with pytest.raises(Refused, match="not whitelisted"):
            await start(here, b, 4000)
        await there.call(
            ops_ports.add_forwarded_port,
            ForwardedPort(port=4000, target=f"127.0.0.1:{port}", whitelist=[b.pk, a.pk]),
        )
        forward = await start(here, b, 4000)
        assert await ask(forward.local_port, b"it is me") == b"hello IT IS ME"
        (entry,) = await there.call(ops_ports.forwarded_ports)
        assert (entry.port, entry.whitelist) == (4000, [b.pk, a.pk])


async def test_a_page_is_told_who_asks_and_nobody_can_lie(net: Skynet, tmp_path: Path) -> None:
    a, b = await pair(net, tmp_path)
    async with page() as port, rpc(a) as here, aiohttp.ClientSession() as browser:
        b.visor.forwarding.add(ForwardedPort(port=port, inject_pk=True, preserve_host=True))
        forward = await start(here, b, port)
        url = f"http://127.0.0.1:{forward.local_port}/some/path"
        lies = {KEY_HEADER: "me", CARRIER_HEADER: "pigeon"}
        async with asyncio.timeout(LIMIT):
            for _ in range(2):  # on one connection
                async with browser.post(url, data=b"x" * 100_000, headers=lies) as answer:
                    told = await answer.json()
                assert told[KEY_HEADER] == str(a.pk)
                assert told[CARRIER_HEADER] == "skynet"
                assert told["host"] == f"127.0.0.1:{forward.local_port}"
                assert (told["path"], len(told["body"])) == ("/some/path", 100_000)


async def test_a_port_on_dmsg(net: Skynet, tmp_path: Path) -> None:
    a, b = await pair(net, tmp_path)
    async with shouting() as port, asyncio.timeout(LIMIT):
        entry = ForwardedPort(port=4000, target=f"localhost:{port}", dmsg=True, no_skynet=True)
        b.visor.forwarding.add(entry)
        stream = await a.visor.dmsg.dial(b.pk, 4000)
        await stream.write(b"world")
        assert await read_exactly(stream, 11) == b"hello WORLD"
        await stream.close()
        with pytest.raises(Refused, match="not registered"):
            await a.visor.forwarding.connect(b.pk, 4000, 0)
        b.visor.forwarding.remove(4000)
        with pytest.raises(Refused):
            await a.visor.dmsg.dial(b.pk, 4000)


async def test_a_service_that_is_down_is_told(net: Skynet, tmp_path: Path) -> None:
    a, b = await pair(net, tmp_path)
    async with rpc(a) as here, rpc(b) as there:
        async with shouting() as port:
            await b.visor.forwarding.register(port)
        with pytest.raises(Refused, match=f"failed to dial port {port}"):
            await start(here, b, port)
        await there.call(ops_ports.deregister_http_port, port)
        with pytest.raises(Refused, match=f"No connection on local port :{port}"):
            await there.call(ops_ports.register_http_port, port)


async def test_ports_are_there_after_a_restart_and_a_forward_finds_them(
    net: Skynet, tmp_path: Path
) -> None:
    a, b = await pair(net, tmp_path)
    async with shouting() as port, rpc(a) as here:
        b.visor.forwarding.add(ForwardedPort(port=port, label="shouting", whitelist=[a.pk]))
        forward = await start(here, b, port)
        assert await ask(forward.local_port, b"one") == b"hello ONE"
        await b.stop()
        b = await net.visor("b", local_path=str(tmp_path / "b"))
        (entry,) = b.visor.forwarding.ports
        assert (entry.port, entry.label, entry.whitelist) == (port, "shouting", [a.pk])
        await listed(b)
        await eventually(lambda: any(link.is_up for link in a.visor.transports.links), LIMIT)

        async def again() -> bytes:
            while True:
                try:
                    return await ask(forward.local_port, b"two")
                except StreamReset:
                    await asyncio.sleep(0.1)

        async with asyncio.timeout(LIMIT):
            assert await again() == b"hello TWO"


async def test_what_cannot_be_started(net: Skynet, tmp_path: Path) -> None:
    a, b = await pair(net, tmp_path)
    async with shouting() as port, rpc(a) as here:
        await b.visor.forwarding.register(port)
        for request, reason in (
            (StartForwardIn(b.pk, port, port), f":{port} local port already in use"),
            (StartForwardIn(a.pk, port, 0), "this visor itself"),
            (StartForwardIn(b.pk, 0, 0), "port 0: expected 1 to 65535"),
            (StartForwardIn(b.pk, port, 70000), "port 70000"),
            (StartForwardIn(b.pk, port, 0, "x" * 1000), "1000 characters"),
        ):
            with pytest.raises(Refused, match=reason):
                await here.call(ops_ports.start_forward, request)
        assert (await start(here, b, port, "one")).name == "one"
        with pytest.raises(Refused, match='"one" is running already'):
            await start(here, b, port, "one")
        await here.call(ops_ports.stop_forward, "one")
        with pytest.raises(Refused, match="running: none"):
            await here.call(ops_ports.stop_forward, "one")


async def test_a_service_that_reads_nothing_holds_up_nobody_else(
    net: Skynet, tmp_path: Path
) -> None:
    a, b = await pair(net, tmp_path)
    deaf, tasks = await listen_tcp("127.0.0.1", 0), Tasks("deaf")
    async with shouting() as port, rpc(a) as here:
        b.visor.forwarding.add(ForwardedPort(port=4000, target=str(deaf.address)))
        await b.visor.forwarding.register(port)
        silent, talking = await start(here, b, 4000), await start(here, b, port)
        sent = 0

        async def flood() -> None:
            nonlocal sent
            stream = await dial_tcp("127.0.0.1", silent.local_port)
            try:
                while True:
                    await stream.write(bytes(65536))
                    sent += 65536
            finally:
                stream.abort()

        flooding = tasks.spawn(flood())
        before = -1
        async with asyncio.timeout(LIMIT):
            while before != sent:  # until it stands still
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 32 << 20  # the kernels' buffers and our windows, no more
            for _ in range(3):
                assert await ask(talking.local_port, b"world") == b"hello WORLD"
            assert not flooding.done()
    await tasks.close()
    await deaf.close()


async def test_a_visor_with_busy_forwards_stops_in_time(net: Skynet, tmp_path: Path) -> None:
    a, b = await pair(net, tmp_path)
    async with shouting() as port, rpc(a) as here, asyncio.timeout(LIMIT):
        await b.visor.forwarding.register(port)
        forwards = [await start(here, b, port) for _ in range(3)]
        streams = [await dial_tcp("127.0.0.1", each.local_port) for each in forwards]
        for stream in streams:
            assert await read_exactly(stream, 6) == b"hello "
        begin = asyncio.get_running_loop().time()
        await b.stop()
        await a.stop()
        assert asyncio.get_running_loop().time() - begin < 5
        for stream in streams:
            with suppress(StreamReset):
                assert await stream.read() == b""
            stream.abort()


async def test_nobody_can_be_reached_without_a_route(net: Skynet, tmp_path: Path) -> None:
    a, _ = await pair(net, tmp_path)
    async with rpc(a) as here:
        with pytest.raises(Refused, match=f"no route to {key('nobody')}"):
            await here.call(ops_ports.connect, ConnectIn(key("nobody"), 80, 0))
        assert await here.call(ops_ports.list_forwards) == {}
