"""TCP specifics: addresses, ports in use, errors of accept."""

import asyncio
import errno
import socket

import pytest

from skywire.errors import (
    Conflict,
    DialFailed,
    InvalidValue,
    LocalProtocolError,
    StreamClosed,
    Unavailable,
)
from skywire.streams.socks5 import dial_public
from skywire.streams.tcp import READ_LIMIT, dial_tcp, listen_tcp
from skywire.testing.wait import eventually


async def test_both_ends_know_each_other() -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    ours = await dial_tcp("127.0.0.1", listener.address.port)
    theirs = await listener.accept()
    assert (ours.remote, theirs.remote) == (theirs.local, ours.local)
    assert str(ours.remote) == f"127.0.0.1:{listener.address.port}"
    await ours.close()
    await theirs.close()
    await listener.close()


async def test_a_port_in_use_is_named() -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    port = listener.address.port
    with pytest.raises(Conflict, match=f"port {port} on 127.0.0.1 is in use"):
        await listen_tcp("127.0.0.1", port)
    await listener.close()
    again = await listen_tcp("127.0.0.1", port)
    await again.close()


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(DialFailed, match=f"127.0.0.1:{port}: Connection refused"):
            await dial_tcp("127.0.0.1", port)


async def test_closing_the_listener_ends_accept() -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    accepting = asyncio.ensure_future(listener.accept())
    await asyncio.sleep(0)
    await listener.close()
    await listener.close()
    with pytest.raises(StreamClosed):
        await accepting
    with pytest.raises(StreamClosed):
        await listener.accept()


async def test_too_many_open_files_only_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    failures = [OSError(errno.EMFILE, "Too many open files")]

    class Exhausted:
        def __getattr__(self, name: str) -> object:
            return getattr(sock, name)

        def accept(self) -> object:
            if failures:
                raise failures.pop()
            return sock.accept()

    sock = listener._sock
    monkeypatch.setattr(listener, "_sock", Exhausted())
    ours = await dial_tcp("127.0.0.1", listener.address.port)
    theirs = await listener.accept()
    assert not failures
    await ours.close()
    await theirs.close()
    await listener.close()


async def test_all_addresses_means_both_families() -> None:
    listener = await listen_tcp("", 0)
    for host in ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
        ours = await dial_tcp(host, listener.address.port)
        theirs = await listener.accept()
        await ours.close()
        await theirs.close()
    await listener.close()


async def test_a_second_reader_is_a_bug() -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    ours = await dial_tcp("127.0.0.1", listener.address.port)
    reading = asyncio.ensure_future(ours.read())
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError):
        await ours.read()
    await ours.close()
    with pytest.raises(StreamClosed):
        await reading
    await listener.close()


async def test_what_was_written_arrives_although_we_left_much_unread() -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    ours = await dial_tcp("127.0.0.1", listener.address.port)
    theirs = await listener.accept()
    flood = asyncio.ensure_future(theirs.write(bytes(4 * READ_LIMIT)))
    await eventually(lambda: ours._reading_paused)
    await ours.write(b"last words")
    closing = asyncio.ensure_future(ours.close())
    async with asyncio.timeout(5):
        await flood
        assert await theirs.read() == b"last words"
        assert await theirs.read() == b""
        await theirs.close()
        await closing
    await listener.close()


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "a\0b"])
async def test_an_impossible_name_is_a_failure_and_no_bug(host: str) -> None:
    with pytest.raises(DialFailed, match="that is no host name"):
        await dial_tcp(host, 80)
    with pytest.raises(DialFailed, match="cannot resolve"):
        await dial_public(host, 80)
    with pytest.raises((InvalidValue, Unavailable), match="cannot"):
        await listen_tcp(host, 0)
