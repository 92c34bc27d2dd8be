"""A network in memory for the tests of apps: what is dialled can be answered by the test."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from skywire.appkit.client import AppClient
from skywire.appkit.events import Broadcaster
from skywire.appkit.network import DMSG, SKYNET, Network
from skywire.appkit.proc import Proc
from skywire.appkit.server import AppServer
from skywire.appkit.types import ProcConfig
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed
from skywire.streams.ports import PortListener, PortTable
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import listen_tcp
from skywire.testing.streams import stream_pair
from skywire.wire.app_hello import ProcKey

SOON = 10.0  # seconds nothing here should need
OWN = deterministic_key_pair(b"own")[0]
FAR = deterministic_key_pair(b"far")[0]
KEY = ProcKey(bytes(range(16)))


class FakeCarrier:
    """`far` has the other ends of what was dialled, in order; `error` makes dials fail."""

    can_dial = True

    def __init__(self, network: str) -> None:
        self.network = network
        self.ports: PortTable[Stream] = PortTable(8, "in use")
        self.far: deque[Stream] = deque()
        self.error = ""
        self.never = False

    async def dial(self, remote: PubKey, port: int) -> Stream:
        if self.never:
            await asyncio.get_running_loop().create_future()
        if self.error:
            raise DialFailed(self.error)
        here, there = self._pair(remote, port, self.ports.reserve())
        self.far.append(there)
        return here

    def listen(self, port: int) -> PortListener[Stream]:
        return self.ports.listen(Address(self.network, str(OWN), port, OWN))

    def connect(self, port: int, remote: PubKey = FAR, remote_port: int = 1000) -> Stream:
        """As if `remote` had dialled `port`: its end."""
        here, there = self._pair(remote, remote_port, port)
        listener = self.ports.listener(port)
        assert listener is not None, f"nobody listens on {port}"
        listener.offer(here)
        return there

    def _pair(self, remote: PubKey, remote_port: int, local_port: int) -> tuple[Stream, Stream]:
        return stream_pair(
            65536,
            Address(self.network, str(OWN), local_port, OWN),
            Address(self.network, str(remote), remote_port, remote),
        )


class Bench(NamedTuple):
    """An app server on TCP, and the app that `proc` stands for."""

    proc: Proc
    skynet: FakeCarrier
    dmsg: FakeCarrier
    events: Broadcaster
    config: ProcConfig

    def client(self) -> AppClient:
        return AppClient(self.config)


def proc_of(
    name: str = "example", key: ProcKey = KEY, server: str = ""
) -> tuple[Proc, FakeCarrier, FakeCarrier]:
    skynet, dmsg = FakeCarrier(SKYNET), FakeCarrier(DMSG)
    config = ProcConfig(name, server, key, visor_pk=OWN, routing_port=45)
    return Proc(config, Network(dmsg, skynet)), skynet, dmsg


@asynccontextmanager
async def bench(key: ProcKey = KEY) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        listener = await listen_tcp("127.0.0.1", 0)
        proc, skynet, dmsg = proc_of(key=key, server=str(listener.address))
        events, tasks = Broadcaster(), Tasks("bench")
        server = AppServer({proc.key: proc}.get, events)
        tasks.spawn(server.serve(listener), "app server")
        stack.push_async_callback(tasks.close)
        stack.push_async_callback(listener.close)
        async with asyncio.timeout(SOON):
            yield Bench(proc, skynet, dmsg, events, proc.config)
