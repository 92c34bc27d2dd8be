"""Routes with Go: its setup node, its visor told by our setup node, its route finder, and its
client of the transport setup service.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.errors import NotFound, Refused
from skywire.http.app import listen, running
from skywire.ports import DMSG_AWAIT_SETUP, DMSG_SETUP_NODE, DMSG_TRANSPORT_SETUP
from skywire.router.finder import RouteFinder
from skywire.router.setup_client import SetupClient
from skywire.router.setup_node import SetupNode
from skywire.router.setup_types import INVALID_ROUTE
from skywire.services.route_finder import RouteFinder as RouteFinderService
from skywire.services.transport_setup import TransportSetup
from skywire.stores.open import open_stores
from skywire.streams.serving import serve_each
from skywire.streams.supervise import Tasks
from skywire.wire.routes import Bounds
from skywire.wire.rule import Rule
from skywire.wire.transport import Entry
from tests.interop.go import Go, Visor
from tests.interop.ours import Network, clients
from tests.interop.processes import LOOPBACK, Program, free_port, get_json
from tests.router.setup_kit import FakeVisor, route
from tests.services.test_transport_setup import Visor as FakeTransports
from tests.stores import postgres


@asynccontextmanager
async def visors(*clients: DmsgClient) -> AsyncIterator[list[FakeVisor]]:
    """What a setup node calls, on dmsg port 136."""
    tasks = Tasks("visors")
    fakes = [FakeVisor(client.public) for client in clients]
    for client, fake in zip(clients, fakes, strict=True):
        listener = client.listen(DMSG_AWAIT_SETUP)
        tasks.spawn(serve_each(listener, fake.server().serve, name="visor"))
    try:
        yield fakes
    finally:
        await tasks.close()


@pytest.fixture(scope="module")
def go_setup_node(go: Go, go_net: Network) -> PubKey:
    public, secret = key_pair()
    file = go.path("setup-node.json")
    config = {
        "public_key": str(public),
        "secret_key": secret.hex(),
        "dmsg": {"discovery": go_net.discovery, "sessions_count": 1, "servers": []},
        "transport_discovery": go.env["HTTP_PROXY"],
        "log_level": "info",
    }
    file.write_text(json.dumps(config))
    program = go.start(go.binary, "svc", "sn", str(file), name="go-setup-node")
    entry = f"{go_net.discovery}/dmsg-discovery/entry/{public}"
    program.until(lambda: get_json(entry), "its entry")
    return public


async def test_a_go_setup_node_makes_the_rules_that_ours_makes(
    go_net: Network, go_setup_node: PubKey
) -> None:
    async with clients(go_net.discovery, 3) as (one, two, three), visors(one, two, three) as fakes:
        asked = route(one.public, two.public, three.public)
        by_go = await SetupClient(one.dial, [go_setup_node]).dial_route_group(asked)
        calls = [fake.calls.copy() for fake in fakes]
        for fake in fakes:
            fake.calls.clear()
            fake.next_id = 1
        node = SetupNode(two.dial)
        assert await node.dial_route_group(one.public, asked) == by_go
        assert [fake.calls for fake in fakes] == calls
        await node.close()


async def test_refusals_of_a_go_setup_node(go_net: Network, go_setup_node: PubKey) -> None:
    nobody = key_pair()[0]
    async with clients(go_net.discovery, 2) as (one, two), visors(one, two) as (_, far):
        client = SetupClient(one.dial, [go_setup_node])
        far.refusal = "no place"
        with pytest.raises(Refused, match=r"^route setup: failed to broadcast.*no place"):
            await client.dial_route_group(route(one.public, two.public))
        with pytest.raises(Refused, match=f"a dial attempt failed with: dial {nobody}@136"):
            await client.dial_route_group(route(one.public, nobody, two.public))
        wrong = route(one.public, two.public)
        wrong.reverse = wrong.forward
        with pytest.raises(Refused, match=INVALID_ROUTE):
            await client.dial_route_group(wrong)


async def test_a_go_visor_in_the_middle_obeys_our_setup_node(
    go: Go, go_net: Network, services: str
) -> None:
    async with clients(go_net.discovery, 3) as (one, two, setup), visors(one, two) as (_, far):
        visor = Visor(go, go_net.discovery, services)
        visor.program.stop()
        config = json.loads(visor._file.read_text())
        config["routing"]["route_setup_nodes"] = [str(setup.public)]
        visor._file.write_text(json.dumps(config))
        visor.start()
        node = SetupNode(setup.dial)
        listener = setup.listen(DMSG_SETUP_NODE)
        tasks = Tasks("setup node")
        tasks.spawn(node.serve_all(listener))
        client = SetupClient(one.dial, [setup.public])
        asked = route(one.public, visor.public, two.public)
        for expected in (1, 3):  # it reserves two ids for each route
            rules = await client.dial_route_group(asked)
            assert Rule.parse(rules.forward).next_route_id == expected
        far.refusal = "no place"  # then ours withdraws the rules of the Go visor
        with pytest.raises(Refused, match="no place"):
            await client.dial_route_group(asked)
        await tasks.close()
        await node.close()


async def test_a_visor_that_does_not_trust_us_hangs_up(
    go: Go, go_net: Network, services: str
) -> None:
    async with clients(go_net.discovery, 2) as (one, setup), visors(one):
        visor = Visor(go, go_net.discovery, services)
        node = SetupNode(setup.dial)
        with pytest.raises(Refused, match=r"failed to (reserve route ids|instantiate)"):
            await node.dial_route_group(one.public, route(one.public, visor.public))
        await node.close()


class Database(NamedTuple):
    url: str
    go_finder: str  # URL of a Go route finder on it


@pytest.fixture(scope="module")
def database(go: Go) -> Iterator[Database]:
    with postgres.running() as url:
        address = f"{LOOPBACK}:{free_port()}"
        program = Program(
            [
                *(go.binary, "svc", "rf", "-a", address, "--dmsg-disc", go.env["HTTP_PROXY"]),
                *("--pg-host", LOOPBACK, "--pg-port", str(urlsplit(url).port)),
            ],
            log=go.path("go-finder.log"),
            env={
                **go.env,
                "PG_USER": "skywire",
                "PG_PASSWORD": "unused",
                "PG_DATABASE": "postgres",
            },
        )
        program.until(lambda: get_json(f"http://{address}/health"), "an answer")
        yield Database(url, f"http://{address}")
        program.stop()


async def test_both_finders_on_one_database_know_the_same_routes(database: Database) -> None:
    keys = [key_pair()[0] for _ in range(5)]
    a, b, c, d, alone = keys
    async with AsyncExitStack() as stack:
        stores = await open_stores(database.url)
        stack.push_async_callback(stores.close)
        for one, other in [*pairwise([a, b, c, d]), (a, c)]:
            await stores.transports().add(Entry.of(one, other, "stcpr"), None)
        service = RouteFinderService(stores.transports())
        runner = await stack.enter_async_context(running(service.app()))
        port = await listen(runner, LOOPBACK, 0, what="finder")
        ours = await stack.enter_async_context(RouteFinder(f"http://{LOOPBACK}:{port}"))
        theirs = await stack.enter_async_context(RouteFinder(database.go_finder))
        for source, target, bounds in (
            (a, b, Bounds(0, 1)),
            (a, b, Bounds()),
            (a, c, Bounds()),
            (a, d, Bounds()),
            (d, a, Bounds(2, 3)),
            (b, c, Bounds(2, 50)),
        ):
            found = await ours.find(source, target, bounds)
            expected = await theirs.find(source, target, bounds)
            assert sorted(found.forward, key=repr) == sorted(expected.forward, key=repr)
            assert sorted(found.reverse, key=repr) == sorted(expected.reverse, key=repr)
        for source, target, bounds in (
            (a, alone, Bounds()),
            (a, d, Bounds(0, 1)),
            (a, b, Bounds(0, 0)),
            (a, b, Bounds(9, 50)),
        ):
            texts = []
            for finder in (ours, theirs):
                with pytest.raises(NotFound) as caught:
                    await finder.find(source, target, bounds)
                texts.append(str(caught.value))
            assert texts[0] == texts[1]


async def test_gos_client_of_the_transport_setup_service(go: Go, go_net: Network) -> None:
    async with clients(go_net.discovery, 2) as (node, visor), AsyncExitStack() as stack:
        fake = FakeTransports(visor.public)
        tasks = Tasks("visor")
        stack.push_async_callback(tasks.close)
        listener = visor.listen(DMSG_TRANSPORT_SETUP)
        tasks.spawn(serve_each(listener, fake.server().serve, name="visor"))
        app = TransportSetup(node.dial).app()
        runner = await stack.enter_async_context(running(app))
        port = await listen(runner, LOOPBACK, 0, what="transport setup")
        place = ["-z", f"http://{LOOPBACK}:{port}"]
        other = str(key_pair()[0])

        async def ask(*arguments: str) -> str:
            command = [go.binary, "svc", "tps", *arguments, "-1", str(visor.public), *place]
            done = await asyncio.to_thread(go.run, *command[1:])
            assert done.returncode == 0, done.stderr
            return done.stdout.decode()

        assert other in await ask("add", "-2", other, "-t", "stcpr")
        (transport,) = fake.transports.values()
        assert (str(transport.remote), transport.type) == (other, "stcpr")
        assert other in await ask("list")
        await ask("rm", "-i", str(transport.id))
        assert not fake.transports
