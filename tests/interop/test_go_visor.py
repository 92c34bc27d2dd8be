"""A Go node at our hypervisor: what the pages show, and terminals through them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession

from skywire.dmsg import control
from skywire.ports import DMSG_CONTROL
from skywire.pty.web_frames import CLOSED_LINE
from skywire.testing.processes import alive
from skywire.testing.wait import eventually
from tests.interop.go import Go, Visor
from tests.interop.ours import SOON, Network, Node, Ours, client
from tests.interop.pages import WebTerminal, get, row_of, until_known
from tests.interop.processes import LOOPBACK, run_ours
from tests.interop.terminal import content, numbered_text

PASTED = 10_000  # characters
OURS_ONLY = {  # of 2026, and our own
    *("offline_since", "last_seen_at", "is_public"),
    *("summary_age", "stale", "source", "label"),
}


class Watched(NamedTuple):
    """Our hypervisor, a Go one, and a Go visor that dials both."""

    hypervisor: Node
    base: str  # URL of ours
    go_hypervisor: Visor
    visor: Visor
    net: Network


@pytest.fixture(scope="module")
def watched(go: Go, ours: Ours, our_net: Network, services: str) -> Watched:
    section = {
        "http_addr": f"{LOOPBACK}:0",
        "db_path": str(ours.path("users.db")),
        "enable_auth": False,
    }
    hypervisor = ours.visor(our_net.discovery, hypervisor=section)
    other = Visor(go, our_net.discovery, services, hypervisor=True)
    visor = Visor(go, our_net.discovery, services, hypervisors=[hypervisor.public, other.public])
    return Watched(hypervisor, hypervisor.facts["url"].rstrip("/"), other, visor, our_net)


@pytest.fixture
async def http(watched: Watched) -> AsyncIterator[ClientSession]:
    """A browser, when the Go visor is there."""
    async with ClientSession() as session:
        await until_known(session, watched.go_hypervisor.url, watched.visor.public)
        await row_of(session, watched.base, watched.visor.public)
        yield session


@asynccontextmanager
async def terminal(
    http: ClientSession, watched: Watched, query: str = ""
) -> AsyncIterator[WebTerminal]:
    url = f"{watched.base}/pty/{watched.visor.public}?scheme=dmsg{query}"
    async with http.ws_connect(url) as socket:
        yield WebTerminal(socket)


async def test_it_is_listed_as_a_go_hypervisor_lists_it(
    http: ClientSession, watched: Watched
) -> None:
    public = watched.visor.public
    at_ours = await row_of(http, watched.base, public)
    at_go = await row_of(http, watched.go_hypervisor.url, public)
    assert at_ours.keys() - OURS_ONLY == at_go.keys()
    overview = at_ours["overview"]
    assert sorted(overview.pop("connected_hypervisor")) == sorted(
        at_go["overview"].pop("connected_hypervisor")
    )
    assert overview == without_null(at_go["overview"])
    assert set(overview["hypervisors"]) == {
        str(watched.hypervisor.public),
        str(watched.go_hypervisor.public),
    }
    assert overview["build_info"]["version"].startswith("v1.")
    assert at_ours["dmsg_stats"].keys() == at_go["dmsg_stats"].keys()
    for row in (at_ours, at_go):
        del row["overview"], row["dmsg_stats"]
        assert row.pop("uptime") > 0
    assert {key: at_ours[key] for key in at_go} == without_null(at_go)


def without_null(row: dict[str, Any]) -> dict[str, Any]:
    """Go writes null for a list that is empty, ours does not."""
    return {key: [] if value is None else value for key, value in row.items()}


async def test_the_list_begins_with_our_own(http: ClientSession, watched: Watched) -> None:
    rows = await get(http, f"{watched.base}/api/visors-summary")
    keys = [row["overview"]["local_pk"] for row in rows]
    assert keys[0] == str(watched.hypervisor.public)
    assert str(watched.visor.public) in keys  # with those of other tests
    assert rows[0]["is_hypervisor"] is True
    overviews = await get(http, f"{watched.base}/api/visors")
    assert [overview["local_pk"] for overview in overviews] == keys


async def test_its_own_routes_answer_as_at_a_go_hypervisor(
    http: ClientSession, watched: Watched
) -> None:
    async def both(path: str) -> tuple[Any, Any]:
        bases = (watched.base, watched.go_hypervisor.url)
        prefix = f"/api/visors/{watched.visor.public}"
        one, two = [await get(http, f"{base}{prefix}{path}") for base in bases]
        return one, two

    ours, theirs = await both("")
    assert ours.keys() == theirs.keys()
    ours, theirs = await both("/health")
    assert ours == theirs
    ours, theirs = await both("/uptime")
    assert 0 < ours <= theirs < ours + SOON
    ours, theirs = await both("/summary")
    assert ours.keys() - OURS_ONLY == theirs.keys()
    assert (ours["online"], theirs["online"]) == (True, False)  # ours knows better


async def test_it_answers_pings(http: ClientSession, watched: Watched) -> None:
    """dmsgctrl: measured by the hypervisor, by the command, by the library."""
    public = watched.visor.public
    stats: dict[str, Any] = {"round_trip": 0}
    async with asyncio.timeout(SOON):
        while not stats["round_trip"]:
            stats = (await row_of(http, watched.base, public))["dmsg_stats"]
    assert stats["public_key"] == str(public)
    assert stats["server_public_key"] == str(watched.net.server)
    assert 0 < stats["round_trip"] < 5e9
    async with client(watched.net.discovery) as made:
        stream = await made.dial(public, DMSG_CONTROL)
        for _ in range(3):
            assert 0 < await control.ping(stream) < 5
        await stream.close()


async def test_the_ping_command(watched: Watched, env: dict[str, str]) -> None:
    command = ("dmsg", "ping", "-c", "3", "-i", "0.01", "--dmsg-disc", watched.net.discovery)
    for public in (watched.visor.public, watched.hypervisor.public):
        got = await asyncio.to_thread(lambda key: run_ours(*command, str(key), env=env), public)
        assert got.returncode == 0, got
        assert "3 of 3 pongs, min/mean/max " in got.stdout


async def test_a_terminal_opens_resizes_and_ends(http: ClientSession, watched: Watched) -> None:
    async with terminal(http, watched) as page:
        await page.until(r"PTY-HOST +")
        await page.type("stty size; echo $((6*7))-x\n")
        await page.until(r"30 100\s+42-x")
        await page.resize(41, 123)
        await page.type("stty size; echo $((6*8))-x\n")
        await page.until(r"41 123\s+48-x")
        await page.type("exit\n")
        assert await page.until_closed() == 1000
        assert page.output.endswith(CLOSED_LINE.decode())
        assert page.texts == []  # an old host has no sessions
        assert "Error" not in page.output


async def test_coming_back_gives_a_fresh_shell_without_an_error(
    http: ClientSession, watched: Watched
) -> None:
    """T33. The shell that was left is gone."""
    async with terminal(http, watched) as page:
        first = await page.shell_pid()
    async with terminal(http, watched, "&sid=0123456789abcdef") as page:
        assert await page.shell_pid() != first
        await page.until("PTY-HOST ")
        assert page.texts == []
        assert "Error" not in page.output
    await eventually(lambda: not alive(first))


async def test_leaving_a_busy_shell_leaves_none(http: ClientSession, watched: Watched) -> None:
    async with terminal(http, watched) as page:
        pid = await page.shell_pid()
        await page.type("echo begun-$((1+1)); sleep 1000\n")
        await page.until("begun-2")
    await eventually(lambda: not alive(pid))


async def test_commands_are_typed_into_a_fresh_shell(http: ClientSession, watched: Watched) -> None:
    async with terminal(http, watched, "&commands=update") as page:
        await page.until("pip install --upgrade pyskywire && skywire --version")
        await page.type("\x03")


async def test_pasted_text_arrives_in_order(
    http: ClientSession, watched: Watched, tmp_path: Path
) -> None:
    text, file = numbered_text(PASTED), tmp_path / "pasted"
    async with terminal(http, watched) as page:
        await page.type(f"stty -echo -icanon; echo begun-$((1+1)); head -c {PASTED} > {file}\n")
        await page.until("begun-2")
        for begin in range(0, PASTED, 100):  # as fast as keys come from nobody
            await page.type(text[begin : begin + 100])
        await eventually(lambda: content(file) == text)


async def test_much_output_arrives_intact(http: ClientSession, watched: Watched) -> None:
    async with terminal(http, watched) as page:
        await page.type("seq 1 30000 | tr '\\n' ,; echo $((6*7))-x\n")
        found = await page.until(r"(1,2,[\d,]*30000,)42-x")
        assert found[1] == "".join(f"{number}," for number in range(1, 30001))


async def test_it_goes_offline_and_comes_back(http: ClientSession, watched: Watched) -> None:
    public = watched.visor.public
    watched.visor.program.kill()
    row = await row_of(http, watched.base, public, online=False)
    assert row["offline_since"]
    async with http.get(f"{watched.base}/api/visors/{public}/uptime") as response:
        assert response.status == 503
    await asyncio.to_thread(watched.visor.start)
    row = await row_of(http, watched.base, public)
    assert row["offline_since"] is None
    async with terminal(http, watched) as page:
        await page.shell_pid()
