"""sudph with Go: its address resolver between two of our nodes, and a Go visor that dials and is
dialled.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from skywire.crypto.generate import key_pair
from skywire.errors import NotFound
from skywire.http.auth import SignedSession
from skywire.streams.stream import Stream
from skywire.testing.stream_contract import pattern, read_exactly
from skywire.testing.transports import MemoryTransportDiscovery
from skywire.testing.wait import eventually
from skywire.transport.manager import TransportManager
from skywire.transport.networks import Identity
from skywire.transport.resolver import AddressResolverClient
from skywire.transport.sudph import SudphNetwork
from skywire.wire.sudph import resolver_endpoint
from skywire.wire.transport import SUDPH
from tests.interop.go import Go, Visor
from tests.interop.ours import SOON, Network
from tests.interop.processes import LOOPBACK, free_port, get_json


@pytest.fixture(scope="module")
def resolver(go: Go, services: str) -> str:
    """URL of a Go address resolver, in memory."""
    address = f"{LOOPBACK}:{free_port()}"
    nowhere = go.env["HTTP_PROXY"]
    program = go.start(
        *(go.binary, "svc", "ar", "-t", "-a", address, "--dmsg-disc", nowhere), name="go-resolver"
    )
    program.until(lambda: get_json(f"http://{address}/transports") is not None, "an answer")
    assert urlsplit(services).hostname == LOOPBACK
    return f"http://{address}"


class Node:
    def __init__(self, resolver: str, session: SignedSession, identity: Identity) -> None:
        self.identity = identity
        self.public = identity.public
        self.resolver = AddressResolverClient(session)
        self.network = SudphNetwork(
            identity,
            self.resolver,
            resolver_endpoint(resolver),
            local_addresses=lambda: [LOOPBACK],
            host=LOOPBACK,
        )
        self.incoming: asyncio.Queue[Stream] = asyncio.Queue()


@asynccontextmanager
async def node(resolver: str) -> AsyncIterator[Node]:
    public, secret = key_pair()
    async with SignedSession(resolver, public, secret) as session:
        yield Node(resolver, session, Identity.of(public, secret))


@asynccontextmanager
async def serving(made: Node) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(made.network.serve(made.incoming.put))
    try:
        async with asyncio.timeout(SOON):
            await made.network.bound()
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def listed(made: Node) -> bool:
    return made.public in (await made.resolver.bound()).get(SUDPH, ())


async def until_listed(made: Node, wanted: bool) -> None:
    for _ in range(int(SOON / 0.05)):
        if await listed(made) is wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not {'listed' if wanted else 'gone'} within {SOON} s")


async def test_our_nodes_find_each_other_through_a_go_resolver(resolver: str) -> None:
    async with AsyncExitStack() as stack:
        a, b = [await stack.enter_async_context(node(resolver)) for _ in range(2)]
        async with serving(b):
            with pytest.raises(NotFound):
                await b.resolver.resolve(SUDPH, a.public)
            async with serving(a):
                await until_listed(a, True)
                await until_listed(b, True)
                binding = await a.resolver.resolve(SUDPH, b.public)
                assert binding.remote_addr == f"{LOOPBACK}:{b.network.port}"
                assert binding.addresses == (LOOPBACK,)
                async with asyncio.timeout(SOON):
                    ours = await a.network.dial(b.public)
                    theirs = await b.incoming.get()
                    data = pattern(100_000)
                    await ours.write(data)
                    assert await read_exactly(theirs, len(data)) == data
            await until_listed(a, False)  # it said "delBind"


async def test_a_go_visor_and_ours_dial_each_other(resolver: str, go: Go, go_net: Network) -> None:
    dialled = await asyncio.to_thread(Visor, go, go_net.discovery, resolver)
    dialler = await asyncio.to_thread(Visor, go, go_net.discovery, resolver)
    async with node(resolver) as made:
        manager = TransportManager(made.identity, [made.network], MemoryTransportDiscovery())
        async with manager:
            async with asyncio.timeout(SOON):
                await made.network.bound()
            async with asyncio.timeout(SOON):
                link = await manager.save(dialled.public, SUDPH)
            done = await asyncio.to_thread(
                go.run, "cli", "tp", "add", "--rpc", dialler.rpc, "-t", SUDPH, str(made.public)
            )
            assert b"Established sudph transport" in done.stdout + done.stderr
            await eventually(lambda: len(manager.links) == 2)
            assert {one.remote for one in manager.links.values()} == {
                dialled.public,
                dialler.public,
            }
            shown = await asyncio.to_thread(
                go.run, "cli", "tp", "ls", "--rpc", dialled.rpc, "--json"
            )
            assert str(link.id) in json.dumps(json.loads(shown.stdout))
