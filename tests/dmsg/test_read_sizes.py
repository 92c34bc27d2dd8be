"""A session asks the kernel for much only while much comes."""

import asyncio

from skywire.dmsg.session import BIG_READ, SMALL_READ, Session
from skywire.streams.stream import Stream
from tests.dmsg.conftest import Net, soon, until


async def receive(stream: Stream, count: int) -> None:
    while count:
        count -= len(await stream.read())


def read_size(session: Session | None) -> object:
    assert session is not None
    return getattr(session.transport, "max_size", None)


async def test_reads_grow_with_the_traffic_and_shrink_again(net: Net) -> None:
    sender, receiver = await net.client(), await net.client()
    at_server = net.servers[0].find(sender.public)
    assert read_size(at_server) == SMALL_READ
    listener = receiver.listen(80)
    stream = await soon(sender.dial(receiver.public, 80))
    accepted = await soon(listener.accept())
    sizes = set()
    bulk = 4 * BIG_READ
    for _ in range(20):  # how much one read gets is the kernel's business
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(receive(accepted, bulk))
            for _ in range(bulk // SMALL_READ):
                await stream.write(bytes(SMALL_READ))
                sizes.add(read_size(at_server))
    assert sizes == {SMALL_READ, BIG_READ}
    for _ in range(3):
        await soon(stream.write(b"x"))
        await soon(receive(accepted, 1))
    await until(lambda: read_size(at_server) == SMALL_READ)
    await stream.close()
