"""Memory and CPU of a dmsg server with 1,000 idle sessions.

Wanted: at most 18 MB per 1,000 sessions, and no periodic work but the keep-alive (30 s from both
sides).
"""

import asyncio

import psutil

from bench.calibration import ecdh_rate
from bench.figures import figure
from bench.net import network
from bench.sessions import Sessions
from skywire.crypto.keys import PubKey

SESSIONS = 1000
AT_ONCE = 50  # handshakes in flight
SETTLE = 4.0  # seconds until memory is read
IDLE = 31.0  # seconds the CPU is watched: one keep-alive of each side
TARGET = 18.0  # MB
CPU_TARGET = 1.0  # milliseconds of CPU per session in that time: three keep-alives and a half


async def open_all(sessions: Sessions, count: int) -> None:
    for _ in range(count // AT_ONCE):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(sessions.connect())


def main() -> None:
    with network(max_sessions=2 * SESSIONS) as net:
        host, _, port = net.server.facts["address"].rpartition(":")
        process = psutil.Process(net.server.pid)

        async def measure() -> tuple[float, float, float]:
            sessions = Sessions(host, int(port), PubKey.parse(net.server_pk))
            await open_all(sessions, AT_ONCE)  # what is loaded and allocated once
            sessions.close()
            await asyncio.sleep(1)
            empty = process.memory_info().rss
            await open_all(sessions, SESSIONS)
            await asyncio.sleep(SETTLE)
            full = process.memory_info().rss
            before = process.cpu_times()
            await asyncio.sleep(IDLE)
            after = process.cpu_times()
            sessions.close()
            cpu = after.user + after.system - before.user - before.system
            return empty / 1e6, full / 1e6, cpu

        empty, full, cpu = asyncio.run(measure())
        per_thousand = (full - empty) * 1000 / SESSIONS
        figure(
            "server memory per 1,000 idle sessions",
            [per_thousand],
            "MB",
            target=f"≤ {TARGET:.0f} MB",
            met=per_thousand <= TARGET,
            empty_mb=round(empty, 1),
        )
        per_session = cpu * 1000 / SESSIONS
        figure(
            f"server CPU per idle session in {IDLE:.0f} s",
            [per_session],
            "ms",
            target=f"≤ {CPU_TARGET:.0f} ms: the keep-alives",
            met=per_session <= CPU_TARGET,
            calibration={"ecdh_per_s": ecdh_rate()},
            percent_of_a_core=round(100 * cpu / IDLE, 2),
        )


if __name__ == "__main__":
    main()
