"""A hypervisor over HTTP with visors on memory streams, for the tests of this package."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import cast

from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from skywire.config.model import HypervisorConfig
from skywire.config.values import HostPort
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, Unavailable
from skywire.hypervisor.connection import DialControl, Timing
from skywire.hypervisor.context import Context
from skywire.hypervisor.server import build_app
from skywire.hypervisor.sessions import Sessions
from skywire.hypervisor.users import Users
from skywire.hypervisor.visors import Visors
from skywire.stores.users import UserStore
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.testing.listener import MemoryListener
from skywire.visor.caller import serve_peer
from skywire.visor.client import LocalVisor, VisorClient
from skywire.visor.rpc import rpc_server
from skywire.visor.types import HealthInfo, LoadStats, Overview, Summary
from skywire.visor.visor import Visor

OWN = deterministic_key_pair(b"own")[0]
PASSWORD = "Passw0rd!"
ACCOUNT = {"username": "admin", "password": PASSWORD}
QUICK = Timing(poll=0.05, fresh=0.0, wait=1.0, give_up=2.5, ping=0.05, pong=2.0)


def key(name: str) -> PubKey:
    return deterministic_key_pair(name.encode())[0]


class FakeVisor:
    """What the operations ask a visor for; with `trouble` its calls fail with that text."""

    managed = None  # it runs no hypervisor

    def __init__(self, pk: PubKey) -> None:
        self.pk = pk
        self.trouble = ""
        self.admitted: list[PubKey] = []
        self.asked = 0

    def overview(self) -> Overview:
        if self.trouble:
            raise Unavailable(self.trouble)
        return Overview(local_pk=self.pk, hostname=f"node {str(self.pk)[:4]}")

    def summary(self, load: LoadStats) -> Summary:
        self.asked += 1
        return Summary(overview=self.overview(), health=self.health(), uptime=7.5, load=load)

    def health(self) -> HealthInfo:
        return HealthInfo("healthy")

    def uptime(self) -> float:
        return 7.5

    def allow_terminals(self, keys: Iterable[PubKey]) -> None:
        self.admitted.extend(keys)


class Network:
    """Visors that connect to a hypervisor's port 46 through memory."""

    def __init__(self, visors: Visors) -> None:
        self.visors = visors
        self._tasks = Tasks("network")
        self._listener = MemoryListener(Address.dmsg(OWN, 46), Address("memory", "", 0))
        self._tasks.spawn(visors.serve(self._listener), "hypervisor")

    async def connect(self, fake: FakeVisor) -> Stream:
        """`fake` serves its operations; the stream that ends when it goes away."""
        self._listener._dialler = Address.dmsg(fake.pk, 50000)
        stream = await self._listener.dial(OWN, 46)
        self._tasks.spawn(self._serve(fake, stream), str(fake.pk))
        return stream

    async def raw(self, pk: PubKey) -> Stream:
        """The visor's end of a stream on which nobody answers."""
        self._listener._dialler = Address.dmsg(pk, 50000)
        return await self._listener.dial(OWN, 46)

    async def _serve(self, fake: FakeVisor, stream: Stream) -> None:
        await serve_peer(rpc_server(cast(Visor, fake)), stream)

    async def close(self) -> None:
        await self._tasks.close()


async def no_dial(pk: PubKey, port: int, scheme: str) -> Stream:
    raise DialFailed(f"nobody at {pk}:{port}")


@asynccontextmanager
async def hypervisor(
    tmp_path: Path,
    *,
    auth: bool = True,
    csrf: bool = True,
    timing: Timing = QUICK,
    own: VisorClient | None = None,
    dial_control: DialControl | None = None,
) -> AsyncIterator[tuple[TestClient[Request, Application], Network, Context]]:
    """A client that keeps cookies, the network of visors, and what the handlers share."""
    visors = Visors(timing=timing, dial_control=dial_control)
    visors.attach_own(OWN, own or LocalVisor(cast(Visor, FakeVisor(OWN))))
    config = HypervisorConfig(
        enable_auth=auth,
        db_path=str(tmp_path / "users.db"),
        http_addr=HostPort("127.0.0.1:0"),
    )
    context = Context.from_config(OWN, config, visors, no_dial, csrf=csrf)
    context.users = Users(UserStore(config.db_path), scheme="scrypt:16:8:1")
    context.sessions = Sessions(time, 3600)
    network = Network(visors)
    jar = CookieJar(unsafe=True)
    async with TestClient(TestServer(build_app(context)), cookie_jar=jar) as client:
        try:
            yield client, network, context
        finally:
            await network.close()
            await visors.close()


async def log_in(client: TestClient[Request, Application]) -> None:
    assert (await client.post("/api/create-account", json=ACCOUNT)).status == 200
    assert (await client.post("/api/login", json=ACCOUNT)).status == 200
