"""Asking the route finder, and calculating when it is away. Source: routing.md §5.1."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import (
    InvalidValue,
    LocalProtocolError,
    NotFound,
    RemoteProtocolError,
    Unavailable,
)
from skywire.http.app import listen, running
from skywire.http.auth import SignedSession
from skywire.router import finder
from skywire.router.dialling import Avoid, Finder, Routes
from skywire.router.finder import (
    ANY,
    LocalRoutes,
    RouteFinder,
    all_transports,
    turned,
)
from skywire.wire import routes as wire
from skywire.wire import transport
from skywire.wire.routes import Bounds, Path
from skywire.wire.transport import Entry
from tests.router.setup_kit import key, path

A, B, C, D = (key(name) for name in "abcd")
AB, BD, AC, CD = (Entry.of(one, two, "stcpr") for one, two in ((A, B), (B, D), (A, C), (C, D)))

Handler = Callable[[bytes], tuple[int, bytes]]


class Service:
    """A route finder that answers what it is told to; `asked` are the bodies."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[bytes] = []
        self.answer: Handler = lambda _: (500, b"")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with AsyncExitStack() as stack:
        fake = Service("")

        async def answer(request: web.Request) -> web.Response:
            body = await request.read()
            fake.asked.append(body)
            status, text = fake.answer(body)
            return web.Response(status=status, body=text)

        app = web.Application()
        app.add_routes([web.post("/routes", answer), web.get("/all-transports", answer)])
        runner = await stack.enter_async_context(running(app))
        fake.url = f"http://127.0.0.1:{await listen(runner, '127.0.0.1', 0, what='finder')}"
        yield fake


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """Takes connections and says nothing."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for writer in writers:
            writer.close()
            await writer.wait_closed()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "RETRY_TIME", 0.4)
    monkeypatch.setattr(finder, "RETRY_PAUSE", 0.01)


def found(*paths: Path) -> Handler:
    """Those paths, and back over the same transports."""
    source, target = paths[0][0].from_pk, paths[0][-1].to_pk
    answer = wire.encode_response(
        {
            (str(source), str(target)): list(paths),
            (str(target), str(source)): [turned(one) for one in paths],
        }
    )
    return lambda _: (200, answer)


def listed(*entries: Entry) -> LocalRoutes:
    async def everything() -> list[Entry]:
        return list(entries)

    return LocalRoutes(everything)


def keys(one: Path) -> list[PubKey]:
    return [one[0].from_pk, *(hop.to_pk for hop in one)]


async def test_asks_for_both_directions(service: Service) -> None:
    service.answer = found(path(A, B, D))
    async with RouteFinder(service.url + "/") as asking:
        there = await asking.find(A, D, Bounds(1, 4))
    assert there == Routes([path(A, B, D)], [turned(path(A, B, D))])
    assert service.asked == [wire.encode_request([(A, D), (D, A)], Bounds(1, 4))]


async def test_no_route_is_said_at_once(service: Service) -> None:
    service.answer = lambda _: (404, wire.encode_error(404, "no route to destination"))
    async with RouteFinder(service.url, local=listed(AB, BD)) as asking:
        with pytest.raises(NotFound, match=r"^no route to destination$"):
            await asking.find(A, D)
    assert len(service.asked) == 1


async def test_a_finder_that_fails_is_asked_again(service: Service) -> None:
    answers = iter([(500, b""), (503, b"x")])
    good = found(path(A, D))
    service.answer = lambda body: next(answers, good(body))
    async with RouteFinder(service.url) as asking:
        assert (await asking.find(A, D)).forward == [path(A, D)]
    assert len(service.asked) == 3


async def test_without_a_finder_the_route_is_calculated(service: Service) -> None:
    for url in (service.url, "http://127.0.0.1:1"):
        async with RouteFinder(url, local=listed(AB, BD)) as asking:
            there = await asking.find(A, D)
            assert [keys(one) for one in there.forward] == [[A, B, D]]
            assert [keys(one) for one in there.reverse] == [[D, B, A]]
            with pytest.raises(NotFound, match="calculated here"):
                await asking.find(A, C)


@pytest.mark.parametrize(
    "answer",
    [(500, b"\xff"), (400, b"?"), (200, b"[]"), (200, b"{}"), (200, b"x" * 2_000_000)],
    ids=["500", "400", "list", "empty", "large"],
)
async def test_an_answer_of_no_use_is_unavailable(
    service: Service, answer: tuple[int, bytes]
) -> None:
    service.answer = lambda _: answer
    async with RouteFinder(service.url) as asking:
        with pytest.raises((Unavailable, RemoteProtocolError), match="route finder"):
            await asking.find(A, D)
    async with RouteFinder(service.url, local=listed(AB, BD)) as asking:
        assert (await asking.find(A, D)).forward


async def test_a_silent_finder_costs_a_bounded_time() -> None:
    async with silent() as url, RouteFinder(url, timeout=0.05) as asking:
        with pytest.raises(Unavailable, match="no answer in time"):
            await asking.find(A, D)


async def test_a_finder_that_is_away_is_not_waited_for_each_time(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RouteFinder(service.url, local=listed(AB, BD)) as asking:
        await asking.find(A, D)
        tries = len(service.asked)
        await asking.find(A, D)
        assert len(service.asked) == tries
        service.answer = found(path(A, C))
        assert (await asking.find(A, C)).forward == [path(A, C)]  # not known here
        monkeypatch.setattr(finder, "AWAY_TIME", 0.0)
        service.answer = lambda _: (500, b"")
        with pytest.raises(NotFound):
            await asking.find(A, C)
        service.answer = found(path(A, C, D))
        assert (await asking.find(A, D)).forward == [path(A, C, D)]


async def test_only_within_its_context() -> None:
    with pytest.raises(LocalProtocolError):
        await RouteFinder("http://127.0.0.1:1").find(A, D)


async def test_what_has_failed_is_avoided(service: Service) -> None:
    service.answer = found(path(A, B, D), path(A, C, D))
    async with RouteFinder(service.url) as asking:
        there = await asking.find(A, D, avoid=Avoid(frozenset([B])))
        assert there == Routes([path(A, C, D)], [turned(path(A, C, D))])
        with pytest.raises(NotFound, match="just failed"):
            await asking.find(A, D, avoid=Avoid(frozenset([B, C])))
        with pytest.raises(NotFound, match="just failed"):
            await asking.find(A, D, avoid=Avoid(transports=frozenset([uuid.UUID(int=1)])))
        assert await asking.find(A, D, avoid=Avoid(frozenset([A, D])))
    service.answer = found(path(A, B, D))
    async with RouteFinder(service.url, local=listed(AB, BD, AC, CD)) as asking:
        there = await asking.find(A, D, avoid=Avoid(frozenset([B])))
        assert [keys(one) for one in there.forward] == [[A, C, D]]


async def test_the_list_serves_for_a_while_and_the_last_one_when_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = 0
    fails = False

    async def everything() -> list[Entry]:
        nonlocal calls
        calls += 1
        if fails:
            raise Unavailable("away")
        return [AB, BD]

    local: Finder = LocalRoutes(everything)
    for _ in range(3):
        assert (await local.find(A, D, ANY, Avoid())).forward
    assert calls == 1
    monkeypatch.setattr(finder, "LIST_AGE", 0.0)
    fails = True
    assert (await local.find(A, D, ANY, Avoid())).forward
    assert calls == 2


async def test_our_own_transports_count_in_any_case() -> None:
    async def nothing() -> list[Entry]:
        raise Unavailable("away")

    own = [AB, BD]
    for everything in (None, nothing):
        local = LocalRoutes(everything, lambda: own)
        assert (await local.find(A, D)).forward
    local = LocalRoutes(None, lambda: own)
    await local.find(A, D, ANY)
    own.pop()
    with pytest.raises(NotFound):
        await local.find(A, D)


async def test_the_list_of_the_transport_discovery(service: Service) -> None:
    async with SignedSession(service.url, A, deterministic_key_pair(b"a")[1]) as session:
        service.answer = lambda _: (200, transport.encode_list([AB, BD]) + b"\n")
        assert await all_transports(session.plain) == [AB, BD]
        local = LocalRoutes(lambda: all_transports(session.plain))
        assert (await local.find(A, D)).forward
        service.answer = lambda _: (200, b"null\n")
        assert await all_transports(session.plain) == []
        service.answer = lambda _: (200, b"?")
        with pytest.raises(InvalidValue):
            await all_transports(session.plain)
        service.answer = lambda _: (500, b"")
        with pytest.raises(Unavailable):
            await all_transports(session.plain)
