import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from skywire.errors import DialFailed, Forbidden, Refused, RemoteProtocolError
from skywire.streams import socks5
from skywire.streams.serving import serve_each
from skywire.streams.socks5 import DialHost, dial_public, dial_through, serve_socks
from skywire.streams.stream import Address, Stream
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.testing.streams import MemoryStream, stream_pair

CONNECT = b"\x05\x01\x00\x03\x0bexample.com\x00\x50"


async def echo(stream: Stream) -> None:
    while data := await stream.read():
        await stream.write(data[::-1])
    await stream.close()


@asynccontextmanager
async def proxy(dial: DialHost) -> AsyncIterator[tuple[str, int]]:
    listener = await listen_tcp("127.0.0.1", 0)

    async def handle(stream: Stream) -> None:
        await serve_socks(stream, dial)

    async with asyncio.timeout(15), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve_each(listener, handle, name="socks"))
        yield listener.address.host, listener.address.port
        await listener.close()
        await serving


async def test_our_client_reaches_a_server_through_our_proxy() -> None:
    target = await listen_tcp("127.0.0.1", 0)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve_each(target, echo, name="echo"))
        async with proxy(dial_tcp) as address:
            stream = await dial_through(address, "127.0.0.1", target.address.port)
            await stream.write(b"abc")
            assert await stream.read() == b"cba"
            await stream.write_eof()
            assert await stream.read() == b""
            await stream.close()
        await target.close()
        await serving


async def test_a_host_that_refuses_is_reply_5() -> None:
    closed = await listen_tcp("127.0.0.1", 0)
    await closed.close()
    async with proxy(dial_tcp) as address:
        with pytest.raises(Refused, match="connection refused") as caught:
            await dial_through(address, "127.0.0.1", closed.address.port)
    assert caught.value.reason == 5


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (Forbidden("no"), 2),
        (DialFailed("network is unreachable"), 3),
        (DialFailed("no such host"), 4),
        (TimeoutError(), 4),
    ],
)
async def test_failures_of_the_dial_have_their_replies(error: Exception, reply: int) -> None:
    async def dial(_: str, __: int) -> Stream:
        raise error

    async with proxy(dial) as address:
        with pytest.raises(Refused) as caught:
            await dial_through(address, "example.com", 80)
    assert caught.value.reason == reply


async def test_what_a_client_sends_too_early_is_not_lost() -> None:
    far, far_end = stream_pair()

    async def dial(host: str, port: int) -> Stream:
        assert (host, port) == ("example.com", 80)
        return far

    client, server_end = stream_pair()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve_socks(server_end, dial))
        await client.write(b"\x05\x01\x00" + CONNECT + b"early")
        assert await far_end.read() == b"early"
        answers = await client.read()
        while len(answers) < 12:
            answers += await client.read()
        assert answers[:4] == b"\x05\x00\x05\x00"
        await far_end.write(b"hello")
        assert await client.read() == b"hello"
        await client.write_eof()
        await far_end.write_eof()
        await serving
    assert isinstance(far, MemoryStream)
    assert far.closed


async def test_nonsense_and_silence_end_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dial(_: str, __: int) -> Stream:
        raise AssertionError

    client, server_end = stream_pair()
    await client.write(b"\x05\x01\x02")
    with pytest.raises(RemoteProtocolError):
        await serve_socks(server_end, dial)
    assert await client.read() == b"\x05\xff"

    client, server_end = stream_pair()
    await client.write_eof()
    await serve_socks(server_end, dial)

    monkeypatch.setattr(socks5, "NEGOTIATION_TIMEOUT", 0.02)
    client, server_end = stream_pair()
    with pytest.raises(TimeoutError):
        await serve_socks(server_end, dial)


async def test_a_slow_dial_is_answered_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dial(_: str, __: int) -> Stream:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(socks5, "CONNECT_TIMEOUT", 0.02)
    async with proxy(dial) as address:
        with pytest.raises(Refused, match="host unreachable"):
            await dial_through(address, "example.com", 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "::1"])
async def test_public_means_public(host: str) -> None:
    with pytest.raises(Forbidden, match="private network"):
        await dial_public(host, 80)


async def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()

    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        raise OSError("no such name")

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    with pytest.raises(DialFailed, match="no such name"):
        await dial_public("nowhere.example", 80)


async def test_a_public_address_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled = []

    async def dial(host: str, port: int) -> Stream:
        dialled.append((host, port))
        if len(dialled) == 1:
            raise DialFailed("first one is down")
        return stream_pair(b=Address("tcp", host, port))[0]

    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        return [(2, 1, 6, "", (ip, 80)) for ip in ("10.0.0.1", "9.9.9.9", "8.8.8.8")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socks5, "dial_tcp", dial)
    stream = await dial_public("example.com", 80)
    assert stream.remote.host == "8.8.8.8"
    assert dialled == [("9.9.9.9", 80), ("8.8.8.8", 80)]
