"""How long a route takes to be open: route finder, setup node, handshake; one and two hops.

`python -m bench.bench_setup`. Three visors in a line are this process; dmsg discovery, dmsg server
and the services (with the setup node) are others. Then many routes at once, from both ends.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence

from bench.calibration import ecdh_rate
from bench.figures import figure
from bench.route_net import PORT, Visor, line
from skywire.router.route_group import RouteGroup

ROUTES = 60  # one after the other
ROUND = 12  # routes of which a median is shown
AT_ONCE = 200
LIMIT = 60.0  # seconds for one route
WARM_UP = 3  # routes that do not count


async def open_route(source: Visor, target: Visor) -> tuple[RouteGroup, float]:
    """The route, and how many ms it took."""
    since = time.perf_counter()
    async with asyncio.timeout(LIMIT):
        route = await source.router.dial(target.public, PORT)
    return route, (time.perf_counter() - since) * 1000


async def drain(visor: Visor) -> None:
    """Take what comes in; whoever dialled closes."""
    listener = visor.router.listen(PORT)
    while True:
        await listener.accept()


async def one_by_one(source: Visor, target: Visor) -> list[float]:
    times = []
    for _ in range(WARM_UP + ROUTES):
        route, taken = await open_route(source, target)
        times.append(taken)
        await route.close()
    return times[WARM_UP:]


def rounds(times: Sequence[float]) -> list[Sequence[float]]:
    return [times[start : start + ROUND] for start in range(0, len(times), ROUND)]


async def at_once(one: Visor, other: Visor) -> list[float]:
    pairs = [(one, other), (other, one)] * (AT_ONCE // 2)
    opened = await asyncio.gather(*(open_route(*pair) for pair in pairs))
    for route, _ in opened:
        route.abort()
    return [taken for _, taken in opened]


async def measure() -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
    async with line(3) as visors, asyncio.TaskGroup() as tasks:
        drains = [tasks.create_task(drain(visor)) for visor in visors]
        first, middle, last = visors
        one_hop = await one_by_one(first, middle)
        two_hops = await one_by_one(first, last)
        many = await at_once(first, last)
        for task in drains:
            task.cancel()
    return one_hop, two_hops, many


def main() -> None:
    ecdh = ecdh_rate()
    one_hop, two_hops, many = asyncio.run(measure())
    for name, times, limit in (("1 hop", one_hop, 80), ("2 hops", two_hops, 120)):
        median = statistics.median(times)
        figure(
            f"route set-up, {name}, p50",
            [statistics.median(part) for part in rounds(times)],
            "ms",
            target=f"≤ {limit}",
            met=median <= limit,
            calibration={"ecdh_per_s": ecdh},
            p50=round(median, 1),
            p99=round(statistics.quantiles(times, n=100)[98], 1),
        )
    tail = statistics.quantiles(many, n=100)[98]
    figure(
        f"{AT_ONCE} routes at once through one setup node, p99",
        [tail],
        "ms",
        target="≤ 5000, all succeed",
        met=tail <= 5000,
        calibration={"ecdh_per_s": ecdh},
        p50=round(statistics.median(many), 1),
        slowest=round(max(many), 1),
    )


if __name__ == "__main__":
    main()
