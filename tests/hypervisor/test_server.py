"""The HTTP API: guards, headers, routes and their texts. Source: hypervisor.md §2-§4, §10."""

import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from yarl import URL

from skywire import __version__
from skywire.config.values import HostPort
from skywire.errors import Conflict, InvalidValue
from skywire.hypervisor import call, csrf, visor_routes
from skywire.hypervisor.server import serving
from skywire.testing.wait import eventually
from tests.hypervisor.harness import OWN, FakeVisor, hypervisor, key, log_in
from tests.hypervisor.test_accounts import error

A = key("a")


async def test_ping_is_the_one_answer_without_a_newline(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        response = await client.get("/api/ping")
        assert await response.text() == '"PONG!"'
        assert response.content_type == "text/plain"


async def test_every_other_route_asks_for_a_login(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        paths = ["about", "dmsg", "visors", "visors-summary", "user", f"visors/{OWN}", "nowhere"]
        for path in [f"/api/{path}" for path in paths] + [f"/pty/{OWN}"]:
            response = await client.get(path)
            assert response.status == 401, path
        with pytest.raises(WSServerHandshakeError, match="401"):
            await client.ws_connect(f"/pty/{OWN}")
        response = await client.post(f"/api/visors/{OWN}/min-hops")
        assert response.status == 401


async def test_about_and_dmsg(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, context):
        context.dmsg_servers = lambda: [A]
        assert await (await client.get("/api/about")).json() == {
            "public_key": str(OWN),
            "build": {"version": f"v{__version__}", "commit": "unknown", "date": "unknown"},
            "dmsg_connected": True,
            "dmsg_sessions": 1,
        }
        assert await (await client.get("/api/dmsg")).json() == [
            {"public_key": "0" * 66, "server_public_key": "0" * 66, "round_trip": 0}
        ]


async def test_pretty_indents(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, _):
        assert "\n  " in await (await client.get("/api/about?pretty=on")).text()
        assert "\n  " not in await (await client.get("/api/about?pretty=0")).text()
        expected = (400, "invalid 'pretty' query value of 'maybe'")
        assert await error(await client.get("/api/about?pretty=maybe")) == expected


async def test_a_connected_visor_has_its_routes(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, network, context):
        await log_in(client)
        await network.connect(FakeVisor(A))
        await eventually(lambda: A in context.visors._known)
        base = f"/api/visors/{A}"
        overview = await (await client.get(base)).json()
        assert overview["local_pk"] == str(A)
        assert overview["is_symmetic_nat"] is False
        summary = await (await client.get(f"{base}/summary")).json()
        assert (summary["online"], summary["uptime"]) == (True, 7.5)
        health = await (await client.get(f"{base}/health")).json()
        assert health == {"status": 200, "services_health": "healthy"}
        assert await (await client.get(f"{base}/uptime")).text() == "7.5\n"
        rows = await (await client.get("/api/visors-summary")).json()
        assert [row["overview"]["local_pk"] for row in rows] == [str(OWN), str(A)]
        listed = await (await client.get("/api/visors")).json()
        assert [one["local_pk"] for one in listed] == [str(OWN), str(A)]


@pytest.mark.parametrize("path", ["", "/summary", "/health", "/uptime"])
async def test_a_bad_key_and_an_unknown_visor_are_told_apart(tmp_path: Path, path: str) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, _):
        for bad in ("zz", "02" * 32, "00" * 33, str(A)[:-2] + "  "):
            response = await client.get(f"/api/visors/{bad}{path}")
            assert await error(response) == (400, "Invalid public key")
        response = await client.get(f"/api/visors/{A}{path}")
        assert await error(response) == (404, f"visor of pk '{A}' not found")


async def test_a_disconnected_visor_is_unavailable(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, network, context):
        stream = await network.connect(FakeVisor(A))
        await eventually(lambda: A in context.visors._known and context.visors._known[A].row)
        await stream.close()
        await eventually(lambda: not context.visors._known[A].online)
        for path in ("", "/summary", "/health", "/uptime"):
            status, text = await error(await client.get(f"/api/visors/{A}{path}"))
            assert status == 503
            assert text.startswith(f"visor '{A}' is currently disconnected (last seen 0s ago)")


async def test_a_visors_own_error_text_is_passed_on(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, network, context):
        fake = FakeVisor(A)
        fake.trouble = "no visor available"
        await network.connect(fake)
        await eventually(lambda: A in context.visors._known)
        response = await client.get(f"/api/visors/{A}")
        assert await error(response) == (500, "no visor available")


async def test_a_silent_visor_gives_a_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "CALL_LIMIT", 0.05)
    monkeypatch.setattr(visor_routes, "HEALTH_LIMIT", 0.05)
    async with hypervisor(tmp_path, auth=False) as (client, network, context):
        await network.raw(A)
        await eventually(lambda: A in context.visors._known)
        response = await client.get(f"/api/visors/{A}/uptime")
        assert await error(response) == (504, f"remote visor {A} did not respond within 0.05s")
        response = await client.get(f"/api/visors/{A}/health")
        assert response.status == 408
        assert (await response.json())["status"] == 408


async def test_a_change_needs_a_token(tmp_path: Path) -> None:
    """hypervisor.md §10 no. 5."""
    async with hypervisor(tmp_path, auth=False) as (client, _, context):
        path = f"/api/visors/{OWN}/min-hops"
        for method in ("POST", "PUT", "DELETE"):
            response = await client.request(method, path)
            assert await error(response) == (403, f"no csrf token for {method} request")
        token = (await (await client.get("/api/csrf")).json())["csrf_token"]
        altered = {csrf.HEADER: token[:-1] + ("A" if token[-1] != "A" else "B")}
        response = await client.post(path, headers=altered)
        assert await error(response) == (403, "invalid CSRF token")
        response = await client.post(path, headers={csrf.HEADER: token})
        assert await error(response) == (400, "request format is malformed")
        context.csrf = None
        assert (await (await client.get("/api/csrf")).json()) == {"csrf_token": ""}
        assert (await client.post(path)).status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://[::1"},
    ],
)
async def test_a_change_from_another_origin_is_refused(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        response = await client.post("/api/login", json={}, headers=headers)
        assert response.status == 403
        with pytest.raises(WSServerHandshakeError, match="403"):
            await client.ws_connect(f"/pty/{OWN}", headers=headers)


async def test_our_own_origin_passes(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        origin = {"Origin": f"http://{client.server.host}:{client.server.port}"}
        assert (await client.post("/api/logout", headers=origin)).status == 400


async def test_without_accounts_another_name_for_the_loopback_is_refused(tmp_path: Path) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, _):
        response = await client.get("/api/about", headers={"Host": "evil.example:8000"})
        status, text = await error(response)
        assert status == 403
        assert '"evil.example"' in text
        assert (await client.get("/api/about", headers={"Host": "localhost:1"})).status == 200
        for bad in ("[::1", "\udcff"):  # the second is one byte that is no UTF-8
            assert (await client.get("/api/about", headers={"Host": bad})).status == 403


async def test_every_answer_has_the_security_headers(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        for path in ("/api/ping", "/api/about", "/nowhere", "/", "/ui/js/app/api.js"):
            headers = (await client.get(path)).headers
            assert headers["X-Content-Type-Options"] == "nosniff", path
            assert headers["X-Frame-Options"] == "DENY"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]


async def test_the_pages_are_served_with_their_types(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        response = await client.get("/")
        assert (response.status, response.content_type) == (200, "text/html")
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        for path, kind in (("js/app/api.js", "javascript"), ("css/base.css", "text/css")):
            response = await client.get(f"/ui/{path}")
            assert response.status == 200
            assert kind in response.content_type
            assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/ui/js/../__init__.py",
        "/ui/js/%2e%2e/__init__.py",
        "/ui/js/..%2f__init__.py",
        "/ui/js/%2fetc/passwd",
        "/ui/__init__.py",
        "/ui/js/",
        "/ui/",
        "/etc/passwd",
    ],
)
async def test_nothing_else_is_served(tmp_path: Path, path: str) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        url = URL(f"http://{client.server.host}:{client.server.port}{path}", encoded=True)
        async with ClientSession() as session, session.get(url, allow_redirects=False) as response:
            assert response.status in (403, 404)


async def test_the_terminal_route_knows_its_visors(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (client, _, _):
        await log_in(client)
        response = await client.get(f"/pty/{OWN}")
        assert (response.status, response.content_type) == (200, "text/html")
        response = await client.get(f"/pty/{A}")
        assert await error(response) == (404, f"visor of pk '{A}' not found")
        response = await client.get("/pty/xyz")
        assert await error(response) == (400, "Invalid public key")
        response = await client.put(f"/pty/{OWN}", headers=await token(client))
        assert response.status == 405
        assert response.headers["Allow"] == "GET"


async def token(client: Any) -> dict[str, str]:
    return {csrf.HEADER: (await (await client.get("/api/csrf")).json())["csrf_token"]}


async def test_a_bug_says_no_more_than_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hypervisor(tmp_path, auth=False) as (client, _, context):

        def broken() -> list[Any]:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(context.visors, "stats", broken)
        assert await error(await client.get("/api/dmsg")) == (500, "internal error")


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with hypervisor(tmp_path) as (_, _, context):
            context.config = msgspec.structs.replace(
                context.config, http_addr=HostPort(f"127.0.0.1:{port}")
            )
            with pytest.raises(Conflict, match=f"port {port} .*is in use"):
                async with serving(context):
                    pass


async def test_it_serves_on_a_free_port_and_tells_the_url(tmp_path: Path) -> None:
    async with (
        hypervisor(tmp_path) as (_, _, context),
        serving(context) as url,
        ClientSession() as session,
        session.get(f"{url}api/ping") as response,
    ):
        assert await response.text() == '"PONG!"'


async def test_a_bad_certificate_is_named(tmp_path: Path) -> None:
    async with hypervisor(tmp_path) as (_, _, context):
        context.config = msgspec.structs.replace(
            context.config, enable_tls=True, tls_cert_file=str(tmp_path / "none.pem")
        )
        with pytest.raises(InvalidValue, match=r"tls_cert_file .*none\.pem"):
            async with serving(context):
                pass
