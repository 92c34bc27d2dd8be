"""Time of a 64-byte round trip over a dmsg stream, p50; wanted: at most 2.2 of the raw relay's."""

import asyncio
import statistics
import time

from bench.calibration import PING, PINGS, Raw
from bench.figures import figure, ratios
from bench.near import dmsg_client
from bench.net import far_process, network
from bench.peer import ECHO
from skywire.crypto.keys import PubKey
from skywire.streams.stream import Stream

ROUNDS = 7
TIME_LIMIT = 20.0  # seconds for one run
TARGET = 2.2


async def round_trip(stream: Stream, count: int = PINGS) -> float:
    """Median, microseconds."""
    times = []
    async with asyncio.timeout(TIME_LIMIT):
        for _ in range(count):
            start = time.perf_counter()
            await stream.write(PING)
            received = 0
            while received < len(PING):
                received += len(await stream.read())
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def main() -> None:
    with network() as net, far_process(net) as far, Raw(far) as raw:

        async def measure() -> tuple[list[float], list[float]]:
            references, runs = [], []
            async with dmsg_client(net) as client:
                stream = await client.dial(PubKey.parse(far.facts["pk"]), ECHO)
                await round_trip(stream, PINGS // 5)
                for _ in range(ROUNDS):
                    references.append(await raw.round_trip())
                    runs.append(await round_trip(stream))
                await stream.close()
            return references, runs

        references, runs = asyncio.run(measure())
        ratio = ratios(runs, references)
        figure(
            "64-byte round trip over a dmsg stream, p50",
            runs,
            "µs",
            target=f"≤ {TARGET} of the raw relay's",
            met=ratio <= TARGET,
            calibration={"raw_relay_us": statistics.median(references)},
            ratio=ratio,
        )


if __name__ == "__main__":
    main()
