"""Forwarding between two ends in memory: bad peers, limits, other versions."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from skywire.appkit import forward_client, forward_server
from skywire.appkit.forward_client import FarPort, OldPort, Way, greet
from skywire.appkit.forward_server import ForwardedPort, PortServer
from skywire.crypto.generate import deterministic_key_pair
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, Refused, RemoteProtocolError, StreamReset
from skywire.http.over_stream import serve_http
from skywire.ports import SKYNET_FORWARDING, SKYNET_FORWARDING_2024, SKYNET_FORWARDING_MUX
from skywire.router.ports import offline
from skywire.streams.stream import READ_SIZE, Address, Stream
from skywire.streams.supervise import Tasks
from skywire.streams.tcp import listen_tcp
from skywire.testing.listener import MemoryListener
from skywire.testing.stream_contract import read_exactly
from skywire.testing.streams import stream_pair
from skywire.testing.wait import eventually
from skywire.wire.forwarding import OK, READY, encode_answer, encode_hello

HERE, THERE = (deterministic_key_pair(name)[0] for name in (b"here", b"there"))
LIMIT = 10.0
Handler = Callable[[Stream], Awaitable[None]]


class Refusing:
    """The stream to a port where nobody listens."""

    local, remote = Address.skynet(HERE, 50000), Address.skynet(THERE, 1)

    def __init__(self, port: int) -> None:
        self._reset = StreamReset(f"{offline(port)} (path: …)")

    async def read(self, max_bytes: int = READ_SIZE) -> bytes:
        raise self._reset

    async def write(self, data: bytes) -> None: ...

    async def write_eof(self) -> None: ...

    async def close(self) -> None: ...

    def abort(self) -> None: ...


class Far:
    """Another visor: `handlers` by skynet port."""

    def __init__(self, handlers: dict[int, Handler]) -> None:
        self.handlers = handlers
        self.dialled: list[int] = []
        self.tasks = Tasks("far")

    async def dial(self, pk: PubKey, port: int) -> Stream:
        assert pk == THERE
        self.dialled.append(port)
        if port not in self.handlers:
            return Refusing(port)
        here, there = stream_pair(
            a=Address.skynet(HERE, 50000 + len(self.dialled)), b=Address.skynet(THERE, port)
        )

        async def handle() -> None:
            try:
                await self.handlers[port](there)
            except (RemoteProtocolError, StreamReset):
                there.abort()

        self.tasks.spawn(handle())
        return here


@asynccontextmanager
async def far(**handlers: Handler) -> AsyncIterator[Far]:
    ports = {
        "mux": SKYNET_FORWARDING_MUX,
        "one": SKYNET_FORWARDING,
        "old": SKYNET_FORWARDING_2024,
    }
    made = Far({ports[name]: handler for name, handler in handlers.items()})
    try:
        async with asyncio.timeout(LIMIT):
            yield made
    finally:
        await made.tasks.close()


@asynccontextmanager
async def served(*entries: ForwardedPort) -> AsyncIterator[tuple[PortServer, MemoryListener]]:
    ports = {entry.port: entry for entry in entries}
    listener = MemoryListener(Address.skynet(THERE, 57), Address.skynet(HERE, 50000))
    tasks = Tasks("served")
    async with PortServer(ports.get) as server:
        tasks.spawn(server.serve(listener))
        try:
            async with asyncio.timeout(LIMIT):
                yield server, listener
        finally:
            await tasks.close()


# The serving side


@asynccontextmanager
async def service() -> AsyncIterator[int]:
    """A TCP server that returns what it gets; its port."""
    listener, tasks = await listen_tcp("127.0.0.1", 0), Tasks("service")

    async def serve() -> None:
        while True:
            stream = await listener.accept()
            tasks.spawn(repeat(stream))

    async def repeat(stream: Stream) -> None:
        try:
            while data := await stream.read():
                await stream.write(data)
            await stream.close()
        except (StreamReset, asyncio.CancelledError):
            stream.abort()

    tasks.spawn(serve())
    try:
        yield listener.address.port
    finally:
        await tasks.close()
        await listener.close()


async def test_what_comes_right_behind_the_hello_is_not_lost() -> None:
    async with service() as port, served(ForwardedPort(port=port)) as (_, listener):
        stream = await listener.dial(THERE, 57)
        await stream.write(encode_hello(port) + b"eager")
        assert await read_exactly(stream, 8) == READY + OK + b"eager"
        await stream.close()


@pytest.mark.parametrize(
    "hello", [b"GET / HTTP/1.1\r\n", b'{"port":0}', b'{"port":"x"}', b"\xff" * 5000, b"[]"]
)
async def test_nonsense_costs_its_own_connection(hello: bytes) -> None:
    async with service() as port, served(ForwardedPort(port=port)) as (_, listener):
        bad = await listener.dial(THERE, 57)
        await bad.write(hello)
        assert await bad.read() == READY
        with pytest.raises(StreamReset):
            await bad.read()
        good = await greet(await listener.dial(THERE, 57), port, ready=True)
        await good.write(b"still there")
        assert await good.read() == b"still there"
        await good.close()


async def test_a_client_that_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forward_server, "HELLO_LIMIT", 0.1)
    async with served() as (_, listener):
        stream = await listener.dial(THERE, 57)
        assert await stream.read() == READY
        with pytest.raises(StreamReset):
            await stream.read()


async def test_refusals_have_the_texts_of_2026() -> None:
    away = ForwardedPort(port=9, target="127.0.0.1:1")
    entries = (away, ForwardedPort(port=8, whitelist=[THERE]), ForwardedPort(port=7, dmsg=True))
    async with served(*entries, ForwardedPort(port=6, dmsg=True, no_skynet=True)) as (_, listener):
        for port, text in {
            5: "port :5 not registered",
            6: "port :6 not registered",
            8: "not whitelisted",
            9: "failed to dial port 9",
        }.items():
            with pytest.raises(Refused) as caught:
                await greet(await listener.dial(THERE, 57), port, ready=True)
            assert caught.value.reason == text


async def test_one_visor_gets_only_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_server, "MAX_OF_ONE", 2)
    async with service() as port, served(ForwardedPort(port=port)) as (server, listener):
        held = [await greet(await listener.dial(THERE, 57), port, ready=True) for _ in range(2)]
        with pytest.raises(Refused, match="more than 2 connections"):
            await greet(await listener.dial(THERE, 57), port, ready=True)
        for stream in held:
            await stream.close()
        await eventually(lambda: not server._of_peer)
        await (await greet(await listener.dial(THERE, 57), port, ready=True)).close()


async def test_a_peer_without_a_key_is_refused() -> None:
    listener = MemoryListener(Address.skynet(THERE, 57), Address("skynet", "?", 1))
    tasks = Tasks("served")
    async with PortServer(lambda port: ForwardedPort(port=port)) as server:
        tasks.spawn(server.serve(listener))
        async with asyncio.timeout(LIMIT):
            with pytest.raises(Refused, match="cannot verify peer"):
                await greet(await listener.dial(THERE, 57), 80, ready=True)
        await tasks.close()


# The asking side


async def test_the_best_way_is_found_and_kept() -> None:
    async with service() as port:
        server = PortServer(lambda port: ForwardedPort(port=port))
        async with far(mux=server._sessions, one=server._greet) as other, server:
            port_ = FarPort(other.dial, THERE, port)
            assert await port_.find_way() is Way.MUX
            for _ in range(3):
                stream = await port_.open()
                await stream.write(b"hello")
                assert await read_exactly(stream, 5) == b"hello"
                await stream.close()
            assert other.dialled == [SKYNET_FORWARDING_MUX]
            del other.handlers[SKYNET_FORWARDING_MUX]  # it has become older
            assert port_._session is not None
            await port_._session.close()
            stream = await port_.open()
            assert port_.way is Way.ROUTES
            await stream.close()
            await port_.close()


async def test_a_visor_of_2024_is_asked_on_47_without_waiting() -> None:
    async def old(stream: Stream) -> None:
        assert await stream.read() == encode_hello(80)
        await stream.write(OK)

    async with far(old=old) as other:
        port = FarPort(other.dial, THERE, 80)
        assert await port.find_way() is Way.HTTP
        assert other.dialled == [
            SKYNET_FORWARDING_MUX,
            SKYNET_FORWARDING,
            SKYNET_FORWARDING_2024,
        ]


async def test_47_is_not_tried_where_57_is_listened_on() -> None:
    async def broken(stream: Stream) -> None:
        await stream.write(b"\x01")

    async with far(one=broken) as other:
        with pytest.raises(DialFailed, match=r"port 57: .* begins with byte 0x01"):
            await FarPort(other.dial, THERE, 80).open()
        assert SKYNET_FORWARDING_2024 not in other.dialled


async def test_a_visor_that_forwards_nothing_and_one_without_a_way() -> None:
    async with far() as other:
        with pytest.raises(
            DialFailed, match=r"forwards no ports: port 59: .*; port 57: .*; port 47"
        ):
            await FarPort(other.dial, THERE, 80).open()

    async def nowhere(pk: PubKey, port: int) -> Stream:
        raise DialFailed("no route")

    with pytest.raises(DialFailed, match=r"^no route$"):
        await FarPort(nowhere, THERE, 80).open()


async def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(stream: Stream) -> None:
        await asyncio.sleep(LIMIT)

    monkeypatch.setattr(forward_client, "HELLO_LIMIT", 0.1)
    async with far(mux=silent, one=silent) as other:
        with pytest.raises(DialFailed, match="port 57: no answer within"):
            await FarPort(other.dial, THERE, 80).open()


async def test_a_refusal_is_told_and_another_way_would_not_help() -> None:
    async def refuses(stream: Stream) -> None:
        await stream.write(READY)
        await stream.read()
        await stream.write(encode_answer("go\x1baway"))

    async with far(one=refuses, old=refuses) as other:
        with pytest.raises(Refused, match=r"refuses port 80: go\?away"):
            await FarPort(other.dial, THERE, 80).open()
        assert other.dialled == [SKYNET_FORWARDING_MUX, SKYNET_FORWARDING]


async def test_requests_to_2024_go_whole_and_one_by_one() -> None:
    """Such a server wants a request in one read; ours sees so many reads as requests."""
    reads: list[bytes] = []

    async def old(stream: Stream) -> None:
        await stream.read()
        await stream.write(OK)
        while data := await stream.read():
            reads.append(data)
            await stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n")
            await stream.write(b"\r\nhello")

    async with far(old=old) as other:
        port = FarPort(other.dial, THERE, 80)
        await port.find_way()
        listener, tasks = await listen_tcp("127.0.0.1", 0), Tasks("old port")
        async with OldPort(port.open, 80) as app, aiohttp.ClientSession() as browser:
            tasks.spawn(serve_http(app, listener))
            url = f"http://127.0.0.1:{listener.address.port}/x"

            async def post(size: int) -> str:
                async with browser.post(url, data=b"b" * size) as answer:
                    return f"{answer.status} {await answer.text()}"

            answers = await asyncio.gather(*(post(size) for size in (0, 10, 1000, 3500)))
            assert answers == ["200 hello"] * 4
            assert sorted(read.count(b"b" * 10) for read in reads) == [0, 1, 100, 350]
            assert all(read.startswith(b"POST /x HTTP/1.1\r\n") for read in reads)
            assert (await post(4070))[:3] == "413"
            assert len(reads) == 4
        await tasks.close()
        await listener.close()
