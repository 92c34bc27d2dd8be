import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from skywire.errors import InvalidValue
from skywire.http.over_stream import DmsgConnector
from skywire.http.reverse_proxy import ReverseProxy, proxy_session
from tests.http.serving import SERVER, served

ENDED = web.AppKey("ENDED", asyncio.Event)  # set when a websocket is over


async def show(request: web.Request) -> web.Response:
    body = (await request.read()).decode()
    response = web.json_response(
        {
            "line": f"{request.method} {request.raw_path}",
            "headers": {name.lower(): text for name, text in request.headers.items()},
            "body": body,
        }
    )
    response.headers.add("Set-Cookie", "a=1")
    response.headers.add("Set-Cookie", "b=2")
    response.headers["Connection"] = "keep-alive"
    return response


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(100):
        await response.write(bytes(10_000))
    return response


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.close()
    return response


async def socket(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(protocols=["chat"])
    await ws.prepare(request)
    await ws.send_str(f"{request.headers.get('Origin')} {ws.ws_protocol}")
    async for message in ws:
        if message.data == "bye":
            await ws.close(code=4001)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await ws.send_bytes(message.data)
    request.app[ENDED].set()
    return ws


def target_application() -> web.Application:
    app = web.Application(client_max_size=4 << 20)
    app[ENDED] = asyncio.Event()
    app.router.add_get("/stream", stream)
    app.router.add_get("/half", half)
    app.router.add_get("/ws", socket)

    async def away(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": request.query["to"]})

    async def empty(_: web.Request) -> web.Response:
        return web.Response(status=204)

    app.router.add_get("/away", away)
    app.router.add_get("/empty", empty)
    app.router.add_route("*", "/{path:.*}", show)
    return app


@asynccontextmanager
async def proxied(
    target: str = f"dmsg://{SERVER}:80", app: web.Application | None = None
) -> AsyncIterator[tuple[str, URL]]:
    """The proxy's URL on TCP, and what it leads to over memory streams."""

    def choose(_: web.Request) -> URL:
        if not target:
            raise InvalidValue("no such place")
        return URL(target)

    async with (
        served(app or target_application()) as listener,
        proxy_session(DmsgConnector(listener.dial)) as session,
    ):
        proxy = ReverseProxy(session, choose).application()
        runner = web.AppRunner(proxy, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        yield f"http://{host}:{port}", URL(target or "dmsg://x")
        await runner.cleanup()


async def test_a_request_goes_through_unchanged_but_for_its_connection() -> None:
    headers = {"Connection": "X-Hop, close", "X-Hop": "1", "X-Kept": "2", "Accept-Encoding": "br"}
    async with proxied() as (url, _), aiohttp.ClientSession() as client:
        target = URL(f"{url}/a%2Fb/?q=%20%2B&q=2", encoded=True)
        async with client.put(target, data=b"body", headers=headers) as response:
            told = await response.json()
            assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]
    assert told["line"] == "PUT /a%2Fb/?q=%20%2B&q=2"
    assert told["body"] == "body"
    assert told["headers"]["host"] == f"{SERVER}:80"
    assert told["headers"]["x-kept"] == "2"
    assert told["headers"]["accept-encoding"] == "br"
    assert "x-hop" not in told["headers"]


async def test_bodies_of_any_length_stream_through() -> None:
    async with proxied() as (url, _), aiohttp.ClientSession() as client:

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b"x" * 50_000

        async with client.post(f"{url}/", data=pieces()) as response:
            assert len((await response.json())["body"]) == 1_000_000
        async with client.get(f"{url}/stream") as response:
            assert len(await response.read()) == 1_000_000
        async with client.head(f"{url}/") as response:
            assert (response.status, await response.read()) == (200, b"")
        async with client.get(f"{url}/empty") as response:
            assert (response.status, await response.read()) == (204, b"")


async def test_a_body_that_breaks_off_is_not_taken_for_whole() -> None:
    async with (
        proxied() as (url, _),
        aiohttp.ClientSession() as client,
        client.get(f"{url}/half") as response,
    ):
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_redirects_within_the_target_stay_with_us() -> None:
    async with proxied() as (url, target), aiohttp.ClientSession() as client:
        for to, location in (
            (f"http://{target.raw_authority}/x?y", "/x?y"),
            (f"dmsg://{target.raw_authority}/x", "/x"),
            ("/relative", "/relative"),
            ("http://elsewhere.example/", "http://elsewhere.example/"),
        ):
            async with client.get(
                f"{url}/away", params={"to": to}, allow_redirects=False
            ) as response:
                assert (response.status, response.headers["Location"]) == (302, location)


async def test_websockets_go_through_and_their_origin_follows_the_host() -> None:
    async with proxied() as (url, target), aiohttp.ClientSession() as client:
        for origin, told in (
            (url, f"http://{target.raw_authority}"),
            ("http://evil", "http://evil"),
        ):
            async with client.ws_connect(
                f"{url}/ws", origin=origin, protocols=["other", "chat"]
            ) as ws:
                assert ws.protocol == "chat"
                assert await ws.receive_str() == f"{told} chat"
                await ws.send_bytes(b"x" * 200_000)
                assert await ws.receive_bytes() == b"x" * 200_000
                await ws.send_str("bye")
                closing = await ws.receive()
                assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 4001)


async def test_a_websocket_left_by_the_client_ends_at_the_target() -> None:
    app = target_application()
    async with proxied(app=app) as (url, _), aiohttp.ClientSession() as client:
        ws = await client.ws_connect(f"{url}/ws")
        await ws.receive_str()
        assert not app[ENDED].is_set()
        await ws.close()
        async with asyncio.timeout(5):
            await app[ENDED].wait()


async def test_a_websocket_the_target_refuses_is_refused() -> None:
    async with proxied() as (url, _), aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect(f"{url}/empty")
        assert caught.value.status == 502


@pytest.mark.parametrize(
    ("target", "status", "told"),
    [
        ("", 400, "no such place"),
        (f"dmsg://{SERVER}:81", 502, "nobody listens"),
    ],
)
async def test_a_target_that_is_not_there(target: str, status: int, told: str) -> None:
    async with (
        proxied(target) as (url, _),
        aiohttp.ClientSession() as client,
        client.get(f"{url}/") as response,
    ):
        assert response.status == status
        assert told in await response.text()
