"""Say it again. `python echo.py` serves and prints its key; `python echo.py KEY` talks to it."""

import asyncio
import sys

import skywire

PORT = 2000


async def echo(connection: skywire.Connection) -> None:
    async for data in connection:
        await connection.write(data)


async def serve() -> None:
    async with skywire.Node() as node, node.listen(PORT) as listener:
        print(node.pk, flush=True)
        await listener.serve(echo)


async def say(pk: str, text: str) -> None:
    async with skywire.Node() as node, asyncio.timeout(20):
        async with await node.dial(pk, PORT) as connection:
            await connection.write(f"{text}\n".encode())
            print((await connection.readline()).decode(), end="")


if __name__ == "__main__":
    asyncio.run(say(sys.argv[1], "hello") if len(sys.argv) > 1 else serve())
