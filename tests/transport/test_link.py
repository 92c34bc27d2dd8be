"""A link over streams in memory: queue, congestion, figures, the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import StreamReset, Unavailable
from skywire.streams.stream import Address, Stream
from skywire.streams.supervise import Tasks
from skywire.testing.streams import stream_pair
from skywire.testing.wait import eventually
from skywire.transport.link import HIGH_WATER, MAX_QUEUED, STALL_LIMIT, Link, OnData
from skywire.wire import transport
from skywire.wire.link import PONG, SILENCE_LIMIT, control_packet
from skywire.wire.packet import encode
from skywire.wire.transport import STCP, USER, Entry

A, A_SECRET, _ = deterministic_key_pair(b"a")
B, _, _ = deterministic_key_pair(b"b")
PACKET = encode(0, 1, bytes(60_000))


class Owner:
    def __init__(self) -> None:
        self.on_data: OnData | None = None
        self.ended: list[Link] = []
        self.got = bytearray()

    def link_ended(self, link: Link) -> None:
        self.ended.append(link)


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Link, Stream, Owner]]:
    owner, tasks = Owner(), Tasks("test")

    def take(_: Link, data: bytes) -> None:
        owner.got += data

    owner.on_data = take
    ours, theirs = stream_pair(a=Address("stcp", A.hex(), 45, A), b=Address("stcp", B.hex(), 45, B))
    signed = transport.sign(Entry.of(A, B, STCP), A_SECRET)
    link = Link(ours, signed, USER, dialled=True, owner=owner)
    tasks.spawn(link.run(), "link")
    try:
        yield link, theirs, owner
    finally:
        await tasks.close()


async def read_all(stream: Stream, size: int) -> bytes:
    data = b""
    async with asyncio.timeout(10):
        while len(data) < size:
            data += await stream.read()
    return data


async def test_a_peer_that_takes_nothing_makes_it_congested_then_full_and_nobody_waits() -> None:
    async with running() as (link, theirs, _):
        while not link.congested:
            link.send(PACKET)
        assert link.queued > HIGH_WATER
        woken = asyncio.Event()
        link.when_drained(woken.set)
        waiting = asyncio.ensure_future(link.drained())
        while link.queued + len(PACKET) <= MAX_QUEUED:
            link.send(PACKET)
        taken = link.sent
        with pytest.raises(Unavailable, match="takes nothing"):
            link.send(PACKET)
        assert link.queued <= MAX_QUEUED
        assert link.dropped == len(PACKET)
        assert not woken.is_set()
        assert len(await read_all(theirs, taken)) == taken
        async with asyncio.timeout(5):
            await woken.wait()
            await waiting
        assert not link.congested
        assert link.sent == taken


async def test_a_write_that_is_not_done_within_a_minute_ends_the_link() -> None:
    async with running() as (link, _, owner):
        while not link.congested:
            link.send(PACKET)
        await eventually(lambda: link._writing_since is not None)
        assert link._writing_since is not None
        link.tick(link._writing_since + STALL_LIMIT)
        assert link.is_up
        link.tick(link._writing_since + STALL_LIMIT + 0.1)
        assert (link.is_up, link.reason) == (False, "it took no data for 60 s")
        assert owner.ended == [link]


async def test_a_link_that_is_not_congested_calls_back_soon() -> None:
    async with running() as (link, _, _owner):
        woken = asyncio.Event()
        link.when_drained(woken.set)
        await link.drained()
        async with asyncio.timeout(5):
            await woken.wait()


async def test_the_end_wakes_everybody_and_refuses_more() -> None:
    async with running() as (link, _, owner):
        while not link.congested:
            link.send(PACKET)
        woken = asyncio.Event()
        link.when_drained(woken.set)
        waiting = asyncio.ensure_future(link.drained())
        link.end("test")
        async with asyncio.timeout(5):
            await woken.wait()
            await waiting
        assert (link.is_up, link.reason, owner.ended) == (False, "test", [link])
        with pytest.raises(StreamReset, match="is down: test"):
            link.send(PACKET)
        link.end("again")
        assert owner.ended == [link]


async def test_payload_bytes_leave_out_headers_however_they_are_cut() -> None:
    async with running() as (link, theirs, owner):
        raw = encode(0, 1, b"abc") + encode(2, 5) + encode(0, 1, bytes(1000))
        for begin in range(0, len(raw), 5):
            await theirs.write(raw[begin : begin + 5])
        await eventually(lambda: len(owner.got) == len(raw))
        assert (link.received, link.payload_received) == (len(raw), 1003)
        link.send(raw, packets=3)
        assert (link.sent, link.payload_sent) == (len(raw), 1003)


async def test_pings_are_answered_and_unknown_packets_passed_on() -> None:
    async with running() as (_, theirs, owner):
        ping = control_packet(8, b"12345678")
        await theirs.write(ping + encode(19, 0, b"?"))
        assert await theirs.read() == control_packet(PONG, b"12345678")
        assert bytes(owner.got).endswith(encode(19, 0, b"?"))


async def test_a_peer_that_answered_once_and_falls_silent_is_dropped() -> None:
    async with running() as (link, theirs, owner):
        now = asyncio.get_running_loop().time()
        link.tick(now)
        ping = await theirs.read()
        await theirs.write(control_packet(PONG, ping[7:]))
        await eventually(lambda: link.latency is not None)
        link.tick(now + 1)
        assert link.is_up
        link.tick(now + SILENCE_LIMIT + 5)
        assert not link.is_up
        assert link.reason.startswith("silent for 3")
        assert owner.ended == [link]


async def test_bandwidth_is_unknown_until_there_was_traffic() -> None:
    async with running() as (link, theirs, _):
        now = asyncio.get_running_loop().time()
        link.tick(now + 2)
        assert link.bandwidth is None
        link.send(PACKET)
        link.send(PACKET)
        link.tick(now + 4)
        assert link.bandwidth == pytest.approx(len(PACKET), rel=0.1)
        assert link.bandwidth_age is not None
        link.tick(now + 6)
        assert link.bandwidth is not None, "a pause does not make it forgotten"
        await theirs.read()


async def test_reading_waits_for_what_the_receiver_returns() -> None:
    async with running() as (_, theirs, owner):
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        calls = 0

        def slow(_: Link, data: bytes) -> asyncio.Future[None]:
            nonlocal calls
            calls += 1
            return gate

        owner.on_data = slow
        await theirs.write(PACKET)
        await eventually(lambda: calls == 1)
        await theirs.write(PACKET)
        await asyncio.sleep(0.05)
        assert calls == 1
        gate.set_result(None)
        await eventually(lambda: calls > 1)
