"""Stream opens per second, 4 in flight: dial, answer, close; wanted: at least 600."""

import asyncio
import statistics
import time

from bench.calibration import ecdh_rate
from bench.figures import figure, ratios
from bench.near import dmsg_client
from bench.net import far_process, network
from bench.peer import DOOR
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient

ROUNDS = 7
IN_FLIGHT = 4
OPENS = 1200  # in one run
TIME_LIMIT = 30.0  # seconds for one run
TARGET = 600.0


async def opens(client: DmsgClient, pk: PubKey, count: int) -> float:
    """Opened per second; closing is not waited for by the next open."""
    left = count

    async def open_some() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            stream = await client.dial(pk, DOOR)
            await stream.close()

    start = time.perf_counter()
    async with asyncio.timeout(TIME_LIMIT), asyncio.TaskGroup() as tasks:
        for _ in range(IN_FLIGHT):
            tasks.create_task(open_some())
    return count / (time.perf_counter() - start)


def main() -> None:
    with network() as net, far_process(net) as far:
        pk = PubKey.parse(far.facts["pk"])

        async def measure() -> tuple[list[float], list[float]]:
            references, runs = [], []
            async with dmsg_client(net) as client:
                await opens(client, pk, OPENS // 5)
                for _ in range(ROUNDS):
                    references.append(ecdh_rate())
                    runs.append(await opens(client, pk, OPENS))
            return references, runs

        references, runs = asyncio.run(measure())
        figure(
            f"stream opens, {IN_FLIGHT} in flight",
            runs,
            "1/s",
            target=f"≥ {TARGET:.0f}/s",
            met=statistics.median(runs) >= TARGET,
            calibration={"ecdh_per_s": statistics.median(references)},
            ratio=ratios(runs, references),
        )


if __name__ == "__main__":
    main()
