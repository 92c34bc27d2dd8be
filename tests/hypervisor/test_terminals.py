"""The sessions that visors keep, over HTTP: who is told of them, who attaches, who ends them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse

from skywire.crypto.keys import PubKey
from skywire.errors import RemoteProtocolError, SkywireError, StreamReset
from skywire.hypervisor import terminals
from skywire.rpc.server import RpcServer
from skywire.streams.supervise import Tasks
from skywire.testing.processes import alive
from skywire.testing.wait import eventually
from tests.hypervisor.harness import hypervisor, key
from tests.pty.test_web import shell_pid
from tests.pty.web_kit import Browser
from tests.visor.network import Net, Node, network

pytestmark = pytest.mark.timeout(60)


class Page:
    """What a browser does with a hypervisor."""

    def __init__(self, http: ClientSession) -> None:
        self._http = http

    async def reach(self, pk: PubKey) -> None:
        """Wait until the visor has connected."""
        await self.until(f"/api/visors/{pk}/uptime", lambda status, _: status == 200)

    async def until(self, path: str, wanted: Callable[[int, Any], bool]) -> None:
        async with asyncio.timeout(20):
            while not wanted(*await self.ask("GET", path)):  # noqa: ASYNC110 - an HTTP service
                await asyncio.sleep(0.02)

    async def ask(self, method: str, path: str) -> tuple[int, Any]:
        headers = {}
        if method != "GET":
            async with self._http.get("/api/csrf") as answer:
                headers["X-CSRF-Token"] = (await answer.json())["csrf_token"]
        async with self._http.request(method, path, headers=headers) as answer:
            return answer.status, await answer.json()

    async def sessions(self, pk: PubKey, query: str = "") -> list[dict[str, Any]]:
        status, found = await self.ask("GET", f"/api/visors/{pk}/sessions{query}")
        assert status == 200, found
        return list(found)

    @asynccontextmanager
    async def terminal(self, pk: PubKey, query: str = "") -> AsyncIterator[Browser]:
        ws: ClientWebSocketResponse
        async with self._http.ws_connect(
            f"/pty/{pk}?flow=1&scheme=dmsg{query}", autoping=False, max_msg_size=0
        ) as ws:
            yield Browser(ws, pong=True)


@asynccontextmanager
async def page(of: Node) -> AsyncIterator[Page]:
    async with ClientSession(of.fact("hypervisor", "url")) as http:
        yield Page(http)


async def start(net: Net, name: str, *hypervisors: Node, hypervises: bool = False) -> Node:
    more: dict[str, Any] = {"hypervisors": [str(each.pk) for each in hypervisors]}
    if hypervises:
        section = net.hypervisor_section()
        more["hypervisor"] = section | {"db_path": section["db_path"] + name}
    return await net.start(net.config(name, **more))


@pytest.fixture
async def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Net]:
    monkeypatch.setenv("HOME", str(tmp_path))  # what else a shell reads there may take long
    async with network(tmp_path) as made:
        await made.start_discovery()
        await made.start_server()
        yield made


async def test_a_session_is_listed_peeked_at_attached_and_ended(net: Net) -> None:
    a = await start(net, "a", hypervises=True)
    b = await start(net, "b", a)
    async with page(a) as own:
        await own.reach(b.pk)
        assert await own.sessions(b.pk) == []
        async with own.terminal(b.pk) as first:
            sid = (await first.until_text("session"))["id"]
            pid = await shell_pid(first)
            await first.type("PS1='> '; clear; for n in 1 2 3 4 5; do echo li''ne-$n; done\n")
            path = f"/api/visors/{b.pk}/sessions"
            await own.until(path, lambda _, found: found[0]["last_lines"][-1:] == [">"])
            (shown,) = await own.sessions(b.pk)
            lasting = {"id": sid, "owner": str(a.pk), "mine": True, "command": "/bin/bash"}
            size = {"rows": 30, "cols": 100, "idle": 0.0, "viewers": 1, "end": ""}
            assert shown.items() >= (lasting | size).items()
            assert shown["last_lines"] == ["line-4", "line-5", ">"]
            assert shown["started"].startswith("20")
            (peeked,) = await own.sessions(b.pk, f"?id={sid}&lines=4")
            assert peeked["last_lines"] == ["line-3", "line-4", "line-5", ">"]
            async with own.terminal(b.pk, f"&sid={sid}") as second:
                assert (await second.until_text("open"))["attached"]
                await second.until(b"line-5")
                assert (await own.sessions(b.pk))[0]["viewers"] == 2
        await own.until(path, lambda _, found: found[0]["idle"] > 0)
        assert (await own.sessions(b.pk))[0]["viewers"] == 0
        assert alive(pid)
        assert await own.ask("DELETE", f"/api/visors/{b.pk}/sessions/{sid}") == (200, {})
        assert not alive(pid)
        assert await own.sessions(b.pk) == []
        for method, path in (("DELETE", f"/sessions/{sid}"), ("GET", f"/sessions?id={sid}")):
            status, body = await own.ask(method, f"/api/visors/{b.pk}{path}")
            assert (status, body) == (404, {"error": "dmsgpty: session not found"})
        _, entries = await own.ask("GET", "/api/audit?action=end%20terminal%20session")
        assert [(one["details"], one["ok"]) for one in entries] == [
            ({"sid": sid}, False),
            ({"sid": sid}, True),
        ]
        status, body = await own.ask("GET", f"/api/visors/{b.pk}/sessions?lines=x")
        assert (status, "lines" in body["error"]) == (400, True)


async def test_another_hypervisor_learns_nothing_of_it(net: Net) -> None:
    a = await start(net, "a", hypervises=True)
    other = await start(net, "other", hypervises=True)
    b = await start(net, "b", a, other)
    async with page(a) as own, page(other) as foreign:
        await own.reach(b.pk)
        await foreign.reach(b.pk)
        async with own.terminal(b.pk) as shell:
            sid = (await shell.until_text("session"))["id"]
            assert await foreign.sessions(b.pk) == []
            for id in (sid, "0123456789abcdef"):
                for method, path in (("DELETE", f"/sessions/{id}"), ("GET", f"/sessions?id={id}")):
                    found = await foreign.ask(method, f"/api/visors/{b.pk}{path}")
                    assert found == (404, {"error": "dmsgpty: session not found"})
                async with foreign.terminal(b.pk, f"&view=1&sid={id}") as viewer:
                    assert (await viewer.until_text("closed"))["reason"] == "refused"
            async with foreign.terminal(b.pk, f"&sid={sid}") as fresh:
                assert (await fresh.until_text("open"))["attached"] is False
            assert [one["id"] for one in await own.sessions(b.pk)] == [sid]


async def test_a_hypervisors_own_visor_shows_all_its_sessions(net: Net) -> None:
    """Attach to its own; look on at those of others, and end them."""
    top = await start(net, "top", hypervises=True)
    a = await start(net, "a", top, hypervises=True)
    async with page(a) as own, page(top) as above:
        await above.reach(a.pk)
        async with own.terminal(a.pk) as local, above.terminal(a.pk) as remote:
            mine = (await local.until_text("session"))["id"]
            theirs = (await remote.until_text("session"))["id"]
            shown = {one["id"]: one for one in await own.sessions(a.pk)}
            assert {id: one["mine"] for id, one in shown.items()} == {mine: True, theirs: False}
            assert shown[theirs]["owner"] == str(top.pk)
            assert [one["id"] for one in await above.sessions(a.pk)] == [theirs]
            async with own.terminal(a.pk, f"&sid={mine}") as second:
                assert (await second.until_text("open"))["attached"]
            await remote.type("echo for who lo''oks on\n")
            async with own.terminal(a.pk, f"&view=1&sid={theirs}") as viewer:
                await viewer.until(b"for who looks on")
            await own.ask("DELETE", f"/api/visors/{a.pk}/sessions/{theirs}")
            assert (await remote.until_text("closed"))["reason"] == "exit"


async def test_one_behind_another_hypervisor_is_asked_directly(net: Net) -> None:
    a = await start(net, "a", hypervises=True)
    b = await start(net, "b", a, hypervises=True)
    c = await start(net, "c", b)
    async with page(a) as own, page(b) as middle:
        await middle.reach(c.pk)
        await own.reach(b.pk)
        await eventually(lambda: a.pk in c.visor.own_terminals().host.whitelist)
        await own.until(f"/api/visors/{c.pk}/sessions", lambda status, _: status == 200)
        async with own.terminal(c.pk) as shell:
            sid = (await shell.until_text("session"))["id"]
            assert [one["id"] for one in await own.sessions(c.pk)] == [sid]
            assert (await own.sessions(c.pk))[0]["owner"] == str(a.pk)
            assert await middle.sessions(c.pk) == []
            assert (await own.ask("DELETE", f"/api/visors/{c.pk}/sessions/{sid}"))[0] == 200
            assert (await shell.until_text("closed"))["reason"] == "exit"


async def test_a_visor_that_keeps_none_says_so(net: Net) -> None:
    a = await start(net, "a", hypervises=True)
    pty = {"cli_network": "", "persistent_sessions": False}
    b = await net.start(net.config("b", hypervisors=[str(a.pk)], pty=pty))
    async with page(a) as own:
        await own.reach(b.pk)
        status, body = await own.ask("GET", f"/api/visors/{b.pk}/sessions")
        assert status == 501
        assert body["error"].startswith("not supported by this node: this node keeps no terminal")


async def test_a_go_visor_knows_no_sessions(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, network, context):
        stream = await network.raw(key("go"))
        tasks = Tasks("go visor")
        tasks.spawn(RpcServer({}).serve(stream))
        await eventually(lambda: key("go") in context.visors.online())
        token = (await (await client.get("/api/csrf")).json())["csrf_token"]
        path, headers = f"/api/visors/{key('go')}/sessions", {"X-CSRF-Token": token}
        for asked in (client.get(path), client.delete(f"{path}/0123", headers=headers)):
            answer = await asked
            assert answer.status == 501
            assert await answer.json() == {
                "error": "not supported by this node: it is another version"
            }
        await tasks.close()


@pytest.mark.parametrize("reached", [StreamReset("gone"), RemoteProtocolError("odd")])
async def test_other_failures_stay_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: SkywireError
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise reached

    async with hypervisor(tmp_path, auth=False) as (client, network, context):
        await network.raw(key("go"))
        await eventually(lambda: key("go") in context.visors.online())
        monkeypatch.setattr(terminals, "call", fail)
        answer = await client.get(f"/api/visors/{key('go')}/sessions")
        assert (answer.status, await answer.json()) == (502, {"error": str(reached)})
