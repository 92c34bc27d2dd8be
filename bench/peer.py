"""The far peer of a figure, a process: python -m bench.peer [DISCOVERY URL]

It counts what is sent to its sink, and sends back what is sent to its echo, on TCP and on dmsg.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack

from bench.net import report
from skywire.crypto.generate import key_pair
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.discovery import DiscoveryClient
from skywire.streams.serving import Handler, serve_each
from skywire.streams.stream import Stream

SINK, ECHO, DOOR = 1001, 1002, 1003  # dmsg ports; the door accepts and does nothing else
START_LIMIT = 20.0  # seconds
COUNTED = b"k"


class _Sink(asyncio.Protocol):
    """Eight bytes of size, then so many bytes; answers COUNTED."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if len(self._head) < 8:
            self._head += data[: 8 - len(self._head)]
            data = data[8:]
            self._left = int.from_bytes(self._head, "big")
        self._left -= len(data)
        if self._left == 0:
            self._transport.write(COUNTED)


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


async def sink(stream: Stream) -> None:
    head = b""
    while len(head) < 8:
        head += await stream.read(8 - len(head))
    left = int.from_bytes(head, "big")
    while left:
        left -= len(await stream.read(256 * 1024))
    await stream.write(COUNTED)
    await stream.read()
    await stream.close()


async def echo(stream: Stream) -> None:
    while data := await stream.read():
        await stream.write(data)
    await stream.close()


async def door(stream: Stream) -> None:
    await stream.read()
    await stream.close()


async def listen_tcp(factory: Callable[[], asyncio.Protocol]) -> int:
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    return port


async def main(url: str) -> None:
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        facts: dict[str, object] = {
            "sink_port": await listen_tcp(_Sink),
            "echo_port": await listen_tcp(_Echo),
        }
        if url:
            public, secret = key_pair()
            directory = await stack.enter_async_context(DiscoveryClient(url))
            client = DmsgClient(public, secret, directory)
            await stack.enter_async_context(client)
            async with asyncio.timeout(START_LIMIT):
                await client.ready()
            handlers: dict[int, Handler] = {SINK: sink, ECHO: echo, DOOR: door}
            for port, handler in handlers.items():
                tasks.create_task(serve_each(client.listen(port), handler, name="bench"))
            facts["pk"] = str(public)
        report(**facts)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*(sys.argv[1:] or [""])))
