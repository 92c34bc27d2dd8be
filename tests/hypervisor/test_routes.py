"""The routes there are, compared with the reference's, and the document that describes them."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from skywire.hypervisor.context import Context
from skywire.hypervisor.forms import form_of
from skywire.hypervisor.openapi import document
from skywire.hypervisor.server import build_app
from tests.hypervisor.harness import hypervisor

# hypervisor.md §4.1, §4.2
GLOBAL_2024 = """
GET /api/ping
GET /api/csrf
POST /api/create-account
POST /api/login
POST /api/logout
GET /api/user
POST /api/change-password
GET /api/about
GET /api/dmsg
GET /api/visors
GET /api/visors-summary
* /pty/{pk}
"""
GLOBAL_2026 = """
GET /api/user-exists
GET /api/pk
GET /api/visors-tree-summary
GET /api/service-health
GET /api/svc-fetch
GET /api/network/transports
GET /api/network/visor-uptime
GET /api/network-view
GET /api/route-setup-nodes/stats
GET /api/dmsg/sessions
POST /api/dmsg/connect-all
GET /api/dmsg/sessions-count
PUT /api/dmsg/sessions-count
GET /api/lan-dmsg-server
GET /api/reward-rules
GET /api/rewards/{path}
GET /tp-viz/{path}
GET /dmsg-discovery/{path}
"""
# hypervisor.md §4.3, below /api/visors/{pk}
VISOR_2024 = """
GET
GET /summary
GET /health
GET /uptime
GET /apps
GET /apps/{app}
PUT /apps/{app}
GET /apps/{app}/logs
GET /apps/{app}/stats
GET /apps/{app}/connections
GET /transport-types
GET /transports
POST /transports
DELETE /transports/
GET /transports/{tid}
DELETE /transports/{tid}
PUT /public-autoconnect
GET /routes
POST /routes
GET /routes/{rid}
PUT /routes/{rid}
DELETE /routes/{rid}
DELETE /routes/
GET /routegroups
POST /shutdown
GET /runtime-logs
POST /min-hops
GET /persistent-transports
PUT /persistent-transports
GET /log/rotation
PUT /log/rotation
GET /reward
PUT /reward
DELETE /reward
"""
VISOR_2026 = """
POST /apps
DELETE /apps/{app}
GET /apps/{app}/help
GET /router-settings
PUT /router-settings
GET /routing-policies
GET /runtime-stats
GET /host-stats
GET /public
GET /runtime-config
GET /local-transport-stats
GET /local-uptime-stats
GET /ports
GET /proxies
POST /proxies/set
POST /proxies/upstream
GET /skynet-ports
POST /skynet-ports/register
POST /skynet-ports/deregister
GET /forwarded-ports
POST /forwarded-ports/register
PUT /forwarded-ports/update
GET /skynet-forwards
POST /skynet-forwards/connect
POST /skynet-forwards/disconnect
GET /dmsg/sessions
POST /dmsg/connect-all
GET /dmsg/sessions-count
PUT /dmsg/sessions-count
POST /ping-target
POST /dmsg-ping-target
GET /health-fetch
GET /route-find
GET /route-calc
PUT /skychat/password
GET /skychat/proxy/{path}
"""
BASE = "/api/visors/{pk}"
# what has no engine here, and why
MISSING = {
    "GET /api/pk": "what switches it on is not known; /api/about has the key",
    "GET /api/network-view": "its form is not known; network/transports and visor-uptime have it",
    "GET /api/route-setup-nodes/stats": "setup nodes tell no figures",
    "GET /api/lan-dmsg-server": "no dmsg server runs inside a visor",
    "GET /api/reward-rules": "the reward system has pages of its own",
    "GET /api/rewards/{path}": "the reward system has pages of its own",
    "GET /tp-viz/{path}": "the page of the network's transports is ours",
    "GET /dmsg-discovery/{path}": "no dmsg discovery runs inside a visor",
    f"GET {BASE}/apps/{{app}}/help": "an app tells its flags to who runs it with --help",
    f"GET {BASE}/routing-policies": "a route is chosen by its hops alone",
    f"GET {BASE}/public": "is_public is in the summary and the config; it takes a restart",
    f"GET {BASE}/local-transport-stats": "each day's traffic is in files of the log server",
    f"GET {BASE}/local-uptime-stats": "uptimes are the tracker's",
    f"GET {BASE}/proxies": "no proxies are embedded in a visor",
    f"POST {BASE}/proxies/set": "no proxies are embedded in a visor",
    f"POST {BASE}/proxies/upstream": "no proxies are embedded in a visor",
    f"PUT {BASE}/skychat/password": "skychat is an app with a page of its own",
    f"GET {BASE}/skychat/proxy/{{path}}": "skychat is an app with a page of its own",
}


def reference() -> set[str]:
    below = {
        f"{method} {BASE}{path}"
        for line in (VISOR_2024 + VISOR_2026).splitlines()
        if line
        for method, _, path in [line.partition(" ")]
    }
    return below | set(filter(None, (GLOBAL_2024 + GLOBAL_2026).splitlines()))


def registered(context: Context) -> dict[str, Any]:
    app = build_app(context)
    return {
        f"{route.method} {route.resource.canonical}": route.handler
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


async def test_every_route_of_the_reference_is_there_or_has_a_reason(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (_, _, context):
        ours = set(registered(context))
    assert reference() - ours == set(MISSING)
    assert set(MISSING) <= reference()


async def test_without_accounts_their_routes_do_not_exist(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, context):
        gone = {route for route in reference() if route not in registered(context)} - set(MISSING)
        assert gone == {
            "POST /api/create-account",
            "POST /api/login",
            "POST /api/logout",
            "GET /api/user",
            "POST /api/change-password",
            "GET /api/user-exists",
        }
        assert (await client.get("/api/user-exists")).status == 404


async def test_every_route_says_what_it_is_for(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (_, _, context):
        for route, handler in registered(context).items():
            if "/api/" in route:
                assert form_of(handler).help or inspect.getdoc(handler), route


@pytest.mark.parametrize("auth", [True, False])
async def test_the_document_is_valid_and_complete(tmp_path: Path, auth: bool) -> None:
    async with hypervisor(tmp_path, auth=auth) as (_, _, context):
        found = document(build_app(context), auth=auth)
        validate(found)
        told = {
            f"{method.upper()} {path}" for path, item in found["paths"].items() for method in item
        }
        assert told == {route for route in registered(context) if " /api/" in route}
        names = [one["operationId"] for item in found["paths"].values() for one in item.values()]
        assert len(names) == len(set(names))


async def test_the_document_tells_bodies_answers_and_who_may(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (_, _, context):
        found = document(build_app(context), auth=True)
        hops = found["paths"][f"{BASE}/min-hops"]["post"]
        assert hops["requestBody"]["content"]["application/json"]["schema"] == {
            "$ref": "#/components/schemas/MinHops"
        }
        assert hops["security"] == [{"session": []}]
        assert {one["name"] for one in hops["parameters"]} == {"pk", "X-CSRF-Token"}
        assert "security" not in found["paths"]["/api/login"]["post"]
        schemas = found["components"]["schemas"]
        assert schemas["MinHops"]["properties"]["min_hops"]["maximum"] == 0xFFFF
        overview = found["paths"][BASE]["get"]["responses"]["200"]["content"]["application/json"]
        assert overview["schema"] == {"$ref": "#/components/schemas/Overview"}
        assert "is_symmetic_nat" in schemas["Overview"]["required"]
        assert "hostname" not in schemas["Overview"]["required"]
        assert {"name", "status", "auto_start"} <= set(schemas["AppState"]["properties"])


async def test_it_is_for_those_who_are_logged_in(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        assert (await client.get("/api/openapi.json")).status == 401
    async with hypervisor(tmp_path, auth=False) as (client, _, _):
        body = await (await client.get("/api/openapi.json")).json()
        assert body["openapi"] == "3.1.0"
