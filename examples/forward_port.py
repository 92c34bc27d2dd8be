"""A TCP port of one machine on another, without an open port or address between them.

There: `python forward_port.py offer 8000`. Here: `python forward_port.py KEY 9000`.
"""

import asyncio
import sys

import skywire

PORT = 2003


async def offer(tcp_port: int) -> None:
    async def join(connection: skywire.Connection) -> None:
        async with asyncio.timeout(10):
            local = await skywire.dial_tcp("127.0.0.1", tcp_port)
        await skywire.copy_both(connection, local)

    async with skywire.Node() as node, node.listen(PORT) as listener:
        print(node.pk, flush=True)
        await listener.serve(join)


async def use(pk: str, tcp_port: int) -> None:
    async with skywire.Node() as node:
        listener = skywire.ConnectionListener(await skywire.listen_tcp("127.0.0.1", tcp_port))

        async def join(local: skywire.Connection) -> None:
            await skywire.copy_both(local, await node.dial(pk, PORT))

        print(listener.address, flush=True)
        await listener.serve(join)


if __name__ == "__main__":
    where, number = sys.argv[1], int(sys.argv[2])
    asyncio.run(offer(number) if where == "offer" else use(where, number))
