"""Keystroke → echo of the pty client over dmsg, p50; wanted: at most 1.0 ms (Go: 1.1 ms).

This process ══ server ══ visor with a terminal that runs `cat`: one Write and one Read call per
key.
"""

import asyncio
import statistics
import time

from bench.calibration import Raw
from bench.figures import figure, ratios
from bench.near import dmsg_client
from bench.net import far_process, network, visor
from skywire.crypto.generate import key_pair
from skywire.crypto.keys import PubKey
from skywire.dmsg.client import DmsgClient
from skywire.ports import DMSG_PTY
from skywire.pty.client import PtyClient
from skywire.pty.types import CommandReq, WinSize

ROUNDS = 9
KEYS = 300  # in one run
RAW_PINGS = 500
TIME_LIMIT = 20.0  # seconds for one run
START_LIMIT = 20.0  # seconds until the visor can be dialled
TARGET = 1.0  # ms


async def echo(pty: PtyClient, count: int = KEYS) -> float:
    """Median, milliseconds."""
    times = []
    async with asyncio.timeout(TIME_LIMIT):
        for _ in range(count):
            start = time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(pty.read())
                await pty.write(b"x")
            if reading.result() != b"x":
                raise RuntimeError(f"typed x, saw {reading.result()!r}")
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


async def open_cat(client: DmsgClient, pk: PubKey) -> PtyClient:
    async with asyncio.timeout(START_LIMIT):
        pty = await PtyClient.connect(await client.dial(pk, DMSG_PTY))
        await pty.__aenter__()
        await pty.start(CommandReq(name="cat", size=WinSize(rows=24, cols=80)))
    return pty


def main() -> None:
    keys = key_pair()
    with network() as net, visor(net, [keys[0]]) as (_, pk), far_process() as far, Raw(far) as raw:

        async def measure() -> tuple[list[float], list[float]]:
            references, runs = [], []
            async with dmsg_client(net, keys) as client:
                pty = await open_cat(client, pk)
                await echo(pty, KEYS // 3)
                for _ in range(ROUNDS):
                    references.append(await raw.round_trip(RAW_PINGS) / 1e3)
                    runs.append(await echo(pty))
                await pty.close()
            return references, runs

        references, runs = asyncio.run(measure())
        figure(
            "keystroke → echo, pty client over dmsg, p50",
            runs,
            "ms",
            target=f"≤ {TARGET} ms",
            met=statistics.median(runs) <= TARGET,
            calibration={"raw_relay_ms": statistics.median(references)},
            ratio=ratios(runs, references),
        )


if __name__ == "__main__":
    main()
