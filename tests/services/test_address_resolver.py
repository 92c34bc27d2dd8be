"""Every endpoint of services.md §4, and the UDP sessions of transport.md §5.3."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from skywire.crypto.keys import NULL_KEY, PubKey, SecKey
from skywire.errors import StreamReset
from skywire.http.auth import SignedSession
from skywire.services import resolver_udp
from skywire.services.address_resolver import AddressResolver
from skywire.services.base import LEASE, Common
from skywire.stores.engine import SqliteEngine
from skywire.stores.sql_services import SqlBindingStore, SqlNonceStore
from skywire.stores.sqlite import Database
from skywire.streams.kcp import KcpStream
from skywire.streams.udp import UdpSocket, open_udp
from skywire.wire.handshake import Initiator, State
from skywire.wire.resolver import DELETE_BINDING, HEARTBEAT, parse_binding, parse_push
from tests.services.serving import (
    ALICE,
    ALICE_SK,
    BOB,
    BOB_SK,
    CAROL,
    CAROL_SK,
    MONITOR,
    Clock,
    Served,
    serving,
)

PUBLIC = "192.0.2.1"
ADDRESSES = f'{{"port":"7777","addresses":["127.0.0.1","{PUBLIC}"]}}'.encode()
PROXY = {"X-Real-IP": PUBLIC}
DEADLINE = 10.0


class Resolver:
    """A running resolver, HTTP and UDP."""

    def __init__(self, http: Served, udp: UdpSocket, rules: AddressResolver, clock: Clock) -> None:
        self.http = http
        self.udp = udp
        self.rules = rules
        self.clock = clock

    async def alice(self, ip: str = PUBLIC) -> SignedSession:
        return await self.http.signed(ALICE, ALICE_SK, {"X-Real-IP": ip})

    async def bob(self, ip: str = "198.51.100.7") -> SignedSession:
        return await self.http.signed(BOB, BOB_SK, {"X-Real-IP": ip})

    async def lists(self) -> dict[str, list[str]]:
        answer = await self.http.ask("GET", "/transports")
        assert answer.status == 200
        lists: dict[str, list[str]] = json.loads(answer.body)
        return {network: sorted(keys) for network, keys in lists.items()}

    async def until_listed(self, **expected: list[PubKey]) -> None:
        texts = {network: sorted(str(key) for key in keys) for network, keys in expected.items()}
        async with asyncio.timeout(DEADLINE):
            while await self.lists() != texts:  # noqa: ASYNC110 - the resolver tells nobody
                await asyncio.sleep(0.01)


@asynccontextmanager
async def resolver_with(
    *, trust_proxy: bool = False, allow_loopback: bool = False
) -> AsyncIterator[Resolver]:
    clock = Clock()
    common = Common(
        monitors=frozenset([MONITOR]),
        clock=clock,
        trust_proxy=trust_proxy,
        allow_loopback=allow_loopback,
    )
    async with AsyncExitStack() as stack:
        engine = SqliteEngine(Database(":memory:"))
        stack.push_async_callback(engine.close)
        store = SqlBindingStore(engine, clock, shares=True)
        rules = AddressResolver(store, SqlNonceStore(engine, "ar", shares=True), common)
        served = await stack.enter_async_context(serving(rules.app()))
        udp = await open_udp("127.0.0.1")
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        task = tasks.create_task(rules.serve_udp(udp))
        stack.callback(task.cancel)
        yield Resolver(served, udp, rules, clock)


@pytest.fixture
async def ar() -> AsyncIterator[Resolver]:
    async with resolver_with(trust_proxy=True) as resolver:
        yield resolver


async def test_a_bound_address_is_resolved(ar: Resolver) -> None:
    alice, bob = await ar.alice(), await ar.bob()
    assert await alice.request("POST", "/bind/stcpr", ADDRESSES) == (200, b"")
    answer = await bob.request("GET", f"/resolve/stcpr/{ALICE}")
    assert answer == (
        200,
        b'{"remote_addr":"192.0.2.1","port":"7777","addresses":["127.0.0.1","192.0.2.1"]}',
    )
    assert await ar.lists() == {"stcpr": [str(ALICE)]}
    assert await alice.request("DELETE", "/bind/stcpr", b"{}\n") == (200, b"")
    assert await alice.request("DELETE", "/bind/stcpr", b"{}\n") == (200, b"")
    assert await bob.request("GET", f"/resolve/stcpr/{ALICE}") == (404, b"")
    assert await ar.lists() == {}


async def test_a_neighbour_behind_the_same_address_is_local(ar: Resolver) -> None:
    await (await ar.alice()).request("POST", "/bind/stcpr", ADDRESSES)
    bob = await ar.bob(PUBLIC)
    _, body = await bob.request("GET", f"/resolve/stcpr/{ALICE}")
    assert parse_binding(body).is_local


async def test_a_binding_ends_with_its_lease_unless_renewed(ar: Resolver) -> None:
    alice = await ar.alice()
    for _ in range(3):
        await alice.request("POST", "/bind/stcpr", ADDRESSES)
        ar.clock.now += LEASE - 1
        assert await ar.lists() == {"stcpr": [str(ALICE)]}
    ar.clock.now += 2
    assert await ar.lists() == {}
    assert await alice.request("GET", f"/resolve/stcpr/{ALICE}") == (404, b"")


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.0.1", "2001:db8::1"]
)
async def test_an_address_that_is_not_public_is_refused(ar: Resolver, ip: str) -> None:
    alice = await ar.alice(ip)
    body = f'{{"port":"7777","addresses":["{ip}","x"]}}'.encode()
    text = f"Cannot bind {ALICE} to {ip} (STCPR). Invalid IP address in request: {{7777 [{ip} x]}}"
    answer = await alice.request("POST", "/bind/stcpr", body)
    assert answer == (400, json.dumps({"error": text}, separators=(",", ":")).encode())


async def test_a_visor_behind_nat_is_refused(ar: Resolver) -> None:
    status, body = await (await ar.bob()).request("POST", "/bind/stcpr", ADDRESSES)
    assert status == 400
    assert json.loads(body)["error"] == (
        f"Cannot bind {BOB} to 198.51.100.7 (STCPR). Remote address not present in request:"
        f" {{7777 [127.0.0.1 {PUBLIC}]}}"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"port":7777,"addresses":[]}',
        b'{"port":"x","addresses":["192.0.2.1"]}',
        b'{"port":"0","addresses":["192.0.2.1"]}',
        b'{"port":"1","addresses":[%s]}' % b",".join([b'"192.0.2.1"'] * 65),
        b'{"port":"1","addresses":["%s"]}' % (b"1" * 65),
        b'{"port":"1","addresses":["%s"]}' % (b"1" * 5000),
    ],
)
async def test_malformed_binds_are_refused(ar: Resolver, body: bytes) -> None:
    assert (await (await ar.alice()).request("POST", "/bind/stcpr", body))[0] == 400
    assert await ar.lists() == {}


async def test_errors_are_as_the_reference_has_them(ar: Resolver) -> None:
    alice = await ar.alice()
    assert await alice.request("GET", f"/resolve/stcp/{ALICE}") == (500, b"")
    assert await alice.request("GET", "/resolve/stcpr/x") == (400, b"")
    assert await alice.request("GET", f"/resolve/sudph/{BOB}") == (404, b"")
    unsigned = await ar.http.ask("GET", f"/resolve/stcpr/{ALICE}")
    assert (unsigned.status, b"SW-Public missing" in unsigned.body) == (401, True)


async def test_headers_of_a_proxy_are_believed_only_when_told_so() -> None:
    async with resolver_with() as resolver:
        alice = await resolver.alice()
        assert (await alice.request("POST", "/bind/stcpr", ADDRESSES))[0] == 400
    async with resolver_with(allow_loopback=True) as resolver:
        alice = await resolver.alice()
        assert (await alice.request("POST", "/bind/stcpr", ADDRESSES))[0] == 200
        _, body = await alice.request("GET", f"/resolve/stcpr/{ALICE}")
        assert parse_binding(body).remote_addr == "127.0.0.1"


async def test_a_monitor_unbinds_and_nobody_else(ar: Resolver) -> None:
    await (await ar.alice()).request("POST", "/bind/stcpr", ADDRESSES)
    keys = json.dumps([str(ALICE)]).encode()
    assert (await ar.http.ask("DELETE", "/deregister/stcpr", keys))[:2] == (403, b"")
    for path, body in (
        ("/deregister/dmsg", keys),
        ("/deregister/stcpr", b'["x"]'),
        ("/deregister/stcpr", b"{}"),
    ):
        assert (await ar.http.as_monitor("DELETE", path, body)).status == 400
    assert await ar.lists() == {"stcpr": [str(ALICE)]}
    assert (await ar.http.as_monitor("DELETE", "/deregister/stcpr", keys))[:2] == (200, b"null")
    assert await ar.lists() == {}


# UDP


class Visor:
    """A visor's side of a session."""

    def __init__(self, socket: UdpSocket, stream: KcpStream) -> None:
        self.socket = socket
        self.stream = stream

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.socket.address.port}"

    async def pushed(self) -> tuple[PubKey, str]:
        async with asyncio.timeout(DEADLINE):
            push = parse_push(await self.stream.read_message())
        return push.key, push.address


@asynccontextmanager
async def bound(
    ar: Resolver, pk: PubKey, sk: SecKey, addresses: bytes = ADDRESSES
) -> AsyncIterator[Visor]:
    socket = await open_udp("127.0.0.1")
    try:
        stream = socket.dial_fixed(("127.0.0.1", ar.udp.address.port))
        handshake = Initiator(pk, sk, NULL_KEY, source_port=0, port=0)
        async with asyncio.timeout(DEADLINE):
            await stream.write(handshake.start())
            while handshake.state is not State.DONE:
                if answer := handshake.receive_data(await stream.read()):
                    await stream.write(answer)
            await stream.write(addresses)
            await stream.write(HEARTBEAT)
        yield Visor(socket, stream)
    finally:
        await socket.close()


async def test_a_session_binds_and_a_resolve_is_pushed(ar: Resolver) -> None:
    async with bound(ar, ALICE, ALICE_SK) as alice, bound(ar, BOB, BOB_SK) as bob:
        await ar.until_listed(sudph=[ALICE, BOB])
        status, body = await (await ar.bob()).request("GET", f"/resolve/sudph/{ALICE}")
        assert status == 200
        binding = parse_binding(body)
        assert (binding.remote_addr, binding.port) == (alice.address, "7777")
        assert await alice.pushed() == (BOB, bob.address)


async def test_a_caller_without_binding_gets_an_answer_and_keeps_its_nonce(ar: Resolver) -> None:
    async with bound(ar, ALICE, ALICE_SK), bound(ar, BOB, BOB_SK):
        await ar.until_listed(sudph=[ALICE, BOB])
        carol = await ar.http.signed(CAROL, CAROL_SK)
        for _ in range(2):
            assert (await carol.request("GET", f"/resolve/sudph/{ALICE}"))[0] == 200
        nonce = await ar.http.ask("GET", f"/security/nonces/{CAROL}")
        assert json.loads(nonce.body)["next_nonce"] == 0


async def test_del_bind_unbinds(ar: Resolver) -> None:
    async with bound(ar, ALICE, ALICE_SK) as alice:
        await ar.until_listed(sudph=[ALICE])
        await alice.stream.write(DELETE_BINDING)
        await ar.until_listed()


async def test_a_newer_session_replaces_the_one_before(ar: Resolver) -> None:
    async with bound(ar, ALICE, ALICE_SK), bound(ar, BOB, BOB_SK):
        await ar.until_listed(sudph=[ALICE, BOB])
        async with bound(ar, ALICE, ALICE_SK) as second:
            bob = await ar.bob()
            async with asyncio.timeout(DEADLINE):
                while True:
                    _, body = await bob.request("GET", f"/resolve/sudph/{ALICE}")
                    if parse_binding(body).remote_addr == second.address:
                        break
            key, _ = await second.pushed()
            assert key == BOB


async def test_a_silent_session_is_unbound(ar: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire.wire.resolver_session.SILENCE_LIMIT", 0.3)
    async with bound(ar, ALICE, ALICE_SK):
        await ar.until_listed(sudph=[ALICE])
        await ar.until_listed()


@pytest.mark.parametrize("message", [b"GET / HTTP/1.1\r\n\r\n", b"get_noncex", b"\x00" * 30])
async def test_a_session_that_speaks_something_else_ends_alone(
    ar: Resolver, message: bytes
) -> None:
    async with bound(ar, ALICE, ALICE_SK):
        socket = await open_udp("127.0.0.1")
        stream = socket.dial_fixed(("127.0.0.1", ar.udp.address.port))
        await stream.write(message)
        with pytest.raises(Exception, match=r"reset|broke"):
            async with asyncio.timeout(DEADLINE):
                await stream.read()
        await socket.close()
        await ar.until_listed(sudph=[ALICE])


async def test_pushes_to_one_visor_are_limited(ar: Resolver) -> None:
    async with bound(ar, ALICE, ALICE_SK) as alice:
        await ar.until_listed(sudph=[ALICE])
        for number in range(3 * resolver_udp.MAX_PUSHES):
            ar.rules._udp.push(ALICE, BOB, f"192.0.2.9:{number}")
        ar.rules._udp.push(CAROL, BOB, "192.0.2.9:1")  # has no session
        told = [(await alice.pushed())[1] for _ in range(resolver_udp.MAX_PUSHES)]
        assert told == [f"192.0.2.9:{number}" for number in range(resolver_udp.MAX_PUSHES)]


async def test_sessions_that_prove_nothing_are_limited(
    ar: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver_udp, "MAX_UNPROVEN", 2)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(bound(ar, BOB, BOB_SK))  # proven: does not count
        await ar.until_listed(sudph=[BOB])
        for _ in range(4):
            socket = await open_udp("127.0.0.1")
            stack.push_async_callback(socket.close)
            await socket.dial_fixed(("127.0.0.1", ar.udp.address.port)).write(b"get")
        async with asyncio.timeout(DEADLINE):
            while ar.rules._udp._unproven < 2:  # noqa: ASYNC110 - the resolver tells nobody
                await asyncio.sleep(0.01)
        with pytest.raises(StreamReset):
            async with bound(ar, ALICE, ALICE_SK):
                pass
    async with asyncio.timeout(DEADLINE):
        while True:
            with suppress(StreamReset):
                async with bound(ar, ALICE, ALICE_SK):
                    await ar.until_listed(sudph=[ALICE])
                break
    assert ar.rules._udp._unproven == 0
