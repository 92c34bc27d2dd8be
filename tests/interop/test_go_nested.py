"""A Go visor below our hypervisor, which is below ours: A → B → C, C of 2024. hypervisor.md §7."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession

from skywire.crypto.keys import PubKey
from skywire.pty.web_frames import CLOSED_LINE
from tests.interop.go import Go, Visor
from tests.interop.ours import SOON, Network, Node, Ours
from tests.interop.pages import WebTerminal, get, row_of
from tests.interop.processes import LOOPBACK, free_port, run_ours

CHAT = "skychat"
REWARD = "2jBbGxZRGoQG1mqhPBnXnLTxK6oxsTf8os6"


class Line(NamedTuple):
    """A controls B and a Go hypervisor; B controls two Go visors, one of which admits A's key."""

    a: Node
    b: Node
    base: str  # URL of A
    below: Visor
    closed: Visor
    go_hypervisor: Visor


@pytest.fixture(scope="module")
def line(go: Go, ours: Ours, our_net: Network, services: str) -> Line:
    def hypervisor(name: str, *above: PubKey) -> Node:
        folder = ours.path(name)
        folder.mkdir()
        section = {
            "http_addr": f"{LOOPBACK}:0",
            "db_path": str(folder / "users.db"),
            "enable_auth": False,
        }
        more = {"hypervisors": [str(pk) for pk in above], "local_path": str(folder)}
        return ours.visor(our_net.discovery, hypervisor=section, **more)

    a = hypervisor("a")
    b = hypervisor("b", a.public)
    chat = {
        "name": CHAT,
        "binary": "skywire",
        "args": ["app", CHAT, "--addr", f":{free_port()}"],
        "port": 1,
        "auto_start": False,
    }
    known = [b.public]
    below = Visor(
        go, our_net.discovery, services, hypervisors=known, whitelist=[a.public], apps=[chat]
    )
    closed = Visor(go, our_net.discovery, services, hypervisors=known)
    other = Visor(go, our_net.discovery, services, hypervisors=[a.public], hypervisor=True)
    return Line(a, b, a.facts["url"].rstrip("/"), below, closed, other)


@pytest.fixture
async def http(line: Line) -> AsyncIterator[ClientSession]:
    """A browser, when everybody is there."""
    async with ClientSession() as session:
        await row_of(session, line.base, line.b.public)
        await row_of(session, line.base, line.go_hypervisor.public)
        for visor in (line.below, line.closed):
            await row_of(session, line.b.facts["url"].rstrip("/"), visor.public)
        yield session


async def ask(
    http: ClientSession, line: Line, method: str, path: str, body: object = None
) -> tuple[int, Any]:
    """About C, of A."""
    token = (await get(http, f"{line.base}/api/csrf"))["csrf_token"]
    url = f"{line.base}/api/visors/{line.below.public}{path}"
    async with (
        asyncio.timeout(SOON),
        http.request(method, url, json=body, headers={"X-CSRF-Token": token}) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def section_of_b(http: ClientSession, line: Line) -> dict[str, Any]:
    """The rows of its visors, once all are there with their summaries."""
    keys = {str(pk) for pk in (line.b.public, line.below.public, line.closed.public)}
    async with asyncio.timeout(SOON):
        while True:
            tree = await get(http, f"{line.base}/api/visors-tree-summary")
            for section in tree["sections"][1:]:
                assert section["hypervisor_pk"] == str(line.b.public), "Go's is no section"
                rows = {row["overview"]["local_pk"]: row for row in section["visors"]}
                if rows.keys() == keys and all(row["health"] for row in rows.values()):
                    return rows
            await asyncio.sleep(0.1)


async def test_it_is_in_the_tree_below_its_hypervisor(http: ClientSession, line: Line) -> None:
    row = (await section_of_b(http, line))[str(line.below.public)]
    assert (row["online"], row["proxied_via"]) == (True, str(line.b.public))
    assert row["overview"]["build_info"]["version"].startswith("v1.")
    assert row["overview"]["hypervisors"] == [str(line.b.public)]
    assert "load" not in row


async def test_it_is_read_through_its_hypervisor(http: ClientSession, line: Line) -> None:
    status, found = await ask(http, line, "GET", "/summary")
    assert status == 200
    assert found["overview"]["local_pk"] == str(line.below.public)
    for path, kind in (("", dict), ("/apps", list), ("/transports", list), ("/routes", list)):
        status, found = await ask(http, line, "GET", path)
        assert (status, type(found)) == (200, kind), (path, found)
    status, found = await ask(http, line, "GET", f"/apps/{CHAT}")
    assert (status, found["name"], found["status"]) == (200, CHAT, 0)
    assert (await ask(http, line, "GET", "/health"))[1]["status"] == 200


async def test_it_is_changed_through_its_hypervisor(http: ClientSession, line: Line) -> None:
    async def state() -> Any:
        return (await ask(http, line, "GET", f"/apps/{CHAT}"))[1]["status"]

    assert (await ask(http, line, "POST", "/min-hops", {"min_hops": 1})) == (200, {})
    assert (await ask(http, line, "PUT", "/reward", {"reward_address": REWARD}))[0] == 200
    assert (await ask(http, line, "GET", "/reward")) == (200, REWARD)
    assert (await ask(http, line, "GET", "/summary"))[1]["min_hops"] == 1
    for wanted in (1, 0):
        status, found = await ask(http, line, "PUT", f"/apps/{CHAT}", {"status": wanted})
        assert status == 200, found
        async with asyncio.timeout(SOON):
            while await state() != wanted:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
    assert (await ask(http, line, "PUT", f"/apps/{CHAT}", {"autostart": True}))[0] == 200
    refused = await ask(http, line, "PUT", "/persistent-transports", [])
    assert refused[1] == {"error": "operation not supported on proxied visor"}


async def test_its_terminal_is_dialled_by_the_upper_hypervisor(
    http: ClientSession, line: Line
) -> None:
    url = f"{line.base}/pty/{line.below.public}"
    async with http.get(url) as response:
        assert response.status == 200
    async with http.ws_connect(f"{url}?scheme=dmsg") as socket:
        page = WebTerminal(socket)
        await page.type("stty size; echo $((6*7))-x\n")
        await page.until(r"\d+ \d+\s+42-x")
        await page.type("exit\n")
        assert await page.until_closed() == 1000
        assert page.output.endswith(CLOSED_LINE.decode())


async def test_one_that_does_not_admit_us_says_so_in_the_terminal(
    http: ClientSession, line: Line
) -> None:
    """One of 2024 takes no keys from its hypervisor: its config must have ours."""
    url = f"{line.base}/pty/{line.closed.public}"
    async with http.get(url) as response:
        assert response.status == 200
    async with http.ws_connect(f"{url}?scheme=dmsg") as socket:
        page = WebTerminal(socket)
        await page.until_closed()
        assert "[skypty-ui] Error: " in page.output


async def test_the_command_lists_them_all(
    http: ClientSession, line: Line, env: dict[str, str]
) -> None:
    await section_of_b(http, line)
    command = ["cli", "--rpc", line.a.facts["rpc"], "visor", "hv", "ls", "--load"]

    async def run(*more: str) -> str:
        done = await asyncio.to_thread(lambda: run_ours(*command, *more, env=env))
        assert done.returncode == 0, done
        return done.stdout

    lines = (await run()).splitlines()
    (row,) = (one for one in lines if one.startswith(str(line.below.public)))
    assert row.split()[-4:] == ["ok", "-", "-", "-"], "one of 2024 tells no load"
    (row,) = (one for one in lines if one.startswith(f"{line.a.public} "))
    assert row.split()[-4] == "local"
    assert row.split()[-1].endswith("%")
    assert f"└── {line.b.public}" in lines
    assert not any("query error" in one for one in lines)
    flat = json.loads(await run("--flat", "--json"))["output"]
    via = {one["pk"]: one.get("proxied_via") for one in flat}
    assert via[str(line.below.public)] == str(line.b.public)
    assert via[str(line.go_hypervisor.public)] is None
