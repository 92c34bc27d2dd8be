"""Clients, a server and the streams between them, over real sockets."""

import asyncio
import hashlib
import os

import pytest

from skywire.crypto import generate
from skywire.dmsg.client import DmsgClient
from skywire.dmsg.ports import ACCEPT_BACKLOG
from skywire.errors import (
    Conflict,
    DialFailed,
    InvalidValue,
    NotFound,
    Refused,
    StreamClosed,
    StreamReset,
)
from skywire.wire.dmsg import Code

from .conftest import Net, soon, until


async def delegated(net: Net, client: DmsgClient, count: int) -> None:
    """Wait until the posted entry names `count` servers that are up."""
    up = {server.public for server in net.servers if server.session_count}

    def ready() -> bool:
        entry = net.directory.known(client.public)
        servers = (entry and entry.client and entry.client.delegated_servers) or ()
        return len(servers) == count and up.issuperset(servers)

    await until(ready, 5)


async def test_a_stream_carries_bytes_both_ways_and_names_its_ends(net: Net) -> None:
    a, b = await net.client(), await net.client()
    listener = b.listen(80)
    stream = await soon(a.dial(b.public, 80))
    accepted = await soon(listener.accept())
    assert accepted.remote.pk == a.public
    assert accepted.local.port == 80
    assert stream.remote.pk == b.public
    assert stream.local.port == accepted.remote.port == 49153
    await stream.write(b"hello")
    assert await soon(accepted.read()) == b"hello"
    await accepted.write(b"world")
    assert await soon(stream.read()) == b"world"
    await stream.close()
    assert await soon(accepted.read()) == b""
    with pytest.raises(StreamReset):
        await accepted.write(b"too late")
    with pytest.raises(StreamClosed):
        await stream.read()
    await accepted.close()
    await until(lambda: not next(iter(a._sessions.values())).yamux.streams)
    await until(lambda: not next(iter(b._sessions.values())).yamux.streams)


async def test_two_megabytes_both_ways_at_once_arrive_whole(net: Net) -> None:
    a, b = await net.client(), await net.client()
    listener = b.listen(80)
    stream = await soon(a.dial(b.public, 80))
    accepted = await soon(listener.accept())
    payload = os.urandom(2_000_000)

    async def send(end: object) -> None:
        for begin in range(0, len(payload), 50_000):
            await end.write(payload[begin : begin + 50_000])  # type: ignore[attr-defined]

    async def receive(end: object) -> bytes:
        got = hashlib.sha256()
        left = len(payload)
        while left:
            data = await end.read()  # type: ignore[attr-defined]
            left -= len(data)
            got.update(data)
        return got.digest()

    digest = hashlib.sha256(payload).digest()
    _, _, one, two = await soon(
        asyncio.gather(send(stream), send(accepted), receive(stream), receive(accepted))
    )
    assert one == two == digest


async def test_a_reader_that_stops_stops_the_writer_and_nobody_else(net: Net) -> None:
    a, b, c = await net.client(), await net.client(), await net.client()
    listener = b.listen(80)
    stuck = await soon(a.dial(b.public, 80))
    accepted = await soon(listener.accept())

    async def flood() -> None:
        while True:
            await stuck.write(bytes(60_000))

    writer = asyncio.ensure_future(flood())
    other = c.listen(81)
    free = await soon(a.dial(c.public, 81))
    far = await soon(other.accept())
    for _ in range(20):
        await free.write(b"ping")
        assert await soon(far.read()) == b"ping"
    assert not writer.done()
    server = net.servers[0]
    assert all(s.parked <= 262_144 for group in server._sessions.values() for s in group)
    total = 0
    async with asyncio.timeout(5):
        while total < 3_000_000:
            total += len(await accepted.read())
    writer.cancel()


async def test_a_failed_dial_is_reported_at_once(net: Net) -> None:
    a, b = await net.client(), await net.client()
    async with asyncio.timeout(2):
        with pytest.raises(Refused, match="306") as refused:
            await a.dial(b.public, 99)
        assert refused.value.reason == Code.NO_LISTENER
        stranger, _ = generate.key_pair()
        with pytest.raises(NotFound, match="102"):
            await a.dial(stranger, 99)
    for port in (0, 65536):
        with pytest.raises(InvalidValue):
            await a.dial(b.public, port)


async def test_a_client_that_left_cannot_be_dialled_and_says_so_at_once(net: Net) -> None:
    a, b = await net.client(), await net.client()
    entry = await net.directory.entry(b.public)
    await b.close()
    await net.directory.post(entry)  # an entry that is out of date
    await until(lambda: net.servers[0].session_count == 1)
    async with asyncio.timeout(2):
        with pytest.raises(DialFailed, match="307"):
            await a.dial(b.public, 80)


async def test_a_full_listener_refuses_with_401(net: Net) -> None:
    a, b = await net.client(), await net.client()
    b.listen(80)
    for _ in range(ACCEPT_BACKLOG):
        await soon(a.dial(b.public, 80))
    with pytest.raises(Refused, match="401"):
        await soon(a.dial(b.public, 80))


async def test_many_dials_that_come_together_all_get_in(net: Net) -> None:
    dialling, b = [await net.client() for _ in range(4)], await net.client()
    listener = b.listen(80)

    async def accept() -> None:
        for _ in range(200):
            await listener.accept()

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(accept())
        for number in range(200):
            tasks.create_task(dialling[number % 4].dial(b.public, 80))


async def test_a_port_has_one_listener(net: Net) -> None:
    a = await net.client()
    listener = a.listen(80)
    with pytest.raises(Conflict, match="400"):
        a.listen(80)
    waiting = asyncio.ensure_future(listener.accept())
    await asyncio.sleep(0)
    await listener.close()
    with pytest.raises(StreamClosed):
        await soon(waiting)
    a.listen(80)
    with pytest.raises(InvalidValue):
        a.listen(0)


async def test_our_address_is_what_the_server_sees(net: Net) -> None:
    a = await net.client()
    assert await soon(a.look_up_ip()) == "127.0.0.1"
    assert await soon(a.look_up_ip(net.servers[0].public)) == "127.0.0.1"


async def test_the_way_to_a_server_is_measured_at_once(net: Net) -> None:
    client = await net.client()
    (server,) = client.sessions[:1]
    await until(lambda: client.round_trip(server))
    assert 0 < (client.round_trip(server) or 0) < 5
    assert client.round_trip(client.public) is None


async def test_a_lost_server_fails_the_streams_and_the_other_takes_over(net: Net) -> None:
    await net.server()
    a, b = await net.client(min_sessions=2), await net.client(min_sessions=2)
    await until(lambda: len(a.sessions) == 2)
    await delegated(net, b, 2)
    listener = b.listen(80)
    stream = await soon(a.dial(b.public, 80))
    await soon(listener.accept())
    gone = next(s for s in net.servers if s.public.hex() == stream.server)
    await gone.close()
    with pytest.raises(StreamReset):
        await soon(stream.read())
    async with asyncio.timeout(5):
        again = await a.dial(b.public, 80)
        far = await listener.accept()
    await again.write(b"still here")
    assert await soon(far.read()) == b"still here"
    assert again.server != gone.public.hex()


async def test_with_one_session_the_client_moves_to_the_other_server(net: Net) -> None:
    await net.server()
    a = await net.client()
    first = a.sessions[0]
    gone = next(s for s in net.servers if s.public == first)
    await gone.close()
    await until(lambda: bool(a.sessions) and a.sessions[0] != first, 5)
    await delegated(net, a, 1)
    entry = await net.directory.entry(a.public)
    assert entry.client is not None
    assert entry.client.delegated_servers == a.sessions


async def test_dropped_sessions_come_back(net: Net) -> None:
    a = await net.client()
    a.drop_sessions()
    await until(lambda: not a.sessions)
    await until(lambda: bool(a.sessions))
