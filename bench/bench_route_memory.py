"""Memory of an idle, encrypted route group with its two rules; wanted: at most 40 KB.

Both ends are in one process, joined by a link in memory, so each route counts twice.
"""

import asyncio
import gc

import psutil

from bench.figures import figure
from skywire.router.route_group import RouteGroup
from skywire.streams.stream import Stream
from skywire.testing.route_network import line

ROUTES = 1000  # per round
ROUNDS = 3
TARGET = 40.0  # KB
IDLE = 4.0  # seconds: each group has sent and answered a ping
TIME_LIMIT = 60.0  # seconds for one round


def resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def measure() -> list[float]:
    runs = []
    async with line(2) as net:
        listener = net.routers[1].listen(80)
        groups: list[Stream | RouteGroup] = []

        async def open_one() -> None:
            groups.append(await net.routers[0].dial(net.keys[1], 80))
            groups.append(await listener.accept())

        for _ in range(100):
            await open_one()
        for _ in range(ROUNDS):
            await asyncio.sleep(IDLE)
            before = resident()
            async with asyncio.timeout(TIME_LIMIT):
                for _ in range(ROUTES):
                    await open_one()
            await asyncio.sleep(IDLE)
            runs.append((resident() - before) / (2 * ROUTES) / 1000)
    return runs


def main() -> None:
    runs = asyncio.run(measure())
    figure(
        "memory of an idle route group", runs, "KB", target=f"≤ {TARGET}", met=max(runs) <= TARGET
    )


if __name__ == "__main__":
    main()
