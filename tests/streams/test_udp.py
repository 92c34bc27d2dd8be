"""One UDP socket for many: who gets which datagram, limits, and what garbage does."""

import asyncio
import errno
import os
import socket as sockets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire.errors import Conflict, StreamClosed, StreamReset, Unavailable
from skywire.streams import kcp as kcp_streams
from skywire.streams import udp
from skywire.streams.kcp import KcpStream
from skywire.streams.udp import Endpoint, UdpSocket, open_udp, resolve_udp
from skywire.testing.stream_contract import pattern, read_exactly
from skywire.testing.wait import eventually
from skywire.wire.kcp import HEADER, PUSH, RESET, Kcp, conversation, reset_datagram

LOOPBACK = "127.0.0.1"
PATIENCE = 10.0

Open = Callable[[], Awaitable[UdpSocket]]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def open_one() -> UdpSocket:
            sock = await open_udp(LOOPBACK)
            stack.push_async_callback(sock.close)
            return sock

        yield open_one


def place(sock: UdpSocket) -> Endpoint:
    return sock.address.host, sock.address.port


async def soon(work: Awaitable[bytes]) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await work


async def accepted(listener: udp.KcpListener) -> KcpStream:
    async with asyncio.timeout(PATIENCE):
        return await listener.accept()


async def test_three_kinds_of_sessions_share_the_socket(opened: Open) -> None:
    ours, resolver, dialler, target = [await opened() for _ in range(4)]
    others: list[bytes] = []
    ours.on_other = lambda data, source: others.append(data)
    listener = ours.listen()
    fixed = ours.dial_fixed(place(resolver))
    await fixed.write(b"to the resolver")
    at_resolver = await accepted(_listen(resolver))
    incoming = dialler.dial(place(ours))
    await incoming.write(b"to us")
    outgoing = ours.dial(place(target))
    await outgoing.write(b"to the target")
    at_target = await accepted(_listen(target))
    at_us = await accepted(listener)
    dialler.send(b"holepunch", place(ours))
    assert await soon(at_resolver.read()) == b"to the resolver"
    assert await soon(at_us.read()) == b"to us"
    assert await soon(at_target.read()) == b"to the target"
    await at_resolver.write(b"1")
    await at_us.write(b"2")
    await at_target.write(b"3")
    assert await soon(fixed.read()) == b"1"
    assert await soon(incoming.read()) == b"2"
    assert await soon(outgoing.read()) == b"3"
    await eventually(lambda: others == [b"holepunch"])


def _listen(sock: UdpSocket) -> udp.KcpListener:
    return sock.listen()


async def test_messages_keep_their_borders(opened: Open) -> None:
    here, there = await opened(), await opened()
    listener = there.listen()
    stream = here.dial(place(there))
    for text in (b"one", b"two", b"three"):
        await stream.write(text)
    theirs = await accepted(listener)
    assert [await soon(theirs.read_message()) for _ in range(3)] == [b"one", b"two", b"three"]
    await stream.close()
    assert await soon(theirs.read_message()) == b""


async def test_another_session_from_the_same_address_replaces_the_old(opened: Open) -> None:
    here, there = await opened(), await opened()
    listener = there.listen()
    first, second = here.dial(place(there)), here.dial(place(there))
    await first.write(b"first")
    old = await accepted(listener)
    assert await soon(old.read()) == b"first"
    await second.write(b"second")
    new = await accepted(listener)
    assert await soon(new.read()) == b"second"
    with pytest.raises(StreamReset, match="another session"):
        await soon(old.read())


async def test_a_late_datagram_of_an_ended_session_opens_none(opened: Open) -> None:
    here, there = await opened(), await opened()
    listener = there.listen()
    answers: list[bytes] = []
    here.on_other = lambda data, source: answers.append(data)
    session = Kcp(77)
    session.send(b"x")
    (first,) = session.data_to_send(0)
    here.send(first, place(there))
    theirs = await accepted(listener)
    theirs.abort()
    here.send(first, place(there))
    later = HEADER.pack(78, PUSH, 0, 32, 0, 5, 0, 1) + b"x"  # of a session nobody knows
    here.send(later, place(there))
    await eventually(lambda: there.ignored >= 2)
    assert listener.waiting == 0
    assert not there._incoming


async def test_an_unknown_session_is_answered_with_a_reset(opened: Open) -> None:
    there = await opened()
    with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as raw:
        raw.bind((LOOPBACK, 0))
        raw.setblocking(False)
        raw.sendto(HEADER.pack(78, PUSH, 0, 32, 0, 5, 0, 1) + b"x", place(there))
        loop = asyncio.get_running_loop()
        answer = await soon(loop.sock_recv(raw, 2000))
        assert conversation(answer) == 78
        assert answer[4] == RESET
        raw.sendto(answer, place(there))  # a reset is never answered
        await eventually(lambda: there.ignored == 2)
        with pytest.raises(BlockingIOError):
            raw.recv(2000)


async def test_a_reset_from_elsewhere_is_ignored(opened: Open) -> None:
    here, there, stranger = [await opened() for _ in range(3)]
    listener = there.listen()
    stream = here.dial(place(there))
    await stream.write(b"x")
    theirs = await accepted(listener)
    stranger.send(reset_datagram(stream.conv), place(here))
    await eventually(lambda: here.ignored == 1)
    await theirs.write(b"still here")
    assert await soon(stream.read()) == b"still here"


async def test_a_peer_that_moved_is_told_to_begin_again(opened: Open) -> None:
    here, there, elsewhere = [await opened() for _ in range(3)]
    listener = there.listen()
    stream = here.dial(place(there))
    await stream.write(b"x")
    theirs = await accepted(listener)
    assert await soon(theirs.read()) == b"x"
    await eventually(lambda: stream._kcp.delivered)
    elsewhere._dialled[stream.conv] = stream  # the same session, from another address
    stream._send = lambda datagrams: elsewhere.send_all(datagrams, place(there))
    await stream.write(b"y")
    with pytest.raises(StreamReset, match="broke the session"):
        await soon(stream.read())


async def test_sessions_are_limited(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "MAX_SESSIONS", 3)
    monkeypatch.setattr(udp, "MAX_WAITING", 2)
    there = await opened()
    listener = there.listen()
    for _ in range(5):
        await (await opened()).dial(place(there)).write(b"x")
    await eventually(lambda: there.ignored >= 3)
    assert listener.waiting == 2
    streams = [await accepted(listener) for _ in range(2)]
    await eventually(lambda: listener.waiting == 1)  # the others try again
    streams.append(await accepted(listener))
    assert len(there._incoming) == 3
    streams[0].abort()
    await accepted(listener)


async def test_dialled_sessions_are_limited(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "MAX_DIALLED", 2)
    here = await opened()
    to = place(await opened())
    first, _ = here.dial(to), here.dial(to)
    with pytest.raises(Conflict):
        here.dial(to)
    first.abort()
    here.dial(to)


async def test_without_a_listener_sessions_are_ignored(opened: Open) -> None:
    here, there = await opened(), await opened()
    await here.dial(place(there)).write(b"x")
    await eventually(lambda: there.ignored)
    assert not there._incoming


async def test_a_listener_that_closes_leaves_accepted_sessions_alone(opened: Open) -> None:
    here, there, third = [await opened() for _ in range(3)]
    listener = there.listen()
    with pytest.raises(Conflict):
        there.listen()
    stream = here.dial(place(there))
    await stream.write(b"x")
    theirs = await accepted(listener)
    late = third.dial(place(there))
    await late.write(b"y")
    await eventually(lambda: listener.waiting)
    await listener.close()
    await listener.close()
    with pytest.raises(StreamClosed):
        await listener.accept()
    await theirs.write(b"still here")
    assert await soon(stream.read()) == b"still here"
    with pytest.raises(StreamReset):
        await soon(late.read())
    there.listen()


async def test_closing_the_socket_ends_everything(opened: Open) -> None:
    here, there = await opened(), await opened()
    listener = there.listen()
    stream = here.dial(place(there))
    await stream.write(b"x")
    theirs = await accepted(listener)
    waiting = asyncio.ensure_future(listener.accept())
    await asyncio.sleep(0)
    await there.close()
    await there.close()
    with pytest.raises(StreamClosed):
        await waiting
    with pytest.raises(StreamClosed):
        await theirs.write(b"x")
    with pytest.raises(StreamReset):
        await soon(stream.read())
    there.send(b"x", place(here))
    with pytest.raises(StreamClosed):
        there.dial(place(here))


async def test_garbage_disturbs_no_session(opened: Open) -> None:
    here, there = await opened(), await opened()
    listener = there.listen()
    stream = here.dial(place(there))
    await stream.write(b"x")
    theirs = await accepted(listener)
    assert await soon(theirs.read()) == b"x"
    conv = stream.conv.to_bytes(4, "little")
    garbage = [b"", b"\0", b"\xff" * 1500, conv + b"\x51" * 20, conv + b"\x52" * 1400]
    garbage += [conv + bytes([cmd]) + bytes(19) for cmd in (0, 80, 85, 255)]
    data = pattern(200_000)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(stream.write(data))
        got = tasks.create_task(read_exactly(theirs, len(data)))
        for _ in range(20):
            for datagram in garbage:
                here.send(datagram, place(there))
            await asyncio.sleep(0)
    assert got.result() == data


async def test_a_peer_that_vanished_is_noticed_when_writing(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skywire.wire.kcp.SILENCE_LIMIT", 300)
    here, there = await opened(), await opened()
    stream = here.dial(place(there))  # nobody listens there
    await stream.write(b"x")
    with pytest.raises(StreamReset, match="nothing heard"):
        await soon(stream.read())
    assert not here._dialled


async def test_a_closed_stream_lingers_only_so_long(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kcp_streams, "LINGER", 0.1)
    monkeypatch.setattr(kcp_streams, "CLOSE_WAIT", 0.05)
    here, there = await opened(), await opened()
    listener = there.listen()
    stream = here.dial(place(there))
    await stream.write(b"x")
    theirs = await accepted(listener)
    await stream.close()  # the peer never closes
    await eventually(lambda: not here._dialled)
    assert await soon(theirs.read()) == b"x"
    lonely = here.dial(place(await opened()))
    await lonely.write(b"nobody takes this")
    await lonely.close()
    await eventually(lambda: not here._dialled)


async def test_a_taken_port_is_a_conflict(opened: Open) -> None:
    with pytest.raises(Conflict):
        await open_udp(LOOPBACK, (await opened()).address.port)


async def test_names_become_addresses() -> None:
    assert await resolve_udp("127.0.0.1", 9) == ("127.0.0.1", 9)
    with pytest.raises(Unavailable):
        await resolve_udp("a..b", 99)


# Many datagrams with one call to the kernel


@given(st.lists(st.integers(1, 4), max_size=40))
def test_bursts_are_of_one_size_and_lose_nothing(sizes: list[int]) -> None:
    datagrams = [bytes([at]) * size for at, size in enumerate(sizes)]
    bursts = list(udp._bursts(datagrams))
    assert [datagram for burst in bursts for datagram in burst] == datagrams
    for burst in bursts:
        assert 1 <= len(burst) <= udp.BURST
        assert {len(datagram) for datagram in burst[:-1]} <= {len(burst[0])}
        assert len(burst[-1]) <= len(burst[0])


async def test_datagrams_of_a_burst_arrive_one_by_one(opened: Open) -> None:
    here, there = await opened(), await opened()
    got: list[bytes] = []
    there.on_other = lambda data, source: got.append(data)
    sent = [bytes([at]) * 1400 for at in range(20)] + [b"short", b"a" * 30, b"b" * 30]
    here.send_all(sent, place(there))
    await eventually(lambda: len(got) == len(sent))
    assert got == sent


async def test_long_datagrams_are_cut(opened: Open) -> None:
    here, there = await opened(), await opened()
    got: list[bytes] = []
    there.on_other = lambda data, source: got.append(data)
    here.send(b"x" * 4000, place(there))
    here.send_all([b"y" * 4000, b"y" * 4000, b"z"], place(there))
    await eventually(lambda: len(got) == 4)
    assert got == [b"x" * udp.DATAGRAM, b"y" * udp.DATAGRAM, b"y" * udp.DATAGRAM, b"z"]


class Refusing:
    """A socket whose kernel takes no bursts."""

    def __init__(self, sock: sockets.socket, number: int) -> None:
        self._sock = sock
        self._number = number

    def sendmsg(self, *_: object) -> int:
        raise OSError(self._number, os.strerror(self._number))

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)

    def fileno(self) -> int:
        return self._sock.fileno()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO, errno.EMSGSIZE])
async def test_where_there_are_no_bursts_datagrams_go_out_singly(opened: Open, number: int) -> None:
    here, there = await opened(), await opened()
    got: list[bytes] = []
    there.on_other = lambda data, source: got.append(data)
    here._sock = Refusing(here._sock, number)  # type: ignore[assignment]
    for _ in range(2):
        here.send_all([b"a" * 20, b"b" * 20], place(there))
    await eventually(lambda: got == [b"a" * 20, b"b" * 20] * 2)
    assert here.unsent == 0


async def test_a_way_that_is_closed_costs_the_datagrams_only(opened: Open) -> None:
    here, there = await opened(), await opened()
    here._sock = Refusing(here._sock, errno.ENETUNREACH)  # type: ignore[assignment]
    here.send_all([b"a" * 20, b"b" * 20], place(there))
    assert here.unsent == 2


class Full(Refusing):
    """A socket whose buffer is full."""

    def sendto(self, *_: object) -> int:
        raise BlockingIOError

    def sendmsg(self, *_: object) -> int:
        raise BlockingIOError

    def recvmsg_into(self, *_: object) -> object:
        if self._number:
            self._number = 0
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        raise BlockingIOError


async def test_a_full_socket_loses_datagrams_and_a_refused_one_is_no_end(opened: Open) -> None:
    here, there = await opened(), await opened()
    here._sock = Full(here._sock, 1)  # type: ignore[assignment]
    here.send(b"x", place(there))
    here.send_all([b"x", b"y"], place(there))
    assert here.unsent == 3
    here._on_readable()
    await here.close()
    here.send_all([b"x", b"y"], place(there))
    assert here.unsent == 3


async def test_a_way_that_fails_costs_single_datagrams_too(opened: Open) -> None:
    here = await opened()
    here.send(b"x" * 70_000, place(here))  # larger than UDP can be
    assert here.unsent == 1


async def test_ended_sessions_are_not_remembered_for_ever(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "MAX_ENDED", 3)
    here = await opened()
    for _ in range(10):
        here.dial(place(here)).abort()
    assert len(here._ended) == 3


async def test_another_session_with_the_fixed_peer_replaces_the_first(opened: Open) -> None:
    here, there = await opened(), await opened()
    first = here.dial_fixed(place(there))
    second = here.dial_fixed(place(there))
    with pytest.raises(StreamClosed):
        await first.write(b"x")
    listener = there.listen()
    await second.write(b"y")
    theirs = await accepted(listener)
    assert await soon(theirs.read()) == b"y"
    second.abort()
    assert not here._fixed
