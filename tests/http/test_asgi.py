import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from skywire.errors import InvalidValue, Unavailable
from skywire.http import asgi, asgi_websocket
from skywire.http.app import running
from skywire.http.asgi import AsgiApp, Message, Receive, Scope, Send, asgi_application
from skywire.http.over_stream import DmsgConnector, serve_http
from skywire.streams.connection import Connection
from skywire.testing.listener import MemoryListener
from tests.http.serving import CLIENT, SERVER, listener_on

URL = f"http://{SERVER}:80"


class Served:
    def __init__(self, listener: MemoryListener, session: aiohttp.ClientSession) -> None:
        self.listener = listener
        self.session = session

    async def raw(self, text: bytes) -> Connection:
        """After this has been sent."""
        connection = Connection(await self.listener.dial(SERVER, 80))
        await connection.write(text)
        return connection


@asynccontextmanager
async def served(app: AsgiApp, **options: Any) -> AsyncIterator[Served]:
    listener = listener_on(80)
    connector = DmsgConnector(listener.dial, schemes=("http",))
    async with (
        asyncio.timeout(20),
        running(asgi_application(app, **options)) as runner,
        asyncio.TaskGroup() as tasks,
    ):
        server = tasks.create_task(serve_http(runner, listener))
        async with aiohttp.ClientSession(URL, connector=connector) as session:
            yield Served(listener, session)
        await listener.close()
        await server


async def answer(send: Send, body: bytes = b"", status: int = 200, **more: Any) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [], **more})
    await send({"type": "http.response.body", "body": body})


async def whole_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        body += message["body"]
        more = message["more_body"]
    return body


def for_http(handler: Callable[[Scope, Receive, Send], Awaitable[None]]) -> AsgiApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] != "lifespan", "an application that knows no lifespan"
        await handler(scope, receive, send)

    return app


def scopes(seen: list[Scope]) -> AsgiApp:
    async def keep(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await answer(send)

    return for_http(keep)


async def test_the_scope_says_who_asks_for_what() -> None:
    seen: list[Scope] = []
    headers = {"X-One": "Two"}
    async with (
        served(scopes(seen)) as net,
        net.session.get("/a%2Fb%20c?x=%201", headers=headers) as got,
    ):
        assert (got.status, await got.read()) == (200, b"")
    (scope,) = seen
    assert (scope["type"], scope["http_version"]) == ("http", "1.1")
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("GET", "/a/b c", b"/a%2Fb%20c")
    assert scope["query_string"] in (b"x=%201", b"x=+1")
    assert scope["client"][0] == str(CLIENT)
    assert scope["server"] == (str(SERVER), 80)
    assert scope["extensions"]["skywire"] == {"pk": str(CLIENT), "network": "dmsg"}
    assert (b"x-one", b"Two") in scope["headers"]
    assert (b"host", str(SERVER).encode()) in scope["headers"]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", b""),
        (b"/a/../b", "/a/../b", b""),
        (b"/?a?b#c", "/", b"a?b"),
        (b"http://some.where/x?y", "/x", b"y"),
        (b"/%C3%A9", "/é", b""),
    ],
)
async def test_targets_as_they_were_sent(target: bytes, path: str, query: bytes) -> None:
    seen: list[Scope] = []
    async with served(scopes(seen)) as net:
        connection = await net.raw(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        assert (await connection.readline()).startswith(b"HTTP/1.1 200")
        connection.abort()
    assert [(one["path"], one["query_string"]) for one in seen] == [(path, query)]


async def test_a_body_comes_in_pieces_and_an_answer_leaves_in_pieces() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole_body(receive)
        headers = [(b"x-a", b"1"), (b"x-a", b"2"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        for start in range(0, len(body), 70_000):
            piece = body[start : start + 70_000]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    data = bytes(range(256)) * 1000
    async with served(for_http(echo)) as net, net.session.post("/", data=data) as got:
        assert got.status == 201
        assert await got.read() == data
        assert got.headers.getall("X-A") == ["1", "2"]
        assert got.headers["Transfer-Encoding"] == "chunked"
        assert got.headers["Connection"] == "close"


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", [200, 204, 304])
async def test_answers_without_a_body_and_the_next_on_the_same_stream(
    method: str, status: int
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"four", status)

    async with served(for_http(app)) as net:
        for _ in range(2):
            async with net.session.request(method, "/") as got:
                assert got.status == status
                expected = b"four" if (method, status) == ("GET", 200) else b""
                assert await got.read() == expected
        assert net.listener.dialled == 1


async def test_http_1_0_ends_with_the_stream() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    async with served(for_http(app)) as net:
        text = await (await net.raw(b"GET / HTTP/1.0\r\n\r\n")).read_to_end()
        assert text.endswith(b"\r\n\r\nonetwo")


async def test_a_body_over_the_limit_is_refused() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, await whole_body(receive))

    async def pieces() -> AsyncIterator[bytes]:  # no length is told
        for _ in range(3):
            yield bytes(50)

    async with served(for_http(app), max_body=100) as net:
        async with net.session.post("/", data=bytes(100)) as got:
            assert (got.status, len(await got.read())) == (200, 100)
        async with net.session.post("/", data=bytes(101)) as got:
            assert got.status == 413
        async with net.session.post("/", data=pieces()) as got:
            assert got.status == 413


async def test_a_body_that_does_not_come_is_a_disconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "BODY_TIMEOUT", 0.05)
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(await receive())

    async with served(for_http(app)) as net:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
        connection = await net.raw(head)
        assert (await connection.readline()).startswith(b"HTTP/1.1 500")
        connection.abort()
    assert got == [{"type": "http.disconnect"}]


async def test_who_left_is_told_to_the_application() -> None:
    waiting, told = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["more_body"] is False
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        waiting.set()
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.body", "body": b"nobody reads it"})
        told.set()

    async with served(for_http(app)) as net:
        connection = await net.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await waiting.wait()
        connection.abort()
        await told.wait()


async def test_an_application_that_minds_nobody_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asgi, "STOP_LIMIT", 0.05)
    running_on, stopped = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        running_on.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    async with served(for_http(app)) as net:
        connection = await net.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await running_on.wait()
        connection.abort()
        await stopped.wait()


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"type": "http.response.start", "status": 200}],
        [{"type": "http.response.body", "body": b"x"}],
        [{"type": "nonsense"}],
    ],
    ids=["none", "no body", "no start", "unknown"],
)
async def test_no_answer_is_an_internal_error(messages: list[Message]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async with served(for_http(app)) as net, net.session.get("/") as got:
        assert got.status == 500


async def test_an_exception_is_an_internal_error_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("the password is x")

    async with served(for_http(app)) as net, net.session.get("/") as got:
        assert got.status == 500
        assert "password" not in await got.text()
    assert "application failed path=/" in caplog.text


async def test_half_an_answer_does_not_look_whole() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError

    async with served(for_http(app)) as net, net.session.get("/") as got:
        with pytest.raises(aiohttp.ClientError):
            await got.read()


# Lifespan


async def test_lifespan_and_its_state() -> None:
    events = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send, scope["state"]["greeting"])
            return
        events.append((await receive())["type"])
        scope["state"]["greeting"] = b"hello"
        await send({"type": "lifespan.startup.complete"})
        events.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})

    async with served(app) as net, net.session.get("/") as got:
        assert await got.read() == b"hello"
        assert events == ["lifespan.startup"]
    assert events == ["lifespan.startup", "lifespan.shutdown"]


async def test_an_application_that_cannot_start() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(Unavailable, match="no database"):
        async with running(asgi_application(app)):
            pass


async def test_an_application_that_never_starts_or_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(asgi, "START_LIMIT", 0.05)
    monkeypatch.setattr(asgi, "STOP_LIMIT", 0.05)

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    async def no_end(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})
        await asyncio.sleep(60)

    async def bad_end(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "lost it"})

    with pytest.raises(Unavailable, match=r"no answer to lifespan.startup in 0.05 s"):
        async with running(asgi_application(silent)):
            pass
    async with running(asgi_application(no_end)):
        pass
    assert "no answer to lifespan.shutdown" in caplog.text
    async with running(asgi_application(bad_end)):
        await asyncio.sleep(0)
    assert "lost it" in caplog.text


@pytest.mark.parametrize("app", [None, "text", web.Application])
def test_what_is_no_application_is_refused(app: Any) -> None:
    with pytest.raises(InvalidValue, match="expected an aiohttp"):
        asgi_application(app)


# WebSocket


def for_websocket(handler: Callable[[Scope, Receive, Send], Awaitable[None]]) -> AsgiApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        assert await receive() == {"type": "websocket.connect"}
        await handler(scope, receive, send)

    return app


async def test_a_websocket_both_ways() -> None:
    ended: list[Message] = []

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["subprotocols"] == ["a", "b"]
        assert scope["client"][0] == str(CLIENT)
        accept = {"type": "websocket.accept", "subprotocol": "b", "headers": [(b"x-y", b"z")]}
        await send(accept)
        while (message := await receive())["type"] == "websocket.receive":
            if "text" in message:
                await send({"type": "websocket.send", "text": message["text"][::-1]})
            else:
                await send({"type": "websocket.send", "bytes": message["bytes"] * 2})
        ended.append(message)

    async with (
        served(for_websocket(echo)) as net,
        net.session.ws_connect("/", protocols=("a", "b")) as ws,
    ):
        assert ws.protocol == "b"
        await ws.send_str("abc")
        assert await ws.receive_str() == "cba"
        await ws.send_bytes(b"\x00")
        assert await ws.receive_bytes() == b"\x00\x00"
        await ws.close(code=4001)
    assert ended == [{"type": "websocket.disconnect", "code": 4001}]


async def test_a_websocket_that_the_application_ends() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4002, "reason": "enough"})

    async with served(for_websocket(app)) as net, net.session.ws_connect("/") as ws:
        message = await ws.receive()
        assert (message.data, message.extra) == (4002, "enough")


@pytest.mark.parametrize("fails", [True, False])
async def test_a_websocket_ends_with_its_application(fails: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        assert not fails

    async with served(for_websocket(app)) as net, net.session.ws_connect("/") as ws:
        await ws.receive()
        assert ws.close_code == (1011 if fails else 1000)


@pytest.mark.parametrize(
    ("messages", "status"),
    [([{"type": "websocket.close"}], 403), ([], 403), ([{"type": "websocket.send"}], 500)],
)
async def test_a_websocket_that_is_refused(messages: list[Message], status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async with served(for_websocket(app)) as net:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await net.session.ws_connect("/")
        assert refused.value.status == status


async def test_a_websocket_whose_peer_is_gone() -> None:
    ended: list[Message] = []
    connected, told = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        connected.set()
        ended.append(await receive())
        with pytest.raises(ConnectionError):
            await send({"type": "websocket.send", "text": "x"})
        told.set()

    async with served(for_websocket(app)) as net:
        head = (
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        connection = await net.raw(head)
        await connected.wait()
        connection.abort()
        await told.wait()
    assert [message["type"] for message in ended] == ["websocket.disconnect"]


async def test_a_message_over_the_limit_ends_the_websocket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asgi_websocket, "MAX_MESSAGE", 1000)
    got: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        got.append((await receive())["type"])

    async with served(for_websocket(app)) as net, net.session.ws_connect("/") as ws:
        await ws.send_bytes(bytes(1001))
        await ws.receive()
        assert ws.close_code == 1009
    assert got == ["websocket.disconnect"]
