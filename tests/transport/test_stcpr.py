"""stcpr over loopback with a resolver in memory; the resolver's client against answers."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, InvalidValue, NotFound, RemoteProtocolError, Unavailable
from skywire.testing.transports import MemoryTransportDiscovery
from skywire.testing.wait import eventually
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.resolver import AddressResolverClient, candidates
from skywire.transport.stcpr import StcprNetwork
from skywire.wire.resolver import Binding, parse_addresses
from skywire.wire.transport import STCPR, SUDPH


class Resolver:
    """Answers the HTTP requests of `AddressResolverClient`s: one session per key."""

    def __init__(self) -> None:
        self.bound: dict[PubKey, Binding] = {}
        self.away = False
        self.binds = 0

    def session(self, pk: PubKey) -> "Session":
        return Session(self, pk)


class Session:
    def __init__(self, resolver: Resolver, pk: PubKey) -> None:
        self._resolver = resolver
        self._pk = pk

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        if self._resolver.away:
            raise Unavailable("the resolver is away")
        if (method, path) == ("POST", "/bind/stcpr"):
            told = parse_addresses(body)
            self._resolver.binds += 1
            self._resolver.bound[self._pk] = Binding("127.0.0.1", False, told.port, told.addresses)
            return 200, b""
        if (method, path) == ("DELETE", "/bind/stcpr"):
            self._resolver.bound.pop(self._pk, None)
            return 200, b""
        _, _, kind, pk = path.split("/")
        binding = self._resolver.bound.get(PubKey.parse(pk))
        return (404, b"") if binding is None or kind != STCPR else (200, binding.encode())

    async def plain(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        keys = ",".join(f'"{pk}"' for pk in self._resolver.bound)
        return 200, f'{{"stcpr":[{keys},"junk"]}}'.encode()


class Fixed:
    """One answer to everything."""

    def __init__(self, status: int, body: bytes) -> None:
        self._answer = (status, body)

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        return self._answer

    plain = request


async def visor(
    stack: AsyncExitStack,
    resolver: Resolver,
    discovery: MemoryTransportDiscovery,
    *,
    port: int = 0,
    any_address: bool = True,
    addresses: Sequence[str] = ("127.0.0.1",),
) -> tuple[TransportManager, StcprNetwork]:
    public, secret = key_pair()
    identity = Identity.of(public, secret)
    network = StcprNetwork(
        identity,
        AddressResolverClient(resolver.session(public)),
        port=port,
        any_address=any_address,
        addresses=lambda: addresses,
    )
    manager = TransportManager(identity, [network], discovery)
    await stack.enter_async_context(manager)
    return manager, network


async def test_a_visor_is_bound_and_dialled_by_its_key() -> None:
    resolver, discovery = Resolver(), MemoryTransportDiscovery()
    async with AsyncExitStack() as stack:
        first, network = await visor(stack, resolver, discovery)
        second, _ = await visor(stack, resolver, discovery)
        async with asyncio.timeout(5):
            await network.bound.wait()
            link = await second.save(first.public, STCPR)
        assert (link.type, link.remote) == (STCPR, first.public)
        assert await AddressResolverClient(resolver.session(first.public)).bound() == {
            STCPR: frozenset({first.public, second.public})
        }
    assert not resolver.bound
    assert not discovery.entries


async def test_without_a_public_address_it_neither_listens_nor_binds_but_dials() -> None:
    resolver, discovery = Resolver(), MemoryTransportDiscovery()
    async with AsyncExitStack() as stack:
        public, network = await visor(
            stack, resolver, discovery, any_address=False, addresses=("127.0.0.1", "203.0.113.9")
        )
        hidden, silent = await visor(
            stack, resolver, discovery, any_address=False, addresses=("127.0.0.1", "10.1.2.3")
        )
        async with asyncio.timeout(5):
            await network.bound.wait()
            assert (await hidden.save(public.public, STCPR)).is_up
        assert silent.port == 0
        assert "no interface has a public" in silent.error
        assert set(resolver.bound) == {public.public}
        with pytest.raises(DialFailed, match="not bound"):
            await public.save(key_pair()[0], STCPR)


async def test_a_taken_port_is_passed_over_and_a_resolver_that_comes_back_is_used() -> None:
    resolver, discovery = Resolver(), MemoryTransportDiscovery()
    async with AsyncExitStack() as stack:
        _, first = await visor(stack, resolver, discovery)
        await eventually(lambda: first.port)
        _, second = await visor(stack, resolver, discovery, port=first.port)
        await eventually(lambda: second.port)
        assert second.port > first.port
        resolver.away = True
        _, third = await visor(stack, resolver, discovery)
        await eventually(lambda: third.error)
        assert "away" in third.error
        resolver.away = False
        async with asyncio.timeout(10):
            await third.bound.wait()


@pytest.mark.parametrize(
    ("binding", "kind", "expected"),
    [
        (Binding("192.0.2.1", False, "7"), STCPR, [("192.0.2.1", 7)]),
        (Binding("192.0.2.1:9", False, "7"), STCPR, [("192.0.2.1", 9)]),
        (Binding("192.0.2.1:9", False, "7"), SUDPH, [("192.0.2.1", 9)]),
        (
            Binding("192.0.2.1", True, "7", ("10.0.0.1", "fd00::1")),
            STCPR,
            [("10.0.0.1", 7), ("fd00::1", 7), ("192.0.2.1", 7)],
        ),
        (Binding("192.0.2.1", False, "7", ("10.0.0.1",)), STCPR, [("192.0.2.1", 7)]),
    ],
)
def test_where_to_try(binding: Binding, kind: str, expected: list[tuple[str, int]]) -> None:
    assert candidates(binding, kind) == expected


@pytest.mark.parametrize(
    "binding",
    [
        Binding(""),
        Binding("192.0.2.1"),
        Binding("192.0.2.1", port="x"),
        Binding("a:0", port="0"),
        Binding("a:" + "1" * 5000),
    ],
)
def test_unusable_bindings_are_refused(binding: Binding) -> None:
    with pytest.raises(InvalidValue, match="no usable address"):
        candidates(binding, STCPR)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b"", NotFound),
        (400, b'{"error":"bad"}', InvalidValue),
        (500, b"\xff", Unavailable),
        (200, b"nonsense", RemoteProtocolError),
        (200, b"[]", RemoteProtocolError),
        (200, b'{"remote_addr":"a:%s"}' % (b"1" * 5000), RemoteProtocolError),
        (200, b'{"remote_addr":"192.0.2.1","port":"%s"}' % (b"1" * 5000), RemoteProtocolError),
    ],
)
async def test_answers_that_are_no_binding(
    status: int, body: bytes, error: type[Exception]
) -> None:
    client = AddressResolverClient(Fixed(status, body))
    with pytest.raises(error):
        await client.resolve(STCPR, key_pair()[0])
    if status != 200:
        with pytest.raises((InvalidValue, Unavailable)):
            await client.bind_stcpr(1, [])
