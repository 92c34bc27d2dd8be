"""Routes of 2026 over the hypervisor's HTTP: ports, dmsg, pings, services, the process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from skywire import __version__
from tests.visor.network import Node
from tests.visor.skynet import Skynet, skynet
from tests.visor.test_skynet_api import Api, api_of, line

MALFORMED = (400, {"error": "request format is malformed"})


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Skynet]:
    async with skynet(tmp_path) as made:
        yield made


def bare(hypervisor: Node, session: aiohttp.ClientSession) -> Api:
    """The part of the API that names no visor."""
    api = Api(session, hypervisor.pk)
    api._base = "/api"
    return api


async def test_ports_are_forwarded_listed_and_reached(net: Skynet) -> None:
    a, _, c = await line(net)
    async with asyncio.timeout(40), api_of(a, c) as far, api_of(a, a) as own:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        assert await far.ask("POST", "/skynet-ports/register", {"port": port}) == (200, {})
        status, again = await far.ask("POST", "/skynet-ports/register", {"port": port})
        assert (status, again) == (500, {"error": f"Port :{port} already registered"})
        assert await far.get("/skynet-ports") == [port]
        changed = {"port": port, "label": "page", "whitelist": [str(a.pk)]}
        assert await far.ask("PUT", "/forwarded-ports/update", changed) == (200, {})
        (entry,) = await far.get("/forwarded-ports")
        assert (entry["port"], entry["label"]) == (port, "page")
        assert entry["whitelist"] == [str(a.pk)]
        more = {"port": 7777, "target": f"localhost:{port}"}
        assert await far.ask("POST", "/forwarded-ports/register", more) == (200, {})
        assert len(await far.get("/forwarded-ports")) == 2

        wanted = {"remote_pk": str(c.pk), "remote_port": port, "name": "mine"}
        status, made = await own.ask("POST", "/skynet-forwards/connect", wanted)
        assert (status, made["remote_pk"], made["name"]) == (200, str(c.pk), "mine")
        (shown,) = await own.get("/skynet-forwards")
        assert shown["local_port"] == made["local_port"] > 0
        assert await own.ask("POST", "/skynet-forwards/disconnect", {"name": "mine"}) == (200, {})
        assert await own.get("/skynet-forwards") == []
        assert await far.ask("POST", "/skynet-ports/deregister", {"port": port}) == (200, {})
        assert await far.get("/skynet-ports") == [7777]
        bad: list[Any] = [{"port": 0}, {"port": 65536}, {"port": "80"}, {}, [], {"port": 1, "x": 1}]
        for body in bad:
            assert await far.ask("POST", "/skynet-ports/register", body) == MALFORMED
            assert await far.ask("POST", "/forwarded-ports/register", body) == MALFORMED
        server.close()


async def test_pings_routes_and_the_process(net: Skynet) -> None:
    a, b, c = await line(net)
    async with asyncio.timeout(60), api_of(a, c) as far:
        status, pong = await far.ask("POST", "/dmsg-ping-target", {"pk": str(b.pk)})
        assert (status, len(pong["server"])) == (200, 66), pong
        assert 0 < pong["round_trip"] < 5e9
        status, trace = await far.ask("POST", "/ping-target", {"pk": str(a.pk), "tries": 2})
        assert status == 200, trace
        assert len(trace["taken"]) == 2
        assert [hop["to_pk"] for hop in trace["hops"]] == [str(b.pk), str(a.pk)]
        assert await far.ask("POST", "/ping-target", {"pk": str(a.pk), "tries": 11}) == MALFORMED

        for path in ("route-find", "route-calc"):
            found = await far.get(f"/{path}?to={a.pk}")
            assert [hop["to"] for hop in found["forward"]] == [str(b.pk), str(a.pk)], path
            assert [hop["to"] for hop in found["reverse"]] == [str(b.pk), str(c.pk)]
        status, none = await far.ask("GET", f"/route-find?to={a.pk}&min_hops=3&max_hops=2")
        assert (status, none["error"]) == (500, "3 to 2 hops: expected the smaller one first")
        status, none = await far.ask("GET", f"/route-find?to={a.pk}&min_hops=x")
        assert status == 400
        assert (await far.ask("GET", "/route-find?to=zz"))[0] == 400

        assert await far.get("/router-settings") == {"min_hops": 0, "calculate_routes": False}
        wanted = {"min_hops": 2, "calculate_routes": True}
        assert await far.ask("PUT", "/router-settings", wanted) == (200, wanted)
        assert await far.ask("PUT", "/router-settings", {}) == (200, wanted)
        assert c.visor.config.routing.min_hops == 2

        stats = await far.get("/runtime-stats")
        assert stats["version"] == f"v{__version__}"
        assert stats["memory"] > 1e6
        assert stats["tasks"] > 1
        assert (await far.get("/host-stats"))["cpu_cores"] > 0
        config = await far.get("/runtime-config")
        assert config["pk"] == str(c.pk)
        assert c.visor.config.sk.hex() not in str(config)

        assert len(await far.get("/dmsg/sessions")) == 1
        count = {"sessions_count": 2}
        assert await far.ask("PUT", "/dmsg/sessions-count", count) == (200, {})
        assert await far.get("/dmsg/sessions-count") == 2
        assert await far.ask("POST", "/dmsg/connect-all") == (200, {})
        assert await far.ask("PUT", "/dmsg/sessions-count", {"sessions_count": -1}) == MALFORMED


async def test_what_our_own_visor_tells_of_the_network(net: Skynet) -> None:
    a, b, c = await line(net)
    url = a.fact("hypervisor", "url")
    async with asyncio.timeout(40), aiohttp.ClientSession(url) as session:
        api = bare(a, session)
        services = {one["name"]: one for one in await api.get("/service-health")}
        assert services["transport.discovery"]["status"] == "healthy"
        edges = {tuple(one["edges"]) for one in await api.get("/network/transports")}
        assert {(str(min(one, b.pk)), str(max(one, b.pk))) for one in (a.pk, c.pk)} <= edges
        told = await api.get("/svc-fetch?service=transport_discovery&path=/health")
        assert "build_info" in told
        assert await api.get("/svc-fetch?service=routing.route_finder") is not None
        status, none = await api.ask("GET", "/svc-fetch?service=nobody")
        assert (status, none["error"][:29]) == (404, "no service 'nobody' in this v")
        for path in ("health", "//evil", "/a b", ""):
            found, _ = await api.ask("GET", f"/svc-fetch?service=route_finder&path={path}")
            assert found == (200 if not path else 400), path
        assert len(await api.get("/dmsg/sessions")) == 1
        assert await api.ask("PUT", "/dmsg/sessions-count", {"sessions_count": 1}) == (200, {})
        assert await api.get("/dmsg/sessions-count") == 1
        assert await api.ask("POST", "/dmsg/connect-all") == (200, {})


async def test_apps_are_added_and_taken_away(net: Skynet) -> None:
    a, _, c = await line(net)
    async with asyncio.timeout(30), api_of(a, c) as far:
        wanted = {"name": "mine", "binary": "skywire"}
        assert await far.ask("POST", "/apps", wanted) == (200, {})
        (shown,) = await far.get("/apps")
        assert (shown["name"], shown["status"]) == ("mine", 0)
        status, again = await far.ask("POST", "/apps", wanted)
        assert (status, again["error"]) == (500, 'an app "mine" is in the config already')
        assert await far.ask("DELETE", "/apps/mine") == (200, {})
        assert await far.get("/apps") == []
        status, _ = await far.ask("DELETE", "/apps/mine")
        assert status == 404
        assert await far.ask("POST", "/apps", {"name": "x"}) == MALFORMED
