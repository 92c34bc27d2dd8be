"""Session handshakes per second, 8 in flight: TCP and Noise XK; wanted: at least 700."""

import asyncio
import statistics
import time

from bench.calibration import ecdh_rate
from bench.figures import figure, ratios
from bench.net import network
from bench.sessions import Sessions
from skywire.crypto.keys import PubKey

ROUNDS = 7
IN_FLIGHT = 8
HANDSHAKES = 1000  # in one run
TIME_LIMIT = 30.0  # seconds for one run
TARGET = 700.0


async def handshakes(sessions: Sessions, count: int) -> float:
    """Per second; a session is closed as soon as it stands."""
    left = count

    async def shake_some() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            session = await sessions.connect()
            session.close("done")

    start = time.perf_counter()
    async with asyncio.timeout(TIME_LIMIT), asyncio.TaskGroup() as tasks:
        for _ in range(IN_FLIGHT):
            tasks.create_task(shake_some())
    rate = count / (time.perf_counter() - start)
    sessions.open.clear()
    return rate


def main() -> None:
    with network() as net:
        host, _, port = net.server.facts["address"].rpartition(":")

        async def measure() -> tuple[list[float], list[float]]:
            sessions = Sessions(host, int(port), PubKey.parse(net.server_pk))
            references, runs = [], []
            await handshakes(sessions, HANDSHAKES // 5)
            for _ in range(ROUNDS):
                references.append(ecdh_rate())
                runs.append(await handshakes(sessions, HANDSHAKES))
            return references, runs

        references, runs = asyncio.run(measure())
        figure(
            f"session handshakes, {IN_FLIGHT} in flight",
            runs,
            "1/s",
            target=f"≥ {TARGET:.0f}/s",
            met=statistics.median(runs) >= TARGET,
            calibration={"ecdh_per_s": statistics.median(references)},
            ratio=ratios(runs, references),
        )


if __name__ == "__main__":
    main()
