import asyncio
import logging

import pytest

from skywire.crypto.generate import deterministic_key_pair
from skywire.errors import StreamReset
from skywire.streams.serving import only_for, serve_each
from skywire.streams.stream import Address, Stream
from skywire.testing.listener import MemoryListener

SERVER = deterministic_key_pair(b"server")[0]
CLIENT = deterministic_key_pair(b"client")[0]
OTHER = deterministic_key_pair(b"other")[0]


def listener_for(client: Address | None = None) -> MemoryListener:
    return MemoryListener(Address.dmsg(SERVER, 80), client or Address.dmsg(CLIENT, 49152))


async def echo(stream: Stream) -> None:
    while data := await stream.read():
        await stream.write(data)
    await stream.close()


async def test_every_stream_gets_its_handler_and_a_broken_one_harms_nobody() -> None:
    async def handle(stream: Stream) -> None:
        if await stream.read() == b"break":
            raise StreamReset("broken")
        await stream.write(b"fine")
        await stream.close()

    listener = listener_for()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve_each(listener, handle, name="test"))
        bad, good = await listener.dial(SERVER, 80), await listener.dial(SERVER, 80)
        await bad.write(b"break")
        await good.write(b"work")
        assert await good.read() == b"fine"
        with pytest.raises(StreamReset):
            await bad.read()
        await listener.close()
        await serving


async def test_one_stream_too_many_is_cut_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    listener = listener_for()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve_each(listener, echo, name="test", limit=1))
        first = await listener.dial(SERVER, 80)
        for _ in range(2):
            with pytest.raises(StreamReset):
                await (await listener.dial(SERVER, 80)).read()
        assert [r.message for r in caplog.records if r.levelno == logging.WARNING] == [
            "full name=test limit=1"
        ]
        await first.close()
        await asyncio.sleep(0)
        await listener.close()
        await serving


async def test_cancel_ends_the_handlers() -> None:
    listener = listener_for()
    task = asyncio.ensure_future(serve_each(listener, echo, name="test"))
    stream = await listener.dial(SERVER, 80)
    await stream.write(b"x")
    assert await stream.read() == b"x"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(StreamReset):
        await stream.read()


@pytest.mark.parametrize(
    ("allowed", "client", "served"),
    [
        (frozenset(), Address.dmsg(OTHER, 1), True),
        (frozenset({CLIENT}), Address.dmsg(CLIENT, 1), True),
        (frozenset({CLIENT}), Address.dmsg(OTHER, 1), False),
        (frozenset({CLIENT}), Address("tcp", "127.0.0.1", 1), False),
    ],
)
async def test_a_whitelist(allowed: frozenset[bytes], client: Address, served: bool) -> None:
    listener = listener_for(client)
    handler = only_for({key for key in (CLIENT, OTHER) if key in allowed}, echo)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve_each(listener, handler, name="test"))
        stream = await listener.dial(SERVER, 80)
        if served:
            await stream.write(b"x")
            assert await stream.read() == b"x"
            await stream.close()
        else:
            with pytest.raises(StreamReset):
                await stream.read()
        await listener.close()
        await serving
