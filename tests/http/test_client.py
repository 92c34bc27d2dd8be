import asyncio

import pytest
from aiohttp import web

from skywire.errors import Conflict, InvalidValue, Unavailable
from skywire.http.client import Answer, dmsg_session, fetch
from skywire.testing.listener import MemoryListener
from skywire.wire.dmsg_url import DmsgUrl, parse_url
from tests.http.serving import SERVER, listener_on, served


class Memory:
    def __init__(self) -> None:
        self.data = b""
        self.begun: list[tuple[int, int | None]] = []

    def begin(self, status: int, total: int | None) -> None:
        self.begun.append((status, total))
        self.data = b""

    def feed(self, data: bytes) -> None:
        self.data += data


def url(path: str = "/") -> DmsgUrl:
    return parse_url(f"dmsg://{SERVER}{path}")


def application() -> web.Application:
    async def show(request: web.Request) -> web.Response:
        sent = (await request.read()).decode()
        kind = request.headers.get("Content-Type", "-")
        return web.Response(text=f"{request.method} {sent} {kind} {request.headers['User-Agent']}")

    async def fail(_: web.Request) -> web.Response:
        return web.Response(status=418, text="teapot")

    async def redirect(request: web.Request) -> web.Response:
        status = int(request.match_info["status"])
        return web.Response(status=status, headers={"Location": request.query["to"]})

    app = web.Application()
    app.router.add_route("*", "/", show)
    app.router.add_get("/fail", fail)
    app.router.add_route("*", "/redirect/{status}", redirect)
    return app


async def fetched(
    listener: MemoryListener, path: str, data: bytes | None = None, tries: int = 1
) -> tuple[Answer, str]:
    sink = Memory()
    async with dmsg_session(listener.dial) as session:
        answer = await fetch(session, url(path), sink, data=data, agent="test/1", tries=tries)
    assert answer.size == len(sink.data)
    return answer, sink.data.decode()


async def test_get_post_and_what_the_server_refuses() -> None:
    async with served(application()) as listener:
        answer, text = await fetched(listener, "/")
        assert (answer.status, answer.reason, text) == (200, "OK", "GET  - test/1")
        _, text = await fetched(listener, "/", b"payload")
        assert text == "POST payload text/plain test/1"
        answer, text = await fetched(listener, "/fail")
        assert (answer.status, text) == (418, "teapot")


@pytest.mark.parametrize(
    ("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
)
async def test_redirects_are_followed_as_browsers_do(status: int, method: str) -> None:
    async with served(application()) as listener:
        for to in ("/", "../", f"dmsg://{SERVER}/", f"//{SERVER}/"):
            answer, text = await fetched(listener, f"/redirect/{status}?to={to}", b"x")
            assert text.startswith(method)
            assert answer.url == url()


async def test_redirects_off_dmsg_or_without_end_are_refused() -> None:
    async with served(application()) as listener:
        with pytest.raises(InvalidValue, match="not on dmsg"):
            await fetched(listener, "/redirect/301?to=http://127.0.0.1/")
        with pytest.raises(Unavailable, match="more than 10 redirects"):
            await fetched(listener, "/redirect/302?to=?to=")  # to itself


async def test_what_fails_is_tried_again_from_the_start() -> None:
    listener = listener_on()

    async def flaky() -> None:
        for attempt in range(3):
            stream = await listener.accept()
            await stream.read()
            body = b"complete" if attempt == 2 else b"half"
            await stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + body)
            await stream.close()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(flaky())
        sink = Memory()
        async with dmsg_session(listener.dial, keep_alive=False) as session:
            answer = await fetch(session, url(), sink, tries=0, wait=0.01)
    assert (answer.size, sink.data) == (8, b"complete")
    assert sink.begun == [(200, 8)] * 3


async def test_the_last_failure_says_how_often_was_tried() -> None:
    listener = listener_on()
    await listener.close()
    with pytest.raises(Unavailable, match=r"nobody listens .* \(tried 2 times\)"):
        await fetched(listener, "/", tries=2)


async def test_a_sink_that_cannot_start_over_ends_the_attempts() -> None:
    class Once(Memory):
        def begin(self, status: int, total: int | None) -> None:
            raise Conflict("cannot start over")

    async with served(application()) as listener, dmsg_session(listener.dial) as session:
        with pytest.raises(Conflict, match="cannot start over"):
            await fetch(session, url(), Once(), tries=0)
