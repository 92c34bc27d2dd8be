"""Transports and routes over the hypervisor's HTTP, of visors that have some."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from skywire.crypto.keys import PubKey
from skywire.testing.wait import eventually
from tests.visor.network import Node
from tests.visor.skynet import Skynet, listed, skynet

PORT = 700
UNKNOWN = "00000000-0000-0000-0000-000000000001"


class Api:
    """`pk`'s part of the API; a change takes a token first."""

    def __init__(self, session: aiohttp.ClientSession, pk: PubKey) -> None:
        self._session = session
        self._base = f"/api/visors/{pk}"

    async def get(self, path: str) -> Any:
        return (await self.ask("GET", path))[1]

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {}
        if method != "GET":
            async with self._session.get("/api/csrf") as answer:
                headers["X-CSRF-Token"] = (await answer.json())["csrf_token"]
        async with self._session.request(
            method, self._base + path, json=body, headers=headers
        ) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Skynet]:
    async with skynet(tmp_path) as made:
        yield made


@asynccontextmanager
async def api_of(hypervisor: Node, node: Node) -> AsyncIterator[Api]:
    url = hypervisor.fact("hypervisor", "url")
    async with asyncio.timeout(30), aiohttp.ClientSession(url) as session:

        async def known() -> bool:
            async with session.get(f"/api/visors/{node.pk}/uptime") as answer:
                return answer.status == 200

        while not await known():  # noqa: ASYNC110 - an HTTP service
            await asyncio.sleep(0.05)
        yield Api(session, node.pk)


async def line(net: Skynet) -> tuple[Node, Node, Node]:
    """A, the hypervisor, B and C."""
    section = net.net.hypervisor_section()
    b = await net.visor("b")
    a = await net.visor("a", "b", hypervisor=section)
    c = await net.visor("c", "b", hypervisors=[str(a.pk)])
    await listed(a, b, c)
    return a, b, c


@pytest.mark.parametrize("which", ["own", "remote"])
async def test_transports_are_shown_made_and_removed(net: Skynet, which: str) -> None:
    a, b, c = await line(net)
    node, other = (a, c) if which == "own" else (c, a)
    async with api_of(a, node) as api:
        assert sorted(await api.get("/transport-types")) == ["dmsg", "stcp"]
        (shown,) = await api.get("/transports")
        assert (shown["local_pk"], shown["remote_pk"]) == (str(node.pk), str(b.pk))
        assert (shown["type"], shown["is_setup"], shown["label"]) == ("stcp", False, "user")
        assert set(shown["log"]) == {"recv", "sent"}
        assert "log" not in (await api.get("/transports?logs=false"))[0]
        assert await api.get("/transports?type=dmsg") == []
        assert len(await api.get(f"/transports?type=dmsg&type=stcp&pk={b.pk}")) == 1
        assert (await api.get(f"/transports/{shown['id']}"))["id"] == shown["id"]

        body = {"transport_type": "dmsg", "remote_pk": str(other.pk)}
        status, made = await api.ask("POST", "/transports", body)
        assert (status, made["type"], made["remote_pk"]) == (200, "dmsg", str(other.pk))
        assert len(await api.get("/transports")) == 2
        assert await api.ask("DELETE", f"/transports/{made['id']}") == (200, True)
        text = f"transport of ID {made['id']} is not found"
        for method in ("GET", "DELETE"):
            assert await api.ask(method, f"/transports/{made['id']}") == (404, {"error": text})

        body = {"transport_type": "smoke", "remote_pk": str(other.pk)}
        refused = await api.ask("POST", "/transports", body)
        assert refused == (500, {"error": "save transport: unknown network type"})
        malformed: list[Any] = [{"transport_type": "dmsg", "remote_pk": "zz"}, {"x": 1}, []]
        for bad in malformed:
            refused = await api.ask("POST", "/transports", bad)
            assert refused == (400, {"error": "request format is malformed"})
        assert await api.ask("GET", "/transports/abc") == (400, {"error": "invalid UUID length: 3"})

        kept = await api.get("/persistent-transports")
        assert kept == [{"pk": str(b.pk), "type": "stcp"}]
        assert await api.ask("PUT", "/persistent-transports", []) == (200, {})
        assert await api.get("/persistent-transports") == []
        status, results = await api.ask("DELETE", "/transports/", [shown["id"], "x"])
        assert status == 200
        assert results[shown["id"]] == {"success": True, "error": ""}
        assert results["x"] == {"success": False, "error": "invalid UUID length: 1"}
        await eventually(lambda: not node.visor.transports.links)


@pytest.mark.parametrize("which", ["own", "remote"])
async def test_routes_are_shown_and_removed(net: Skynet, which: str) -> None:
    a, b, c = await line(net)
    node, other = (a, c) if which == "own" else (c, a)
    other.visor.network.listen(PORT)
    async with asyncio.timeout(20):
        await node.visor.network.dial(other.pk, PORT)
    async with api_of(a, node) as api:
        rows = await api.get("/routes?summary=true")
        assert {row["rule_summary"]["rule_type"] for row in rows} == {0, 1}
        assert all("rule_summary" not in row for row in await api.get("/routes"))
        (group,) = await api.get("/routegroups")
        assert (group["desc"]["dst_pk"], group["desc"]["src_pk"]) == (str(node.pk), str(other.pk))
        assert [hop["to"] for hop in group["hops"]] == [str(b.pk), str(other.pk)]
        key = rows[0]["key"]
        assert (await api.get(f"/routes/{key}"))["rule"] == rows[0]["rule"]
        assert await api.ask("GET", "/routes/4000000") == (404, {"error": "rule not found"})
        for text in ("x", "-1", "4294967296"):
            refused = await api.ask("GET", f"/routes/{text}")
            assert refused == (400, {"error": "invalid route ID provided"})
        assert await api.ask("DELETE", "/routes/4000000") == (200, True)  # as in Go
        status, results = await api.ask("DELETE", "/routes/", [str(key), "4000000"])
        assert status == 200
        assert results[str(key)] == {"success": True, "error": ""}
        assert results["4000000"]["error"] == "route of ID 4000000 is not found"
        assert len(await api.get("/routes")) == 1
        assert (await api.ask("DELETE", "/routes/", [1]))[0] == 400
