"""Who answers, and how fast? `python parallel_dials.py KEY KEY …`: all at once, 5 s for each."""

import asyncio
import sys
import time

import skywire

CONTROL = 7  # every visor answers on this dmsg port
AT_ONCE = asyncio.Semaphore(50)


async def knock(node: skywire.Node, pk: str) -> str:
    begin = time.perf_counter()
    try:
        async with AT_ONCE, asyncio.timeout(5), await node.dial(pk, CONTROL, network="dmsg"):
            return f"{(time.perf_counter() - begin) * 1000:.0f} ms"
    except (skywire.SkywireError, TimeoutError) as error:
        return str(error) or "no answer within 5 s"


async def main(keys: list[str]) -> None:
    async with skywire.Node() as node:
        answers = await asyncio.gather(*(knock(node, pk) for pk in keys))
    for pk, answer in zip(keys, answers, strict=True):
        print(pk, answer)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
