"""The directory's client: against our discovery, against strange ones, and by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg import discovery
from skywire.dmsg.direct import StaticDirectory
from skywire.dmsg.discovery import DiscoveryClient, update_entry, withdraw_entry
from skywire.errors import (
    AuthenticationFailed,
    Conflict,
    InvalidValue,
    LocalProtocolError,
    NotFound,
    RemoteProtocolError,
    SkywireError,
    Unavailable,
)
from skywire.http.app import listen, running
from skywire.http.over_stream import DmsgConnector, serve_http
from skywire.services.dmsg_discovery import DmsgDiscovery
from skywire.stores.open import open_discovery
from skywire.streams.stream import Address, Stream
from skywire.testing.streams import stream_pair
from skywire.wire import entry as wire
from skywire.wire.entry import Entry

PK, SK, _ = deterministic_key_pair(b"own")
SERVER, SERVER_SK, _ = deterministic_key_pair(b"server")
DISCOVERY, _, _ = deterministic_key_pair(b"discovery")
SECOND = 10**9

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def content(_: Entry | None) -> Entry:
    return Entry.of_client(PK, [SERVER], "visor")


def signed(sequence: int = 0, timestamp: int = 1) -> Entry:
    entry = msgspec.structs.replace(content(None), sequence=sequence, timestamp=timestamp)
    return wire.sign(entry, SK)


@pytest.fixture
async def client() -> AsyncIterator[DiscoveryClient]:
    """Of our own discovery."""
    store = await open_discovery("sqlite::memory:")
    async with running(DmsgDiscovery(store).app()) as runner:
        port = await listen(runner, "127.0.0.1", 0, what="discovery")
        async with DiscoveryClient(f"http://127.0.0.1:{port}/") as made:
            yield made
    await store.close()


@asynccontextmanager
async def strange(handler: Handler, **options: Any) -> AsyncIterator[DiscoveryClient]:
    """Of a discovery that answers everything with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with running(app) as runner:
        port = await listen(runner, "127.0.0.1", 0, what="discovery")
        async with DiscoveryClient(f"http://127.0.0.1:{port}", **options) as made:
            yield made


def answering(status: int, body: bytes) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    return handler


# Against our own discovery


async def test_what_is_posted_is_found_listed_and_deleted(client: DiscoveryClient) -> None:
    await client.post(signed())
    assert await client.entry(PK) == signed()
    assert await client.client_keys() == await client.client_keys(visors_only=True) == [PK]
    await client.delete(signed())
    with pytest.raises(NotFound, match=f"entry of {PK}: entry of public key is not found"):
        await client.entry(PK)


async def test_servers_are_listed(client: DiscoveryClient) -> None:
    assert await client.available_servers() == await client.all_servers() == []
    posted = await update_entry(
        client, SERVER_SK, lambda _: Entry.of_server(SERVER, "192.0.2.1:80", 0)
    )
    assert await client.available_servers() == []
    (listed,) = await client.all_servers()
    assert (listed.static, listed.timestamp) == (posted.static, posted.timestamp)


async def test_refusals_have_their_class(client: DiscoveryClient) -> None:
    await client.post(signed(5, timestamp=10))
    for entry, kind in (
        (signed(5, timestamp=10), Conflict),
        (signed(6, timestamp=9), Conflict),
        (msgspec.structs.replace(signed(6), sequence=7), AuthenticationFailed),
        (msgspec.structs.replace(signed(), version=""), InvalidValue),
    ):
        with pytest.raises(SkywireError) as caught:
            await client.post(entry)
        assert type(caught.value) is kind
        assert str(PK) in str(caught.value)
    for entry in (msgspec.structs.replace(signed(6), sequence=7),):
        with pytest.raises(AuthenticationFailed):
            await client.delete(entry)


async def test_many_requests_at_once(client: DiscoveryClient) -> None:
    await client.post(signed())
    entries = await asyncio.gather(*(client.entry(PK) for _ in range(50)))
    assert entries == [signed()] * 50


async def test_a_discovery_on_dmsg_is_asked_the_same_way() -> None:
    """dmsg.md §13: `dmsg://pk:80`, paths unchanged."""
    store = await open_discovery("sqlite::memory:")
    listener = MemoryListener()
    dialled = []

    async def dial(pk: PubKey, port: int) -> Stream:
        dialled.append((pk, port))
        return await listener.dial()

    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        server = tasks.create_task(serve_http(DmsgDiscovery(store).app(), listener))
        stack.callback(server.cancel)
        over_dmsg = DiscoveryClient(f"dmsg://{DISCOVERY}:80", connector=DmsgConnector(dial))
        client = await stack.enter_async_context(over_dmsg)
        await client.post(signed())
        assert await client.entry(PK) == signed()
        await withdraw_entry(client, SK)
        with pytest.raises(NotFound):
            await client.entry(PK)
    assert set(dialled) == {(DISCOVERY, 80)}
    await store.close()


class MemoryListener:
    address = Address("memory", "discovery", 80)

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Stream] = asyncio.Queue()

    async def dial(self) -> Stream:
        ours, theirs = stream_pair()
        await self._waiting.put(theirs)
        return ours

    async def accept(self) -> Stream:
        return await self._waiting.get()

    async def close(self) -> None: ...


# Against strange discoveries


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"404 page not found\n"),
        (500, b'{"message":"something unexpected happened","code":500}'),
        (502, b"<html>bad gateway</html>"),
        (301, b""),
        (400, b'{"message":"a text nobody knows","code":400}'),
        (400, b'{"message":5}'),
        (400, b"[" * 9999),
        (400, b"\xff"),
    ],
)
async def test_an_unknown_refusal_means_something_unexpected(status: int, body: bytes) -> None:
    async with strange(answering(status, body), attempts=1) as client:
        for request in (client.entry(PK), client.post(signed()), client.all_servers()):
            with pytest.raises(Unavailable, match=rf"\(status {status}\)"):
                await request
        with pytest.raises(Unavailable):
            await client.client_keys()


async def test_a_bad_key_and_a_loopback_server_are_told_by_their_texts() -> None:
    for text in (discovery.BAD_INPUT, discovery.LOCALHOST):
        body = msgspec.json.encode({"message": text, "code": 400})
        async with strange(answering(400, body)) as client:
            with pytest.raises(InvalidValue, match=text):
                await client.entry(PK)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"static":"x"}', b"\xff", b'"' + b"x" * 300_000 + b'"']
)
async def test_an_answer_that_is_no_entry_is_refused(body: bytes) -> None:
    async with strange(answering(200, body)) as client:
        with pytest.raises(RemoteProtocolError):
            await client.entry(PK)
        if body != b"[]":
            for request in (client.all_servers(), client.client_keys()):
                with pytest.raises(RemoteProtocolError):
                    await request


async def test_the_entry_of_another_key_is_refused() -> None:
    async with strange(answering(200, signed().encode())) as client:
        assert await client.entry(PK) == signed()
        with pytest.raises(RemoteProtocolError, match=f"answered with the entry of {PK}"):
            await client.entry(SERVER)


async def test_null_lists_are_empty() -> None:
    async with strange(answering(200, b"null")) as client:
        assert await client.all_servers() == []
        assert await client.client_keys() == []


async def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "MAX_ANSWER", 100_000)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 10_000)

    async with strange(endless, attempts=1) as client:
        with pytest.raises(Unavailable, match="answer is larger than 100000 bytes"):
            await client.entry(PK)


async def test_a_silent_discovery_costs_the_time_limit_per_attempt() -> None:
    async def silent(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with strange(silent, timeout=0.05, attempts=2) as client:
        with pytest.raises(Unavailable, match=r"no answer within 0\.05 s \(tried 2 times\)"):
            await client.entry(PK)


async def test_a_passing_failure_is_tried_again() -> None:
    answers = [b"", b"", signed().encode()]

    async def recovering(_: web.Request) -> web.Response:
        body = answers.pop(0)
        return web.Response(status=200 if body else 500, body=body)

    async with strange(recovering) as client:
        assert await client.entry(PK) == signed()
    assert answers == []


async def test_nobody_there_is_told_with_the_url() -> None:
    async with DiscoveryClient("http://127.0.0.1:1", attempts=2) as client:
        with pytest.raises(Unavailable, match=r"discovery http://127\.0\.0\.1:1 cannot be asked"):
            await client.entry(PK)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:9090",
        "ftp://x",
        "http://",
        f"dmsg://{DISCOVERY}:80",
        "http://[::1",
        "http://x:y",
        "http://a..b",
        f"http://{'a' * 70}:80",
    ],
)
def test_an_url_that_is_no_discovery_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue, match="is no discovery URL"):
        DiscoveryClient(url)


async def test_a_client_that_was_not_entered_says_so() -> None:
    client = DiscoveryClient("http://127.0.0.1:1")
    with pytest.raises(LocalProtocolError, match="async with"):
        await client.entry(PK)
    await client.close()


# The update procedure


class Shelf(StaticDirectory):
    """A directory with the discovery's rule of replacement, and a queue of rivals that post
    between our look-up and our post."""

    def __init__(self, *rivals: Entry) -> None:
        super().__init__()
        self.rivals = list(rivals)
        self.down = False

    async def entry(self, pk: PubKey) -> Entry:
        if self.down or pk not in self._entries:
            raise NotFound("nothing")
        return self._entries[pk]

    async def post(self, entry: Entry) -> None:
        if self.rivals:
            rival = self.rivals.pop(0)
            self._entries[rival.static] = rival
        if entry.static in self._entries:
            wire.check_iteration(self._entries[entry.static], entry)
        await super().post(wire.verified(entry))


async def test_a_first_entry_has_sequence_zero() -> None:
    shelf = Shelf()
    posted = await update_entry(shelf, SK, content, clock=lambda: 77)
    assert (posted.sequence, posted.timestamp, posted.version) == (0, 77, "0.0.1")
    assert await shelf.entry(PK) == posted


async def test_an_update_adds_one_and_sees_what_was_stored() -> None:
    shelf = Shelf()
    await shelf.post(signed(41, timestamp=5))
    seen = []

    def change(stored: Entry | None) -> Entry:
        seen.append(stored)
        return content(stored)

    posted = await update_entry(shelf, SK, change, clock=lambda: 6)
    assert (posted.sequence, posted.timestamp) == (42, 6)
    assert seen == [signed(41, timestamp=5)]


async def test_a_clock_that_was_set_back_does_not_lock_us_out() -> None:
    shelf = Shelf()
    await shelf.post(signed(0, timestamp=1000))
    posted = await update_entry(shelf, SK, content, clock=lambda: 5)
    assert (posted.sequence, posted.timestamp) == (1, 1000)


async def test_an_older_rival_is_overwritten() -> None:
    shelf = Shelf(signed(7, timestamp=50), signed(20, timestamp=60))
    posted = await update_entry(shelf, SK, content, clock=lambda: 100)
    assert (posted.sequence, posted.timestamp) == (21, 100)
    assert await shelf.entry(PK) == posted


async def test_a_newer_rival_stays() -> None:
    rival = signed(7, timestamp=500)
    shelf = Shelf(rival)
    assert await update_entry(shelf, SK, content, clock=lambda: 100) == rival
    assert await shelf.entry(PK) == rival


async def test_rivals_without_end_are_given_up() -> None:
    shelf = Shelf(*(signed(number, timestamp=50) for number in range(7, 90, 10)))
    with pytest.raises(Conflict, match="post faster than we do"):
        await update_entry(shelf, SK, content, clock=lambda: 100)


async def test_a_failed_look_up_registers_anew() -> None:
    shelf = Shelf()
    shelf.down = True
    assert (await update_entry(shelf, SK, content)).sequence == 0


async def test_withdrawing_signs_a_server_anew(client: DiscoveryClient) -> None:
    """The stored entry does not verify, since the discovery has rewritten its type."""
    await update_entry(client, SERVER_SK, lambda _: Entry.of_server(SERVER, "192.0.2.1:80", 3))
    await withdraw_entry(client, SERVER_SK)
    assert await client.all_servers() == []
    await withdraw_entry(client, SERVER_SK)  # nothing left: nothing to do
