"""Hypervisors below hypervisors, with real visors: 3090 a to g, lines of four, circles.

Source: update-2026-06-12.md 3090, hypervisor.md §7, §10 nos. 11, 12.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, NotSupported
from skywire.ports import DMSG_PTY
from skywire.pty.web_frames import CLOSED_LINE
from skywire.streams.stream import Listener, Stream
from skywire.testing.wait import eventually
from skywire.visor import ops_hv
from skywire.visor.ops_hv import HVSetMinHops
from tests.visor.lines import Line, key, line
from tests.visor.network import SOON

A, B, C, D = map(key, "abcd")


@pytest.fixture
async def abc(tmp_path: Path) -> AsyncIterator[Line]:
    async with line(tmp_path, "a", "b", "c") as made:
        yield made


@pytest.fixture
async def abcd(tmp_path: Path) -> AsyncIterator[Line]:
    async with line(tmp_path, "a", "b", "c", "d") as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


class Page:
    """A web terminal as the page in the browser uses it."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self.output = b""
        self.session = ""

    async def type(self, text: str) -> None:
        await self._socket.send_str(text)

    async def until(self, pattern: bytes) -> "re.Match[bytes]":
        """What is printed, once the pattern is in it; the output before it is dropped."""
        try:
            async with asyncio.timeout(SOON):
                while (found := re.search(pattern, self.output)) is None:
                    assert await self._receive(), self.output
        except TimeoutError:
            raise AssertionError(f"{pattern!r} is not in {self.output!r}") from None
        self.output = self.output[found.end() :]
        return found

    async def until_closed(self) -> bytes:
        async with asyncio.timeout(SOON):
            while await self._receive():
                pass
        return self.output

    async def _receive(self) -> bool:
        message = await self._socket.receive()
        if message.type is WSMsgType.TEXT:
            self.session = json.loads(message.data)["id"]
        elif message.type is WSMsgType.BINARY:
            self.output += message.data
        return message.type in (WSMsgType.TEXT, WSMsgType.BINARY)


@asynccontextmanager
async def terminal(
    http: ClientSession, made: Line, pk: PubKey, query: str = ""
) -> AsyncIterator[Page]:
    async with http.ws_connect(f"{made.url('a')}/pty/{pk}?{query}") as socket:
        yield Page(socket)


async def status(http: ClientSession, url: str) -> int:
    async with asyncio.timeout(SOON), http.get(url) as response:
        await response.read()
        return response.status


async def until_status(http: ClientSession, url: str, *wanted: int) -> None:
    async with asyncio.timeout(SOON):
        while await status(http, url) not in wanted:  # noqa: ASYNC110 - an HTTP service
            await asyncio.sleep(0.1)


async def until_admitted(made: Line, name: str) -> None:
    """Once the key of A has come down to the visor."""
    terminals = made[name].visor.terminals
    assert terminals is not None
    await eventually(lambda: A in terminals.host.whitelist, SOON)


def owners(made: Line, name: str) -> list[PubKey]:
    """Of the shells on the visor."""
    sessions = made[name].visor.own_terminals().host.sessions
    assert sessions is not None
    return [one.owner for one in sessions.seen_by(made[name].pk)]


class NoRoutes:
    """Skynet without any way; `dialled` is who was asked for."""

    can_dial = True

    def __init__(self) -> None:
        self.dialled: list[tuple[PubKey, int]] = []

    async def dial(self, remote: PubKey, port: int, /) -> Stream:
        self.dialled.append((remote, port))
        raise DialFailed("no route")

    def listen(self, port: int, /) -> Listener:
        raise NotSupported("nobody listens here")


async def test_3090_a_the_page_of_one_behind_is_there(abc: Line, http: ClientSession) -> None:
    async with http.get(f"{abc.url('a')}/pty/{C}") as response:
        assert response.status == 200
        assert response.content_type == "text/html"


async def test_3090_b_its_shell_is_the_far_one_and_its_owner_is_a(
    abc: Line, http: ClientSession
) -> None:
    await until_admitted(abc, "c")
    async with terminal(http, abc, C) as page:
        await page.type("echo $((6*7))-shell; id\n")
        await page.until(rb"42-shell")
        await page.until(rb"uid=\d+")
        assert (owners(abc, "c"), owners(abc, "b")) == ([A], [])
        await page.type("exit\n")
        assert CLOSED_LINE in await page.until_closed()


async def test_3090_c_the_terminal_outlives_the_hypervisor_between(
    abc: Line, http: ClientSession
) -> None:
    await until_admitted(abc, "c")
    api = f"{abc.url('a')}/api/visors/{C}"
    async with terminal(http, abc, C) as page:
        await page.type("echo $((6*7))-before\n")
        await page.until(rb"42-before")
        assert await status(http, f"{api}/summary") == 200
        await abc["b"].stop()
        await until_status(http, f"{api}/summary", 404, 503)
        await page.type("echo $((6*7))-after\n")
        await page.until(rb"42-after")
        await page.type("exit\n")
        await page.until_closed()


async def test_3090_d_who_is_not_admitted_is_told_in_the_terminal(
    abc: Line, http: ClientSession
) -> None:
    await until_admitted(abc, "c")
    abc["c"].visor.own_terminals().host.whitelist.remove([A])
    assert await status(http, f"{abc.url('a')}/pty/{C}") == 200
    async with terminal(http, abc, C) as page:
        output = await page.until_closed()
    assert re.search(rb"\[skypty-ui\] Error: .+Stopped!", output, re.DOTALL), output


async def test_3090_e_a_key_that_nobody_knows_is_not_found(abc: Line, http: ClientSession) -> None:
    unknown = key("unknown")
    assert await status(http, f"{abc.url('a')}/pty/{unknown}") == 404
    assert await status(http, f"{abc.url('a')}/api/visors/{unknown}/summary") == 404


async def test_3090_f_with_scheme_dmsg_nothing_else_is_tried(
    abc: Line, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until_admitted(abc, "c")
    routes = NoRoutes()
    monkeypatch.setattr(abc["a"].visor.network, "_routes", routes)
    for query, dialled in (("scheme=dmsg", []), ("", [(C, DMSG_PTY)])):
        async with terminal(http, abc, C, query) as page:
            await page.type("echo $((6*7))-dmsg\n")
            await page.until(rb"42-dmsg")
            await page.type("exit\n")
            await page.until_closed()
        assert routes.dialled == dialled


async def test_3090_g_a_connection_that_is_cut_comes_back_to_the_same_shell(
    abc: Line, http: ClientSession
) -> None:
    await until_admitted(abc, "c")
    async with terminal(http, abc, C) as page:
        await page.type("echo pid-$$-\n")
        pid = (await page.until(rb"pid-(\d+)-\r\n"))[1]
        session = page.session
        assert session
        await page.type("(sleep 0.5; echo late-$((6*7))-)& echo begun-$((1+1))\n")
        await page.until(rb"begun-2")
    async with terminal(http, abc, C, f"sid={session}") as page:
        await page.until(rb"late-42-")
        await page.type("echo pid-$$-\n")
        assert (await page.until(rb"pid-(\d+)-\r\n"))[1] == pid
        assert owners(abc, "c") == [A]
        await page.type("exit\n")
        await page.until_closed()


async def tree(http: ClientSession, made: Line, name: str = "a") -> dict[str, list[str]]:
    """The visors of each section in the pages of `name`, by the way to it; all by their names."""
    names = {str(node.pk): known for known, node in made.nodes.items()}
    async with asyncio.timeout(SOON), http.get(f"{made.url(name)}/api/visors-tree-summary") as got:
        sections = (await got.json())["sections"]
    return {
        "".join(names[key] for key in [*one.get("via_chain", []), one["hypervisor_pk"]]): [
            names[row["overview"]["local_pk"]] for row in one["visors"]
        ]
        for one in sections
    }


def sorted_by_key(names: str) -> list[str]:
    return [names[0], *sorted(names[1:], key=key)]


async def until_tree(http: ClientSession, made: Line, wanted: dict[str, list[str]]) -> None:
    async with asyncio.timeout(SOON):
        while (found := await tree(http, made)) != wanted:
            assert found.keys() <= wanted.keys(), found
            await asyncio.sleep(0.1)


async def test_four_in_a_line(abcd: Line, http: ClientSession) -> None:
    """A lists D, sees it, changes it and opens a terminal on it, two hypervisors away."""
    wanted = {"a": ["a"], "ab": sorted_by_key("bc"), "abc": sorted_by_key("cd")}
    await until_tree(http, abcd, wanted)
    found = await ops_hv.list_visors_tree(abcd["a"].visor)
    assert [section.via_chain for section in found.sections] == [[], [A], [A, B]]
    flat = await ops_hv.list_visors(abcd["a"].visor)
    assert {entry.pk: entry.proxied_via for entry in flat} == {A: None, B: None, C: B, D: C}
    assert all(entry.load is not None for entry in flat)
    await ops_hv.set_min_hops_of(abcd["a"].visor, HVSetMinHops(D, 3))
    assert abcd["d"].visor.config.routing.min_hops == 3
    async with http.get(f"{abcd.url('a')}/api/visors/{D}/summary") as response:
        assert (await response.json())["min_hops"] == 3
    await until_admitted(abcd, "d")
    async with terminal(http, abcd, D) as page:
        await page.type("echo $((6*7))-far\n")
        await page.until(rb"42-far")
        assert owners(abcd, "d") == [A]
        await page.type("exit\n")
        await page.until_closed()


async def test_the_page_says_how_old_and_how_reached(abc: Line, http: ClientSession) -> None:
    await until_tree(http, abc, {"a": ["a"], "ab": sorted_by_key("bc")})

    async def row() -> dict[str, Any]:
        async with http.get(f"{abc.url('a')}/api/visors-tree-summary") as response:
            rows: list[dict[str, Any]] = (await response.json())["sections"][1]["visors"]
        return next(one for one in rows if one["overview"]["local_pk"] == str(C))

    found = await row()
    assert (found["online"], found["stale"], found["source"]) == (True, False, "nested")
    assert found["proxied_via"] == str(B)
    assert 0 <= found["summary_age"] < SOON
    assert found["load"]["cpu_cores"] > 0
    await abc["b"].stop()
    async with asyncio.timeout(SOON):
        while (found := await row())["online"]:  # noqa: ASYNC110 - an HTTP service
            await asyncio.sleep(0.1)
    assert found["stale"] is True
    assert found["uptime"] > 0, "what was known of it stays"


async def test_two_that_control_each_other(tmp_path: Path, http: ClientSession) -> None:
    """A → B → A, and C is behind B: lists end at once, and so do requests for nobody."""
    async with line(tmp_path) as made:
        await made.start("a", "b")
        await made.start("b", "a")
        await made.sees("b", "a")
        await made.start("c", "b", hypervisor=False)
        await until_tree(http, made, {"a": ["a"], "ab": sorted_by_key("bac")})
        started = monotonic()
        for _ in range(5):
            flat = await ops_hv.list_visors(made["a"].visor)
            assert {entry.pk for entry in flat} == {A, B, C}
            assert {entry.pk for entry in await ops_hv.list_visors(made["b"].visor)} == {A, B, C}
        assert monotonic() - started < 3
        assert await status(http, f"{made.url('a')}/api/visors/{C}/uptime") == 200
        assert await status(http, f"{made.url('a')}/api/visors/{D}/uptime") == 404
        await made["c"].stop()
        # no request goes around for ever
        await until_status(http, f"{made.url('a')}/api/visors/{C}/uptime", 404, 500, 503)


async def test_three_in_a_circle(tmp_path: Path, http: ClientSession) -> None:
    """A → B → C → A."""
    async with line(tmp_path) as made:
        await made.start("a", "c")
        await made.start("b", "a")
        await made.start("c", "b")
        await made.sees("c", "a")
        wanted = {"a": ["a"], "ab": sorted_by_key("bc"), "abc": sorted_by_key("ca")}
        await until_tree(http, made, wanted)
        assert await status(http, f"{made.url('a')}/api/visors/{C}/uptime") == 200
        started = monotonic()
        await tree(http, made)
        assert monotonic() - started < 3


async def test_a_dead_hypervisor_between_never_slows_the_page(
    abc: Line, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B takes calls and answers none: the page shows what it told before, at once."""
    await until_tree(http, abc, {"a": ["a"], "ab": sorted_by_key("bc")})

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    for visor_call in ("direct", "below"):
        monkeypatch.setattr(abc["b"].visor.managed, visor_call, never)
    await tree(http, abc)  # the first one waits a moment
    started = monotonic()
    for _ in range(5):
        assert await tree(http, abc) == {"a": ["a"], "ab": sorted_by_key("bc")}
        assert await status(http, f"{abc.url('a')}/api/visors-summary") == 200
    assert monotonic() - started < 1.5
