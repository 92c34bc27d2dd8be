"""`write_now`: all of it or nothing, without waiting."""

import asyncio

import pytest

from skywire.crypto import generate
from skywire.errors import StreamClosed
from skywire.streams.noise import noise_stream
from skywire.streams.stream import WritesNow
from skywire.streams.tcp import dial_tcp, listen_tcp
from skywire.testing.stream_contract import read_exactly
from skywire.testing.streams import stream_pair
from skywire.testing.wait import eventually
from skywire.wire.noise import Pattern


async def test_tcp_and_noise_take_data_at_once_until_they_are_full() -> None:
    listener = await listen_tcp("127.0.0.1", 0)
    raw = await dial_tcp("127.0.0.1", listener.address.port)
    far = await listener.accept()
    (a, a_secret), (b, b_secret) = generate.key_pair(), generate.key_pair()
    async with asyncio.TaskGroup() as tasks:
        one = tasks.create_task(
            noise_stream(raw, Pattern.KK, initiator=True, public=a, secret=a_secret, remote=b)
        )
        two = tasks.create_task(
            noise_stream(far, Pattern.KK, initiator=False, public=b, secret=b_secret, remote=a)
        )
    near, there = one.result(), two.result()
    assert isinstance(near, WritesNow)
    sent = 0
    while near.write_now(bytes([sent % 251]) * 50_000):
        sent += 1
        assert sent < 1000, "never full"
    async with asyncio.timeout(10):
        for number in range(sent):
            assert await read_exactly(there, 50_000) == bytes([number % 251]) * 50_000
        await eventually(lambda: near.write_now(b"end"))
        assert await there.read() == b"end"
    await near.close()
    with pytest.raises(StreamClosed):
        near.write_now(b"x")
    await there.close()
    await listener.close()


async def test_noise_over_a_stream_that_cannot_takes_nothing() -> None:
    raw, far = stream_pair()
    (a, a_secret), (b, b_secret) = generate.key_pair(), generate.key_pair()
    async with asyncio.TaskGroup() as tasks:
        one = tasks.create_task(
            noise_stream(raw, Pattern.KK, initiator=True, public=a, secret=a_secret, remote=b)
        )
        two = tasks.create_task(
            noise_stream(far, Pattern.KK, initiator=False, public=b, secret=b_secret, remote=a)
        )
    near, there = one.result(), two.result()
    assert not near.write_now(b"x")
    await near.write(b"y")
    assert await there.read() == b"y", "nothing was used up"
