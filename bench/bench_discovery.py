"""Requests per second of `GET entry` at a discovery on SQLite, 16 connections.

`python -m bench.bench_discovery`. The service is a process pinned to one core; the client (this
process, on the other cores) asks for random entries over kept-alive connections and checks each
answer. ECDH per second is measured between the runs.
"""

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.calibration import ecdh_rate
from bench.figures import figure, ratios
from bench.net import child
from skywire.crypto.generate import key_pair
from skywire.dmsg.discovery import BASE_PATH, DiscoveryClient
from skywire.wire.entry import Entry, sign

CONNECTIONS = 16
ENTRIES = 1000
ROUNDS = 5
SECONDS = 2.0  # of one round
WARM_UP = 0.3  # seconds that do not count
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


class Asker(asyncio.Protocol):
    """Asks again as soon as an answer is complete; answers of one store are equally long."""

    def __init__(self, requests: list[bytes], latencies: list[float]) -> None:
        self._requests = requests
        self._latencies = latencies
        self._received = bytearray()
        self._size = 0  # of an answer, once known
        self._sent_at = 0.0
        self.failure = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(random.choice(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._size:
            head, end, _ = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._size = len(head) + len(end) + int(length)
        if len(self._received) >= self._size:
            if len(self._received) > self._size or not self._received.startswith(b"HTTP/1.1 200"):
                self.failure = bytes(self._received[:80]).decode(errors="replace")
                self._transport.abort()
                return
            self._latencies.append(time.perf_counter() - self._sent_at)
            self._received.clear()
            self._ask()


async def load(pid: int, port: int, requests: list[bytes]) -> tuple[list[float], float]:
    """Seconds each answer took, and CPU seconds of the service."""
    service = psutil.Process(pid)
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    made = [
        await loop.create_connection(lambda: Asker(requests, latencies), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(WARM_UP)
    latencies.clear()
    before = service.cpu_times()
    await asyncio.sleep(SECONDS)
    after = service.cpu_times()
    counted = latencies.copy()
    for transport, asker in made:
        transport.abort()
        if asker.failure:
            sys.exit(f"a request failed: {asker.failure}")
    return counted, after.user + after.system - before.user - before.system


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
            latencies, cpu = asyncio.run(load(service.pid, service.facts["port"], requests))
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
