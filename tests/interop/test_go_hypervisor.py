"""Our node at a Go hypervisor, and under Go's command line."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession

from skywire import __version__
from skywire.crypto.keys import PubKey
from skywire.testing.processes import alive
from skywire.testing.wait import eventually
from tests.interop.go import BINARY, Go, Visor
from tests.interop.ours import SOON, Network, Node, Ours
from tests.interop.pages import WebTerminal, get, row_of, until_known
from tests.interop.processes import LOOPBACK, free_port

BACK_LIMIT = 40.0  # seconds
APP = "skychat"
REWARD = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"


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
    chat = {
        "name": APP,
        "binary": "skywire",
        "args": ["app", APP, "--addr", f":{free_port()}"],
        "port": 1,
        "auto_start": False,
    }
    launcher = {
        "server_addr": f"{LOOPBACK}:0",
        "bin_path": str(Path(BINARY).parent),
        "apps": [chat],
    }
    return Watched(
        hypervisor,
        ours.visor(go_net.discovery, hypervisors=known, local_path=str(ours.path("classic"))),
        ours.visor(
            go_net.discovery,
            hypervisors=known,
            local_path=str(ours.path("persistent")),
            pty={"persistent_sessions": True},
            launcher=launcher,
        ),
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
    assert overview["transports"] is None  # empty in gob, null in Go's JSON
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


async def ask(
    http: ClientSession, watched: Watched, node: Node, method: str, path: str, body: object = None
) -> Any:
    """Through Go's hypervisor."""
    headers = {}
    if method != "GET":
        headers["X-CSRF-Token"] = (await get(http, f"{watched.hypervisor.url}/api/csrf"))[
            "csrf_token"
        ]
    url = f"{watched.hypervisor.url}/api/visors/{node.public}{path}"
    async with http.request(method, url, json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json(content_type=None)


async def test_go_starts_and_stops_an_app_of_our_node(
    http: ClientSession, watched: Watched
) -> None:
    node = watched.persistent

    async def state() -> object:
        return (await ask(http, watched, node, "GET", f"/apps/{APP}"))["status"]

    async def until(wanted: int) -> None:
        async with asyncio.timeout(SOON):
            while await state() != wanted:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)

    (row,) = await listed(http, watched, node, "/apps")
    assert (row["name"], row["port"], row["auto_start"], row["status"]) == (APP, 1, False, 0)
    await ask(http, watched, node, "PUT", f"/apps/{APP}", {"autostart": True})
    assert (await listed(http, watched, node, "/apps"))[0]["auto_start"] is True
    await ask(http, watched, node, "PUT", f"/apps/{APP}", {"status": 1})
    await until(1)
    await ask(http, watched, node, "PUT", f"/apps/{APP}", {"status": 0})
    await until(0)


async def listed(http: ClientSession, watched: Watched, node: Node, path: str) -> list[Any]:
    found = await ask(http, watched, node, "GET", path)
    return found if isinstance(found, list) else []  # Go writes null for a list that is empty


async def test_go_adds_and_removes_a_transport_of_our_node(
    http: ClientSession, watched: Watched
) -> None:
    node, other = watched.classic, watched.persistent
    assert "dmsg" in await listed(http, watched, node, "/transport-types")
    wanted = {"transport_type": "dmsg", "remote_pk": str(other.public)}
    made = await ask(http, watched, node, "POST", "/transports", wanted)
    assert (made["type"], made["remote_pk"], made["is_setup"]) == ("dmsg", str(other.public), False)
    (row,) = await listed(http, watched, node, "/transports")
    assert row["id"] == made["id"]
    (there,) = await listed(http, watched, other, "/transports")
    assert (there["id"], there["remote_pk"]) == (made["id"], str(node.public))
    assert await ask(http, watched, node, "GET", f"/transports/{made['id']}")
    assert await ask(http, watched, node, "DELETE", f"/transports/{made['id']}") is True
    assert await listed(http, watched, node, "/transports") == []


async def test_go_changes_settings_of_our_node(http: ClientSession, watched: Watched) -> None:
    node = watched.classic
    assert await ask(http, watched, node, "POST", "/min-hops", {"min_hops": 2}) == {}
    wanted = [{"pk": str(watched.persistent.public), "type": "stcp"}]
    await ask(http, watched, node, "PUT", "/persistent-transports", wanted)
    assert await listed(http, watched, node, "/persistent-transports") == wanted
    await ask(http, watched, node, "PUT", "/persistent-transports", [])
    await ask(http, watched, node, "PUT", "/reward", {"reward_address": REWARD})
    assert await ask(http, watched, node, "GET", "/reward") == REWARD
    summary = await ask(http, watched, node, "GET", "/summary")
    assert (summary["min_hops"], summary["reward_address"]) == (2, REWARD)
    await ask(http, watched, node, "POST", "/min-hops", {"min_hops": 0})
    await ask(http, watched, node, "DELETE", "/reward")
    assert await listed(http, watched, node, "/routes") == []


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
