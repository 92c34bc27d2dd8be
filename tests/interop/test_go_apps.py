"""Go's apps under our visor, and our app under a Go visor: processes on the app server."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from skywire.appkit.client import AppClient
from skywire.appkit.network import DMSG
from skywire.appkit.types import RUNNING, ProcConfig
from skywire.config.values import HostPort
from skywire.errors import Refused
from skywire.rpc.client import RpcClient
from skywire.streams.socks5 import dial_through
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.testing.wait import eventually
from skywire.visor import ops_apps, ops_info
from skywire.visor.client import RemoteVisor
from skywire.visor.types_apps import LogsRequest
from skywire.wire.gob_types import GoTime
from tests.interop.go import BINARY, Go, Visor
from tests.interop.ours import SOON, Network, client, read_exactly
from tests.interop.processes import LOOPBACK, free_port
from tests.visor.network import Node
from tests.visor.skynet import Skynet, listed, skynet

ECHO = "example-server-app"
PORT = 7001


def launcher(folder: Path, *apps: dict[str, Any]) -> dict[str, Any]:
    """The section of a config whose program of all apps is Go's."""
    folder.mkdir(exist_ok=True)
    program = folder / "skywire"
    if not program.exists():
        program.symlink_to(BINARY)
    section = {"server_addr": f"{LOOPBACK}:0", "bin_path": str(folder), "apps": list(apps)}
    return {"launcher": section}


def app(name: str, port: int, *arguments: str) -> dict[str, Any]:
    args = ["app", name, *arguments]
    return {"name": name, "binary": "skywire", "args": args, "port": port, "auto_start": True}


async def until_running(node: Node, name: str) -> None:
    def runs() -> bool:
        state = node.visor.apps.state(name)
        assert state.status != 2, state.detailed_status
        return state.status == 1

    await eventually(runs, SOON)


async def log_of(node: Node, name: str) -> str:
    return "".join(await node.visor.apps.logs_since(name, GoTime(0)))


@asynccontextmanager
async def two(made: Skynet, a: dict[str, Any], b: dict[str, Any]) -> AsyncIterator[list[Node]]:
    """Two visors of ours, joined by a transport."""
    here = await made.visor("a", **a)
    there = await made.visor("b", "a", **b)
    await listed(here, there)
    yield [here, there]


async def test_go_skychats_talk_over_our_visors(reference: str, tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    settings = [
        launcher(tmp_path / "bin", app("skychat", 1, "--addr", f":{port}")) for port in ports
    ]
    async with skynet(tmp_path) as made, two(made, *settings) as nodes:
        for node in nodes:
            await until_running(node, "skychat")
        reader, writer = await asyncio.open_connection(LOOPBACK, ports[1])
        writer.write(b"GET /sse HTTP/1.1\r\nHost: x\r\n\r\n")
        message = {"recipient": str(nodes[1].pk), "message": "grüße"}
        async with aiohttp.ClientSession() as session, asyncio.timeout(SOON):
            url = f"http://{LOOPBACK}:{ports[0]}/message"
            async with session.post(url, json=message) as answer:
                assert answer.status == 200, await answer.text()
            while b"data: " not in (line := await reader.readline()):
                pass
        heard = json.loads(line.partition(b"data: ")[2])
        assert heard == {"message": "grüße", "sender": str(nodes[0].pk)}
        writer.close()
        (held,) = await ops_apps.app_connections(nodes[0].visor, "skychat")
        assert (held.is_alive, held.bandwidth_sent) == (True, len("grüße".encode()))
        await ops_apps.stop_app(nodes[0].visor, "skychat")
        assert nodes[0].visor.apps.state("skychat").status == 0
        assert "(STD" in await log_of(nodes[1], "skychat")


async def test_go_skysocks_both_ends_over_our_visors(reference: str, tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / "bin"
    async with skynet(tmp_path) as made:
        server = launcher(folder, app("skysocks", 3))
        here = await made.visor("a", **server)
        await until_running(here, "skysocks")
        srv = ["--srv", str(here.pk), "--addr", f":{port}"]
        there = await made.visor("b", "a", **launcher(folder, app("skysocks-client", 13, *srv)))
        await listed(here, there)
        await until_running(there, "skysocks-client")
        await eventually(lambda: _listens(port), SOON)
        target = await listen_tcp(LOOPBACK, 0)
        async with asyncio.timeout(SOON):
            place = target.address
            stream = await dial_through((LOOPBACK, port), place.host, place.port)
            far = await target.accept()
            for size in (1, 5000, 200_000):
                data = os.urandom(size)
                await stream.write(data)
                assert await read_exactly(far, size) == data
                await far.write(data[::-1])
                assert await read_exactly(stream, size) == data[::-1]
            await stream.close()
        await far.close()
        await target.close()
        await ops_apps.stop_app(there.visor, "skysocks-client")
        assert there.visor.apps.state("skysocks-client").status == 0


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


class GoVisor(Visor):
    """With an app of ours, which it starts as the program of all apps."""

    def start(self) -> None:
        config = json.loads(self._file.read_text())
        section = config["launcher"]
        program = Path(section["bin_path"]) / "skywire"
        source = Path(__file__).parents[2] / "src"
        program.unlink(missing_ok=True)  # a link to the peer's binary
        program.write_text(
            f'#!/bin/sh\nPYTHONPATH={source} exec {sys.executable} -m skywire "$@"\n'
        )
        program.chmod(0o755)
        arguments = ["app", ECHO, "--network", "dmsg"]
        section["apps"] = [
            {"name": ECHO, "binary": "skywire", "args": arguments, "auto_start": True, "port": PORT}
        ]
        self.server = section["server_addr"]
        self._file.write_text(json.dumps(config))
        super().start()

    @asynccontextmanager
    async def ask(self) -> AsyncIterator[RemoteVisor]:
        address = HostPort(self.rpc)
        async with asyncio.timeout(SOON):
            stream = await dial_tcp(address.host, address.port)
        async with RpcClient(stream) as rpc, asyncio.timeout(SOON):
            yield RemoteVisor(rpc)


async def test_our_app_under_a_go_visor(go: Go, go_net: Network, services: str) -> None:
    visor = await asyncio.to_thread(GoVisor, go, go_net.discovery, services)
    async with visor.ask() as rpc, client(go_net.discovery) as dialling:
        status = 0
        while status != 1:
            await asyncio.sleep(0.1)
            (state,) = await rpc.call(ops_apps.apps)
            status = state.status
        assert (state.app_config.name, state.detailed_status) == (ECHO, "Running")
        stream = await dialling.dial(visor.public, PORT)
        data = os.urandom(100_000)
        async with asyncio.TaskGroup() as tasks:
            got = tasks.create_task(read_exactly(stream, len(data)))
            await stream.write(data)
        assert got.result() == data
        held = await rpc.call(ops_apps.app_connections, ECHO)  # a waiting accept is one, too
        assert "Can't get such info from this conn" in [each.error for each in held]
        await stream.close()
        lines = await rpc.call(ops_apps.logs_since, LogsRequest(GoTime(0), ECHO))
        assert any("echo for remote=" in line for line in lines)
        await rpc.call(ops_apps.stop_app, ECHO)
        (state,) = await rpc.call(ops_apps.apps)
        assert state.status == 0


async def test_our_client_is_let_in_by_a_go_visor(go: Go, go_net: Network, services: str) -> None:
    visor = await asyncio.to_thread(GoVisor, go, go_net.discovery, services)
    async with visor.ask() as rpc, client(go_net.discovery) as dialling:
        assert (await rpc.call(ops_info.overview)).local_pk == visor.public
        wanted = ProcConfig("outside", visor.server, os.urandom(16), visor_pk=visor.public)
        wanted.proc_key = await rpc.call(ops_apps.register_app, wanted)
        async with AppClient(wanted) as outside:
            await outside.set_status(RUNNING)
            listener = await outside.listen(7002, DMSG)
            with pytest.raises(Refused):
                await outside.listen(7002, DMSG)
            dialled = await dialling.dial(visor.public, 7002)
            accepted = await listener.accept()
            assert accepted.remote.pk == dialled.local.pk
            for size in (1, 5000, 100_000):
                data = os.urandom(size)
                async with asyncio.TaskGroup() as tasks:
                    got = tasks.create_task(read_exactly(accepted, size))
                    await dialled.write(data)
                assert got.result() == data
                async with asyncio.TaskGroup() as tasks:
                    got = tasks.create_task(read_exactly(dialled, size))
                    await accepted.write(data)
                assert got.result() == data
            await dialled.close()
            assert await accepted.read() == b""
            await accepted.close()
        await rpc.call(ops_apps.deregister_app, wanted.proc_key)
