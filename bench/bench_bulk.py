"""Bytes per second through A → server → B, three processes, 64 KiB writes, 1 and 8 streams.

Wanted: 0.22 and 0.28 of the raw relay of the same round.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Protocol

from bench.calibration import CHUNK, Raw
from bench.figures import figure, ratios
from bench.near import dmsg_client
from bench.net import Network, far_process, network
from bench.peer import COUNTED, SINK
from skywire.cli.runtime import loop_factory
from skywire.crypto.keys import PubKey
from skywire.streams.stream import Stream

ROUNDS = 7
BULK = 96_000_000  # bytes of one run, all streams together
WARM_UP = 16_000_000
TIME_LIMIT = 30.0  # seconds for one run
TARGETS = {1: 0.22, 8: 0.28}  # streams: ratio


class Dials(Protocol):
    async def dial(self, pk: PubKey, port: int) -> Stream: ...


async def send(client: Dials, pk: PubKey, size: int) -> tuple[float, float]:
    """When the first byte left and when the far peer had counted the last one."""
    stream = await client.dial(pk, SINK)
    chunk = bytes(CHUNK)
    size -= size % CHUNK
    start = time.perf_counter()
    await stream.write(size.to_bytes(8, "big"))
    for _ in range(size // CHUNK):
        await stream.write(chunk)
    if await stream.read() != COUNTED:
        raise RuntimeError("the far peer did not count what was sent")
    end = time.perf_counter()
    await stream.close()
    return start, end


async def bulk(client: Dials, pk: PubKey, streams: int, size: int = BULK) -> float:
    """MB/s, MB = 10^6 bytes."""
    async with asyncio.timeout(TIME_LIMIT), asyncio.TaskGroup() as tasks:
        sends = [tasks.create_task(send(client, pk, size // streams)) for _ in range(streams)]
    times = [task.result() for task in sends]
    return size / (max(end for _, end in times) - min(start for start, _ in times)) / 1e6


def measure(pk: PubKey, net: Network, raw: Raw) -> tuple[list[float], dict[int, list[float]]]:
    """Ours on the loop that a visor runs on, the calibration on asyncio's, in turns."""
    references: list[float] = []
    runs: dict[int, list[float]] = {streams: [] for streams in TARGETS}
    with asyncio.Runner(loop_factory=loop_factory()) as ours, asyncio.Runner() as plain:
        stack = AsyncExitStack()
        client = ours.run(stack.enter_async_context(dmsg_client(net)))
        plain.run(raw.bulk(WARM_UP))
        ours.run(bulk(client, pk, 1, WARM_UP))
        for _ in range(ROUNDS):
            references.append(plain.run(raw.bulk()))
            for streams, results in runs.items():
                results.append(ours.run(bulk(client, pk, streams)))
        ours.run(stack.aclose())
    return references, runs


def main() -> None:
    with network() as net, far_process(net) as far, Raw(far) as raw:
        references, runs = measure(PubKey.parse(far.facts["pk"]), net, raw)
    for streams, results in runs.items():
        ratio = ratios(results, references)
        figure(
            f"bulk, {streams} stream{'s' * (streams > 1)}",
            results,
            "MB/s",
            target=f"≥ {TARGETS[streams]} of the raw relay",
            met=ratio >= TARGETS[streams],
            calibration={"raw_relay_mb_per_s": sorted(references)[ROUNDS // 2]},
            ratio=ratio,
        )


if __name__ == "__main__":
    main()
