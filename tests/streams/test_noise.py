"""NoiseStream: the stream contract, the handshake over streams, and broken frames."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import AuthenticationFailed, RemoteProtocolError, StreamReset
from skywire.streams.noise import BATCH, NoiseStream, noise_stream
from skywire.streams.stream import Stream
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.testing.stream_contract import Check, Traits, checks, name, pattern, read_exactly
from skywire.testing.streams import stream_pair
from skywire.wire.noise import MAX_HANDSHAKE_MESSAGE, Pattern
from skywire.wire.noise_frames import MAX_FRAME

A, A_SECRET, _ = deterministic_key_pair(b"a")
B, B_SECRET, _ = deterministic_key_pair(b"b")
C, C_SECRET, _ = deterministic_key_pair(b"c")
SOON = 5.0
TRAITS = Traits()


async def encrypted(
    a: Stream, b: Stream, pattern: Pattern = Pattern.KK
) -> tuple[NoiseStream, NoiseStream]:
    known = A if pattern is Pattern.KK else None
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
        one = tasks.create_task(
            noise_stream(a, pattern, initiator=True, public=A, secret=A_SECRET, remote=B)
        )
        two = tasks.create_task(
            noise_stream(b, pattern, initiator=False, public=B, secret=B_SECRET, remote=known)
        )
    return one.result(), two.result()


@asynccontextmanager
async def memory() -> AsyncIterator[tuple[Stream, Stream]]:
    yield await encrypted(*stream_pair())


@asynccontextmanager
async def memory_in_pieces() -> AsyncIterator[tuple[Stream, Stream]]:
    yield await encrypted(*stream_pair(chunk=777), Pattern.XK)


@asynccontextmanager
async def tcp() -> AsyncIterator[tuple[Stream, Stream]]:
    listener = await listen_tcp("127.0.0.1", 0)
    ours = await dial_tcp("127.0.0.1", listener.address.port)
    theirs = await listener.accept()
    try:
        yield await encrypted(ours, theirs)
    finally:
        for stream in (ours, theirs):
            stream.abort()
            await stream.close()
        await listener.close()


@pytest.mark.parametrize("check", checks(TRAITS), ids=name)
@pytest.mark.parametrize("pair", [memory, memory_in_pieces, tcp])
async def test_contract(
    pair: Callable[[], AbstractAsyncContextManager[tuple[Stream, Stream]]], check: Check
) -> None:
    async with pair() as (a, b):
        await check(a, b, TRAITS)


@pytest.mark.parametrize("kind", list(Pattern))
async def test_both_ends_know_each_other(kind: Pattern) -> None:
    a, b = await encrypted(*stream_pair(chunk=1), kind)
    assert (a.local.pk, a.remote.pk, b.local.pk, b.remote.pk) == (A, B, B, A)


async def test_nothing_is_readable_on_the_carrier() -> None:
    raw, other = stream_pair()
    one, _ = await encrypted(raw, other)
    await one.write(b"secret words")
    assert b"secret" not in await other.read()


async def test_a_peer_with_another_key_is_refused() -> None:
    a, b = stream_pair()
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(
            _outcome(
                noise_stream(a, Pattern.KK, initiator=True, public=A, secret=A_SECRET, remote=C)
            )
        )
        second = tasks.create_task(
            _outcome(
                noise_stream(b, Pattern.KK, initiator=False, public=B, secret=B_SECRET, remote=A)
            )
        )
        assert isinstance(await second, AuthenticationFailed)
        await b.close()
        assert isinstance(await first, StreamReset)


async def _outcome(work: object) -> object:
    try:
        return await work  # type: ignore[misc]
    except (RemoteProtocolError, StreamReset) as error:
        return error


async def test_a_message_that_is_too_long_and_an_early_end_are_refused() -> None:
    for said, error in (
        ((MAX_HANDSHAKE_MESSAGE + 1).to_bytes(2, "big"), RemoteProtocolError),
        (b"\x00\x31half", StreamReset),
        (b"\x00\x02ab", RemoteProtocolError),
    ):
        a, b = stream_pair()
        await a.write(said)
        await a.close()
        with pytest.raises(error):
            await noise_stream(b, Pattern.KK, initiator=False, public=B, secret=B_SECRET, remote=A)


async def test_bytes_read_before_belong_to_the_handshake_and_the_stream() -> None:
    a, b = stream_pair()
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
        dialling = tasks.create_task(
            noise_stream(a, Pattern.KK, initiator=True, public=A, secret=A_SECRET, remote=B)
        )
        begun = await b.read()
        there = await noise_stream(
            b, Pattern.KK, initiator=False, public=B, secret=B_SECRET, remote=A, received=begun
        )
        here = await dialling
        await here.write(b"hello")
        assert await there.read() == b"hello"


async def test_a_large_write_comes_in_frames_of_the_reference_s_size() -> None:
    raw, other = stream_pair()
    one, _ = await encrypted(raw, other)
    await one.write(pattern(BATCH))
    sealed = await other.read(1 << 20)
    assert int.from_bytes(sealed[:2], "big") == MAX_FRAME - 2


@pytest.mark.parametrize("spoil", ["tag", "length", "cut", "repeat"])
async def test_a_broken_frame_ends_the_stream_with_a_reason(spoil: str) -> None:
    raw, other = stream_pair()
    one, two = await encrypted(raw, other)
    await one.write(b"whole")
    assert await read_exactly(two, 5) == b"whole"
    await one.write(b"spoilt")
    frame = bytearray(await other.read())
    if spoil == "tag":
        frame[-1] ^= 1
    elif spoil == "length":
        frame[0] = 0xFF
    elif spoil == "cut":
        frame = frame[:-1]
    else:
        frame = frame + frame
    await raw.write(bytes(frame))
    # What was read by `other` is put back through a second carrier.
    back, front = stream_pair()
    await back.write(bytes(frame))
    await back.write_eof()
    two._raw = front
    if spoil == "repeat":
        with pytest.raises(StreamReset, match="nonce"):
            await two.read()
        return
    with pytest.raises(StreamReset):
        await two.read()
    with pytest.raises(StreamReset):
        await two.read()
