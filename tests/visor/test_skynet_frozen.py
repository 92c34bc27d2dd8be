"""A visor in the middle that stops without a word: its connections stay, and nothing passes."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from skywire.errors import NotFound, StreamReset
from skywire.streams.stream import Stream
from tests.visor.network import Node
from tests.visor.skynet import key, listed, skynet

PORT = 700
LIMIT = 20.0


async def dial(here: Node, there: Node) -> Stream:
    """Tries as long as the services have not heard of everything."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                return await here.visor.network.dial(there.pk, PORT)
            except NotFound:
                await asyncio.sleep(0.05)


async def write_on(stream: Stream) -> None:
    while True:
        await stream.write(bytes(50_000))


async def read_on(stream: Stream) -> None:
    while await stream.read():
        pass


@pytest.mark.timeout(90)
async def test_a_frozen_hop_is_named_and_the_next_dial_goes_round_it(tmp_path: Path) -> None:
    async with skynet(tmp_path) as net, net.process("b") as b:
        a, c = await net.visor("a", "b"), await net.visor("c", "b")
        await listed(a, c)
        listener = c.visor.network.listen(PORT)
        here = await dial(a, c)
        there = await listener.accept()
        d = await net.visor("d", "a", "c")
        await listed(d)
        work = (write_on(here), read_on(here), write_on(there), read_on(there))
        running = asyncio.gather(*work, return_exceptions=True)
        await asyncio.sleep(0.5)  # a transfer on its way
        begin = time.monotonic()
        b.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(LIMIT):
            errors = await running
        assert time.monotonic() - begin < 10
        assert {type(error) for error in errors} == {StreamReset}
        assert all(str(key("b")) in str(error) for error in errors[:2])  # c knows no path
        assert "first hop over transport" in str(errors[2])
        again = await dial(a, c)
        (group,) = [each for each in a.visor.routes.router.groups if each.is_open]
        assert [hop.to_pk for hop in group.path] == [d.pk, c.pk]
        await again.write(b"hello")
        assert await (await listener.accept()).read() == b"hello"
        b.send_signal(signal.SIGCONT)
