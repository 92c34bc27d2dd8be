"""A private deployment in one process with every service, and visors joined by stcp."""

import asyncio
import json
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from skywire.config.values import HostPort
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import SkywireError
from skywire.platform import ready
from skywire.services.base import Common
from skywire.services.everything import PORTS, start_all
from skywire.services.host import Host
from skywire.stores.open import open_stores
from skywire.testing.wait import eventually
from tests.visor.network import Net, Node, network


class Skynet:
    """`urls` has the services by name; visor names are keys of `nodes`."""

    def __init__(self, net: Net, host: Host, urls: dict[str, str], setup_nodes: list[str]) -> None:
        self.net = net
        self.host = host
        self.urls = urls
        self.setup_nodes = setup_nodes
        self.nodes: dict[str, Node] = {}
        self._ports: dict[str, int] = {}

    def port(self, name: str) -> int:
        """Of a visor's stcp; free when it was asked for the first time."""
        if name not in self._ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self._ports[name] = probe.getsockname()[1]
        return self._ports[name]

    def settings(self, name: str, *peers: str) -> dict[str, Any]:
        return {
            "transport": {"discovery": self.urls["tpd"], "log_store": {"type": "memory"}},
            "routing": {
                "route_finder": self.urls["rf"],
                "route_setup_nodes": self.setup_nodes,
                "automatic_transports": False,
            },
            "skywire-tcp": {
                "listening_address": self.address(name),
                "pk_table": {str(key(peer)): self.address(peer) for peer in peers},
            },
            "persistent_transports": [{"pk": str(key(peer)), "type": "stcp"} for peer in peers],
        }

    async def visor(self, name: str, *peers: str, **more: Any) -> Node:
        """One that keeps an stcp transport to each of `peers`, which it waits for."""
        config = self.net.config(name, **self.settings(name, *peers) | more)
        node = self.nodes[name] = await self.net.start(config)
        await eventually(lambda: len(node.visor.transports.links) >= len(peers))
        return node

    @asynccontextmanager
    async def process(self, name: str, *peers: str, **more: Any) -> AsyncIterator[Process]:
        """The same as a program, ready to be dialled."""
        document = self.net.document(name, **self.settings(name, *peers) | more)
        receiver, sender = os.pipe()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "skywire", "visor", "-C", json.dumps(document)),
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(sender,),
            env=os.environ | {ready.VARIABLE: str(sender)},
        )
        os.close(sender)
        try:
            with os.fdopen(receiver, "rb") as pipe:
                async with asyncio.timeout(20):
                    assert b'"failed": {}' in await asyncio.to_thread(pipe.readline)
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def on_dmsg(self, service: str) -> str:
        return f"dmsg://{self.host.running[service].public_key}:80"

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.port(name)}"

    async def line(self) -> tuple[Node, Node, Node]:
        """A - B - C, and no transport between A and C."""
        b = await self.visor("b")
        a = await self.visor("a", "b")
        c = await self.visor("c", "b")
        await listed(a, b, c)
        return a, b, c


def key(name: str) -> PubKey:
    return deterministic_key_pair(name.encode())[0]


async def listed(*nodes: Node) -> None:
    """The dmsg discovery knows all: setup nodes can reach them."""
    async with asyncio.timeout(15):
        for node in nodes:
            await node.visor.dmsg.ready()


@asynccontextmanager
async def skynet(tmp_path: Path, setup_nodes: int = 1) -> AsyncIterator[Skynet]:
    """With a dead setup node before the living one when `setup_nodes` is 2."""
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(tmp_path))
        await net.start_discovery()
        await net.start_server()
        stores = await open_stores("sqlite::memory:")
        stack.push_async_callback(stores.close)
        host = await stack.enter_async_context(Host(net.discovery))
        urls = await start_all(
            stack,
            host,
            stores,
            {name: HostPort("127.0.0.1:0") for name in PORTS},
            Common(allow_loopback=True),
            secret=deterministic_key_pair(b"services")[1],
            dmsg_discovery=net.discovery,
        )
        living = urls.pop("sn")
        dead = [str(key(f"dead {number}")) for number in range(setup_nodes - 1)]
        yield Skynet(net, host, urls, [*dead, living])


async def exchange(here: Any, there: Any, size: int) -> None:
    """`size` bytes each way at the same time, unchanged."""
    data = bytes(range(256)) * (size // 256)

    async def send(stream: Any) -> None:
        for begin in range(0, len(data), 32768):
            await stream.write(data[begin : begin + 32768])

    async def receive(stream: Any) -> None:
        got = bytearray()
        while len(got) < len(data):
            part = await stream.read()
            assert part, "ended early"
            got += part
        assert bytes(got) == data

    async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
        for stream in (here, there):
            tasks.create_task(send(stream))
            tasks.create_task(receive(stream))


async def reason_of_stop(stream: Any) -> str:
    """What ended it, by writing for ever."""
    try:
        while True:
            await stream.write(bytes(4000))
    except SkywireError as error:
        return str(error)


async def reason_of_end(stream: Any) -> str:
    """What ended it, by reading to the end."""
    try:
        while await stream.read():
            pass
    except SkywireError as error:
        return str(error)
    return ""
