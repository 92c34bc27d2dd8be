"""What new visors are told. Source: services.md §7."""

import json

import msgspec
import pytest
from aiohttp import web

from skywire.config.deployment import Deployment, deployment
from skywire.services.config_bootstrapper import ConfigBootstrapper
from tests.services.serving import ALICE, BOB, serving


async def test_the_config_is_told_in_the_references_order() -> None:
    production = deployment()
    async with serving(ConfigBootstrapper(production).app()) as conf:
        answer = await conf.ask("GET", "/")
    assert answer.content_type == "application/json"
    assert answer.body.startswith(b'{"dmsg_discovery":"http://dmsgd.skywire.skycoin.com",')
    assert not answer.body.endswith(b"\n")
    assert list(json.loads(answer.body)) == [
        "dmsg_discovery",
        "transport_discovery",
        "address_resolver",
        "route_finder",
        "route_setup_nodes",
        "transport_setup",
        "uptime_tracker",
        "service_discovery",
        "stun_servers",
        "dns_server",
        "survey_whitelist",
    ]
    assert msgspec.json.decode(answer.body, type=Deployment) == production.told()


async def test_what_is_empty_is_left_out() -> None:
    async with serving(ConfigBootstrapper(Deployment(dns_server="1.1.1.1")).app()) as conf:
        assert (await conf.ask("GET", "/")).body == b'{"dns_server":"1.1.1.1"}'
        health = json.loads((await conf.ask("GET", "/health")).body)
    assert set(health) == {"build_info", "started_at"}


def services(health: object, servers: object) -> web.Application:
    async def tell(request: web.Request) -> web.Response:
        return web.json_response(health if request.path == "/health" else servers)

    app = web.Application()
    app.add_routes([web.get("/health", tell), web.get("/dmsg-discovery/all_servers", tell)])
    return app


async def test_where_services_are_on_dmsg_is_gathered() -> None:
    server = {"static": str(BOB), "server": {"address": "192.0.2.1:80", "more": 1}, "version": "x"}
    async with serving(services({"dmsg_address": f"{ALICE}:80"}, [server])) as there:
        rules = ConfigBootstrapper(
            Deployment(
                dmsg_discovery=there.url,
                transport_discovery=there.url,
                address_resolver="http://127.0.0.1:1",
            )
        )
        async with serving(rules.app()) as conf:
            before = json.loads((await conf.ask("GET", "/dmsghttp")).body)
            assert before["dmsg_servers"] is None
            await rules.refresh()
            after = json.loads((await conf.ask("GET", "/dmsghttp")).body)
    assert after == {
        "dmsg_servers": [{"static": str(BOB), "server": {"address": "192.0.2.1:80"}}],
        "dmsg_discovery": f"dmsg://{ALICE}:80",
        "transport_discovery": f"dmsg://{ALICE}:80",
        "address_resolver": "",
        "route_finder": "",
        "uptime_tracker": "",
        "service_discovery": "",
    }


@pytest.mark.parametrize(("health", "servers"), [([], {}), ({"dmsg_address": 7}, [7]), ({}, [])])
async def test_answers_that_make_no_sense_are_no_answers(health: object, servers: object) -> None:
    async with serving(services(health, servers)) as there:
        rules = ConfigBootstrapper(Deployment(dmsg_discovery=there.url))
        await rules.refresh()
        async with serving(rules.app()) as conf:
            told = json.loads((await conf.ask("GET", "/dmsghttp")).body)
    assert (told["dmsg_servers"], told["dmsg_discovery"]) == (None, "")
