"""The data of the map. Source: services.md §8."""

import json
from typing import Any

import pytest
from aiohttp import web

from skywire.errors import InvalidValue, Unavailable
from skywire.services.node_visualizer import NodeVisualizer
from skywire.wire import transport
from skywire.wire.transport import Entry
from tests.services.serving import ALICE, BOB, serving

ENTRY = Entry.of(ALICE, BOB, "stcpr")
NODES = {"192.0.2.1": {"count": 2, "public_keys": [str(ALICE), str(BOB)]}}


def sources(transports: bytes, nodes: bytes, status: int = 200) -> web.Application:
    async def tell(request: web.Request) -> web.Response:
        if request.path == "/visor-ips":
            assert request.query["month"] == "all"
            return web.Response(body=nodes, status=status)
        return web.Response(body=transports)

    app = web.Application()
    app.add_routes([web.get("/all-transports", tell), web.get("/visor-ips", tell)])
    return app


async def shown(rules: NodeVisualizer) -> Any:
    async with serving(rules.app()) as served:
        answer = await served.ask("GET", "/map")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.body.endswith(b"}\n")
        return json.loads(answer.body)


async def test_the_map_shows_nodes_and_edges() -> None:
    listed = transport.encode_list([ENTRY])
    async with serving(sources(listed, json.dumps(NODES).encode())) as there:
        rules = NodeVisualizer(there.url, there.url)
        assert await shown(rules) == {"nodes": {}, "edges": []}
        await rules.refresh()
        assert await shown(rules) == {"nodes": NODES, "edges": json.loads(listed)}


async def test_without_an_uptime_tracker_there_are_no_nodes() -> None:
    async with serving(sources(b"null\n", b"")) as there:
        rules = NodeVisualizer(there.url)
        await rules.refresh()
        assert await shown(rules) == {"nodes": {}, "edges": []}


async def test_what_was_known_stays_when_a_source_fails() -> None:
    listed = transport.encode_list([ENTRY])
    async with serving(sources(listed, b"{}")) as there:
        rules = NodeVisualizer(there.url, there.url)
        await rules.refresh()
    with pytest.raises(Unavailable):
        await rules.refresh()
    assert len((await shown(rules))["edges"]) == 1


async def test_an_uptime_tracker_without_addresses_costs_the_addresses_only() -> None:
    listed = transport.encode_list([ENTRY])
    async with serving(sources(listed, b"{}")) as there, serving(sources(b"", b"", 500)) as empty:
        rules = NodeVisualizer(there.url, empty.url)
        await rules.refresh()
        assert await shown(rules) == {"nodes": {}, "edges": json.loads(listed)}


@pytest.mark.parametrize(
    ("transports", "nodes", "status"),
    [(b"{", b"{}", 200), (b"[]", b"[]", 200), (b"[]", b"\xff", 200), (b"[", b"{}", 500)],
)
async def test_answers_that_make_no_sense_are_refused(
    transports: bytes, nodes: bytes, status: int
) -> None:
    async with serving(sources(transports, nodes, status)) as there:
        rules = NodeVisualizer(there.url, there.url)
        with pytest.raises((InvalidValue, Unavailable)):
            await rules.refresh()
