"""Two people, line by line. `python chat.py` waits for a call; `python chat.py KEY` calls."""

import asyncio
import sys
from contextlib import suppress

import skywire

PORT = 2001


async def say(connection: skywire.Connection) -> None:
    """What is typed, until Ctrl-D."""
    typed = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(typed), sys.stdin)
    async for line in typed:
        await connection.write(line)
    await connection.close()


async def talk(connection: skywire.Connection) -> None:
    async with connection, asyncio.TaskGroup() as tasks:
        saying = tasks.create_task(say(connection))
        with suppress(skywire.StreamError):  # they hung up, or we did
            async for line in connection.lines():
                print("<", line.decode(errors="replace"), flush=True)
        saying.cancel()


async def main(pk: str) -> None:
    async with skywire.Node() as node, node.listen(PORT) as listener:
        print(node.pk, flush=True)
        await talk(await node.dial(pk, PORT) if pk else await listener.accept())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ""))
