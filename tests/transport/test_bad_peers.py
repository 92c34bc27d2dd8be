"""What a bad peer does costs its own connection and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from skywire.crypto.generate import key_pair
from skywire.errors import SkywireError
from skywire.streams.stream import Stream
from skywire.streams.tcp import dial_tcp
from skywire.testing.wait import eventually
from skywire.transport.link import Link
from skywire.transport.networks import Identity, secure_dial
from skywire.transport.settling import settle_dialled
from skywire.transport.stcp import MAX_PER_HOST
from skywire.wire import transport
from skywire.wire.handshake import HELLO, Initiator
from skywire.wire.packet import encode
from skywire.wire.settlement import Answer
from skywire.wire.transport import STCP, Entry, SignedEntry
from tests.transport.kit import Net, Node, net, other_end

SOON = 5.0


class Stranger:
    """A peer of our own making, one step at a time."""

    def __init__(self, target: Node) -> None:
        public, secret = key_pair()
        self.identity = Identity.of(public, secret)
        self.target = target
        self.streams: list[Stream] = []

    async def connect(self) -> Stream:
        async with asyncio.timeout(SOON):
            stream = await dial_tcp("127.0.0.1", self.target.network.port)
        self.streams.append(stream)
        return stream

    async def leave(self) -> None:
        for stream in self.streams:
            stream.abort()
            await stream.close()

    async def secure(self) -> Stream:
        return await secure_dial(await self.connect(), self.identity, self.target.pk, STCP)

    def signed(self, kind: str = STCP) -> SignedEntry:
        entry = Entry.of(self.identity.public, self.target.pk, kind)
        return transport.sign(entry, self.identity.secret)

    async def answer_to(self, request: bytes) -> tuple[Stream, bytes]:
        stream = await self.secure()
        async with asyncio.timeout(SOON):
            await stream.write(request)
            return stream, await stream.read()


async def silence(stranger: Stranger) -> None:
    await stranger.connect()


async def half_a_hello(stranger: Stranger) -> None:
    await (await stranger.connect()).write(HELLO[:4])


async def garbage(stranger: Stranger) -> None:
    stream = await stranger.connect()
    await stream.write(b"\x16\x03\x01GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(SOON):
        assert await _end(stream) == b""


async def a_reset(stranger: Stranger) -> None:
    stream = await stranger.connect()
    await stream.write(HELLO)
    stream.abort()


async def a_replayed_claim(stranger: Stranger) -> None:
    stream = await stranger.connect()
    identity = stranger.identity
    machine = Initiator(identity.public, identity.secret, stranger.target.pk)
    await stream.write(machine.start())
    old = machine.receive_data(b'{"Nonce":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}\n')
    async with asyncio.timeout(SOON):
        await stream.read()
        await stream.write(old)
        assert await _end(stream) == b""


async def another_target(stranger: Stranger) -> None:
    """Who takes us for somebody else gets no further than Noise."""
    with pytest.raises(SkywireError):
        await secure_dial(await stranger.connect(), stranger.identity, key_pair()[0], STCP)


async def silence_before_settling(stranger: Stranger) -> None:
    await stranger.secure()


async def garbage_settlement(stranger: Stranger) -> None:
    _, answer = await stranger.answer_to(b"\xff\xfe{}\n")
    assert answer == Answer.INVALID_ENTRY.byte


async def a_wrong_type(stranger: Stranger) -> None:
    _, answer = await stranger.answer_to(stranger.signed("stcpr").encode() + b"\n")
    assert answer == Answer.INVALID_ENTRY.byte


async def a_missing_signature(stranger: Stranger) -> None:
    entry = SignedEntry(stranger.signed().entry)
    _, answer = await stranger.answer_to(entry.encode() + b"\n")
    assert answer == Answer.INVALID_ENTRY.byte


async def somebody_elses_entry(stranger: Stranger) -> None:
    other = Stranger(stranger.target)
    _, answer = await stranger.answer_to(other.signed().encode() + b"\n")
    assert answer == Answer.INVALID_ENTRY.byte


async def packets_before_the_answer(stranger: Stranger) -> None:
    request = stranger.signed().encode() + b"\n" + encode(0, 1, b"early")
    _, answer = await stranger.answer_to(request)
    assert answer == Answer.INVALID_ENTRY.byte


async def an_end_in_the_settlement(stranger: Stranger) -> None:
    stream = await stranger.secure()
    await stream.write(b'{"entry":')
    await stream.close()


async def a_link_that_ends_at_once(stranger: Stranger) -> None:
    stream = await stranger.secure()
    async with asyncio.timeout(SOON):
        await settle_dialled(stream, stranger.identity, stranger.target.pk, STCP)
    stream.abort()


async def forged_frames_on_a_link(stranger: Stranger) -> None:
    raw = await stranger.connect()
    stream = await secure_dial(raw, stranger.identity, stranger.target.pk, STCP)
    async with asyncio.timeout(SOON):
        await settle_dialled(stream, stranger.identity, stranger.target.pk, STCP)
        await raw.write(b"\x00\x20" + bytes(40))
        await _end(raw)


async def _end(stream: Stream) -> bytes:
    """What is left to read."""
    data = b""
    try:
        while part := await stream.read():
            data += part
    except SkywireError:
        pass
    return data


BAD: list[Callable[[Stranger], Awaitable[None]]] = [
    silence,
    half_a_hello,
    garbage,
    a_reset,
    a_replayed_claim,
    another_target,
    silence_before_settling,
    garbage_settlement,
    a_wrong_type,
    a_missing_signature,
    somebody_elses_entry,
    packets_before_the_answer,
    an_end_in_the_settlement,
    a_link_that_ends_at_once,
    forged_frames_on_a_link,
]


async def honest(made: Net, target: Node) -> None:
    node = await made.node()
    async with asyncio.timeout(SOON):
        link = await node.manager.save(target.pk, STCP)
    back = await other_end(target, link)
    back.send(encode(0, 1, b"welcome"))
    await eventually(lambda: b"welcome" in node.received)


@pytest.mark.parametrize("misbehave", BAD, ids=lambda each: each.__name__)
async def test_the_next_peer_is_served(misbehave: Callable[[Stranger], Awaitable[None]]) -> None:
    async with net() as made:
        target = await made.node()
        for _ in range(3):
            stranger = Stranger(target)
            made.stack.push_async_callback(stranger.leave)
            await misbehave(stranger)
            await honest(made, target)
        listed = {id for id, entry in made.discovery.entries.items()}
        assert all(id in listed for id in target.manager.links)


async def test_many_silent_peers_delay_nobody() -> None:
    async with net() as made:
        target = await made.node()
        stranger = Stranger(target)
        made.stack.push_async_callback(stranger.leave)
        for _ in range(100):
            await stranger.connect()
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await honest(made, target)
        assert loop.time() - begin < 3


async def test_one_address_does_not_take_all_the_places() -> None:
    async with net() as made:
        target = await made.node()
        stranger = Stranger(target)
        made.stack.push_async_callback(stranger.leave)
        for _ in range(MAX_PER_HOST):
            await stranger.connect()
        async with asyncio.timeout(SOON):
            assert await _end(await stranger.connect()) == b""
        stranger.streams[0].abort()
        await asyncio.sleep(0.05)
        await honest(made, target)


def above(target: Node, *, wanted: bool) -> Stranger:
    """A stranger whose key is larger than `target`'s, or smaller."""
    while (stranger := Stranger(target)) and (stranger.identity.public > target.pk) is not wanted:
        pass
    return stranger


async def test_edge_0_refuses_a_second_connection() -> None:
    async with net() as made:
        target = await made.node()
        stranger = above(target, wanted=True)
        made.stack.push_async_callback(stranger.leave)
        first = await stranger.secure()
        await settle_dialled(first, stranger.identity, target.pk, STCP)
        (link,) = await _links(target, 1)
        second, answer = await stranger.answer_to(stranger.signed().encode() + b"\n")
        assert answer == Answer.FAILURE.byte
        assert await _end(second) == b""
        assert link.is_up
        assert await _links(target, 1) == [link]
        assert link.id in made.discovery.entries


async def test_edge_1_replaces_the_first_by_the_second() -> None:
    async with net() as made:
        target = await made.node()
        stranger = above(target, wanted=False)
        made.stack.push_async_callback(stranger.leave)
        first = await stranger.secure()
        await settle_dialled(first, stranger.identity, target.pk, STCP)
        (link,) = await _links(target, 1)
        _, answer = await stranger.answer_to(stranger.signed().encode() + b"\n")
        assert answer[:1] == Answer.OK.byte  # the first ping may come with it
        await eventually(lambda: not link.is_up)
        (newer,) = await _links(target, 1)
        assert newer is not link
        assert newer.is_up
        assert link.id in made.discovery.entries


async def _links(node: Node, count: int) -> list[Link]:
    await eventually(lambda: len(node.manager.links) == count)
    return list(node.manager.links.values())
