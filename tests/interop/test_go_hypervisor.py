"""Our node at a Go hypervisor, and under Go's command line."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from aiohttp import ClientSession

from skywire import __version__
from skywire.crypto.keys import PubKey
from skywire.testing.processes import alive
from skywire.testing.wait import eventually
from tests.interop.go import Go, Visor
from tests.interop.ours import SOON, Network, Node, Ours
from tests.interop.pages import WebTerminal, get, row_of, until_known

BACK_LIMIT = 40.0  # seconds


class Watched(NamedTuple):
    """A Go hypervisor, and two nodes of ours: with shells that are kept, and without."""

    hypervisor: Visor
    classic: Node
    persistent: Node
    net: Network

    @property
    def nodes(self) -> tuple[PubKey, PubKey]:
        return self.classic.public, self.persistent.public


@pytest.fixture(scope="module")
def watched(go: Go, ours: Ours, go_net: Network, services: str) -> Watched:
    hypervisor = Visor(go, go_net.discovery, services, hypervisor=True)
    known = [str(hypervisor.public)]
    return Watched(
        hypervisor,
        ours.visor(go_net.discovery, hypervisors=known),
        ours.visor(go_net.discovery, hypervisors=known, pty={"persistent_sessions": True}),
        go_net,
    )


@pytest.fixture(params=["classic", "persistent"])
def node(request: pytest.FixtureRequest, watched: Watched) -> Node:
    found: Node = getattr(watched, request.param)
    return found


@pytest.fixture
async def http(watched: Watched) -> AsyncIterator[ClientSession]:
    """A browser, when our nodes are there."""
    async with ClientSession() as session:
        await until_known(session, watched.hypervisor.url, *watched.nodes)
        yield session


async def test_our_node_is_listed(http: ClientSession, watched: Watched, node: Node) -> None:
    row = await row_of(http, watched.hypervisor.url, node.public)
    overview = row["overview"]
    assert overview["local_pk"] == str(node.public)
    assert overview["build_info"]["version"] == f"v{__version__}"
    assert overview["hypervisors"] == [str(watched.hypervisor.public)]
    assert overview["connected_hypervisor"] == [str(watched.hypervisor.public)]
    assert overview["transports"] is overview["apps"] is None  # empty in gob, null in Go's JSON
    assert row["health"] == {"services_health": "healthy"}
    assert not row.get("is_hypervisor")
    assert 0 < row["uptime"] < 600


async def test_its_own_routes_answer(http: ClientSession, watched: Watched, node: Node) -> None:
    await row_of(http, watched.hypervisor.url, node.public)
    prefix = f"{watched.hypervisor.url}/api/visors/{node.public}"
    assert (await get(http, prefix))["local_pk"] == str(node.public)
    assert (await get(http, f"{prefix}/summary"))["overview"]["local_pk"] == str(node.public)
    health = await get(http, f"{prefix}/health")
    assert health["services_health"] == "healthy"
    assert 0 < await get(http, f"{prefix}/uptime") < 600


async def test_the_way_to_our_node_is_measured(
    http: ClientSession, watched: Watched, node: Node
) -> None:
    """The hypervisor pings port 7 of our node."""
    async with asyncio.timeout(SOON):
        while True:
            for one in await get(http, f"{watched.hypervisor.url}/api/dmsg"):
                if one["public_key"] == str(node.public) and one["round_trip"] > 0:
                    assert one["server_public_key"] == str(watched.net.server)
                    return
            await asyncio.sleep(0.1)


async def test_go_opens_a_terminal_on_our_node(
    http: ClientSession, watched: Watched, node: Node
) -> None:
    await row_of(http, watched.hypervisor.url, node.public)
    url = f"{watched.hypervisor.url}/pty/{node.public}"
    async with http.get(url) as response:
        assert response.status == 200
        assert "xterm" in (await response.text()).lower()
    async with http.ws_connect(url) as socket:
        page = WebTerminal(socket)
        await page.type("stty size; echo $((6*7))-x\n")
        await page.until(r"\d+ \d+\s+42-x")
        await page.type("seq 1 30000 | tr '\\n' ,; echo $((6*8))-x\n")
        found = await page.until(r"(1,2,[\d,]*30000,)48-x")
        assert found[1] == "".join(f"{number}," for number in range(1, 30001))
        await page.type("exit\n")
        assert await page.until_closed() == 1000
        assert "Error" not in page.output


async def until_gone(pid: int) -> None:
    await eventually(lambda: not alive(pid))


async def test_leaving_a_page_of_go_ends_the_shell(http: ClientSession, watched: Watched) -> None:
    """Go's page sends Stop, to a shell that would be kept as well (pty.md §6.5)."""
    for node in (watched.classic, watched.persistent):
        await row_of(http, watched.hypervisor.url, node.public)
        url = f"{watched.hypervisor.url}/pty/{node.public}"
        async with http.ws_connect(url) as socket:
            page = WebTerminal(socket)
            pid = await page.shell_pid()
            await page.type("echo begun-$((1+1)); sleep 1000\n")
            await page.until("begun-2")
        await until_gone(pid)


def test_gos_command_line_asks_our_node(go: Go, watched: Watched, node: Node) -> None:
    def ask(*command: str) -> str:
        got = go.run("cli", *command, "--rpc", node.facts["rpc"])
        assert got.returncode == 0, got
        return got.stdout.decode()

    assert ask("visor", "pk").strip() == str(node.public)
    assert f'Version "v{__version__}"' in ask("visor", "ver")
    info = ask("visor", "info")
    assert f'Public key: "{node.public}"' in info
    assert f'DMSG Server: "{watched.net.server}"' in info
    assert "Uptime Tracker: healthy" in info
    assert ask("visor", "hv", "pk").strip() == f"[{watched.hypervisor.public}]"
    assert ask("visor", "hv", "cpk").strip() == f"[{watched.hypervisor.public}]"


async def test_our_nodes_come_back_to_a_restarted_hypervisor(
    http: ClientSession, watched: Watched
) -> None:
    """A dial before it is back gets no answer from a Go server, and has to be given up."""
    url = watched.hypervisor.url
    watched.hypervisor.program.kill()
    await asyncio.to_thread(watched.hypervisor.start)
    await until_known(http, url, *watched.nodes, limit=BACK_LIMIT)
    for public in watched.nodes:
        row = await row_of(http, url, public)
        assert row["overview"]["connected_hypervisor"] == [str(watched.hypervisor.public)]
