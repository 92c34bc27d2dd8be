import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import RemoteProtocolError, StreamClosed, StreamReset
from skywire.streams.connection import Connection, ConnectionListener, asyncio_streams
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.testing.listener import MemoryListener
from skywire.testing.stream_contract import Check, Traits, checks, name
from skywire.testing.streams import stream_pair

TRAITS = Traits()
PK = deterministic_key_pair(b"listener")[0]


def pair(chunk: int = 65536) -> tuple[Connection, Stream]:
    ours, theirs = stream_pair(chunk=chunk)
    return Connection(ours), theirs


async def sent(*pieces: bytes, chunk: int = 65536) -> Connection:
    """A connection whose peer has written this and finished."""
    ours, theirs = pair(chunk)
    for piece in pieces:
        await theirs.write(piece)
    await theirs.write_eof()
    return ours


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Connection, Connection]]:
    ours, theirs = stream_pair()
    yield Connection(ours), Connection(theirs)


@pytest.mark.parametrize("check", checks(TRAITS), ids=name)
async def test_contract(check: Check) -> None:
    async with asyncio.timeout(20), connected() as (ours, theirs):
        await check(ours, theirs, TRAITS)


async def test_lines_with_both_ends_and_without() -> None:
    connection = await sent(b"one\ntwo\r\n\nla", b"st")
    assert [line async for line in connection.lines()] == [b"one", b"two", b"", b"last"]
    assert await connection.readline() == b""


@given(st.binary(max_size=300), st.integers(1, 50))
async def test_any_split_gives_the_same_lines(data: bytes, chunk: int) -> None:
    connection = await sent(data, chunk=chunk)
    lines = []
    while line := await connection.readline():
        lines.append(line)
    assert lines == data.splitlines(keepends=True) if b"\r" not in data else b"".join(lines) == data


async def test_what_came_with_a_line_is_read_next() -> None:
    connection = await sent(b"head\nbody and more")
    assert await connection.readline() == b"head\n"
    assert await connection.read(4) == b"body"
    assert await connection.readexactly(4) == b" and"
    assert await connection.read_to_end() == b" more"
    assert await connection.read() == b""


async def test_exact_counts_across_pieces() -> None:
    connection = await sent(bytes(10), chunk=3)
    assert await connection.readexactly(7) == bytes(7)
    assert await connection.readexactly(0) == b""
    with pytest.raises(StreamReset, match="finished after 3 of 4 bytes"):
        await connection.readexactly(4)
    assert await connection.read() == bytes(3)


async def test_a_line_and_a_whole_have_limits() -> None:
    assert await (await sent(b"12345678\n")).readline(limit=9) == b"12345678\n"
    with pytest.raises(RemoteProtocolError, match="longer than 8 bytes"):
        await (await sent(b"12345678\n")).readline(limit=8)
    ours, theirs = pair()
    await theirs.write(bytes(9))  # and no end
    with pytest.raises(RemoteProtocolError, match="longer than 8 bytes"):
        await ours.readline(limit=8)
    assert await (await sent(bytes(8))).read_to_end(limit=8) == bytes(8)
    with pytest.raises(RemoteProtocolError, match="more than 8 bytes"):
        await (await sent(bytes(9))).read_to_end(limit=8)


async def test_pieces_until_the_end() -> None:
    connection = await sent(b"abcdef", chunk=2)
    assert [piece async for piece in connection] == [b"ab", b"cd", b"ef"]


async def test_leaving_closes_and_an_exception_aborts() -> None:
    ours, theirs = pair()
    async with ours:
        await ours.write(b"all of it")
    assert await theirs.read() == b"all of it"
    assert await theirs.read() == b""
    ours, theirs = pair()
    with pytest.raises(ZeroDivisionError):
        async with ours:
            raise ZeroDivisionError
    with pytest.raises(StreamReset):
        await theirs.read()


def listening() -> tuple[MemoryListener, ConnectionListener]:
    listener = MemoryListener(Address.dmsg(PK, 80), Address.dmsg(PK, 49152))
    return listener, ConnectionListener(listener)


async def test_a_handler_for_each_connection_and_one_that_fails() -> None:
    listener, connections = listening()

    async def shout(connection: Connection) -> None:
        async for line in connection.lines():
            await connection.write(line.upper() + b"\n")
            if line == b"break":
                await connection.readexactly(99)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(connections.serve(shout))
        bad = Connection(await listener.dial(PK, 80))
        await bad.write(b"break\n")
        await bad.write_eof()
        assert await bad.readline() == b"BREAK\n"
        with pytest.raises(StreamReset):
            await bad.read()
        async with Connection(await listener.dial(PK, 80)) as good:
            await good.write(b"hello\n")
            assert await good.readline() == b"HELLO\n"
        await connections.close()
        await serving


async def test_one_connection_too_many_is_cut() -> None:
    listener, connections = listening()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(connections.serve(Connection.read_to_end, limit=1))
        first = await listener.dial(PK, 80)
        second = await listener.dial(PK, 80)
        with pytest.raises(StreamReset):
            await second.read()
        first.abort()
        await connections.close()
        await serving


async def test_connections_one_after_the_other_until_it_is_closed() -> None:
    listener, connections = listening()
    assert connections.address.port == 80
    await listener.dial(PK, 80)
    seen: list[Connection] = []

    async def accept_all() -> None:
        async with connections:
            async for connection in connections:
                seen.append(connection)
                connection.abort()
                await connections.close()

    with pytest.raises(StreamClosed):
        await accept_all()
    assert len(seen) == 1


async def test_asyncio_reader_and_writer() -> None:
    ours, theirs = stream_pair()
    tasks = Tasks("test")
    reader, writer = asyncio_streams(ours, tasks)
    writer.write(b"one\n")
    await writer.drain()
    assert await theirs.read() == b"one\n"
    await theirs.write(b"two\nthree")
    await theirs.write_eof()
    assert await reader.readline() == b"two\n"
    assert await reader.read() == b"three"
    assert writer.get_extra_info("remote") == ours.remote
    writer.close()
    await writer.wait_closed()
    assert await theirs.read() == b""
    await tasks.close()


async def test_a_reset_reaches_the_reader() -> None:
    ours, theirs = stream_pair()
    tasks = Tasks("test")
    reader, writer = asyncio_streams(ours, tasks)
    theirs.abort()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    with pytest.raises(ConnectionResetError):
        await writer.wait_closed()
    await tasks.close()
