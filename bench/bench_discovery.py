"""Requests per second of `GET entry` at a discovery on SQLite, 16 connections.

`python -m bench.bench_discovery`. The service is a process pinned to one core; the client (this
process, on the other cores) asks for random entries over kept-alive connections and checks each
answer. ECDH per second is measured between the runs.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.calibration import ecdh_rate
from bench.figures import figure, ratios
from bench.http_load import load
from bench.net import child
from skywire.crypto.generate import key_pair
from skywire.dmsg.discovery import BASE_PATH, DiscoveryClient
from skywire.wire.entry import Entry, sign

CONNECTIONS = 16
ENTRIES = 1000
ROUNDS = 5
SECONDS = 2.0  # of one round
TARGET = 5000
COMMAND = "-m skywire dmsg disc -a 127.0.0.1:0 --store sqlite:///discovery.db --loglvl error"


async def fill(port: int, count: int = ENTRIES) -> list[bytes]:
    """Post `count` client entries; the requests that ask for them."""
    requests = []
    server, _ = key_pair()
    async with DiscoveryClient(f"http://127.0.0.1:{port}") as client:
        for _ in range(count):
            pk, sk = key_pair()
            await client.post(sign(Entry.of_client(pk, [server], "visor", now=time.time_ns()), sk))
            path = f"{BASE_PATH}/entry/{pk}"
            requests.append(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    return requests


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    rates, cpu_rates, medians, ecdh = [], [], [], []
    with (
        tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder,
        child(*COMMAND.split(), folder=Path(folder)) as service,
    ):
        requests = asyncio.run(fill(service.facts["port"]))
        os.sched_setaffinity(service.pid, {cores[-1]})
        os.sched_setaffinity(0, set(cores[:-1] or cores))
        for _ in range(ROUNDS):
            ecdh.append(ecdh_rate())
            latencies, cpu = asyncio.run(
                load(service.pid, service.facts["port"], requests, CONNECTIONS, SECONDS)
            )
            rates.append(len(latencies) / SECONDS)
            cpu_rates.append(len(latencies) / cpu)
            medians.append(statistics.median(latencies) * 1000)
    figure(
        f"discovery GET entry, {CONNECTIONS} connections, SQLite",
        rates,
        "1/s",
        target=f"≥ {TARGET}",
        met=statistics.median(rates) >= TARGET,
        calibration={"ecdh_per_s": statistics.median(ecdh)},
        ratio=ratios(rates, ecdh),
        per_cpu_second=round(statistics.median(cpu_rates)),
        p50_ms=round(statistics.median(medians), 3),
    )


if __name__ == "__main__":
    main()
