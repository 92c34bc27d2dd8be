import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone

import pytest
from aiohttp import ClientSession, web

from skywire.errors import Conflict, Forbidden, InvalidValue, NotFound, Unavailable
from skywire.http import app as http
from skywire.metrics import CONTENT_TYPE, Registry

ERRORS = {
    "invalid": InvalidValue("a value"),
    "missing": NotFound("no such thing"),
    "forbidden": Forbidden("not you"),
    "conflict": Conflict("taken"),
    "slow": TimeoutError("no answer within 5 s"),
    "slower": TimeoutError(),
    "bug": RuntimeError("a secret"),
    "moved": web.HTTPFound("/elsewhere"),
    "gone": web.HTTPGone(),
}


async def fail(request: web.Request) -> web.Response:
    raise ERRORS[request.match_info["which"]]


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


@asynccontextmanager
async def served(host: str = "127.0.0.1") -> AsyncIterator[tuple[ClientSession, str]]:
    registry = Registry()
    registry.counter("requests_total", "Requests.").add()
    app = http.new_app(max_body=1000)
    app.add_routes(
        [
            web.get("/fail/{which}", fail),
            web.post("/echo", echo),
            http.health_route("key:80", lambda: ["one"]),
            http.metrics_route(registry),
        ]
    )
    async with http.running(app) as runner, ClientSession() as session:
        port = await http.listen(runner, host, 0, what="test")
        yield session, f"http://{host or 'localhost'}:{port}"


@pytest.mark.parametrize(
    ("which", "status", "text"),
    [
        ("invalid", 400, "a value"),
        ("missing", 404, "no such thing"),
        ("forbidden", 403, "not you"),
        ("conflict", 409, "taken"),
        ("slow", 504, "no answer within 5 s"),
        ("slower", 504, "timed out"),
        ("bug", 500, "internal error"),
        ("gone", 410, "Gone"),
    ],
)
async def test_a_failure_becomes_json(which: str, status: int, text: str) -> None:
    async with served() as (session, url), session.get(f"{url}/fail/{which}") as response:
        assert (response.status, await response.json()) == (status, {"error": text})


async def test_a_redirect_is_no_failure() -> None:
    async with (
        served() as (session, url),
        session.get(f"{url}/fail/moved", allow_redirects=False) as response,
    ):
        assert (response.status, response.headers["Location"]) == (302, "/elsewhere")


async def test_paths_methods_and_sizes_that_are_wrong() -> None:
    async with served() as (session, url):
        async with session.get(f"{url}/nowhere") as response:
            assert (response.status, await response.json()) == (404, {"error": "Not Found"})
        async with session.get(f"{url}/echo") as response:
            assert (response.status, response.headers["Allow"]) == (405, "POST")
            assert await response.json() == {"error": "Method Not Allowed"}
        async with session.post(f"{url}/echo", data=b"x" * 1001) as response:
            assert response.status == 413
        async with session.post(f"{url}/echo", data=b"x" * 999) as response:
            assert (response.status, len(await response.read())) == (200, 999)


async def test_health_and_metrics() -> None:
    async with served() as (session, url):
        async with session.get(f"{url}/health") as response:
            body = json.loads(await response.text())
            assert body["dmsg_address"] == "key:80"
            assert body["dmsg_servers"] == ["one"]
        async with session.get(f"{url}/metrics") as response:
            assert response.headers["Content-Type"] == CONTENT_TYPE
            assert "requests_total 1\n" in await response.text()


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (datetime(2026, 6, 12, 8, 15, 30, 123400, UTC), "2026-06-12T08:15:30.1234Z"),
        (datetime(2026, 6, 12, 8, 15, 30, 0, UTC), "2026-06-12T08:15:30Z"),
        (
            datetime(2026, 6, 12, 8, 15, tzinfo=timezone(timedelta(hours=2))),
            "2026-06-12T06:15:00Z",
        ),
    ],
)
def test_times_look_as_in_go(when: datetime, text: str) -> None:
    assert http.go_time(when) == text


async def test_every_address_is_one_port() -> None:
    async with served("") as (session, url), session.get(f"{url}/health") as response:
        assert response.status == 200


async def test_without_ipv6_every_address_is_an_ipv4_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    async with served("") as (session, url):
        v4 = url.replace("localhost", "127.0.0.1")
        async with session.get(f"{v4}/health") as response:
            assert response.status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
async def test_a_port_in_use_is_named(host: str) -> None:
    async with AsyncExitStack() as stack:
        runner = await stack.enter_async_context(http.running(http.new_app()))
        port = await http.listen(runner, host, 0, what="first")
        with pytest.raises(
            Conflict, match=f"second: port {port} on .* is in use by another program"
        ):
            await http.listen(runner, host, port, what="second")


async def test_an_address_of_another_machine_is_named() -> None:
    async with http.running(http.new_app()) as runner:
        with pytest.raises(Unavailable, match=r"test: port 0 on 192\.0\.2\.1 cannot be used"):
            await http.listen(runner, "192.0.2.1", 0, what="test")


async def test_a_silent_connection_is_closed_when_idle() -> None:
    async with AsyncExitStack() as stack:
        runner = await stack.enter_async_context(http.running(http.new_app(), idle_timeout=0.1))
        port = await http.listen(runner, "127.0.0.1", 0, what="test")
        for half in (b"", b"GET /half HTTP/1.1\r\nHost: x\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(half)
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff" * 100,
        b"GET * HTTP/1.1\r\n\r\n",
        b"GET /x?\xff HTTP/1.1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_a_peer_that_breaks_http_is_no_error_of_ours(
    raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with served() as (_, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(raw)
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.")
        writer.close()
    assert [one for one in caplog.records if one.levelno > logging.INFO or one.exc_info] == []
    assert "request broken by peer" in caplog.text


async def test_a_body_that_cannot_be_decoded_is_bad_input(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as (session, url):
        headers = {"Content-Encoding": "gzip"}
        async with session.post(f"{url}/echo", data=b"no archive", headers=headers) as answer:
            assert answer.status == 400
            assert "not what its headers say" in (await answer.json())["error"]
    assert [one for one in caplog.records if one.levelno > logging.INFO] == []


def test_an_error_text_is_always_json() -> None:
    assert json.loads(http.error_response(400, "from \udcff").text or "") == {"error": "from ?"}


async def test_a_bug_in_the_server_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise RuntimeError("a bug")
    except RuntimeError as error:
        http.ServerLog().exception("Error handling request from %s", "x", exc_info=error)
    (told,) = caplog.records
    assert told.levelno == logging.ERROR
    assert told.exc_info
