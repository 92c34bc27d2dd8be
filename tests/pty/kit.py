"""Hosts and clients joined in memory, and shells with a prompt that can be told apart."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from skywire.appkit.network import Network
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import Conflict, Refused
from skywire.pty.client import MAX_EXEC_MESSAGE, PtyClient
from skywire.pty.dialing import Dial
from skywire.pty.host import PtyHost
from skywire.pty.types import PTY_URI, CommandReq, WinSize
from skywire.pty.whitelist import Whitelist
from skywire.streams.stream import Address, Listener, Stream
from skywire.streams.supervise import Tasks
from skywire.testing.streams import stream_pair

PATIENCE = 10.0  # seconds
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/", "TERM": "dumb"}
SIZE = WinSize(x=100, y=30, rows=30, cols=100)
BASH = CommandReq("/bin/bash", ["--norc", "--noprofile"], SIZE, ["PS1=$ ", "HISTFILE="])


class _Dmsg:
    def __init__(self, dial: Callable[[PubKey, int], Awaitable[Stream]]) -> None:
        self._dial = dial

    async def dial(self, remote: PubKey, port: int) -> Stream:
        return await self._dial(remote, port)

    def listen(self, port: int) -> Listener:
        raise Conflict(f"port {port} is not for tests")


def over_dmsg(dial: Callable[[PubKey, int], Awaitable[Stream]]) -> Dial:
    """The Dial of a node without routes."""
    return Network(_Dmsg(dial)).dial_by_scheme


class Node:
    """A pty host with a key, and the connections to it."""

    def __init__(self, host: PtyHost, key: PubKey) -> None:
        self.host = host
        self.key = key
        self._tasks = Tasks("test node")

    async def cut(self) -> None:
        """Break all connections; new ones are served."""
        old, self._tasks = self._tasks, Tasks("test node")
        await old.close()

    def stream_from(self, owner: PubKey | None, *, control: bool = False) -> Stream:
        """A stream as the network would deliver it from `owner`, or to the control socket."""
        ours = Address("memory", "control") if owner is None else Address.dmsg(owner, 50000)
        client, served = stream_pair(a=ours, b=Address.dmsg(self.key, 22))
        serve = self.host.serve_control if control else self.host.serve
        self._tasks.spawn(serve(served), "serve")
        return client

    @asynccontextmanager
    async def client(
        self, owner: PubKey, uri: str = PTY_URI, *, control: bool = False
    ) -> AsyncIterator[PtyClient]:
        async with asyncio.timeout(PATIENCE):
            stream = self.stream_from(None if control else owner, control=control)
            client = await PtyClient.connect(stream, uri, max_message=MAX_EXEC_MESSAGE)
        async with client:
            yield client


@asynccontextmanager
async def node(
    *allowed: PubKey,
    persistent: bool = True,
    dial: Dial | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Node]:
    host = PtyHost(
        Whitelist(allowed),
        persistent_sessions=persistent,
        dial=dial,
        environment=ENVIRONMENT,
        clock=clock,
    )
    async with host:
        made = Node(host, key_pair()[0])
        yield made
        await made.cut()


async def read_until(client: PtyClient, pattern: str) -> str:
    """Output up to and with a match of the regular expression."""
    output = b""
    async with asyncio.timeout(PATIENCE):
        while not re.search(pattern.encode(), output):
            output += await client.read()
    return output.decode(errors="replace")


async def read_to_end(client: PtyClient) -> tuple[bytes, str]:
    """The rest of the output, and the host's reason of the end."""
    output = b""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                output += await client.read()
            except Refused as error:
                return output, str(error.reason)


async def type_line(client: PtyClient, line: str) -> None:
    async with asyncio.timeout(PATIENCE):
        await client.write(line.encode() + b"\n")


async def ask(client: PtyClient, question: str) -> str:
    """What the shell prints for `echo "<question>"`; other output is skipped."""
    mark = os.urandom(4).hex()
    await type_line(client, f'echo "{mark}""[{question}]"')
    found = re.search(rf"{mark}\[(.*)\]\r\n", await read_until(client, rf"{mark}\[.*\]\r\n"))
    assert found is not None
    return found[1]


async def shell_pid(client: PtyClient) -> int:
    return int(await ask(client, "$$"))
