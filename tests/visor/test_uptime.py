"""Uptime, our address for services on dmsg, whether others reach us, what NAT there is."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from skywire.config.load import ConfigFile
from skywire.config.model import VisorConfig
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, NotSupported, Unavailable
from skywire.http.app import listen, running
from skywire.http.auth import Authentication, SignedSession
from skywire.services.over_dmsg import serve_over_dmsg
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.testing.deployment import deployment
from skywire.testing.stun import stun_server
from skywire.testing.wait import eventually
from skywire.transport.networks import OnStream
from skywire.visor import nat, public_ip, reachability
from skywire.visor.dmsg_parts import DmsgParts
from skywire.visor.modules import Module, Modules, State
from skywire.visor.nat import NatWatch, UnlessSymmetric
from skywire.visor.public_ip import PublicAddress
from skywire.visor.reachability import Reachability
from skywire.visor.services import Services
from skywire.visor.upkeep import health
from skywire.visor.uptime import DISCOVERY, TRACKER, Uptime
from skywire.wire.stun import Nat, NatType

PK, SK, _SEED = deterministic_key_pair(b"uptime")


@asynccontextmanager
async def started(modules: Iterable[Module]) -> AsyncIterator[Modules]:
    made = Modules("test")
    made.start_all(modules)
    try:
        yield made
    finally:
        await made.close()


class Nonces:
    def __init__(self) -> None:
        self._next: Counter[PubKey] = Counter()

    async def next_nonce(self, key: PubKey) -> int:
        return self._next[key]

    async def advance(self, key: PubKey) -> None:
        self._next[key] += 1


class Tracker:
    """Counts who tells it that they run."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.status = 200

    async def update(self, request: web.Request, pk: Any) -> web.StreamResponse:
        self.told.append((str(pk), request.query["version"]))
        return web.Response(status=self.status)


@asynccontextmanager
async def tracker(port: int = 0) -> AsyncIterator[tuple[Tracker, str]]:
    made, authentication = Tracker(), Authentication(Nonces())
    app = web.Application()
    update = authentication.signed(made.update)
    app.add_routes([authentication.route(), web.get("/v4/update", update)])
    async with running(app) as runner:
        yield made, f"http://127.0.0.1:{await listen(runner, '127.0.0.1', port, what='ut')}"


def config(**more: Any) -> VisorConfig:
    return ConfigFile(
        json.dumps({"sk": SK.hex(), "dmsg": {"discovery": "http://127.0.0.1"}} | more), "test"
    ).config


async def test_the_tracker_is_told_at_once_with_key_and_version() -> None:
    async with tracker() as (found, url), deployment() as net:
        told = config(uptime_tracker={"addr": url}, version="v1.3.29")
        async with (
            Services(PK, SK, await net.client()) as services,
            started(Uptime(told, services, None).modules()) as modules,
        ):
            await eventually(lambda: modules[TRACKER].state is State.RUNNING)
            assert found.told == [(str(PK), "v1.3.29")]
            assert health(modules, connected=True).uptime_tracker_health == "healthy"


async def test_a_tracker_that_is_away_is_seen_and_found_again() -> None:
    async with deployment() as net, Services(PK, SK, await net.client()) as services:
        async with tracker() as (_, url):
            pass
        told = config(uptime_tracker={"addr": url})
        async with started(Uptime(told, services, None).modules()) as modules:
            await eventually(lambda: modules[TRACKER].state is State.FAILED)
            assert health(modules, connected=True).services_health == "connecting"
            assert health(modules, connected=True).uptime_tracker_health == "unhealthy"
            async with tracker(int(url.rpartition(":")[2])) as (found, _):
                await eventually(lambda: modules[TRACKER].state is State.RUNNING)
                assert len(found.told) == 1
                assert health(modules, connected=True).services_health == "healthy"


@pytest.mark.parametrize(("status", "state"), [(200, "running"), (500, "failed")])
async def test_a_transport_discovery_may_count_uptime(status: int, state: str) -> None:
    async with tracker() as (found, url), deployment() as net:
        found.status = status
        async with (
            Services(PK, SK, await net.client()) as services,
            SignedSession(url, PK, SK) as listing,
            started(Uptime(config(), services, listing).modules()) as modules,
        ):
            await eventually(lambda: modules[DISCOVERY].state.value == state)
            assert found.told == [(str(PK), "unknown")]


async def test_one_that_does_not_know_uptime_is_no_failure() -> None:
    async def nonce(_: web.Request) -> web.Response:
        return web.json_response({"edge": str(PK), "next_nonce": 0})

    app = web.Application()
    app.router.add_get(f"/security/nonces/{PK}", nonce)
    async with running(app) as runner, deployment() as net:
        port = await listen(runner, "127.0.0.1", 0, what="tpd")
        async with (
            Services(PK, SK, await net.client()) as services,
            SignedSession(f"http://127.0.0.1:{port}", PK, SK) as listing,
            started(Uptime(config(), services, listing).modules()) as modules,
        ):
            await eventually(lambda: modules[DISCOVERY].state is State.RUNNING)


# Our address


class Servers:
    """What a dmsg client answers when it is asked for our address."""

    def __init__(self, address: str = "") -> None:
        self.address = address
        self.asked = 0

    async def look_up_ip(self) -> str:
        self.asked += 1
        if not self.address:
            raise Unavailable("no session with a dmsg server yet")
        return self.address


async def test_a_dmsg_server_tells_our_address_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_ip, "local_addresses", lambda: ["192.168.1.2"])
    servers: Any = Servers("203.0.113.7")
    address = PublicAddress(servers)
    for _ in range(3):
        assert await address.headers() == {"SW-PublicIP": "203.0.113.7"}
    assert servers.asked == 1


async def test_an_address_of_our_own_is_told_without_asking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(public_ip, "local_addresses", lambda: ["192.168.1.2", "198.51.100.4"])
    servers: Any = Servers("203.0.113.7")
    assert await PublicAddress(servers).get() == "198.51.100.4"
    assert servers.asked == 0


@pytest.mark.parametrize("told", ["", "no address", "1.2.3.4:5"])
async def test_an_address_nobody_knows_is_not_told(
    monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setattr(public_ip, "local_addresses", list)
    servers: Any = Servers(told)
    assert await PublicAddress(servers).headers() == {}
    assert await PublicAddress(servers, lambda: "198.51.100.9").get() == "198.51.100.9"


async def test_services_on_dmsg_are_told_our_address_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(public_ip, "local_addresses", list)
    seen: list[str | None] = []

    async def note(request: web.Request) -> web.Response:
        seen.append(request.headers.get("SW-PublicIP"))
        return web.Response()

    app = web.Application()
    app.router.add_get("/", note)
    tasks = Tasks("test")
    async with deployment() as net, running(app) as runner:
        service, client = await net.client(), await net.client()
        tasks.spawn(serve_over_dmsg(service, runner))
        port = await listen(runner, "127.0.0.1", 0, what="service")
        async with Services(client.public, SK, client) as services:
            for url in (f"dmsg://{service.public}:80", f"http://127.0.0.1:{port}"):
                session = await services.session("test", url)
                async with asyncio.timeout(20):
                    await session.plain("GET", "/")
        await tasks.close()
    assert seen == ["127.0.0.1", None]


# Whether others reach us


async def test_a_visor_that_is_reached_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "FIRST", 0.01)
    async with deployment() as net:
        client = await net.client()
        modules_ = [*DmsgParts(client).modules(), *Reachability(client).modules()]
        async with started(modules_) as modules:
            await eventually(lambda: modules[reachability.NAME].state is State.RUNNING)
            assert health(modules, connected=True).transportability_health == "healthy"
            assert 0 < await Reachability(client).once() < 5


async def test_after_three_failures_the_sessions_are_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reachability, "FIRST", 0.01)
    monkeypatch.setattr(reachability, "RETRY", 0.01)

    class Unreachable:
        public = PK
        dials = dropped = 0

        async def dial(self, pk: Any, port: int) -> Stream:
            self.dials += 1
            raise DialFailed("nobody brings it")

        def drop_sessions(self) -> None:
            self.dropped += 1

    dmsg: Any = Unreachable()
    async with started(Reachability(dmsg).modules()) as modules:
        await eventually(lambda: dmsg.dropped == 2)
        assert dmsg.dials >= 6
        assert modules[reachability.NAME].reason == "not reachable over dmsg: nobody brings it"
        assert health(modules, connected=True).services_health == "connecting"


# What is in front of us


class Network:
    type = "sudph"

    def __init__(self) -> None:
        self.served = 0

    async def dial(self, remote: Any) -> Stream:
        raise DialFailed("no")

    async def serve(self, on_stream: OnStream) -> None:
        self.served += 1


def ignore(_: Stream) -> Awaitable[None]:
    raise NotImplementedError


async def test_the_nat_is_asked_for_once_by_all_who_want_to_know() -> None:
    async with stun_server() as server:
        watch, network = NatWatch([server.url]), Network()
        assert watch.address == ""
        async with started(watch.modules()) as modules, asyncio.timeout(20):
            await UnlessSymmetric(network, watch).serve(ignore)
            await eventually(lambda: modules["stun"].state is State.RUNNING)
        assert network.served == 1
        assert watch.nat is not None
        assert watch.nat.public_ip == watch.address == "127.0.0.1"
        asked = server.requests
        await watch.look()
        assert server.requests == asked


async def test_behind_a_symmetric_nat_nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async def symmetric(_: object) -> Nat:
        return Nat(NatType.SYMMETRIC, ("203.0.113.9", 1))

    monkeypatch.setattr(nat, "discover_nat", symmetric)
    network = Network()
    with pytest.raises(NotSupported, match="no hole can be punched"):
        await UnlessSymmetric(network, NatWatch(["127.0.0.1:1"])).serve(ignore)
    assert network.served == 0
    await UnlessSymmetric(network, NatWatch([])).serve(ignore)  # who cannot ask tries
    assert network.served == 1


async def test_stun_servers_that_do_not_answer_are_a_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with started(NatWatch(["no port"]).modules()) as modules:
        await eventually(lambda: modules["stun"].state is State.FAILED)
        assert modules["stun"].reason == "no STUN server tells what NAT there is (no port)"
